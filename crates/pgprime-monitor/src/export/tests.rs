use std::path::PathBuf;

use pgprime_cache::{LabelReport, Report as CacheReport};

use super::*;
use crate::health::{Check, Group, HealthReport, Status, Thresholds, Unit};
use crate::pooler::{PoolerKind, PoolerPool, PoolerReport, PoolerTotals};

#[test]
fn the_files_in_deploy_are_what_the_definitions_give() {
    let deploy = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    for (file, text) in
        [("prometheus/pgprime-alerts.yml", prometheus_rules()), ("grafana/pgprime.json", grafana_dashboard())]
    {
        let path = deploy.join(file);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == text,
            "deploy/{file} is out of date: UPDATE=1 cargo test -p pgprime-monitor --lib export"
        );
    }
}

fn pool(database: &str, user: &str, clients: u64) -> PoolerPool {
    PoolerPool {
        database: database.to_owned(),
        user: user.to_owned(),
        mode: "transaction".to_owned(),
        clients_active: clients,
        clients_waiting: 3,
        servers_active: 2,
        servers_idle: 1,
        servers_other: 0,
        wait_s_max: 0.25,
        size_max: Some(20),
        paused: false,
    }
}

fn pooler(pools: Vec<PoolerPool>) -> PoolerReport {
    PoolerReport {
        latency: None,
        taken_at: jiff::Timestamp::from_second(1_763_888_400).unwrap(),
        kind: PoolerKind::Pgbouncer,
        version: "PgBouncer 1.25.0".to_owned(),
        pools,
        databases: Vec::new(),
        totals: PoolerTotals { transactions: 10, queries: 20, wait_us: 1_500_000, ..PoolerTotals::default() },
        clients: 9,
        clients_max: None,
        servers: 3,
    }
}

fn health() -> HealthReport {
    let check = |id: &str, status, value, thresholds| Check {
        id: id.to_owned(),
        group: Group::Connections,
        title: String::new(),
        status,
        value,
        unit: Unit::Percent,
        thresholds,
        text: String::new(),
        trend: None,
        action: None,
        statement: None,
        details: Vec::new(),
        is_tentative: false,
    };
    HealthReport {
        taken_at: jiff::Timestamp::from_millisecond(1_763_888_400_500).unwrap(),
        status: Status::Warning,
        server_version: None,
        in_recovery: None,
        took_ms: 12.5,
        checks: vec![
            check(
                "connections.used",
                Status::Warning,
                Some(83.5),
                Some(Thresholds { warning: 80.0, critical: 90.0 }),
            ),
            check(
                "locks.waiting",
                Status::Unknown,
                None,
                Some(Thresholds { warning: 5.0, critical: f64::INFINITY }),
            ),
        ],
        missing: Vec::new(),
    }
}

fn exposed() -> String {
    let label = LabelReport {
        label: "quotes \"all\"\\\n".to_owned(),
        hits_memory: 7,
        misses: 2,
        ..LabelReport::default()
    };
    let cache = CacheReport {
        total: label.clone(),
        labels: vec![label],
        memory_bytes: 1_024,
        memory_bytes_max: 4_096,
        memory_entries: 3,
        flights: 0,
        invalidations: 0,
        redis: None,
    };
    let (health, pooler) = (health(), pooler(vec![pool("insurance", "app", 4)]));
    prometheus_text(&Exposed {
        health: Some(&health),
        watching: Some(Watching {
            last_round_at: Some(health.taken_at),
            stale_after: std::time::Duration::from_secs(30),
        }),
        poolers: &[&pooler],
        cache: Some(&cache),
        alerts: None,
    })
}

#[test]
fn metrics_are_in_the_format_of_prometheus() {
    let text = exposed();
    for line in [
        "# TYPE pgprime_check_status gauge",
        "pgprime_check_status{check=\"connections.used\"} 2",
        "pgprime_check_status{check=\"locks.waiting\"} 1",
        "pgprime_check_value{check=\"connections.used\"} 83.5",
        "pgprime_check_threshold{check=\"locks.waiting\",severity=\"warning\"} 5",
        "pgprime_health_taken_timestamp_seconds 1763888400.5",
        "pgprime_health_last_round_seconds 1763888400.5",
        "pgprime_health_stale_after_seconds 30",
        "pgprime_pool_clients_waiting{pooler=\"pgbouncer\",database=\"insurance\",user=\"app\"} 3",
        "pgprime_pooler_wait_seconds_total{pooler=\"pgbouncer\"} 1.5",
        "pgprime_cache_hits_total{query=\"quotes \\\"all\\\"\\\\\\n\"} 7",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains("Inf") && !text.contains("clients_max{"), "what is not known is left out");
    assert!(text.ends_with('\n'));
    let mut families = std::collections::BTreeSet::new();
    for name in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        assert!(families.insert(name.split(' ').next().unwrap()), "{name} twice");
    }
    if let Some(file) = std::env::var_os("METRICS_FILE") {
        std::fs::write(file, &text).unwrap();
    }
}

#[test]
fn before_the_first_round_the_last_one_is_in_1970() {
    let watching = Watching { last_round_at: None, stale_after: std::time::Duration::from_secs(30) };
    let text = prometheus_text(&Exposed { watching: Some(watching), ..Exposed::default() });
    assert!(text.contains("\npgprime_health_last_round_seconds 0\n"), "{text}");
}

#[test]
fn the_number_of_pools_is_bounded() {
    let pools = (0..300).map(|number| pool(&format!("db{number:03}"), "app", number)).collect();
    let pooler = pooler(pools);
    let text = prometheus_text(&Exposed { poolers: &[&pooler], ..Exposed::default() });
    let waiting: Vec<&str> =
        text.lines().filter(|line| line.starts_with("pgprime_pool_clients_waiting{")).collect();
    assert_eq!(waiting.len(), 201);
    let others =
        "pgprime_pool_clients_waiting{pooler=\"pgbouncer\",database=\"(others)\",user=\"(others)\"} 300";
    assert_eq!(waiting.last(), Some(&others), "100 pools with 3 each");
}

#[test]
fn every_rule_and_panel_is_about_something_exposed() {
    let rules = prometheus_rules();
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let names: std::collections::BTreeSet<&&str> = alerts.iter().collect();
    assert_eq!(names.len(), alerts.len());
    assert_eq!(alerts.len(), crate::alerts::default_rules().len() + 2);
    let exposed = exposed();
    let board = grafana_dashboard();
    for text in [&rules, &board] {
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            let is_metric = word.starts_with("pgprime_") && word != "pgprime_alerts_firing";
            assert!(!is_metric || exposed.contains(&format!("# TYPE {word} ")), "{word}");
        }
    }
}

#[test]
fn rules_fire_as_their_tests_say() {
    let deploy = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/prometheus");
    let folder = tempfile::tempdir().unwrap();
    let tests = folder.path().join("pgprime-alerts.test.yml");
    std::fs::copy(deploy.join("pgprime-alerts.test.yml"), &tests).unwrap();
    std::fs::write(folder.path().join("pgprime-alerts.yml"), prometheus_rules()).unwrap();
    let output = match std::process::Command::new("promtool").args(["test", "rules"]).arg(tests).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: there is no promtool here");
            return;
        }
        output => output.unwrap(),
    };
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

/// What Grafana does not show otherwise: no two panels in one place, and nothing to ask that is not a variable.
#[test]
fn the_dashboard_can_be_drawn() {
    let board: serde_json::Value = serde_json::from_str(&grafana_dashboard()).unwrap();
    let rows = board["panels"].as_array().unwrap();
    let nested = rows.iter().flat_map(|row| row["panels"].as_array().into_iter().flatten());
    let panels: Vec<&serde_json::Value> = rows.iter().chain(nested).collect();
    let ids: std::collections::BTreeSet<u64> =
        panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let place =
        |panel: &serde_json::Value| ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
    for (index, panel) in panels.iter().enumerate() {
        let [x, y, w, h] = place(panel);
        assert!(x + w <= 24, "{panel}");
        for other in &panels[index + 1..] {
            let [left, top, width, height] = place(other);
            let is_beside = x + w <= left || left + width <= x || y + h <= top || top + height <= y;
            assert!(is_beside, "{} and {}", panel["title"], other["title"]);
        }
        for target in panel["targets"].as_array().into_iter().flatten() {
            let known =
                target["expr"].as_str().unwrap().replace("$instance", "").replace("$__rate_interval", "");
            assert!(!known.contains('$') && target["datasource"]["uid"] == "${datasource}", "{target}");
        }
    }
}
