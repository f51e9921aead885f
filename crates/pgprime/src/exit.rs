//! Exit codes, and the last words before one.

/// A finding at or above the level that was asked for.
pub(crate) const FINDING: u8 = 1;
/// Wrong usage or configuration.
pub(crate) const USAGE: u8 = 2;
/// The database could not be reached.
pub(crate) const UNREACHABLE: u8 = 3;

/// An error with its causes, each said once: many errors name their cause themselves.
pub(crate) fn describe(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        before if before.contains(&cause) => said,
        before => format!("{before}: {cause}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let cause = || std::io::Error::other("no such file");
        let error = anyhow::Error::new(cause()).context("cannot read a.ini: no such file");
        assert_eq!(describe(&error), "cannot read a.ini: no such file");
        let error = anyhow::Error::new(cause()).context("cannot read a.ini");
        assert_eq!(describe(&error), "cannot read a.ini: no such file");
    }
}
