//! One node: started, stopped, killed, paused, configured.

use std::net::TcpListener;
use std::path::Path;

use pgprime_cluster::{Cluster, ClusterError, ClusterOptions, Installation, Node, SharedCluster, StopMode};

use crate::processes::living;

/// For tests that leave the node as it is.
static SHARED: SharedCluster =
    SharedCluster::new(|| ClusterOptions::default().with_setting("work_mem", "7MB"));

#[test]
fn a_node_is_stopped_started_killed_and_paused() {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let node = cluster.primary();
    node.psql("postgres", "CREATE TABLE kept AS SELECT 42 AS x; CHECKPOINT").unwrap();
    let kept = || node.psql("postgres", "SELECT x FROM kept");
    let port = node.port();

    for mode in [StopMode::Fast, StopMode::Immediate] {
        node.stop(mode).unwrap();
        node.stop(mode).unwrap();
        assert!(!node.is_running());
        assert_eq!(node.postmaster_pid(), None);
        assert!(matches!(kept(), Err(ClusterError::Sql { .. })));
        assert!(matches!(node.pause(), Err(ClusterError::NotRunning { .. })));
        node.start().unwrap();
        node.start().unwrap();
        assert_eq!(kept().unwrap(), "42");
    }

    let first = node.postmaster_pid().unwrap();
    node.restart(StopMode::Fast).unwrap();
    assert_ne!(node.postmaster_pid(), Some(first));

    node.kill();
    node.kill();
    assert!(!node.is_running());
    node.start().unwrap();
    assert_eq!(kept().unwrap(), "42");

    assert_eq!(node.port(), port);
    pause_and_resume(node);
    stop_while_paused(node);
}

fn pause_and_resume(node: &Node) {
    node.pause().unwrap();
    assert!(node.is_running());
    std::thread::scope(|scope| {
        let statement = scope.spawn(|| node.psql("postgres", "SELECT 'answered'"));
        assert!(states(node).iter().all(|state| state.starts_with('T')), "{:?}", states(node));
        assert!(!statement.is_finished());
        node.resume().unwrap();
        assert_eq!(statement.join().unwrap().unwrap(), "answered");
    });
}

fn stop_while_paused(node: &Node) {
    node.pause().unwrap();
    node.stop(StopMode::Fast).unwrap();
    assert!(!node.is_running());
    node.start().unwrap();
    node.pause().unwrap();
    node.kill();
    assert!(!node.is_running());
}

/// The states of the postmaster and its children.
fn states(node: &Node) -> Vec<String> {
    let postmaster = node.postmaster_pid().unwrap();
    let own = living().into_iter().filter(|process| [process.pid, process.parent].contains(&postmaster));
    own.map(|process| process.state).collect()
}

#[test]
fn a_taken_port_is_reported_and_the_node_starts_when_it_is_free() {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let node = cluster.primary();
    node.stop(StopMode::Immediate).unwrap();
    let holder = TcpListener::bind(("127.0.0.1", node.port())).unwrap();
    let error = node.start().unwrap_err();
    assert!(matches!(error, ClusterError::PortTaken { port, .. } if port == node.port()), "{error}");
    assert!(!node.is_running());
    drop(holder);
    node.start().unwrap();
}

#[test]
fn a_node_that_cannot_start_shows_its_log() {
    let options = ClusterOptions::default().with_setting("shared_buffers", "many");
    let error = Cluster::start(&options).unwrap_err();
    assert!(matches!(error, ClusterError::Start { .. }), "{error}");
    assert!(error.to_string().contains("invalid value for parameter \"shared_buffers\""), "{error}");
}

#[test]
fn a_folder_without_the_programs_is_refused() {
    let error = Installation::at(Path::new("/")).unwrap_err();
    assert!(error.to_string().contains("postgres, initdb, pg_basebackup, pg_ctl, psql missing"), "{error}");
    let found = Installation::find().unwrap();
    assert!(found.version_major() >= 13);
    assert_eq!(Installation::at(found.bin_dir()).unwrap(), found);
    assert!(Installation::all().contains(&found));
}

#[test]
fn access_is_what_pg_hba_says() {
    let options = ClusterOptions::default().with_hba(["host all all 127.0.0.1/32 scram-sha-256"]);
    let cluster = Cluster::start(&options).unwrap();
    let node = cluster.primary();
    let rules =
        "SELECT string_agg(type || ' ' || auth_method, ', ' ORDER BY line_number) FROM pg_hba_file_rules";
    assert_eq!(node.psql("postgres", rules).unwrap(), "local trust, local trust, host scram-sha-256");

    node.set_hba(&["host all all 127.0.0.1/32 md5".to_owned()]).unwrap();
    assert_eq!(node.psql("postgres", rules).unwrap(), "local trust, local trust, host md5");

    let error = node.set_hba(&["host all all nonsense".to_owned()]).unwrap_err();
    assert!(matches!(error, ClusterError::Hba { .. }), "{error}");
    assert_eq!(node.psql("postgres", rules).unwrap(), "local trust, local trust, host md5");

    node.psql("postgres", "ALTER SYSTEM SET work_mem = '9MB'").unwrap();
    node.reload().unwrap();
    assert_eq!(node.psql("postgres", "SHOW work_mem").unwrap(), "9MB");
}

#[test]
fn statements_and_databases() {
    let cluster = SHARED.cluster();
    let node = cluster.primary();
    let names = [cluster.test_database("orders").unwrap(), cluster.test_database("orders").unwrap()];
    assert_ne!(names[0], names[1]);
    for name in &names {
        assert_eq!(
            node.psql(name, "SELECT current_database(); SELECT 1, 'ä'").unwrap(),
            format!("{name}\n1|ä")
        );
    }

    let error = node.psql(&names[0], "SELECT 1;\nSELECT x FROM nowhere; SELECT 3").unwrap_err().to_string();
    assert!(error.contains("relation \"nowhere\" does not exist") && error.contains(&names[0]), "{error}");
    assert!(node.create_database(&names[0]).is_err());

    let large = format!("SELECT length('{}')", "x".repeat(300_000));
    let statements = vec![large; 3].join(";\n");
    assert_eq!(node.psql(&names[0], &statements).unwrap(), "300000\n300000\n300000");
    let echoed = node.psql(&names[0], "SELECT repeat('y', 500000)").unwrap();
    assert_eq!(echoed.len(), 500_000);
}

#[test]
fn settings_and_addresses() {
    let cluster = SHARED.cluster();
    let node = cluster.primary();
    let show = |name: &str| node.psql("postgres", &format!("SHOW {name}")).unwrap();
    for (name, value) in [
        ("work_mem", "7MB"),
        ("fsync", "off"),
        ("full_page_writes", "off"),
        ("synchronous_commit", "off"),
        ("shared_preload_libraries", "pg_stat_statements"),
        ("pg_stat_statements.track", "all"),
        ("listen_addresses", "127.0.0.1"),
        ("autovacuum", "on"),
        ("server_encoding", "UTF8"),
        ("cluster_name", node.cluster_name()),
    ] {
        assert_eq!(show(name), value, "{name}");
    }
    assert_eq!(show("port"), node.port().to_string());
    assert_eq!(node.psql("postgres", "CREATE EXTENSION IF NOT EXISTS pg_stat_statements").unwrap(), "");
    assert!(node.log().contains("database system is ready to accept connections"));

    let installation = Installation::find().unwrap();
    for url in [node.url("postgres"), node.socket_url("postgres")] {
        let mut psql = std::process::Command::new(installation.bin_dir().join("psql"));
        let output = psql.args(["-XAtc", "SELECT current_user", &url]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "postgres\n", "{url}");
    }
    assert!(node.socket_dir().join(format!(".s.PGSQL.{}", node.port())).as_os_str().len() <= 103);
}
