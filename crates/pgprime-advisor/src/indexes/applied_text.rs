//! What came of applied suggestions, for people.

use super::apply::{Applied, ApplyOutcome, MeasuredBy, Measurement};
use crate::space::layout::{fit, wrap, wrap_sql};
use crate::space::units::bytes;

/// Statements of each index; JSON has them all.
const STATEMENTS_MAX: usize = 10;

/// What came of each suggestion: what was built, in which time, what the statements took before and after, and the undo.
/// Lines of at most 100 columns.
#[must_use]
pub fn applied_text(all: &[Applied]) -> String {
    if all.is_empty() {
        return "Nothing was to be created.\n".to_owned();
    }
    let count = |is: fn(&ApplyOutcome) -> bool| all.iter().filter(|one| is(&one.outcome)).count();
    let created = count(|outcome| matches!(outcome, ApplyOutcome::Created));
    let reverted = count(|outcome| matches!(outcome, ApplyOutcome::Reverted { .. }));
    let failed = all.len() - created - reverted;
    let mut text =
        wrap(&format!("Indexes: {created} created, {reverted} dropped again, {failed} failed."), 0);
    text.extend(all.iter().map(one));
    text
}

fn one(applied: &Applied) -> String {
    let mut text = "\n".to_owned();
    let title = format!("{} on {}", applied.name, applied.table);
    let (word, reason) = match &applied.outcome {
        ApplyOutcome::Created => ("CREATED", None),
        ApplyOutcome::Reverted { reason } => ("DROPPED AGAIN", Some(reason.clone())),
        ApplyOutcome::Failed { reason, sqlstate, is_clean } => {
            let code = sqlstate.as_ref().map_or_else(String::new, |code| format!(" (SQLSTATE {code})"));
            let left = if *is_clean { " Nothing was left behind." } else { "" };
            ("FAILED", Some(format!("{reason}{code}.{left}")))
        }
    };
    text += &wrap(&format!("{word}: {title}{}", figures(applied)), 2);
    text.extend(reason.map(|reason| wrap(&reason, 4)));
    if applied.build_ms.is_none() {
        text.extend(applied.statements.iter().map(|sql| wrap_sql(sql, 6)));
        return text;
    }
    text += &measurements(applied);
    if applied.outcome == ApplyOutcome::Created {
        text += &wrap(&verdict(applied), 4);
        text += &wrap_sql(&applied.undo, 6);
    }
    text
}

fn figures(applied: &Applied) -> String {
    let size = applied.size_bytes.map_or_else(String::new, |size| format!(", {}", bytes(size)));
    let time = applied.build_ms.map_or_else(String::new, |ms| format!(", built in {}", time(ms)));
    format!("{size}{time}")
}

fn verdict(applied: &Applied) -> String {
    match (applied.has_gained, applied.gained_share) {
        (Some(true), Some(share)) => format!("Gained {:.0} %. The undo:", share * 100.0),
        (Some(false), _) => "Nothing was gained that is due to it. To drop it again:".to_owned(),
        _ => "What it brings could not be measured. The undo:".to_owned(),
    }
}

fn measurements(applied: &Applied) -> String {
    let shown = || applied.measurements.iter().take(STATEMENTS_MAX);
    if applied.measurements.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "    {:<28} {:>11} {:>11} {:>11} {:>11}  {}\n",
        "statement", "before", "after", "cost before", "cost after", "uses it"
    );
    for one in shown() {
        text += &format!(
            "    {:<28} {:>11} {:>11} {:>11} {:>11}  {}\n",
            fit(&one.query_id, 28),
            one.before_ms.map_or_else(|| "-".to_owned(), time),
            one.after_ms.map_or_else(|| "-".to_owned(), time),
            cost(one.before_cost),
            cost(one.after_cost),
            if one.uses_index { "yes" } else { "no" }
        );
    }
    let more = applied.measurements.len().saturating_sub(STATEMENTS_MAX);
    if more > 0 {
        text += &format!("    … and {more} more\n");
    }
    text.extend(shown().filter_map(not_executed));
    text
}

/// Why there is no time.
fn not_executed(measured: &Measurement) -> Option<String> {
    let MeasuredBy::PlannedOnly { reason } = &measured.how else { return None };
    Some(wrap(&format!("- {}: by the planner's cost alone: {reason}", measured.query_id), 4))
}

fn time(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.2} ms"),
        ms if ms < 10_000.0 => format!("{ms:.0} ms"),
        ms if ms < 600_000.0 => format!("{:.0} s", ms / 1_000.0),
        ms => format!("{:.0} min", ms / 60_000.0),
    }
}

fn cost(cost: Option<f64>) -> String {
    match cost {
        None => "-".to_owned(),
        Some(cost) if cost < 1e9 => format!("{cost:.0}"),
        Some(cost) => format!("{cost:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(outcome: ApplyOutcome, measurements: Vec<Measurement>) -> Applied {
        let is_built = !matches!(outcome, ApplyOutcome::Failed { .. });
        Applied {
            name: "orders_customer_id_idx".to_owned(),
            table: "public.orders".to_owned(),
            statements: vec![
                "CREATE INDEX CONCURRENTLY orders_customer_id_idx ON public.orders (customer_id);".to_owned(),
            ],
            undo: "DROP INDEX CONCURRENTLY public.orders_customer_id_idx;".to_owned(),
            outcome,
            build_ms: is_built.then_some(1_234.0),
            size_bytes: is_built.then_some(10 << 20),
            gained_share: is_built.then_some(0.914),
            has_gained: is_built.then_some(true),
            measurements,
        }
    }

    #[test]
    fn people_can_read_it() {
        let measured = |how: MeasuredBy, ms: Option<f64>| Measurement {
            query_id: "-5847210295718520938".to_owned(),
            weight: 10.0,
            how,
            before_ms: ms,
            after_ms: ms.map(|ms| ms / 100.0),
            before_cost: Some(12_345.6),
            after_cost: Some(8.3),
            uses_index: true,
        };
        let reason = "a reason that is long ".repeat(20);
        let text = applied_text(&[
            applied(
                ApplyOutcome::Created,
                vec![
                    measured(MeasuredBy::Executed, Some(123.4)),
                    measured(MeasuredBy::PlannedOnly { reason: reason.clone() }, None),
                ],
            ),
            applied(
                ApplyOutcome::Failed { reason, sqlstate: Some("55P03".to_owned()), is_clean: true },
                Vec::new(),
            ),
            applied(ApplyOutcome::Reverted { reason: "no statement uses it".to_owned() }, Vec::new()),
        ]);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        for expected in [
            "Indexes: 1 created, 1 dropped again, 1 failed.",
            "  CREATED: orders_customer_id_idx on public.orders, 10.0 MiB, built in 1234 ms",
            "    -5847210295718520938              123 ms     1.23 ms       12346           8  yes",
            "    Gained 91 %. The undo:",
            "      DROP INDEX CONCURRENTLY public.orders_customer_id_idx;",
        ] {
            assert!(text.contains(expected), "{expected:?} is not in\n{text}");
        }
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("(SQLSTATE 55P03). Nothing was left behind."), "{text}");
    }
}
