//! What the library logs: kept for the tests, and searched for secrets as it is written.

use std::io::Write;
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// Part of every password and of every parameter that is a text; it may stand in no line of the log.
pub(crate) const SECRET: &str = "SECRET";

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Begins to listen, for all tests of this process.
pub(crate) fn listen() {
    static LISTENING: OnceLock<()> = OnceLock::new();
    LISTENING.get_or_init(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(Listener)
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

/// Lines so far that contain all of these words.
pub(crate) fn lines_with(words: &[&str]) -> Vec<String> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.iter().filter(|line| words.iter().all(|word| line.contains(word))).cloned().collect()
}

#[derive(Clone, Copy)]
struct Listener;

impl Write for Listener {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let line = String::from_utf8_lossy(bytes).into_owned();
        if line.contains(SECRET) {
            // A panic would end one task that may belong to nobody: this fails the suite, whichever test it was.
            let _ = writeln!(std::io::stderr(), "a secret is in the log: {line}");
            std::process::exit(101);
        }
        LINES.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Listener {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}
