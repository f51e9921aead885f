//! The plans kept are what a real server prints: each case is run again, and the same problems are found.
//!
//! `PGPRIME_WRITE_PLANS=1` writes the plans of the server that is found; `PGPRIME_PG_BIN` names another one.

use pgprime_cluster::{Cluster, ClusterOptions, Installation, Node};

use super::cases::{self, Case};

const DATABASE: &str = "plans";

#[test]
fn kept_plans_are_a_servers() {
    let installation = Installation::find().unwrap();
    let version = installation.version_major();
    let cluster = start(installation);
    let node = cluster.primary();
    node.create_database(DATABASE).unwrap();
    node.psql(DATABASE, cases::schema()).unwrap();
    let is_writing = std::env::var_os("PGPRIME_WRITE_PLANS").is_some();
    let closest =
        cases::VERSIONS.into_iter().rev().find(|&kept| kept <= version).unwrap_or(cases::VERSIONS[0]);
    // Version 14 was the first to remember what inner sides gave.
    let is_known = |case: &Case| version >= 14 || case.name != "memoize_evictions";
    for case in cases::cases().iter().filter(|case| case.runs_on(closest) && is_known(case)) {
        // The first run reads what the others find in memory, and sets hint bits.
        let _ = explain(node, version, case, "JSON");
        let (json, text) = (explain(node, version, case, "JSON"), explain(node, version, case, "TEXT"));
        if is_writing {
            write(case, version, "json", &json);
            write(case, version, "txt", &text);
        } else {
            super::rules::check(case, &json, "json", super::rules::Timing::OfAnotherMachine);
            super::rules::check(case, &text, "txt", super::rules::Timing::OfAnotherMachine);
        }
    }
    if is_writing {
        write_log(node, version);
    }
}

fn start(installation: Installation) -> Cluster {
    let settings = [
        ("autovacuum", "off"),
        ("timezone", "UTC"),
        ("jit", "on"),
        ("track_io_timing", "on"),
        ("shared_preload_libraries", "auto_explain"),
        ("auto_explain.log_analyze", "on"),
        ("auto_explain.log_buffers", "on"),
    ];
    let options = ClusterOptions::default().with_installation(installation);
    let options =
        settings.into_iter().fold(options, |options, (name, value)| options.with_setting(name, value));
    Cluster::start(&options).unwrap()
}

fn explain(node: &Node, version: u32, case: &Case, format: &str) -> String {
    let mut script = case.script(format);
    if version < 14 {
        // Nothing is remembered there.
        script = script.replace("SET LOCAL enable_memoize = off;", "");
    }
    node.psql(DATABASE, &script).unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

fn write(case: &Case, version: u32, extension: &str, plan: &str) {
    let path = case.path(version, extension);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, without_line_ends(plan)).unwrap();
}

fn without_line_ends(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// What auto_explain writes into the server's log, in both formats.
fn write_log(node: &Node, version: u32) {
    for format in ["text", "json"] {
        let statement = format!(
            "SET auto_explain.log_min_duration = 0; SET auto_explain.log_format = {format};\n\
             SELECT id,\n       comment /* logged as {format} */\nFROM orders\nWHERE id <= 20000;"
        );
        let before = node.log().len();
        node.psql(DATABASE, &statement).unwrap();
        let log = node.log();
        let written = without_line_ends(&log[before..]);
        std::fs::write(
            cases::plans_dir().join(version.to_string()).join(format!("auto_explain_{format}.log")),
            written,
        )
        .unwrap();
    }
}
