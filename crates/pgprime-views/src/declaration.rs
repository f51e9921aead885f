//! What the configuration says of views: the tables `[[views]]` of `pgprime.toml`.
//!
//! ```
//! use pgprime_views::Declarations;
//!
//! let declarations = Declarations::from_toml(
//!     r#"
//!     [[views]]
//!     name = "admin.daily_quotes"
//!     sql = "SELECT date(created_at) AS day, count(*) AS quotes FROM public.quotes GROUP BY 1"
//!     unique_key = ["day"]
//!     schedule = "15m"
//!     staleness = { age_max = "1h", changes_max = 50000 }
//!     "#,
//! )?;
//! assert_eq!(declarations.views()[0].name.to_string(), "admin.daily_quotes");
//! # Ok::<(), pgprime_views::DeclarationError>(())
//! ```

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::names::{ViewName, check_name};
use crate::policy::Policy;
use crate::schedule::{Schedule, duration_field};

/// A refresh that takes longer is given up, where the declaration says nothing else.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);
/// More than anybody declares by hand; each is looked at in every round.
const VIEWS_MAX: usize = 500;
/// Columns of an index of PostgreSQL.
const KEY_COLUMNS_MAX: usize = 32;
/// A file of SQL that is longer is some other file.
const SQL_BYTES_MAX: u64 = 1 << 20;

/// One materialized view as it is to be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ViewDeclaration {
    /// Where it is.
    pub name: ViewName,
    /// The query whose result it holds, without a semicolon at its end.
    pub sql: String,
    /// The columns that identify a row: what makes refreshing without blocking readers possible.
    pub unique_key: Vec<String>,
    /// What further indexes are on: lists of columns or expressions, as in `CREATE INDEX ON v (…)`.
    pub indexes: Vec<String>,
    /// When it is refreshed; by its staleness budget and by hand only where there is none.
    pub schedule: Option<Schedule>,
    /// How stale it may get.
    pub staleness: Staleness,
    /// A refresh that takes longer is given up. Default 10 minutes.
    #[serde(serialize_with = "seconds")]
    pub timeout: Duration,
}

fn seconds<S: serde::Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    duration_field::serialize(&Some(*value), serializer)
}

/// How stale a view may get. What is not said has no limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Staleness {
    /// The time since it was last known to be up to date, while there are changes that it lacks: `30m`.
    #[serde(default, with = "duration_field")]
    pub age_max: Option<Duration>,
    /// Rows inserted, updated or deleted in the tables below it that it lacks.
    #[serde(default)]
    pub changes_max: Option<u64>,
}

/// All views that are declared, each name once.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Declarations {
    views: Vec<ViewDeclaration>,
    policy: Policy,
}

/// Why declarations cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeclarationError {
    /// The text is not TOML, or has fields that are unknown or of the wrong kind.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A view is declared in a way that cannot work.
    #[error("[[views]] {view}: {reason}")]
    View {
        /// Its name, as written.
        view: String,
        /// What is wrong with it.
        reason: String,
    },
    /// How views are to be looked after cannot be done so.
    #[error("[view_policy] {0}")]
    Policy(String),
    /// A figure is declared in a way that cannot work.
    #[error("[[figures]] {figure}: {reason}")]
    Figure {
        /// Its name, as written.
        figure: String,
        /// What is wrong with it.
        reason: String,
    },
    /// More figures than fit a dashboard.
    #[error("{count} figures are declared, at most {max} are possible")]
    TooManyFigures {
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// More views than are looked after.
    #[error("{count} views are declared, at most {VIEWS_MAX} are possible")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl Declarations {
    /// Reads the tables `[[views]]` of a configuration; its other sections are others' business. Files of SQL are looked
    /// for in the current folder.
    ///
    /// # Errors
    /// [`DeclarationError`], with the name of the view.
    pub fn from_toml(text: &str) -> Result<Self, DeclarationError> {
        Self::from_toml_in(text, Path::new("."))
    }

    /// Reads a configuration file; files of SQL are looked for beside it.
    ///
    /// # Errors
    /// [`DeclarationError`], with the name of the view.
    pub fn read(path: &Path) -> Result<Self, DeclarationError> {
        Self::from_toml_in(&contents(path)?, path.parent().unwrap_or(Path::new(".")))
    }

    /// The views, in the order in which they are declared.
    #[must_use]
    pub fn views(&self) -> &[ViewDeclaration] {
        &self.views
    }

    /// How they are looked after: `[view_policy]`.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The same behind a pooler of this many servers, which tells from where on they are too busy.
    #[must_use]
    pub fn behind(mut self, servers: Option<u32>) -> Self {
        self.policy.servers = servers;
        self
    }

    /// The declaration of a view.
    #[must_use]
    pub fn find(&self, name: &ViewName) -> Option<&ViewDeclaration> {
        self.views.iter().find(|view| view.name == *name)
    }

    fn from_toml_in(text: &str, folder: &Path) -> Result<Self, DeclarationError> {
        let file: File = toml::from_str(text)?;
        if file.views.len() > VIEWS_MAX {
            return Err(DeclarationError::TooMany { count: file.views.len() });
        }
        let mut names = BTreeSet::new();
        let mut views = Vec::new();
        for written in file.views {
            let name = written.name.clone();
            let wrong = |reason| DeclarationError::View { view: name.clone(), reason };
            let view = written.checked(folder).map_err(|error| match error {
                Wrong::Reason(reason) => wrong(reason),
                Wrong::File(error) => error,
            })?;
            if !names.insert(view.name.clone()) {
                return Err(wrong("is declared twice".to_owned()));
            }
            views.push(view);
        }
        file.view_policy.check().map_err(DeclarationError::Policy)?;
        Ok(Self { views, policy: file.view_policy })
    }
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    views: Vec<Written>,
    #[serde(default)]
    view_policy: Policy,
}

/// A view as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    sql: Option<String>,
    file: Option<PathBuf>,
    #[serde(default)]
    unique_key: Vec<String>,
    #[serde(default)]
    indexes: Vec<String>,
    schedule: Option<Schedule>,
    time_zone: Option<String>,
    #[serde(default)]
    staleness: Staleness,
    #[serde(default, with = "duration_field")]
    timeout: Option<Duration>,
}

/// What is wrong with one declaration.
pub(crate) enum Wrong {
    /// What it says.
    Reason(String),
    /// Its file.
    File(DeclarationError),
}

impl From<String> for Wrong {
    fn from(reason: String) -> Self {
        Self::Reason(reason)
    }
}

impl Written {
    fn checked(self, folder: &Path) -> Result<ViewDeclaration, Wrong> {
        let name = ViewName::parse(&self.name)?;
        let sql = query(self.sql, self.file, folder)?;
        check_key(&self.unique_key)?;
        self.indexes.iter().try_for_each(|index| check_index(index))?;
        let schedule = match (self.schedule, self.time_zone) {
            (Some(schedule), Some(zone)) => Some(schedule.in_time_zone(&zone)?),
            (None, Some(_)) => return Err("time_zone without a schedule".to_owned().into()),
            (schedule, None) => schedule,
        };
        if self.staleness.changes_max == Some(0) {
            return Err("staleness: changes_max is at least 1".to_owned().into());
        }
        let timeout = self.timeout.unwrap_or(DEFAULT_TIMEOUT);
        let (unique_key, indexes, staleness) = (self.unique_key, self.indexes, self.staleness);
        Ok(ViewDeclaration { name, sql, unique_key, indexes, schedule, staleness, timeout })
    }
}

/// The query that a declaration gives, without white space and semicolons around it.
pub(crate) fn query(sql: Option<String>, file: Option<PathBuf>, folder: &Path) -> Result<String, Wrong> {
    let sql = match (sql, file) {
        (Some(sql), None) => sql,
        (None, Some(file)) => contents(&folder.join(file)).map_err(Wrong::File)?,
        _ => return Err("give either sql or file".to_owned().into()),
    };
    let sql = without_end(&sql);
    if sql.is_empty() || sql.contains('\0') {
        return Err("its SQL is empty or not text".to_owned().into());
    }
    Ok(sql)
}

pub(crate) fn contents(path: &Path) -> Result<String, DeclarationError> {
    let failed = |source| DeclarationError::File { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > SQL_BYTES_MAX {
        return Err(failed(std::io::Error::other("more than 1 MiB")));
    }
    std::fs::read_to_string(path).map_err(failed)
}

fn without_end(sql: &str) -> String {
    sql.trim().trim_end_matches(|letter: char| letter == ';' || letter.is_whitespace()).to_owned()
}

fn check_key(columns: &[String]) -> Result<(), String> {
    if columns.len() > KEY_COLUMNS_MAX {
        return Err(format!("unique_key: an index has at most {KEY_COLUMNS_MAX} columns"));
    }
    let different: BTreeSet<&String> = columns.iter().collect();
    if different.len() < columns.len() {
        return Err("unique_key: a column is named twice".to_owned());
    }
    columns.iter().try_for_each(|column| check_name(column).map_err(|reason| format!("unique_key: {reason}")))
}

/// Whether the text can stand between the parentheses of `CREATE INDEX`, and nowhere else.
fn check_index(index: &str) -> Result<(), String> {
    let wrong = || {
        Err(format!("indexes: {index:?} is not a list of columns or expressions, as \"day, lower(name)\""))
    };
    let (mut depth, mut quote) = (0_u32, None);
    for letter in index.chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '(') => depth += 1,
            (None, ')') if depth > 0 => depth -= 1,
            (None, ')' | ';' | '\0' | '$') => return wrong(),
            _ => {}
        }
    }
    let has_comment = index.contains("--") || index.contains("/*");
    if index.trim().is_empty() || depth > 0 || quote.is_some() || has_comment { wrong() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "[[views]]\nname = \"v\"\nsql = \"SELECT 1 AS a\"\n";

    fn error(more: &str) -> String {
        Declarations::from_toml(&format!("{START}{more}")).unwrap_err().to_string()
    }

    #[test]
    fn a_whole_declaration() {
        let text = "[pooler]\nx = 1\n[[views]]\nname = 'admin.\"Daily\"'\nsql = 'SELECT 1 AS a; '\nunique_key = ['a']\n\
            indexes = ['lower(b), c DESC', \"(a || ')')\"]\nschedule = '0 3 * * *'\ntime_zone = 'Europe/Berlin'\n\
            staleness = { age_max = '1h30m', changes_max = 10 }\ntimeout = '5m'";
        let declarations = Declarations::from_toml(text).unwrap();
        let [view] = declarations.views() else { panic!("{declarations:?} is not one view") };
        assert_eq!(view.name.to_string(), "admin.\"Daily\"");
        assert_eq!(view.sql, "SELECT 1 AS a");
        assert_eq!(view.staleness.age_max, Some(Duration::from_secs(5_400)));
        assert_eq!(view.timeout, Duration::from_secs(300));
        assert_eq!(serde_json::to_value(view).unwrap()["staleness"]["age_max"], "1h30m");
        assert_eq!(declarations.find(&ViewName::parse("admin.\"Daily\"").unwrap()), Some(view));
        assert!(Declarations::from_toml("[other]\ny = 2").unwrap().views().is_empty());
    }

    #[test]
    fn what_is_refused_says_why() {
        for (more, words) in [
            ("interval = '15m'", "unknown field `interval`"),
            ("staleness = { age = '1h' }", "unknown field `age`"),
            ("schedule = 'soon'", "neither an interval"),
            ("time_zone = 'UTC'", "time_zone without"),
            ("file = 'v.sql'", "either sql or file"),
            ("unique_key = ['a', 'a']", "named twice"),
            ("unique_key = ['']", "empty name"),
            ("indexes = ['a) WHERE (b']", "not a list"),
            ("indexes = ['a); DROP TABLE x --']", "not a list"),
            ("indexes = ['']", "not a list"),
            ("staleness = { changes_max = 0 }", "at least 1"),
            ("staleness = { changes_max = -1 }", "invalid value"),
            ("timeout = 'x'", "not a length of time"),
            (START, "declared twice"),
        ] {
            let said = error(more);
            assert!(said.contains(words), "{more}: {said}");
        }
        let missing = "[[views]]\nname = 'v'\nfile = 'no-such-file.sql'";
        assert!(Declarations::from_toml(missing).unwrap_err().to_string().contains("no-such-file.sql"));
        let hostile = "[[views]]\nname = 'v; DROP TABLE x'\nsql = 'SELECT 1'";
        assert!(Declarations::from_toml(hostile).unwrap_err().to_string().contains("is not a name"));
    }
}
