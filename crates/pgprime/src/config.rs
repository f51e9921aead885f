//! `pgprime.toml`: read once, handed out in parts to those who know what they mean.
//!
//! The environment overlays the file, and a flag overlays both.

mod front;
mod kept;
mod place;
mod pooler;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use serde::de::IgnoredAny;

pub(crate) use front::Front;
pub(crate) use kept::{CacheSection, HistorySection};
pub(crate) use pooler::{PoolerSection, servers};

/// Where the file is looked for when nobody says where.
const DEFAULT_PATHS: [&str; 3] = ["pgprime.toml", "config/pgprime.toml", "/etc/pgprime/pgprime.toml"];
/// One looks while another one answers somebody; more than these are no use.
const CONNECTIONS: RangeInclusive<u32> = 2..=50;
/// A configuration that is longer is some other file.
const BYTES_MAX: u64 = 4 << 20;

/// The whole file. What a section means is known where it is used; unknown sections are refused here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    #[serde(default)]
    pub(crate) database: DatabaseSection,
    #[serde(default)]
    pub(crate) pooler: PoolerSection,
    pub(crate) pgbouncer: Option<PgbouncerSection>,
    #[serde(default)]
    pub(crate) api: toml::Table,
    #[serde(default)]
    pub(crate) history: HistorySection,
    #[serde(default)]
    pub(crate) cache: CacheSection,
    // Read from the text by those who know them; here they only are no mistake.
    #[serde(default, rename = "health")]
    _health: IgnoredAny,
    #[serde(default, rename = "alerts")]
    _alerts: IgnoredAny,
    #[serde(default, rename = "views")]
    _views: IgnoredAny,
    #[serde(default, rename = "view_policy")]
    _view_policy: IgnoredAny,
    #[serde(default, rename = "figures")]
    _figures: IgnoredAny,
}

/// `[database]`: what is watched, and what the pooler leads to where `[pooler.databases]` does not say.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DatabaseSection {
    /// The primary (`DATABASE_URL`).
    pub(crate) url: Option<String>,
    /// Connections for looking, recording and REST; as many again for the dashboard's figures.
    pub(crate) connections_max: u32,
    /// A statement that somebody waits for is given up after this: advice on indexes plans all of the workload.
    #[serde(deserialize_with = "kept::time")]
    pub(crate) statement_timeout: Duration,
}

impl Default for DatabaseSection {
    fn default() -> Self {
        Self { url: None, connections_max: 4, statement_timeout: Duration::from_secs(120) }
    }
}

impl DatabaseSection {
    fn check(&self) -> anyhow::Result<()> {
        if !CONNECTIONS.contains(&self.connections_max) {
            anyhow::bail!(
                "[database] connections_max: give {} to {}",
                CONNECTIONS.start(),
                CONNECTIONS.end()
            );
        }
        let (least, most) = (Duration::from_secs(5), Duration::from_secs(3_600));
        kept::within("[database] statement_timeout", self.statement_timeout, least, most)
    }
}

/// `[pgbouncer]`: a real PgBouncer in the pooler's place.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PgbouncerSection {
    /// Its console, such as `postgresql://pgbouncer_stats:password@localhost:6432/pgbouncer`.
    pub(crate) url: String,
}

/// The file, where it came from, and what the environment adds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Configuration {
    pub(crate) file: File,
    /// `None`: there is no file, the environment says all.
    pub(crate) path: Option<PathBuf>,
    /// What those read who know a section's meaning.
    pub(crate) text: String,
    /// The database that the file itself names, whatever the environment says.
    stated_url: Option<String>,
}

impl Configuration {
    /// Reads `path`, or the file that is found at one of the usual places; none is fine where nobody named one.
    pub(crate) fn load(path: Option<&Path>) -> anyhow::Result<Self> {
        let found = || DEFAULT_PATHS.iter().map(PathBuf::from).find(|path| path.is_file());
        let Some(path) = path.map(Path::to_owned).or_else(found) else { return Self::default().overlaid() };
        let text = read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        // The excerpt that the error shows could hold a password; its message and place do not.
        let file: File =
            toml::from_str(&text).map_err(|error| anyhow::anyhow!("{}", located(&path, &text, &error)))?;
        let checks = [file.database.check(), file.history.check(), file.cache.check()];
        checks.into_iter().collect::<anyhow::Result<()>>().with_context(|| path.display().to_string())?;
        let stated_url = file.database.url.clone();
        Self { file, path: Some(path), text, stated_url }.overlaid()
    }

    /// The folder that relative paths in the file begin at.
    pub(crate) fn folder(&self) -> &Path {
        self.path.as_deref().and_then(Path::parent).unwrap_or(Path::new("."))
    }

    fn overlaid(mut self) -> anyhow::Result<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let url = &mut self.file.database.url;
        *url = variable("DATABASE_URL").or(url.take());
        if let Some(url) = variable("PGPRIME_PGBOUNCER_URL") {
            self.file.pgbouncer = Some(PgbouncerSection { url });
        }
        Ok(self)
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > BYTES_MAX {
        return Err(std::io::Error::other("it is larger than 4 MiB"));
    }
    std::fs::read_to_string(path)
}

/// Message, file and line of what the parser says, without the line itself.
fn located(path: &Path, text: &str, error: &toml::de::Error) -> String {
    let before = |start: usize| text.bytes().take(start).filter(|byte| *byte == b'\n').count();
    let line = error.span().map(|span| before(span.start) + 1);
    // What is of the wrong kind may be a password in the wrong place.
    let said = match error.message() {
        said if said.contains("invalid type") || said.contains("invalid value") => {
            "a value is of the wrong kind"
        }
        said => said,
    };
    match line {
        Some(line) => format!("{}:{line}: {said}", path.display()),
        None => format!("{}: {said}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> anyhow::Result<Configuration> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pgprime.toml");
        std::fs::write(&path, text).unwrap();
        Configuration::load(Some(&path))
    }

    #[test]
    fn sections_are_handed_out() {
        let text = "[pooler]\nlisten_port = 6432\n[pooler.databases]\na = 'host=h'\n[api]\nlisten = 'x'\n[[views]]\nname = 'v'";
        let read = file(text).unwrap();
        assert_eq!(read.file.api["listen"].as_str(), Some("x"));
    }

    #[test]
    fn an_error_says_where_and_shows_no_value() {
        let said =
            file("[database]\nurl = 'postgresql://u:secret@h/d'\nurls = 'secret'").unwrap_err().to_string();
        assert!(said.contains("pgprime.toml:3") && said.contains("unknown field `urls`"), "{said}");
        assert!(!said.contains("secret"), "{said}");
        let misplaced = file("database = 'postgresql://u:secret@h/d'").unwrap_err().to_string();
        assert!(
            misplaced.contains(":1: a value is of the wrong kind") && !misplaced.contains("secret"),
            "{misplaced}"
        );
        let range = |text: &str| format!("{:#}", file(text).unwrap_err());
        assert!(
            range("[database]\nconnections_max = 1")
                .contains("pgprime.toml: [database] connections_max: give 2")
        );
        assert!(range("[history]\nrounds_for = '1s'").contains("[history] rounds_for: give 1h to 3660d"));
        assert!(range("[cache]\nmemory_max = '16'").contains(":2: give an amount"));
        assert!(file("[databases]\n").unwrap_err().to_string().contains("unknown field"));
    }
}
