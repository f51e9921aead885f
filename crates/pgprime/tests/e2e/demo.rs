//! `pgprime demo`, small: the load, and what the optimizer finds in it.

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

#[test]
fn the_findings_are_one_page() {
    let text = demo(&["--seconds", "2", "--scale", "0.02"]);
    let (report, findings) = text.split_once("slowest statements").unwrap();
    assert!(report.contains("back office") && report.contains("errors              0"), "{text}");
    assert!(findings.contains("indexes") && findings.contains("wasted space"), "{text}");
    assert!(findings.lines().count() <= 40, "{text}");
    assert!(!findings.contains("not seen"), "{text}");
}
