//! Derived figures: what a node took by itself, and that nothing is counted twice.

use pgprime_advisor::plan::{Direction, EstimateError, Node, Plan, PlanReport};

use super::cases;

fn plan(case: &str, version: u32) -> Plan {
    let case = cases::cases().into_iter().find(|known| known.name == case).unwrap();
    Plan::parse(&case.plan_text(version, "json")).unwrap()
}

fn nodes(node: &Node) -> Vec<&Node> {
    std::iter::once(node).chain(node.children.iter().flat_map(nodes)).collect()
}

fn node<'a>(plan: &'a Plan, name: &str) -> &'a Node {
    nodes(&plan.root).into_iter().find(|node| node.kind.name() == name).unwrap()
}

fn is_close(value: f64, expected: f64) -> bool {
    (value - expected).abs() <= 0.02 * expected.abs() + 0.01
}

#[test]
fn own_times_add_up_to_the_whole() {
    for (case, version) in cases::kept() {
        let report = PlanReport::of(&case.plan_text(version, "json")).unwrap();
        let root = &report.plan.root;
        let Some(total) = root.figures.total_ms else { continue };
        let sum: f64 = nodes(root).iter().filter_map(|node| node.figures.self_ms).sum();
        // Times are rounded to a microsecond per loop, which makes much in a million loops.
        let loops: f64 = nodes(root).iter().filter_map(|node| node.actual).map(|actual| actual.loops).sum();
        let rounding = loops * 0.0006 + 0.05 * total;
        assert!((sum - total).abs() <= rounding, "{} {version}: {sum} of {total}", case.name);
    }
}

#[test]
fn own_costs_add_up_to_the_whole() {
    for (case, version) in cases::kept() {
        let report = PlanReport::of(&case.plan_text(version, "json")).unwrap();
        let root = &report.plan.root;
        let Some(total) = root.figures.total_cost else { continue };
        let sum: f64 = nodes(root).iter().filter_map(|node| node.figures.self_cost).sum();
        assert!(is_close(sum, total), "{} {version}: {sum} of {total}", case.name);
    }
}

#[test]
fn loops_multiply_what_is_printed() {
    // Aggregate 72.5, nested loop 68.7, customers 1.1, orders 0.003 ms × 20,000 loops.
    let lines = [
        "Aggregate  (cost=15129.00..15129.01 rows=1 width=8) (actual time=72.4..72.4 rows=1 loops=1)",
        "  ->  Nested Loop  (cost=0.29..14879.00 rows=100000 width=6) (actual time=0.1..68.7 rows=100000 loops=1)",
        "    ->  Seq Scan on c  (cost=0.00..367.00 rows=20000 width=4) (actual time=0.0..1.1 rows=20000 loops=1)",
        "    ->  Index Scan using i on o  (cost=0.29..0.68 rows=5 width=9) (actual time=0.001..0.003 rows=5 loops=20000)",
        "Execution Time: 75.000 ms",
    ];
    let text = &lines.join("\n");
    let plan = Plan::parse(text).unwrap();
    let found: Vec<_> = nodes(&plan.root)
        .iter()
        .map(|node| (node.figures.total_ms.unwrap(), node.figures.self_ms.unwrap()))
        .collect();
    let expected = [(72.4, 3.7), (68.7, 7.6), (1.1, 1.1), (60.0, 60.0)];
    for ((total, own), (expected_total, expected_own)) in found.into_iter().zip(expected) {
        assert!(is_close(total, expected_total) && is_close(own, expected_own), "{total} {own}");
    }
    let inner = node(&plan, "Index Scan");
    assert!(is_close(inner.figures.self_share, 0.8));
    // Of 14,879 the inner side is 0.68 for each of 20,000 rows.
    assert!(is_close(inner.figures.total_cost.unwrap(), 13_600.0));
}

#[test]
fn workers_share_the_time() {
    for version in cases::VERSIONS {
        let plan = plan("workers_launched", version);
        let gather = node(&plan, "Gather Merge");
        let below = gather.outer().unwrap();
        assert_eq!((gather.figures.processes, below.figures.processes), (1.0, 3.0));
        let actual = below.actual.unwrap();
        assert!(is_close(below.figures.total_ms.unwrap(), actual.total_ms.unwrap()), "an average of three");
    }
}

#[test]
fn a_cte_is_taken_off_the_scan_that_reads_it() {
    for version in cases::VERSIONS {
        let plan = plan("cte_once", version);
        let (scan, root) = (node(&plan, "CTE Scan"), &plan.root);
        let cte =
            root.children.iter().find(|child| child.subplan_name.as_deref() == Some("CTE big")).unwrap();
        let (scan_ms, cte_ms) = (scan.figures.total_ms.unwrap(), cte.figures.total_ms.unwrap());
        assert!(is_close(scan.figures.self_ms.unwrap(), scan_ms - cte_ms));
        assert!(is_close(root.figures.self_ms.unwrap(), root.figures.total_ms.unwrap() - scan_ms));
        assert_eq!(scan.figures.self_buffers.unwrap().accessed(), 0, "all blocks are the expression's");
    }
}

#[test]
fn an_init_plan_is_taken_off_where_its_result_is_used() {
    for version in cases::VERSIONS {
        let plan = plan("initplan", version);
        let root = &plan.root;
        let init = &root.children[0];
        let own = root.figures.total_ms.unwrap() - init.figures.total_ms.unwrap();
        assert!(is_close(root.figures.self_ms.unwrap(), own));
        let blocks = root.buffers.unwrap().accessed() - init.buffers.unwrap().accessed();
        assert_eq!(root.figures.self_buffers.unwrap().accessed(), blocks);
    }
    // Shown at the top, used in the scan below: the limit itself took nothing.
    let text = "Limit  (cost=10.00..11.00 rows=1 width=4) (actual time=9.0..9.1 rows=1 loops=1)\n\
                \x20 InitPlan 1 (returns $0)\n\
                \x20   ->  Result  (cost=0.00..10.00 rows=1 width=4) (actual time=8.0..8.0 rows=1 loops=1)\n\
                \x20 ->  Seq Scan on t  (cost=0.00..1.00 rows=1 width=4) (actual time=9.0..9.0 rows=1 loops=1)\n\
                \x20       Filter: (a = $0)\n";
    let plan = Plan::parse(text).unwrap();
    assert!(is_close(plan.root.figures.self_ms.unwrap(), 0.1));
    assert!(is_close(node(&plan, "Seq Scan").figures.self_ms.unwrap(), 1.0));
}

#[test]
fn estimate_errors_are_factors() {
    let cases = [
        (10.0, 1000.0, 100.0, Direction::Underestimated),
        (1000.0, 10.0, 100.0, Direction::Overestimated),
        (5.0, 0.0, 5.0, Direction::Overestimated),
        (0.0, 0.0, 1.0, Direction::Underestimated),
    ];
    for (expected, actual, factor, direction) in cases {
        assert_eq!(EstimateError::of(expected, actual), EstimateError { factor, direction });
    }
    let plan = plan("estimate_limit", 15);
    assert!(node(&plan, "Seq Scan").figures.estimate_error.is_none(), "it was stopped after ten rows");
}
