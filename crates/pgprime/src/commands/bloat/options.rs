//! The options of the command.

use std::path::PathBuf;

use clap::Args;
use pgprime_advisor::space::SpaceOptions;

use crate::amount;

/// Options of the report on space.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example: pgprime bloat --database-url postgresql://user:password@host:5432/database\n\
    Looks at the tables of the one database that it is connected to, and changes nothing.\n\
    Exit codes: 0 well, 1 a finding of warning or above, 2 wrong usage, 3 the database could not be reached"
)]
pub(crate) struct Arguments {
    /// The database to look at; it is not changed
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub(super) database_url: Option<String>,
    /// Report a table or index of which this much is waste, in percent
    #[arg(long, value_name = "PERCENT", value_parser = percent, allow_hyphen_values = true, default_value = "30")]
    pub(super) threshold_percent: f64,
    /// … and of which this much is waste, as 10MB
    #[arg(long, value_name = "SIZE", value_parser = amount::size, allow_hyphen_values = true, default_value = "10MB")]
    pub(super) min_size: u64,
    /// Tell growth since: 24h, 7d, yesterday, or a time such as 2026-03-01T09:30 [otherwise: since 30 days ago, as far as is
    /// recorded]
    #[arg(long, value_name = "WHEN")]
    pub(super) since: Option<String>,
    /// The file of the history, in which each run records the sizes of tables [otherwise: pgprime/history.sqlite below
    /// $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "FILE")]
    pub(super) history: Option<PathBuf>,
    /// Print the report as one JSON document
    #[arg(long)]
    pub(super) json: bool,
}

impl Arguments {
    /// The database to ask, if any; a variable that is set to nothing counts as none.
    pub(super) fn database_url(&self) -> Option<&str> {
        self.database_url.as_deref().filter(|url| !url.trim().is_empty())
    }

    pub(super) fn space_options(&self) -> SpaceOptions {
        let defaults = SpaceOptions::default();
        SpaceOptions {
            waste_percent_min: self.threshold_percent,
            waste_bytes_min: self.min_size,
            // What is too small to be reported need not be estimated.
            estimate_bytes_min: defaults.estimate_bytes_min.min(self.min_size),
            ..defaults
        }
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let percent: Option<f64> = text.trim().trim_end_matches('%').trim_end().parse().ok();
    percent
        .filter(|percent| (0.0..=100.0).contains(percent))
        .ok_or_else(|| "give a number from 0 to 100, such as 30".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages() {
        for (text, expected) in [
            ("30", Some(30.0)),
            ("12.5%", Some(12.5)),
            ("101", None),
            ("-1", None),
            ("NaN", None),
            ("all", None),
        ] {
            assert_eq!(percent(text).ok(), expected, "{text}");
        }
    }
}
