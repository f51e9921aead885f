//! Each rule finds what is planted, and stays silent on every other case.

use pgprime_advisor::plan::{Finding, PlanReport, RULES, Severity};

use super::cases::{self, Case};

/// Where a plan was made.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Timing {
    /// What depends on speed may differ.
    OfAnotherMachine,
    /// It holds in full.
    Kept,
}

/// Rules that depend on speed alone.
const TIMING_RULES: [&str; 5] = ["jit", "trigger_time", "planning_time", "time_outside", "nested_loop"];

/// What is wrong with the problems found in a case's plan.
fn wrong(case: &Case, plan: &str, from: &str, timing: Timing) -> Option<String> {
    let report = match PlanReport::of(plan) {
        Ok(report) => report,
        Err(error) => return Some(format!("{} {from}: {error}", case.name)),
    };
    let is_kept = |rule: &&str| timing == Timing::Kept || !TIMING_RULES.contains(rule);
    let mut found: Vec<&str> = report.findings.iter().map(|finding| finding.rule).filter(is_kept).collect();
    found.sort_unstable();
    found.dedup();
    let mut expected: Vec<&str> =
        case.shows.iter().chain(&case.timing).map(String::as_str).filter(is_kept).collect();
    expected.sort_unstable();
    let is_marked = report.findings.iter().all(|finding| finding.is_estimate != case.is_executed());
    (found != expected || !is_marked)
        .then(|| format!("{} {from}: expected {expected:?}, found {found:?}", case.name))
}

/// Ends the test when the problems in a plan are not those that the case shows.
pub(super) fn check(case: &Case, plan: &str, from: &str, timing: Timing) {
    if let Some(wrong) = wrong(case, plan, from, timing) {
        panic!("{wrong}\n{plan}");
    }
}

#[test]
fn every_case_shows_its_problems_and_no_other() {
    let each = cases::kept()
        .flat_map(|(case, version)| ["json", "txt"].map(|format| (case.clone(), version, format)));
    let wrong: Vec<String> = each
        .filter_map(|(case, version, format)| {
            let plan = case.plan_text(version, format);
            wrong(&case, &plan, &format!("{version} {format}"), Timing::Kept)
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_is_shown_by_a_case() {
    let shown: Vec<String> =
        cases::cases().into_iter().flat_map(|case| [case.shows, case.timing].concat()).collect();
    // The time outside is shown by what auto_explain logs, below.
    let missing =
        RULES.iter().filter(|rule| rule.id != "time_outside" && !shown.iter().any(|shown| shown == rule.id));
    let missing: Vec<_> = missing.map(|rule| rule.id).collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}

fn only(case: &str, version: u32, rule: &str) -> Finding {
    let case = cases::cases().into_iter().find(|known| known.name == case).unwrap();
    let report = PlanReport::of(&case.plan_text(version, "json")).unwrap();
    let mut found = report.findings.into_iter().filter(|finding| finding.rule == rule);
    found.next().unwrap_or_else(|| panic!("{} {version}: no {rule}", case.name))
}

#[test]
fn statements_fit_what_was_found() {
    let expected = [
        ("seq_scan_selective", "seq_scan_filter", "CREATE INDEX CONCURRENTLY ON orders (status);"),
        (
            "seq_scan_selective_estimated",
            "seq_scan_filter",
            "CREATE INDEX CONCURRENTLY ON public.orders (amount);",
        ),
        ("index_filters_most", "index_filter", "CREATE INDEX CONCURRENTLY ON orders (status);"),
        ("seq_scan_in_loop", "seq_scan_in_loop", "CREATE INDEX CONCURRENTLY ON items (product_id);"),
        ("statistics_stale", "stale_statistics", "ANALYZE stale;"),
        ("estimate_off", "row_estimate", "CREATE STATISTICS ON a, b, c FROM pairs; ANALYZE pairs;"),
        ("heap_fetches", "heap_fetches", "VACUUM (ANALYZE) unvacuumed;"),
        (
            "function_on_column",
            "expression_on_column",
            "CREATE INDEX CONCURRENTLY ON customers ((lower((email)::text)));",
        ),
        ("dead_rows", "dead_rows", "VACUUM (ANALYZE) dead;"),
    ];
    for (case, rule, statement) in expected {
        for version in cases::VERSIONS {
            assert_eq!(only(case, version, rule).statement.as_deref(), Some(statement), "{case} {version}");
        }
    }
}

#[test]
fn errors_begin_where_they_are_reported() {
    for version in cases::VERSIONS {
        let found = only("estimate_off", version, "row_estimate");
        assert_eq!(found.place, "Seq Scan on pairs p");
        assert_eq!(found.severity, Severity::Critical, "a thousand times");
    }
}

#[test]
fn work_mem_named_keeps_a_sort_in_memory() {
    for version in cases::VERSIONS {
        let found = only("sort_on_disk", version, "sort_on_disk");
        let needed = found.evidence.iter().find(|number| number.name == "work_mem_needed").unwrap().value;
        let disk = found.evidence.iter().find(|number| number.name == "disk").unwrap().value;
        assert!((disk..disk * 6.0).contains(&needed), "{needed} for {disk}");
    }
}

#[test]
fn time_outside_of_the_plan_is_seen_in_the_log() {
    for version in cases::VERSIONS {
        for format in ["text", "json"] {
            let path = cases::plans_dir().join(format!("{version}/auto_explain_{format}.log"));
            let report = PlanReport::of(&std::fs::read_to_string(path).unwrap()).unwrap();
            let rules: Vec<_> = report.findings.iter().map(|finding| finding.rule).collect();
            assert_eq!(rules, ["time_outside"], "{version} {format}");
            let text = report.plan.query_text.unwrap();
            let lines: Vec<_> = text.lines().map(str::trim).collect();
            let logged = format!("comment /* logged as {format} */");
            assert_eq!(lines, ["SELECT id,", logged.as_str(), "FROM orders", "WHERE id <= 20000;"]);
        }
    }
}
