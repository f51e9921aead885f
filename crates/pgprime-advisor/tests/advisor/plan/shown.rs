//! What people see and what machines read, kept in files.
//!
//! `PGPRIME_WRITE_SHOWN=1` writes them anew, for a look at what changed.

use std::path::Path;

use pgprime_advisor::plan::{COLUMNS_MAX, PlanReport, render};

use super::cases;

/// Cases of which one rendering is kept.
const SHOWN: [&str; 12] = [
    "seq_scan_selective",
    "estimate_off",
    "sort_on_disk",
    "hash_aggregate_on_disk",
    "nested_loop_many_estimated",
    "cte_often",
    "workers_launched",
    "many_shapes",
    "trigger",
    "no_timing",
    "never_executed",
    "or_across_join",
];

fn report(case: &str, version: u32) -> PlanReport {
    let case = cases::cases().into_iter().find(|known| known.name == case).unwrap();
    PlanReport::of(&case.plan_text(version, "json")).unwrap()
}

fn compare(path: &Path, text: &str) {
    if std::env::var_os("PGPRIME_WRITE_SHOWN").is_some() {
        std::fs::write(path, text).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(text, expected, "{}", path.display());
}

#[test]
fn renderings_are_as_kept() {
    for case in SHOWN {
        let report = report(case, 15);
        let path = cases::plans_dir().join("shown").join(format!("{case}.txt"));
        compare(&path, &render(&report.plan, &report.findings));
    }
}

#[test]
fn json_is_as_kept() {
    let json = serde_json::to_string_pretty(&report("or_across_join", 15)).unwrap();
    compare(&cases::plans_dir().join("shown/or_across_join.json"), &format!("{json}\n"));
}

#[test]
fn no_line_is_too_long() {
    for (case, version) in cases::kept() {
        let report = PlanReport::of(&case.plan_text(version, "txt")).unwrap();
        for line in render(&report.plan, &report.findings).lines() {
            assert!(line.chars().count() <= COLUMNS_MAX, "{}: {line}", case.name);
            assert!(!line.ends_with(' '), "{}: {line:?}", case.name);
        }
    }
}
