//! The same work again and again.

use std::collections::BTreeMap;

use super::context::{Context, Found, loops, rows_read};
use crate::plan::derive::is_hashed;
use crate::plan::finding::Unit;
use crate::plan::format;
use crate::plan::kind::Kind;
use crate::plan::model::{Node, Relationship};

pub(super) fn correlated_subplan(context: &Context<'_>) -> Vec<Found> {
    const LOOPS_MIN: f64 = 1000.0;
    let mut found = Vec::new();
    for node in context.nodes().filter(|node| node.relationship == Some(Relationship::SubPlan)) {
        let Some(above) = context.parent(node).filter(|above| !is_hashed(above, node)) else { continue };
        let times = match node.actual {
            Some(_) => loops(node),
            None => above.estimate.map_or(0.0, |estimate| estimate.rows),
        };
        if times < LOOPS_MIN {
            continue;
        }
        let name = node.subplan_name.clone().unwrap_or_else(|| "a subquery".to_owned());
        found.push(
            Found::at(
                context,
                node,
                format!("{name} runs {} times, once for each row", format::number(times)),
            )
            .number("loops", times, Unit::Loops)
            .number("share", node.figures.total_share, Unit::Share)
            .advise(
                "Write the subquery as a join with a grouped subquery, or LEFT JOIN LATERAL \
                    for few rows, so that it runs once.",
            ),
        );
    }
    found
}

pub(super) fn cte_scans(context: &Context<'_>) -> Vec<Found> {
    const LOOPS_MIN: f64 = 10.0;
    const ROWS_MIN: f64 = 10_000.0;
    let mut scans: BTreeMap<&str, Vec<(&Node, f64, f64)>> = BTreeMap::new();
    for (node, actual) in context.executed().filter(|(node, _)| node.kind == Kind::CteScan) {
        let name = node.cte.as_deref().unwrap_or_default();
        scans.entry(name).or_default().push((node, loops(node), rows_read(node, actual)));
    }
    let mut found = Vec::new();
    for (name, scans) in scans {
        let (times, rows): (f64, f64) =
            (scans.iter().map(|scan| scan.1).sum(), scans.iter().map(|scan| scan.2).sum());
        let Some((node, ..)) = scans.iter().max_by(|a, b| a.2.total_cmp(&b.2)) else { continue };
        if times < LOOPS_MIN || rows < ROWS_MIN {
            continue;
        }
        let text = format!(
            "{name} is read {} times, {} rows in all, without an index",
            format::number(times),
            format::number(rows)
        );
        found.push(
            Found::at(context, node, text)
                .number("scans", times, Unit::Loops)
                .number("rows_read", rows, Unit::Rows)
                .advise(
                    "A materialized CTE has no index. Write WITH … AS NOT MATERIALIZED so that conditions reach its tables, \
                     join it once instead of looking it up, or keep it in a temporary table with an index.",
                ),
        );
    }
    found
}
