//! Colour, where a terminal shows it.

/// Whether a report has colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// For a terminal.
    Always,
    /// For files and pipes.
    Never,
}

impl Colour {
    /// A heading.
    pub(super) fn heading(self, text: &str) -> String {
        self.code("1", text)
    }

    /// What does not work.
    pub(super) fn bad(self, text: &str) -> String {
        self.code("1;31", text)
    }

    /// What could be better.
    pub(super) fn doubtful(self, text: &str) -> String {
        self.code("1;33", text)
    }

    /// What is well.
    pub(super) fn good(self, text: &str) -> String {
        self.code("32", text)
    }

    /// What is said beside the matter.
    pub(super) fn aside(self, text: &str) -> String {
        self.code("2", text)
    }

    fn code(self, code: &str, text: &str) -> String {
        match self {
            Self::Always => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Never => text.to_owned(),
        }
    }
}
