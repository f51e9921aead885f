//! `pgprime demo`, small: the load, the dashboard, and what the optimizer finds.

use std::process::{Command, Stdio};

use crate::harness::stderr_of;

fn demo(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgprime"));
    command.args(["demo", "--clients", "50", "--rate", "100"]);
    let output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}: {}", output.status, stderr_of(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_demo_ends_with_findings_of_its_load() {
    // As many seconds as the back office has different statements, and one more.
    let report = demo(&["--json", "--seconds", "9", "--scale", "0.1"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["traffic"]["errors"]["count"], 0);
    assert_eq!(report["back_office"]["errors"]["count"], 0);
    assert!(report["back_office"]["requests"].as_u64().unwrap() >= 8, "{:#}", report["back_office"]);

    check_dashboard(&report["dashboard"]);

    let findings = &report["findings"];
    assert_eq!(findings["not_seen"], serde_json::json!([]), "{findings:#}");
    let statements = findings["slow"]["statements"].as_array().unwrap();
    let is_of_the_load = |statement: &&serde_json::Value| {
        statement["calls"].as_u64().unwrap() >= 1 && !statement["text"].as_str().unwrap().contains("pgprime")
    };
    assert_eq!(statements.iter().filter(is_of_the_load).count(), 8, "{:#}", findings["slow"]);

    let percentiles = statements.iter().filter(|statement| statement["pooler"]["exec_ms_p99"].is_number());
    assert!(percentiles.count() >= 6, "{:#}", findings["slow"]);

    // What is left of the constants of a pattern tells no index, and chance decides about the small ones.
    let planted = findings["planted"].as_array().unwrap();
    let found = planted.iter().filter(|one| one["suggestion"].is_string()).count();
    assert!(planted.len() == 8 && found >= 5, "{planted:#?}");
}

fn check_dashboard(dashboard: &serde_json::Value) {
    let queries = dashboard["queries"].as_array().unwrap();
    let names: Vec<&str> = queries.iter().filter_map(|query| query["name"].as_str()).collect();
    assert_eq!(names, ["quotes by month", "loss ratio by year", "admin activity", "system health"]);
    for query in queries {
        assert_eq!(query["equal"], true, "{query:#}");
        assert!(query["rows"].as_u64().unwrap() > 5, "{query:#}");
        assert!(query["cache_us"].is_number() && query["not_kept"].is_null(), "{query:#}");
    }
    let views = dashboard["views"]["views"].as_array().unwrap();
    assert_eq!(views.len(), 4);
    for view in views {
        assert!(view["rows"].as_i64().unwrap() > 5 && view["blocks_readers"].is_null(), "{view:#}");
    }
    assert!(dashboard["refreshes"]["looks"].as_u64().unwrap() >= 1, "{dashboard:#}");
    assert_eq!(dashboard["refreshes"]["errors"]["count"], 0, "{dashboard:#}");
    let beside = &dashboard["beside"];
    for side in ["without", "with"] {
        assert_eq!(beside[side]["errors"]["count"], 0, "{beside:#}");
        assert!(beside[side]["latency"]["count"].as_u64().unwrap() > 50, "{beside:#}");
    }
    assert_eq!(beside["report"]["errors"]["count"], 0, "{beside:#}");
    assert_eq!(beside["report"]["at_a_time"], dashboard["admin_pool"]["connections_max"]);
    assert!(beside["report"]["finished"].as_u64().unwrap() > 0, "{beside:#}");
    assert_eq!(dashboard["admin_pool"]["work_mem"], "64MB");
}

#[test]
fn the_findings_are_one_page() {
    let text = demo(&["--seconds", "2", "--scale", "0.02"]);
    let (report, findings) = text.split_once("slowest statements").unwrap();
    assert!(report.contains("back office") && report.contains("errors              0"), "{text}");
    for section in ["admin dashboard", "service and heavy report", "admin pool", "scheduler"] {
        assert!(report.contains(section), "{text}");
    }
    assert!(findings.contains("indexes") && findings.contains("wasted space"), "{text}");
    assert!(findings.lines().count() <= 40, "{text}");
    assert!(!findings.contains("not seen"), "{text}");
}
