//! What is calculated, and what is refused.

use super::{LOAD, json, plan, refused};
use crate::harness::{stderr_of, stdout_of};

#[test]
fn the_documented_numbers() {
    let plan = json(&[&LOAD[..], &["--safety-margin", "0.8"]].concat(), 0);
    assert_eq!(plan["total_min_connections"], 20);
    assert_eq!(plan["min_connections"], 4);
    assert_eq!(plan["max_connections"], 16);
    assert_eq!(plan["pool_size"], 25);
    assert_eq!(plan["users_per_connection"], 80.0);
    assert_eq!(plan["utilisation"], 0.8);
    let wait = |key: &str| plan[key].as_f64().unwrap();
    assert!((wait("wait_ms_mean") - 0.836).abs() < 0.001, "{}", wait("wait_ms_mean"));
    assert!((wait("wait_ms_p99") - 12.16).abs() < 0.01, "{}", wait("wait_ms_p99"));
    assert!(plan["curve"].as_array().unwrap().iter().any(|point| point["connections"] == 25));
    assert_eq!(plan["settings"], serde_json::json!([]));
    assert_eq!(plan["observed"], serde_json::Value::Null);
    assert_eq!(plan["files"], serde_json::json!([]));
}

#[test]
fn settings_are_part_of_the_document() {
    let plan = json(&[&LOAD[..], &super::MACHINE].concat(), 0);
    let settings = plan["settings"].as_array().unwrap();
    let buffers = settings.iter().find(|setting| setting["name"] == "shared_buffers").unwrap();
    assert_eq!((&buffers["recommended"], &buffers["live"]), (&"8GB".into(), &serde_json::Value::Null));
}

/// Nonsense ends with 2, a sentence that names the option, and no plan.
#[test]
fn nonsense_is_refused() {
    for (arguments, words) in [
        (&["--instances", "0"][..], "--instances"),
        (&["--instances", "-3"], "--instances"),
        (&["--instances", "2.5"], "--instances"),
        (&["--instances", "99999999999"], "--instances"),
        (&["--safety-margin", "1.5"], "--safety-margin"),
        (&["--safety-margin", "0"], "--safety-margin"),
        (&["--safety-margin", "-0.5"], "--safety-margin"),
        (&["--safety-margin", "NaN"], "--safety-margin"),
        (&["--rps", "-5"], "--rps"),
        (&["--rps", "0"], "--rps"),
        (&["--rps", "NaN"], "--rps"),
        (&["--rps", "inf"], "--rps"),
        (&["--rps", "-inf"], "--rps"),
        (&["--rps", "--json"], "--rps"),
        (&["--rps", "many"], "--rps"),
        (&["--rps", "1,000"], "--rps"),
        (&["--rps", ""], "--rps"),
        (&["--rps", "1e300"], "--rps"),
        (&["--peak-rps", "10"], "--peak-rps"),
        (&["--service-ms", "0"], "--service-ms"),
        (&["--service-ms", "-1"], "--service-ms"),
        (&["--service-ms", "nan"], "--service-ms"),
        (&["--service-p95-ms", "1"], "--service-p95-ms"),
        (&["--service-p95-ms", "1e9"], "--service-p95-ms"),
        (&["--p99-wait-ms", "-1"], "--p99-wait-ms"),
        (&["--p99-wait-ms", "inf"], "--p99-wait-ms"),
        (&["--db-max-connections", "0"], "--db-max-connections"),
        (&["--db-reserved-connections", "100"], "--db-reserved-connections"),
        (&["--pool-size", "0"], "--pool-size"),
        (&["--cores", "0", "--memory", "1GB"], "cores"),
        (&["--cores", "2", "--memory", "1MB"], "memory"),
        (&["--memory", "64"], "--memory"),
        (&["--storage", "tape"], "--storage"),
        (&["--pg-version", "9.6", "--cores", "2", "--memory", "1GB"], "from 13 on"),
        (&["--nonsense"], "--nonsense"),
    ] {
        let kept = LOAD.chunks(2).filter(|pair| !arguments.contains(&pair[0])).flatten().copied();
        let all: Vec<&str> = kept.chain(arguments.iter().copied()).collect();
        for json in [&[][..], &["--json"]] {
            refused(&plan(&[&all[..], json].concat()), 2, words);
        }
    }
}

#[test]
fn exponents_are_numbers() {
    let plan = json(&["--rps", "1e3", "--service-ms", "2e1", "--instances", "5"], 0);
    assert_eq!(plan["total_min_connections"], 20);
    let assumptions = plan["assumptions"].to_string();
    assert!(assumptions.contains("--db-max-connections") && !assumptions.contains("--service-ms"));
}

#[test]
fn a_rate_is_needed() {
    refused(&plan(&[]), 2, "pgprime plan --rps 1000");
    refused(&super::command(&[]).env("DATABASE_URL", "").output().unwrap(), 2, "--rps is missing");
}

#[test]
fn more_than_the_database_can_carry_is_a_finding() {
    let load = ["--rps", "10000", "--service-ms", "20", "--db-max-connections", "100"];
    let document = json(&load, 1);
    assert_eq!(document["wait_ms_mean"], serde_json::Value::Null);
    assert!(document["min_connections"].as_u64() <= document["max_connections"].as_u64());
    assert_eq!(document["findings"][0]["severity"], "critical");
    let output = plan(&load);
    assert_eq!(output.status.code(), Some(1), "{}", stderr_of(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("critical") && text.contains("→"), "{text}");
}

/// For people: every line fits, and nothing is coloured where there is no terminal.
#[test]
fn the_report_can_be_read_anywhere() {
    for arguments in [[&LOAD[..], &super::MACHINE].concat(), vec!["--rps", "1", "--users", "1"]] {
        let text = stdout_of(&plan(&arguments));
        assert!(!text.contains('\x1b'));
        for heading in
            ["Sizes", "Waiting for a connection", "Pools of each instance", "Next steps", "Assumed"]
        {
            assert!(text.lines().any(|line| line == heading), "{heading} in {text}");
        }
        let commands = text.lines().filter(|line| line.starts_with("    pgprime plan "));
        let is_command = |line: &&str| commands.clone().any(|command| command == *line);
        for line in text.lines().filter(|line| !is_command(line)) {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }
}

#[test]
fn help_hides_the_address_of_the_environment() {
    let url = "postgresql://app:topsecret@127.0.0.1:1/db";
    let output = super::command(&["--help"]).env("DATABASE_URL", url).output().unwrap();
    let text = stdout_of(&output);
    assert!(text.contains("DATABASE_URL") && !text.contains("topsecret"), "{text}");
}

/// Whether prediction and measurement agree is a matter of chance on a busy machine; that it was measured is not.
#[test]
fn a_plan_is_verified_by_a_load() {
    let output = plan(&[&LOAD[..], &["--verify", "--verify-seconds", "2", "--json"]].concat());
    let document: serde_json::Value = serde_json::from_str(&String::from_utf8_lossy(&output.stdout)).unwrap();
    let size = &document["verified"]["sizes"][0];
    assert_eq!(size["size"], 25, "{size}");
    let (sent, answered) =
        (size["requests_sent"].as_u64().unwrap(), size["requests_answered"].as_u64().unwrap());
    assert!(sent > 1_000 && sent == answered, "{size}");
    assert_eq!(size["sessions_left"], 0, "{size}");
    let measured = size["measured"]["wait_ms_p99"]["value"].as_f64().unwrap();
    assert!(measured.is_finite(), "{size}");
}

/// What has no waiting time is not run.
#[test]
fn an_overload_is_not_verified() {
    let output = plan(&[&LOAD[2..], &["--rps", "9000", "--verify", "--json"]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr_of(&output).contains("not verified"), "{}", stderr_of(&output));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["verified"], serde_json::Value::Null);
    assert_eq!(document["wait_ms_p99"], serde_json::Value::Null);
    assert_eq!((&document["total_min_connections"], &document["min_connections"]), (&80.into(), &16.into()));
}
