//! Which share of a table's rows a condition leaves, from what ANALYZE knows. Pure.
//!
//! As the planner does it, in short: common values have their own shares, the others share what is left evenly; a range
//! takes the share of the histogram between its ends. Where nothing is known, the planner's own defaults.

use super::inventory::{Column, Relation, Statistics};
use super::table_use::{Condition, ConditionKind};

/// PostgreSQL's defaults: of an equality with an unknown number of values, of one inequality, of a range with two ends.
const EQUAL_SHARE: f64 = 0.005;
const INEQUALITY_SHARE: f64 = 1.0 / 3.0;
const RANGE_SHARE: f64 = 0.005;
/// Of conditions that an inverted index answers, and of patterns.
const CONTAINS_SHARE: f64 = 0.01;
const PATTERN_SHARE: f64 = 0.005;

/// The share of rows that a condition leaves, above 0 and at most 1.
pub(super) fn share(relation: &Relation, condition: &Condition) -> f64 {
    let rows = relation.figures.rows.max(1.0);
    let column = condition.item.columns.first().filter(|_| !condition.item.is_expression);
    let column = column.and_then(|name| relation.column(name));
    let known = column.and_then(|column| column.statistics.as_ref());
    let share = match &condition.kind {
        ConditionKind::Equal(constant) => {
            let value = constant.as_ref().map(|constant| constant.value.as_str());
            known.map_or(EQUAL_SHARE, |known| equal(known, value, rows))
        }
        ConditionKind::Join(_) => known.map_or(EQUAL_SHARE, |known| equal(known, None, rows)),
        ConditionKind::In(count) => {
            known.map_or(EQUAL_SHARE, |known| equal(known, None, rows)) * *count as f64
        }
        ConditionKind::Range { low, high, has_both } => match known {
            Some(known) => range(known, column, low.as_deref(), high.as_deref(), *has_both),
            None if *has_both => RANGE_SHARE,
            None => INEQUALITY_SHARE,
        },
        ConditionKind::IsNull => known.map_or(EQUAL_SHARE, |known| known.null_share),
        ConditionKind::IsNotNull => known.map_or(1.0, |known| 1.0 - known.null_share),
        ConditionKind::LikePrefix(_) | ConditionKind::LikeAnywhere | ConditionKind::LikeUnknown => {
            PATTERN_SHARE
        }
        ConditionKind::Json { .. } | ConditionKind::Array | ConditionKind::TextSearch => CONTAINS_SHARE,
    };
    share.clamp(1.0 / rows, 1.0)
}

/// The number of different values.
pub(super) fn distinct(statistics: &Statistics, rows: f64) -> f64 {
    let values = statistics.distinct_values;
    let count = if values < 0.0 { -values * rows } else { values };
    if count >= 1.0 { count } else { 1.0 / EQUAL_SHARE }
}

fn equal(known: &Statistics, value: Option<&str>, rows: f64) -> f64 {
    let not_null = (1.0 - known.null_share).max(0.0);
    let distinct = distinct(known, rows);
    let Some(value) = value else { return not_null / distinct };
    if let Some((_, share)) = known.common.iter().find(|(common, _)| common == value) {
        return *share;
    }
    let common: f64 = known.common.iter().map(|(_, share)| share).sum();
    let others = distinct - known.common.len() as f64;
    if others < 1.0 { 0.0 } else { (not_null - common).max(0.0) / others }
}

fn range(
    known: &Statistics,
    column: Option<&Column>,
    low: Option<&str>,
    high: Option<&str>,
    has_both: bool,
) -> f64 {
    if low.is_none() && high.is_none() || known.bounds.len() < 2 {
        return if has_both { RANGE_SHARE } else { INEQUALITY_SHARE };
    }
    let is_number = column.is_some_and(|column| column.category == "N");
    let below = |value: &str| {
        let steps = known.bounds.len() - 1;
        let is_below = |bound: &String| match (is_number, bound.parse::<f64>(), value.parse::<f64>()) {
            (true, Ok(bound), Ok(value)) => bound < value,
            _ => bound.as_str() < value,
        };
        known.bounds.partition_point(is_below).saturating_sub(1) as f64 / steps as f64
    };
    let from = low.map_or(0.0, below);
    let to = high.map_or(1.0, |high| (below(high) + 1.0 / known.bounds.len() as f64).min(1.0));
    ((to - from) * (1.0 - known.null_share)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::super::inventory::{Figures, Kind};
    use super::super::table_use::{Constant, Item};
    use super::*;

    fn table(statistics: Statistics) -> Relation {
        let column = Column {
            name: "a".to_owned(),
            category: "N".to_owned(),
            statistics: Some(statistics),
            ..Column::default()
        };
        Relation {
            oid: 1,
            qualified: "public.t".to_owned(),
            schema: "public".to_owned(),
            schema_quoted: "public".to_owned(),
            name: "t".to_owned(),
            kind: Kind::Table,
            columns: vec![column],
            existing: Vec::new(),
            figures: Figures { rows: 10_000.0, ..Figures::default() },
        }
    }

    #[test]
    fn shares_follow_the_statistics() {
        let statistics = Statistics {
            null_share: 0.1,
            distinct_values: 101.0,
            common: vec![("7".to_owned(), 0.4)],
            bounds: (0..=100).map(|bound| bound.to_string()).collect(),
            ..Statistics::default()
        };
        let value = |value: &str| Some(Constant { value: value.to_owned(), sql: value.to_owned() });
        let ends = |low: Option<&str>, high: Option<&str>| ConditionKind::Range {
            low: low.map(str::to_owned),
            high: high.map(str::to_owned),
            has_both: true,
        };
        for (kind, expected) in [
            (ConditionKind::Equal(value("7")), 0.4),
            (ConditionKind::Equal(value("8")), 0.005),
            (ConditionKind::Equal(None), 0.9 / 101.0),
            (ConditionKind::In(2), 1.8 / 101.0),
            (ConditionKind::IsNull, 0.1),
            (ConditionKind::IsNotNull, 0.9),
            (ends(None, None), RANGE_SHARE),
            (ends(Some("90"), None), 0.9 * 0.11),
        ] {
            let item = Item { sql: "a".to_owned(), columns: vec!["a".to_owned()], is_expression: false };
            let found = share(&table(statistics.clone()), &Condition { item, kind: kind.clone() });
            assert!((found - expected).abs() < 1e-9, "{kind:?}: {found} for {expected}");
        }
    }
}
