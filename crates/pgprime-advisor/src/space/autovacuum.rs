//! Whether autovacuum is due, by the settings in force for a table.

use serde::Serialize;

use super::reloptions::RelOptions;
use super::server::Settings;

/// What autovacuum goes by for one table, and whether it is due. Thresholds are those of the table where it has its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Autovacuum {
    /// Whether it works on this table at all, but for the protection of transaction ids.
    pub is_enabled: bool,
    /// Whether it is switched off for this table alone.
    pub is_off_for_table: bool,
    /// It vacuums from more dead rows than this on.
    pub vacuum_dead_rows: u64,
    /// It vacuums from more inserted rows than this on; `None` where that is switched off.
    pub vacuum_inserted_rows: Option<u64>,
    /// It analyzes from more changed rows than this on.
    pub analyze_changed_rows: u64,
    /// Whether a vacuum is due.
    pub is_vacuum_due: bool,
    /// Whether an analyze is due.
    pub is_analyze_due: bool,
    /// The age of transaction ids from which it vacuums in any case.
    pub freeze_age_max: u64,
    /// The same for multixact ids.
    pub multixact_freeze_age_max: u64,
}

/// What the server has counted of a table.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Rows at the last vacuum or analyze.
    pub(crate) reltuples: f64,
    pub(crate) dead: u64,
    pub(crate) changes_since_analyze: u64,
    pub(crate) inserts_since_vacuum: u64,
}

impl Autovacuum {
    pub(crate) fn new(settings: &Settings, options: RelOptions<'_>, counts: &Counts) -> Self {
        let number = |name: &str, otherwise: f64| {
            options.number(name).or_else(|| settings.number(name)).unwrap_or(otherwise)
        };
        let rows = counts.reltuples.max(0.0);
        let vacuum = number("autovacuum_vacuum_threshold", 50.0)
            + number("autovacuum_vacuum_scale_factor", 0.2) * rows;
        // Since version 18; -1 is no limit.
        let vacuum_max = number("autovacuum_vacuum_max_threshold", -1.0);
        let vacuum = if vacuum_max >= 0.0 { vacuum.min(vacuum_max) } else { vacuum };
        let insert_base = number("autovacuum_vacuum_insert_threshold", 1_000.0);
        let insert = (insert_base >= 0.0)
            .then(|| insert_base + number("autovacuum_vacuum_insert_scale_factor", 0.2) * rows);
        let analyze = number("autovacuum_analyze_threshold", 50.0)
            + number("autovacuum_analyze_scale_factor", 0.1) * rows;
        let is_off_for_table = options.switch("autovacuum_enabled") == Some(false);
        let is_on = settings.is_on("autovacuum") && settings.is_on("track_counts");
        Self {
            is_enabled: is_on && !is_off_for_table,
            is_off_for_table,
            vacuum_dead_rows: vacuum as u64,
            vacuum_inserted_rows: insert.map(|rows| rows as u64),
            analyze_changed_rows: analyze as u64,
            is_vacuum_due: counts.dead as f64 > vacuum
                || insert.is_some_and(|insert| counts.inserts_since_vacuum as f64 > insert),
            is_analyze_due: counts.changes_since_analyze as f64 > analyze,
            freeze_age_max: freeze_age(settings, options, "autovacuum_freeze_max_age", 2e8),
            multixact_freeze_age_max: freeze_age(
                settings,
                options,
                "autovacuum_multixact_freeze_max_age",
                4e8,
            ),
        }
    }
}

/// A table can only ask for less than the server does.
fn freeze_age(settings: &Settings, options: RelOptions<'_>, name: &str, otherwise: f64) -> u64 {
    let server = settings.number(name).unwrap_or(otherwise);
    options.number(name).map_or(server, |own| own.min(server)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(options: &[&str], dead: u64) -> Autovacuum {
        let settings = Settings::of(&[
            ("autovacuum", "on"),
            ("track_counts", "on"),
            ("autovacuum_vacuum_threshold", "50"),
            ("autovacuum_vacuum_scale_factor", "0.2"),
            ("autovacuum_freeze_max_age", "200000000"),
        ]);
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let counts = Counts { reltuples: 1_000.0, dead, ..Counts::default() };
        Autovacuum::new(&settings, RelOptions(&options), &counts)
    }

    #[test]
    fn the_tables_own_settings_win() {
        let server = due(&[], 250);
        assert!(server.is_enabled && server.vacuum_dead_rows == 250 && !server.is_vacuum_due);
        assert!(due(&[], 251).is_vacuum_due);
        let own = due(&["autovacuum_vacuum_scale_factor=0.01", "autovacuum_vacuum_threshold=0"], 11);
        assert!(own.vacuum_dead_rows == 10 && own.is_vacuum_due);
        assert!(due(&["autovacuum_vacuum_max_threshold=5"], 6).is_vacuum_due);
        let off = due(&["autovacuum_enabled=false"], 300);
        assert!(!off.is_enabled && off.is_off_for_table && off.is_vacuum_due);
    }

    #[test]
    fn inserts_count_unless_switched_off() {
        assert_eq!(due(&[], 0).vacuum_inserted_rows, Some(1_200));
        assert_eq!(due(&["autovacuum_vacuum_insert_threshold=-1"], 0).vacuum_inserted_rows, None);
    }

    #[test]
    fn a_table_cannot_put_off_freezing() {
        assert_eq!(due(&["autovacuum_freeze_max_age=100000"], 0).freeze_age_max, 100_000);
        assert_eq!(due(&["autovacuum_freeze_max_age=2000000000"], 0).freeze_age_max, 200_000_000);
    }
}
