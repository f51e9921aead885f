//! Demo and benchmark with a real pooler, where one is installed.

use std::path::Path;

use pgprime_demo::{
    BenchOptions, DemoOptions, Findings, LoadObserver, LoadedServer, PoolerCommand, Protocol, Statements,
    bench, demo,
};

const POOLER: &str = "/usr/sbin/pgbouncer";

/// The command that starts the installed pooler; it refuses to run as root.
pub(crate) fn pooler_command() -> Option<String> {
    let is_root = nix::unistd::geteuid().is_root();
    let user = if is_root { "-u postgres" } else { "" };
    Path::new(POOLER).exists().then(|| format!("{POOLER} -q {user} {{config}}"))
}

/// Says that it was asked, and where.
#[derive(Default)]
struct Observer {
    looks: Vec<&'static str>,
}

impl LoadObserver for Observer {
    fn load_begins(&mut self, server: &LoadedServer) -> anyhow::Result<()> {
        assert!(server.database_url.ends_with("/insurance") && server.pooler_url.ends_with("/pgbouncer"));
        self.looks.push("begins");
        Ok(())
    }

    fn load_ended(&mut self, _: &LoadedServer) -> anyhow::Result<Findings> {
        self.looks.push("ended");
        Ok(Findings { text: "found\n".to_owned(), json: "found".into() })
    }
}

#[test]
fn a_demo_through_an_installed_pooler_is_clean() {
    let Some(command) = pooler_command() else { return };
    let mut options = DemoOptions::new(PoolerCommand::Template(command));
    (options.clients, options.seconds, options.scale, options.rate) = (60, 1, 0.002, 300.0);
    // Old releases lose named statements in transaction mode.
    options.statements = Statements::Unnamed;
    let mut observer = Observer::default();
    let report = demo(&options, Some(&mut observer)).unwrap();
    assert!(report.is_clean(), "{}", report.text());
    assert_eq!(observer.looks, ["begins", "ended"]);
    assert_eq!(report.findings, Some("found".into()));
    assert!(report.back_office.requests >= 1, "{}", report.text());
    assert!((1..=25).contains(&report.servers_max), "{}", report.text());
    assert!((1..=25).contains(&report.sessions_max), "{}", report.text());
    assert!(report.memory_loaded_kib >= report.memory_before_kib && report.memory_before_kib > 0);
}

#[test]
fn a_benchmark_compares_the_installed_pooler() {
    let Some(command) = pooler_command() else { return };
    let mut options = BenchOptions::new(None);
    options.add_peer(&format!("installed={command}")).unwrap();
    (options.clients, options.seconds, options.logins) = (vec![30], 1, 200);
    options.protocols = vec![Protocol::Simple, Protocol::Extended];
    let report = bench(&options).unwrap();
    assert!(report.is_clean(), "{}", report.text());
    assert_eq!((report.runs.len(), report.logins.len(), report.targets.len()), (4, 2, 1));
    assert!(report.runs.iter().all(|run| run.requests > 0 && run.connections == 30));
}

#[test]
fn a_pooler_that_does_not_start_is_named() {
    let mut options = BenchOptions::new(None);
    options.add_peer("broken=false {config}").unwrap();
    let error = format!("{:#}", bench(&options).unwrap_err());
    assert!(error.contains("starting broken"), "{error}");
}
