//! What was measured as plain data, a page at a time, so that no worker is held up by a large table.

use std::time::Instant;

use super::figures::Measured;
use super::lines::SourceLine;
use super::measures::Measures;

/// Lines that a worker tells of at once.
const PAGE_LINES: usize = 256;

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeasuredPart {
    /// Statements.
    Statements,
    /// Applications, by application_name.
    Applications,
    /// Users, as clients log in.
    Users,
    /// Statements that one client repeats.
    Repeats,
    /// Parameters of slow executions.
    Captured,
}

/// A part of a table.
#[derive(Clone, Debug, Default)]
pub struct MeasuredPage {
    /// When counting began; `None` when it has not.
    pub since: Option<Instant>,
    /// Statements.
    pub statements: Vec<StatementRow>,
    /// Applications or users; one may come several times.
    pub names: Vec<NameRow>,
    /// Repeats.
    pub repeats: Vec<RepeatRow>,
    /// Captured parameters.
    pub captured: Vec<CapturedRow>,
    /// Where the next part begins; `None`: this was the last.
    pub next: Option<usize>,
}

/// One statement of a pool.
#[derive(Clone, Debug)]
pub struct StatementRow {
    /// Database as clients ask for it; empty in the line of all others.
    pub database: String,
    /// User the servers log in as; empty in the line of all others.
    pub user: String,
    /// The text without constants.
    pub text: String,
    /// What was measured.
    pub measured: Measured,
    /// A few of the applications that sent it.
    pub application_names: Vec<String>,
}

/// One application or user.
#[derive(Clone, Debug)]
pub struct NameRow {
    /// What it is called.
    pub name: String,
    /// What was measured.
    pub measured: Measured,
}

/// A statement that clients repeated in bursts after another one.
#[derive(Clone, Debug)]
pub struct RepeatRow {
    /// Database of the statement.
    pub database: String,
    /// User the servers log in as.
    pub user: String,
    /// The text without constants.
    pub text: String,
    /// The different statement that the clients ran before, if it is known.
    pub parent: Option<String>,
    /// Bursts.
    pub bursts: u64,
    /// Executions of the longest one.
    pub longest: u64,
    /// Executions in bursts.
    pub executions: u64,
    /// Time of these in microseconds.
    pub exec_us: u64,
}

/// Parameters of one slow execution.
#[derive(Clone, Debug)]
pub struct CapturedRow {
    /// Database of the statement.
    pub database: String,
    /// User the servers log in as.
    pub user: String,
    /// The text without constants.
    pub text: String,
    /// When it ended.
    pub at: Instant,
    /// How long it took in microseconds.
    pub exec_us: u64,
    /// A JSON array of texts and nulls.
    pub parameters: String,
    /// Whether the values are all there, as they were.
    pub is_complete: bool,
}

impl Measures {
    /// A page of a table, from a line on.
    pub(crate) fn page(&self, part: MeasuredPart, from: usize) -> MeasuredPage {
        let page = MeasuredPage { since: self.clock.began, ..MeasuredPage::default() };
        match part {
            MeasuredPart::Statements => self.statement_page(page, from),
            MeasuredPart::Applications => self.source_page(page, from, |line| &line.application),
            MeasuredPart::Users => self.source_page(page, from, |line| &line.user),
            MeasuredPart::Repeats => self.repeat_page(page, from),
            MeasuredPart::Captured => self.captured_page(page, from),
        }
    }

    fn statement_page(&self, page: MeasuredPage, from: usize) -> MeasuredPage {
        let (lines, next) = self.statements.page(from, PAGE_LINES);
        let rows = lines.map(|line| {
            let sources = line.sources.iter().filter_map(|place| self.sources.line(*place));
            StatementRow {
                database: line.name.pool.database.to_string(),
                user: line.name.pool.user.to_string(),
                text: line.name.text(),
                measured: Measured(line.figures.clone()),
                application_names: sources.map(|source| source.application.to_string()).collect(),
            }
        });
        let has_happened = |row: &StatementRow| row.measured.calls() + row.measured.errors() > 0;
        MeasuredPage { statements: rows.filter(has_happened).collect(), next, ..page }
    }

    fn repeat_page(&self, page: MeasuredPage, from: usize) -> MeasuredPage {
        let (lines, next) = self.repeats.table.page(from, PAGE_LINES);
        let rows = lines.filter(|line| line.bursts > 0).map(|line| RepeatRow {
            database: line.statement.pool.database.to_string(),
            user: line.statement.pool.user.to_string(),
            text: line.statement.text(),
            parent: line.parent.as_ref().map(|parent| parent.text()),
            bursts: line.bursts,
            longest: line.longest,
            executions: line.executions,
            exec_us: line.exec_us,
        });
        MeasuredPage { repeats: rows.collect(), next, ..page }
    }

    fn captured_page(&self, page: MeasuredPage, from: usize) -> MeasuredPage {
        let (lines, next) = self.statements.page(from, PAGE_LINES);
        let rows = lines.flat_map(|line| {
            line.captured.iter().map(|captured| CapturedRow {
                database: line.name.pool.database.to_string(),
                user: line.name.pool.user.to_string(),
                text: line.name.text(),
                at: captured.at,
                exec_us: captured.exec_us,
                parameters: captured.parameters.to_string(),
                is_complete: captured.is_complete,
            })
        });
        MeasuredPage { captured: rows.collect(), next, ..page }
    }

    fn source_page(&self, page: MeasuredPage, from: usize, name: fn(&SourceLine) -> &str) -> MeasuredPage {
        let (lines, next) = self.sources.page(from, PAGE_LINES);
        let rows = lines
            .map(|line| NameRow { name: name(line).to_string(), measured: Measured(line.figures.clone()) })
            .filter(|row| row.measured.calls() + row.measured.errors() > 0);
        MeasuredPage { names: rows.collect(), next, ..page }
    }
}
