//! What a person sees while the work goes on, on standard error: one line that changes on a terminal, whole lines
//! elsewhere.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// Elsewhere than on a terminal, changing lines are written this rarely.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);
/// On a terminal, as often as an eye can follow.
const TERMINAL_INTERVAL: Duration = Duration::from_millis(100);

/// Writes progress.
#[derive(Debug)]
pub(crate) struct Screen {
    is_terminal: bool,
    changing: bool,
    written: Option<Instant>,
}

impl Screen {
    /// The standard error of this process.
    pub(crate) fn new() -> Self {
        Self { is_terminal: stderr().is_terminal(), changing: false, written: None }
    }

    /// A line that stays.
    pub(crate) fn line(&mut self, text: &str) {
        self.end_changing();
        let _ = writeln!(stderr(), "{text}");
    }

    /// A line that the next one takes the place of. Written now and then only.
    pub(crate) fn changing(&mut self, text: &str) {
        let interval = if self.is_terminal { TERMINAL_INTERVAL } else { PLAIN_INTERVAL };
        if self.written.is_some_and(|written| written.elapsed() < interval) {
            return;
        }
        self.written = Some(Instant::now());
        if self.is_terminal {
            self.changing = true;
            let _ = write!(stderr(), "\r\x1b[K{text}");
            let _ = stderr().flush();
        } else {
            let _ = writeln!(stderr(), "{text}");
        }
    }

    /// A bar of `done` out of `total`.
    pub(crate) fn bar(&mut self, title: &str, done: u64, total: u64) {
        if self.is_terminal {
            self.changing(&bar(title, done, total));
        } else {
            self.changing(&format!("  {:.0} %  {title}", share(done, total) * 100.0));
        }
    }

    fn end_changing(&mut self) {
        if std::mem::take(&mut self.changing) {
            let _ = write!(stderr(), "\r\x1b[K");
        }
        self.written = None;
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.end_changing();
    }
}

fn bar(title: &str, done: u64, total: u64) -> String {
    const WIDTH: usize = 30;
    let share = share(done, total);
    let full = (share * WIDTH as f64) as usize;
    format!("  [{}{}] {:3.0} %  {title}", "#".repeat(full), " ".repeat(WIDTH - full), share * 100.0)
}

fn share(done: u64, total: u64) -> f64 {
    if total == 0 { 1.0 } else { (done as f64 / total as f64).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars() {
        assert_eq!(bar("x", 0, 10), format!("  [{}]   0 %  x", " ".repeat(30)));
        assert_eq!(bar("x", 20, 10), format!("  [{}] 100 %  x", "#".repeat(30)));
        assert_eq!(bar("x", 0, 0), bar("x", 1, 1));
    }
}
