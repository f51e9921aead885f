//! Figures of the dashboard, as the configuration declares them: the tables `[[figures]]` of `pgprime.toml`.
//!
//! ```
//! use pgprime_views::Figures;
//!
//! let figures = Figures::from_toml(
//!     r#"
//!     [[figures]]
//!     name = "quotes_today"
//!     title = "Quotes of the last seven days"
//!     sql = "SELECT day, sum(quotes) AS quotes FROM admin.daily_quotes GROUP BY day ORDER BY day DESC LIMIT 7"
//!     ttl = "1m"
//!     labels = ["day"]
//!     "#,
//! )?;
//! assert_eq!(figures.figures()[0].labels, ["day"]);
//! # Ok::<(), pgprime_views::DeclarationError>(())
//! ```

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::declaration::{DeclarationError, Wrong, contents, query};
use crate::names::check_name;
use crate::schedule::duration_field;

/// How long a figure is kept where its declaration says nothing: a dashboard is looked at for longer than that.
const DEFAULT_TTL: Duration = Duration::from_secs(60);
/// More than a dashboard shows.
const FIGURES_MAX: usize = 100;
/// Longest name, title and unit.
const LETTERS_MAX: usize = 200;

/// One figure of the dashboard as it is to be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FigureDeclaration {
    /// What it is called in JSON, and in the statistics of the cache: letters, digits and `_`.
    pub name: String,
    /// What people read. Default: its name.
    pub title: String,
    /// The query whose rows it shows, without a semicolon at its end.
    pub sql: String,
    /// How long its rows are shown before they are asked for again. Default: `figures_ttl` of `[cache]`, which is a minute
    /// where nothing is said.
    #[serde(serialize_with = "seconds")]
    pub ttl: Duration,
    /// What its values are in, as `EUR` or `%`.
    pub unit: Option<String>,
    /// The columns that say what a row is about; all others are values.
    pub labels: Vec<String>,
}

fn seconds<S: serde::Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    duration_field::serialize(&Some(*value), serializer)
}

/// All figures that are declared, each name once.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    figures: Vec<FigureDeclaration>,
}

impl Figures {
    /// Reads the tables `[[figures]]` of a configuration; its other sections are others' business. Files of SQL are looked
    /// for in the current folder.
    ///
    /// # Errors
    /// [`DeclarationError`], with the name of the figure.
    pub fn from_toml(text: &str) -> Result<Self, DeclarationError> {
        Self::from_toml_in(text, Path::new("."))
    }

    /// Reads a configuration file; files of SQL are looked for beside it.
    ///
    /// # Errors
    /// [`DeclarationError`], with the name of the figure.
    pub fn read(path: &Path) -> Result<Self, DeclarationError> {
        Self::from_toml_in(&contents(path)?, path.parent().unwrap_or(Path::new(".")))
    }

    /// The figures, in the order in which they are declared.
    #[must_use]
    pub fn figures(&self) -> &[FigureDeclaration] {
        &self.figures
    }

    fn from_toml_in(text: &str, folder: &Path) -> Result<Self, DeclarationError> {
        let file: File = toml::from_str(text)?;
        if file.figures.len() > FIGURES_MAX {
            return Err(DeclarationError::TooManyFigures { count: file.figures.len(), max: FIGURES_MAX });
        }
        let default_ttl = file.cache.figures_ttl.unwrap_or(DEFAULT_TTL);
        let mut names = BTreeSet::new();
        let mut figures = Vec::new();
        for written in file.figures {
            let name = written.name.clone();
            let wrong = |reason| DeclarationError::Figure { figure: name.clone(), reason };
            let figure = written.checked(folder, default_ttl).map_err(|error| match error {
                Wrong::Reason(reason) => wrong(reason),
                Wrong::File(error) => error,
            })?;
            if !names.insert(figure.name.clone()) {
                return Err(wrong("is declared twice".to_owned()));
            }
            figures.push(figure);
        }
        Ok(Self { figures })
    }
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    figures: Vec<Written>,
    #[serde(default)]
    cache: Defaults,
}

/// `[cache]`, whose other settings are others' business.
#[derive(Default, Deserialize)]
struct Defaults {
    #[serde(default, with = "duration_field")]
    figures_ttl: Option<Duration>,
}

/// A figure as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    title: Option<String>,
    sql: Option<String>,
    file: Option<PathBuf>,
    #[serde(default, with = "duration_field")]
    ttl: Option<Duration>,
    unit: Option<String>,
    #[serde(default)]
    labels: Vec<String>,
}

impl Written {
    fn checked(self, folder: &Path, default_ttl: Duration) -> Result<FigureDeclaration, Wrong> {
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if self.name.is_empty() || !self.name.chars().all(is_letter) {
            return Err(format!("name: {:?} is not of letters, digits and _", self.name).into());
        }
        for (field, text) in
            [("name", Some(&self.name)), ("title", self.title.as_ref()), ("unit", self.unit.as_ref())]
        {
            if let Some(text) = text {
                check_text(text).map_err(|reason| format!("{field}: {reason}"))?;
            }
        }
        let different: BTreeSet<&String> = self.labels.iter().collect();
        if different.len() < self.labels.len() {
            return Err("labels: a column is named twice".to_owned().into());
        }
        self.labels
            .iter()
            .try_for_each(|label| check_name(label).map_err(|reason| format!("labels: {reason}")))?;
        Ok(FigureDeclaration {
            sql: query(self.sql, self.file, folder)?,
            title: self.title.unwrap_or_else(|| self.name.clone()),
            name: self.name,
            ttl: self.ttl.unwrap_or(default_ttl),
            unit: self.unit,
            labels: self.labels,
        })
    }
}

fn check_text(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    if text.chars().count() > LETTERS_MAX || text.chars().any(char::is_control) {
        return Err(format!("is longer than {LETTERS_MAX} letters, or has some that cannot be shown"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "[[figures]]\nname = 'quotes'\nsql = 'SELECT 1 AS a;'\n";

    #[test]
    fn a_whole_declaration() {
        let more = "title = 'Quotes by day'\nttl = '90s'\nunit = 'EUR'\nlabels = ['day', 'product']";
        let figures =
            Figures::from_toml(&format!("[pooler]\nx = 1\n[[views]]\ny = 2\n{START}{more}")).unwrap();
        let [figure] = figures.figures() else { panic!("{figures:?} is not one figure") };
        assert_eq!((figure.title.as_str(), figure.sql.as_str()), ("Quotes by day", "SELECT 1 AS a"));
        assert_eq!((figure.ttl, figure.unit.as_deref()), (Duration::from_secs(90), Some("EUR")));
        assert_eq!(serde_json::to_value(figure).unwrap()["ttl"], "1m30s");
        let plain = Figures::from_toml(START).unwrap();
        assert_eq!((plain.figures()[0].title.as_str(), plain.figures()[0].ttl), ("quotes", DEFAULT_TTL));
        let set =
            Figures::from_toml(&format!("[cache]\nfigures_ttl = '5m'\nmemory_max = '1MB'\n{START}")).unwrap();
        assert_eq!(set.figures()[0].ttl, Duration::from_secs(300));
        assert!(Figures::from_toml("[other]\ny = 2").unwrap().figures().is_empty());
    }

    #[test]
    fn what_is_refused_says_why() {
        for (more, words) in [
            ("interval = '15m'", "unknown field `interval`"),
            ("ttl = 'soon'", "not a length of time"),
            ("ttl = '0s'", "not a length of time"),
            ("file = 'f.sql'", "either sql or file"),
            ("title = ' '", "title: is empty"),
            ("unit = \"a\\nb\"", "unit: is longer"),
            ("labels = ['a', 'a']", "named twice"),
            ("labels = ['']", "empty name"),
            (START, "[[figures]] quotes: is declared twice"),
        ] {
            let said = Figures::from_toml(&format!("{START}{more}")).unwrap_err().to_string();
            assert!(said.contains(words), "{more}: {said}");
        }
        for (text, words) in [
            ("[[figures]]\nname = 'a b'\nsql = 'SELECT 1'", "not of letters"),
            ("[[figures]]\nname = 'a'\nsql = ' ; '", "empty or not text"),
            ("[[figures]]\nname = 'a'\nfile = 'no-such-file.sql'", "no-such-file.sql"),
        ] {
            let said = Figures::from_toml(text).unwrap_err().to_string();
            assert!(said.contains(words), "{text}: {said}");
        }
        let many = (0..=FIGURES_MAX)
            .map(|number| START.replace("quotes", &format!("q{number}")))
            .collect::<String>();
        assert!(
            Figures::from_toml(&many)
                .unwrap_err()
                .to_string()
                .starts_with("101 figures are declared, at most 100")
        );
    }
}
