//! Chosen candidates as suggestions: statements, undo, confidence. Pure.

use super::advice::{Confidence, Gain, Suggestion};
use super::candidate::Candidate;
use super::inventory::{Inventory, Kind};
use super::size::{size_bytes, write_share};
use super::statements::Values;
use super::weighed::Query;
use crate::index_review::{self, quoted};

/// A chosen candidate and what it does.
pub(super) struct Chosen<'a> {
    pub(super) candidate: &'a Candidate,
    /// What the workload costs more without it.
    pub(super) saved_cost: f64,
    /// What writes pay for it.
    pub(super) write_cost: f64,
    /// Rows that it gets entries for, a second.
    pub(super) writes_per_second: Option<f64>,
    /// Whether its gain is from our own formula rather than the planner's.
    pub(super) is_estimate: bool,
    /// The statements that use it, by place, with what they cost with all that is chosen.
    pub(super) users: Vec<(usize, f64)>,
}

/// The suggestion. Its name is one that nobody has, and none of `taken`.
pub(super) fn suggestion(
    chosen: &Chosen<'_>,
    queries: &[Query],
    inventory: &Inventory,
    cost_before: f64,
    taken: &[String],
) -> Suggestion {
    let candidate = chosen.candidate;
    let relation = candidate.table(inventory);
    let name = candidate.name(inventory, taken);
    let (confidence, confidence_reason) = confidence(chosen, queries, inventory);
    let is_partitioned = matches!(relation.kind, Kind::Partitioned { .. });
    let between = if is_partitioned { "" } else { "CONCURRENTLY " };
    let share = |cost: f64| if cost_before > 0.0 { cost / cost_before } else { 0.0 };
    Suggestion {
        statements: statements(candidate, inventory, &name),
        undo: format!("DROP INDEX {between}{}.{};", relation.schema_quoted, quoted(&name)),
        name,
        schema: relation.schema.clone(),
        table: relation.qualified.clone(),
        access_method: candidate.method.name().to_owned(),
        keys: candidate.keys.iter().map(|key| key.item.sql.clone()).collect(),
        size_bytes: size_bytes(candidate, inventory),
        saved_cost: chosen.saved_cost,
        saved_share: share(chosen.saved_cost),
        write_cost: chosen.write_cost,
        writes_per_second: chosen.writes_per_second,
        write_overhead_share: write_share(candidate, inventory),
        confidence,
        confidence_reason,
        gains: gains(chosen, queries),
    }
}

fn gains(chosen: &Chosen<'_>, queries: &[Query]) -> Vec<Gain> {
    let gain = |(place, cost): &(usize, f64)| {
        let query = &queries[*place];
        Gain {
            query_id: query.plannable.query.id.clone(),
            weight: query.plannable.query.weight,
            cost_before: query.cost,
            cost_after: *cost,
        }
    };
    let mut gains: Vec<Gain> = chosen.users.iter().map(gain).collect();
    let saved = |gain: &Gain| gain.weight * (gain.cost_before - gain.cost_after);
    gains.sort_by(|a, b| saved(b).total_cmp(&saved(a)));
    gains
}

/// What creates it without stopping writers, as far as PostgreSQL can.
fn statements(candidate: &Candidate, inventory: &Inventory, name: &str) -> Vec<String> {
    let relation = candidate.table(inventory);
    let Kind::Partitioned { partitions } = &relation.kind else {
        let between = format!("CONCURRENTLY {} ", quoted(name));
        return vec![format!("{};", candidate.create(&between, &relation.qualified))];
    };
    let own = format!("{} ", quoted(name));
    if relation.figures.partition_levels > 1 {
        // Those of the levels between would have to be attached one by one.
        return vec![format!("{};", candidate.create(&own, &relation.qualified))];
    }
    let mut statements =
        vec![format!("{};", candidate.create(&own, &format!("ONLY {}", relation.qualified)))];
    let mut taken = vec![name.to_owned()];
    for partition in partitions {
        let (schema, table) = split(partition);
        let part = part_name(candidate, inventory, &table, &taken);
        let between = format!("CONCURRENTLY {} ", quoted(&part));
        statements.push(format!("{};", candidate.create(&between, partition)));
        statements.push(format!(
            "ALTER INDEX {}.{} ATTACH PARTITION {schema}.{};",
            relation.schema_quoted,
            quoted(name),
            quoted(&part)
        ));
        taken.push(part);
    }
    statements
}

fn part_name(candidate: &Candidate, inventory: &Inventory, table: &str, taken: &[String]) -> String {
    let words: Vec<String> = candidate.keys.iter().flat_map(|key| key.item.columns.clone()).collect();
    let is_taken = |name: &str| {
        taken.iter().any(|other| other == name)
            || inventory.taken.values().any(|names| names.iter().any(|other| other == name))
    };
    index_review::free_name(table, &words, is_taken)
}

/// The schema as SQL writes it, and the table's name without quotes.
fn split(qualified: &str) -> (String, String) {
    let mut is_quoted = false;
    let mut dot = 0;
    for (at, letter) in qualified.char_indices() {
        match letter {
            '"' => is_quoted = !is_quoted,
            '.' if !is_quoted => dot = at,
            _ => {}
        }
    }
    let (schema, table) = (&qualified[..dot], &qualified[dot + 1..]);
    let plain = table.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    (schema.to_owned(), plain.map_or_else(|| table.to_owned(), |name| name.replace("\"\"", "\"")))
}

fn confidence(chosen: &Chosen<'_>, queries: &[Query], inventory: &Inventory) -> (Confidence, String) {
    let relation = chosen.candidate.table(inventory);
    if relation.columns.iter().all(|column| column.statistics.is_none()) {
        let reason = format!("nothing is known of the values in {}", relation.qualified);
        return (Confidence::Low, reason);
    }
    if chosen.is_estimate {
        let reason = match chosen.candidate.method.name() {
            method @ "gin" => {
                format!("HypoPG cannot imagine an index of the kind {method}: this is an estimate")
            }
            _ => "an estimate of our own: without HypoPG the planner cannot be asked".to_owned(),
        };
        return (Confidence::Low, reason);
    }
    let gain_of = |wanted: Option<Values>| -> f64 {
        let of_user = |(place, cost): &(usize, f64)| {
            let query = &queries[*place];
            let counts = wanted.is_none_or(|values| query.plannable.values == values);
            if counts { query.plannable.query.weight * (query.cost - cost) } else { 0.0 }
        };
        chosen.users.iter().map(of_user).sum()
    };
    let all = gain_of(None);
    if gain_of(Some(Values::Real)) >= all / 2.0 {
        return (Confidence::High, "the planner's costs for the statements as they are".to_owned());
    }
    let reason = match gain_of(Some(Values::Sampled)) >= all / 2.0 {
        true => "the parameters are not known: the costs are for values that the columns often hold",
        false => "the parameters are not known: the costs are for any values",
    };
    (Confidence::Medium, reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        for (qualified, schema, table) in [
            ("public.t", "public", "t"),
            ("\"a.b\".\"c.d\"", "\"a.b\"", "c.d"),
            ("s.\"with \"\"quotes\"\"\"", "s", "with \"quotes\""),
        ] {
            assert_eq!(split(qualified), (schema.to_owned(), table.to_owned()), "{qualified}");
        }
    }
}
