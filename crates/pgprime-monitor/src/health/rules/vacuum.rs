//! Whether autovacuum keeps up, and how far ids are used up.

use serde_json::json;

use super::seen::{Seen, share};
use crate::health::observe::{DatabaseIds, OldTable, TableSeen};
use crate::health::report::{Status, Thresholds};
use crate::health::verdict::Verdict;
use crate::health::words;

const IDS: &str = "vacuum.wraparound";
const MULTIXACTS: &str = "vacuum.multixact";
const DEAD: &str = "vacuum.dead_rows";
const WORKERS: &str = "vacuum.workers_busy";

/// Ids are compared in a circle of two to the 32nd; half of it is the past.
const ID_AGE_MAX: f64 = 2_147_483_648.0;
/// Autovacuum begins at its limit and needs time; what is this much beyond it does not get there.
const BEYOND: f64 = 1.2;
/// Tables that are named.
const TABLES_MAX: usize = 5;
/// Fewer dead rows are nothing to a table.
const DEAD_ROWS_MIN: u64 = 10_000;

pub(super) fn verdicts(seen: &Seen<'_>) -> Vec<Verdict> {
    // A replica has no autovacuum, and its ids are the primary's.
    if seen.now.server.in_recovery {
        return Vec::new();
    }
    let server = &seen.now.server;
    let ids = Ids {
        id: IDS,
        age_max: server.freeze_age_max,
        setting: "autovacuum_freeze_max_age",
        age_of: |table| table.transaction_age,
    };
    let multixacts = Ids {
        id: MULTIXACTS,
        age_max: server.multixact_freeze_age_max,
        setting: "autovacuum_multixact_freeze_max_age",
        age_of: |table| table.multixact_age,
    };
    vec![
        ids.verdict(seen, |database| database.transaction_age),
        multixacts.verdict(seen, |database| database.multixact_age),
        dead_rows(seen),
        workers(seen),
    ]
}

/// One of the two kinds of ids.
struct Ids {
    id: &'static str,
    age_max: u64,
    setting: &'static str,
    age_of: fn(&OldTable) -> u64,
}

/// What to run for a database that we are not connected to, and in words.
fn elsewhere(database: &DatabaseIds, own: &str) -> (String, String) {
    let name = &database.name;
    if database.allows_connections {
        let statement = format!("vacuumdb --freeze --dbname={}", shell_word(name));
        return (statement, format!("vacuum the database {name}, which is another one than this"));
    }
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let (other, own) = (quoted(name), quoted(own));
    // Nobody can be kept out of the database that he is connected to.
    let statement = format!(
        "ALTER DATABASE {other} ALLOW_CONNECTIONS true;\n\\connect {other}\nVACUUM (FREEZE);\n\\connect {own}\n\
         ALTER DATABASE {other} ALLOW_CONNECTIONS false;"
    );
    let words = format!(
        "wait for autovacuum, which sees to {name} though nobody may connect to it, or let somebody in for a vacuum (in psql)"
    );
    (statement, words)
}

/// In single quotes where the shell would take it apart.
fn shell_word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

impl Ids {
    fn verdict(&self, seen: &Seen<'_>, age: impl Fn(&DatabaseIds) -> u64) -> Verdict {
        let databases = match &seen.now.ids {
            Ok(databases) => databases,
            Err(missing) => return Verdict::unknown(self.id, missing),
        };
        // Of equal ones the first.
        let Some(oldest) = databases.iter().rev().max_by_key(|database| age(database)) else {
            return Verdict::well(self.id, "There are no databases.");
        };
        let worst = age(oldest) as f64;
        let percent = share(worst, ID_AGE_MAX);
        let text = format!(
            "{} in {}: {} of {} ({}), {} of all there are.",
            words::number(worst),
            oldest.name,
            words::percent(share(worst, self.age_max as f64)),
            self.setting,
            words::number(self.age_max as f64),
            words::percent(percent)
        );
        // Tables are seen of one database alone.
        let is_own = oldest.name == seen.now.server.database;
        let mut tables: Vec<&OldTable> = match is_own {
            true => seen.now.catalog.oldest.iter().flatten().collect(),
            false => Vec::new(),
        };
        tables.sort_by_key(|table| std::cmp::Reverse((self.age_of)(table)));
        tables.truncate(TABLES_MAX);
        let (statement, place) = match (is_own, tables.first()) {
            (true, Some(table)) => {
                (format!("VACUUM (FREEZE) {};", table.name), "vacuum here, oldest table first".to_owned())
            }
            (true, None) => ("VACUUM (FREEZE);".to_owned(), "vacuum here".to_owned()),
            (false, _) => elsewhere(oldest, &seen.now.server.database),
        };
        Verdict::value(self.id, percent, text)
            .with_thresholds(self.thresholds(seen))
            .details(databases.iter().map(|database| json!({ "database": database.name, "age": age(database) })))
            .details(tables)
            .action(format!(
                "End what keeps old rows first: long transactions, prepared ones, slots and replicas; then {place}."
            ))
            .statement(statement)
    }

    /// Where autovacuum is told to wait longer, so is the warning.
    fn thresholds(&self, seen: &Seen<'_>) -> Option<Thresholds> {
        let set = seen.settings.thresholds(self.id)?;
        let beyond = share(self.age_max as f64 * BEYOND, ID_AGE_MAX);
        let warning = set.warning.max(beyond);
        Some(Thresholds { warning, critical: set.critical.max(warning) })
    }
}

fn dead_rows(seen: &Seen<'_>) -> Verdict {
    let tables = match &seen.now.catalog.tables {
        Ok(tables) => tables,
        Err(missing) => return Verdict::unknown(DEAD, missing),
    };
    let dead = |table: &TableSeen| share(table.dead as f64, (table.live + table.dead) as f64);
    let mut worst: Vec<&TableSeen> = tables.iter().filter(|table| table.dead >= DEAD_ROWS_MIN).collect();
    worst.sort_by(|one, other| dead(other).total_cmp(&dead(one)));
    let off = (!seen.now.server.has_autovacuum).then_some("Autovacuum is off for the whole server. ");
    let verdict = match worst.first() {
        None => Verdict::value(DEAD, 0.0, format!("{}No table has many dead rows.", off.unwrap_or_default())),
        Some(first) => {
            let how = if first.is_vacuum_off { "; autovacuum is off for it" } else { "" };
            let text = format!(
                "{}{} of {} in {} are dead{how}.",
                off.unwrap_or_default(),
                words::percent(dead(first)),
                words::plural((first.live + first.dead) as usize, "row"),
                first.name
            );
            // Vacuumed once, it would be as bad again before long.
            let reset = match first.is_vacuum_off {
                true => format!("ALTER TABLE {} RESET (autovacuum_enabled);\n", first.name),
                false => String::new(),
            };
            let statement = format!("{reset}VACUUM (ANALYZE) {};", first.name);
            Verdict::value(DEAD, dead(first), text).statement(statement)
        }
    };
    let verdict = verdict.details(worst).action(
        "If a vacuum does not remove them, something old still sees them: transactions, slots, replicas.",
    );
    match off {
        None => verdict,
        Some(_) => verdict.at_least(Status::Warning).statement(
            "ALTER SYSTEM SET autovacuum = on;\nALTER SYSTEM SET track_counts = on;\nSELECT pg_reload_conf();",
        ),
    }
}

fn workers(seen: &Seen<'_>) -> Verdict {
    let states = match &seen.now.states {
        Ok(states) => states,
        Err(missing) => return Verdict::unknown(WORKERS, missing),
    };
    if !seen.now.server.sees_all {
        return Verdict::hidden(WORKERS, seen.now.server.grant());
    }
    let max = seen.now.server.autovacuum_workers_max;
    let percent = share(states.autovacuum_workers as f64, max as f64);
    let text = format!("{} of {max} at work.", states.autovacuum_workers);
    // All of them for a moment is what they are there for.
    let before = seen.earlier.and_then(|earlier| earlier.states.as_ref().ok());
    let was_busy = before.is_some_and(|before| before.autovacuum_workers >= max);
    let ceiling = if was_busy { Status::Critical } else { Status::Ok };
    Verdict::value(WORKERS, percent, text)
        .at_most(ceiling)
        .action("Let them work faster rather than have more of them, which share the same budget.")
        .statement("ALTER SYSTEM SET autovacuum_vacuum_cost_limit = 2000;\nSELECT pg_reload_conf();")
}
