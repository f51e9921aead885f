//! Whether autovacuum keeps up, and how far ids are used up.

use serde_json::json;

use super::seen::{Seen, share};
use crate::health::observe::{DatabaseIds, TableSeen};
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
/// Fewer dead rows are nothing to a table.
const DEAD_ROWS_MIN: u64 = 10_000;

pub(super) fn verdicts(seen: &Seen<'_>) -> Vec<Verdict> {
    // A replica has no autovacuum, and its ids are the primary's.
    if seen.now.server.in_recovery {
        return Vec::new();
    }
    let server = &seen.now.server;
    let ids = Ids { id: IDS, age_max: server.freeze_age_max, setting: "autovacuum_freeze_max_age" };
    let multixacts = Ids {
        id: MULTIXACTS,
        age_max: server.multixact_freeze_age_max,
        setting: "autovacuum_multixact_freeze_max_age",
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
        let tables = seen.now.catalog.oldest.as_deref().unwrap_or_default();
        let statement = tables
            .first()
            .map_or("VACUUM (FREEZE);".to_owned(), |table| format!("VACUUM (FREEZE) {};", table.name));
        Verdict::value(self.id, percent, text)
            .with_thresholds(self.thresholds(seen))
            .details(databases.iter().map(|database| json!({ "database": database.name, "age": age(database) })))
            .details(tables)
            .action(format!(
                "End what keeps old rows first: long transactions, prepared ones, slots and replicas; then vacuum in {}, \
                 oldest table first.",
                oldest.name
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
            Verdict::value(DEAD, dead(first), text).statement(format!("VACUUM (ANALYZE) {};", first.name))
        }
    };
    let verdict = verdict.details(worst).action(
        "If a vacuum does not remove them, something old still sees them: transactions, slots, replicas.",
    );
    match off {
        None => verdict,
        Some(_) => verdict.at_least(Status::Warning).statement(
            "ALTER SYSTEM SET autovacuum = on; ALTER SYSTEM SET track_counts = on; SELECT pg_reload_conf();",
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
        .statement("ALTER SYSTEM SET autovacuum_vacuum_cost_limit = 2000; SELECT pg_reload_conf();")
}
