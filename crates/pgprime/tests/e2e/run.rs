//! `pgprime run`: everything at once, from a URL alone and from a configuration.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgprime_cluster::{Cluster, ClusterOptions, StopMode, free_port};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{cluster, psql, stderr_of, wait_until};

/// A system that runs. Ended with SIGQUIT when dropped; its log is shown when the test has failed.
pub(crate) struct Running {
    child: Child,
    dir: TempDir,
    pooler_port: u16,
    api: String,
}

pub(crate) fn command(url: Option<&str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgprime"));
    for name in ["DATABASE_URL", "DATABASE_READ_URL", "REDIS_URL", "PGPRIME_CONFIG", "PGPRIME_PGBOUNCER_URL"]
    {
        command.env_remove(name);
    }
    command.envs(url.map(|url| ("DATABASE_URL", url))).arg("run").stdin(Stdio::null());
    command
}

impl Running {
    /// Starts it with this configuration, beside which files may lie.
    pub(crate) fn start(url: Option<&str>, config: Option<&str>, more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pooler_port = free_port();
        let mut command = command(url);
        command.args(["--listen", "127.0.0.1:0", "--pooler-port", &pooler_port.to_string()]).args(more);
        if let Some(config) = config {
            std::fs::write(dir.path().join("pgprime.toml"), config).unwrap();
        }
        let mut running = Self::launch(command, dir, pooler_port);
        running.wait_for_interface();
        running
    }

    /// Starts this command in the folder, where it keeps its histories and finds its configuration.
    pub(crate) fn launch(mut command: Command, dir: TempDir, pooler_port: u16) -> Self {
        let log = File::create(dir.path().join("log")).unwrap();
        command.arg("--state").arg(dir.path().join("state")).current_dir(dir.path());
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Self { child, dir, pooler_port, api: String::new() }
    }

    pub(crate) fn wait_for_interface(&mut self) {
        wait_until("the interface is there", || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "it has ended: {}", self.log());
            let log = self.log();
            let address = log.split("dashboard=\"http://").nth(1).and_then(|rest| rest.split('"').next());
            self.api = address.unwrap_or_default().to_owned();
            !self.api.is_empty()
        });
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// Status and body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.api).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.api);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn monitoring(&self, path: &str) -> Value {
        let (status, body) = self.get(&format!("/api/v1/monitoring/{path}"));
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// The status of a check, once there was a look.
    pub(crate) fn check(&self, id: &str) -> Option<String> {
        let (status, body) = self.get("/api/v1/monitoring/health");
        let report: Value = serde_json::from_str(&body).unwrap();
        let checks = report["checks"].as_array().filter(|_| status == 200)?;
        let check = checks.iter().find(|check| check["id"] == id)?;
        Some(check["status"].as_str()?.to_owned())
    }

    /// Where REST is, as host and port.
    pub(crate) fn api(&self) -> &str {
        &self.api
    }

    pub(crate) fn pooler_port(&self) -> u16 {
        self.pooler_port
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("it ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            self.signal(Signal::SIGQUIT);
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

#[test]
fn a_url_is_enough_for_the_whole_system() {
    let (node, database) = (cluster().primary(), cluster().test_database("run").unwrap());
    let url = node.url(&database);
    let mut running = Running::start(Some(&url), None, &[]);
    let user = url.split("//").nth(1).unwrap().split('@').next().unwrap().to_owned();
    let through = format!("postgres://{user}@127.0.0.1:{}/{database}", running.pooler_port);
    wait_until("the pooler serves", || {
        psql().args(["-c", "SELECT 41 + 1", &through]).output().unwrap().status.success()
    });

    wait_until("there was a look", || running.check("database.up").as_deref() == Some("ok"));
    let pools = running.monitoring("pool-stats");
    assert_eq!(
        (&pools["pooler"]["kind"], &pools["pooler"]["clients_max"]),
        (&"pgprime".into(), &10_000.into())
    );
    assert_eq!(pools["pooler"]["pools"][0]["database"], database.as_str());
    for path in
        ["connections", "bloat", "checklist", "alerts", "views", "cache", "admin/metrics", "history/series"]
    {
        running.monitoring(path);
    }
    let (status, page) = running.get("/");
    assert!(status == 200 && page.contains("pgprime"), "{page}");
    let (status, metrics) = running.get("/metrics");
    assert!(status == 200 && metrics.contains("pgprime_check_status{check=\"database.up\"} 0"), "{metrics}");
    // What is deployed beside it asks for nothing else; the cache's figures come with its connections.
    for file in ["grafana/pgprime.json", "prometheus/pgprime-alerts.yml"] {
        let asked = deployed(file);
        let words = asked.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let names: BTreeSet<&str> = words.filter(|word| word.starts_with("pgprime_")).collect();
        for name in names {
            let line = format!("# TYPE {name} ");
            wait_until(&format!("{file} finds {name}"), || running.get("/metrics").1.contains(&line));
        }
    }

    running.signal(Signal::SIGTERM);
    assert!(running.ended().success(), "{}", running.log());
    for file in ["series.sqlite", "alerts.sqlite"] {
        assert!(running.dir.path().join("state").join(file).exists(), "{file}");
    }
    assert!(!running.log().contains("panicked"), "{}", running.log());
}

#[test]
fn settings_are_read_again_at_sighup() {
    let (node, database) = (cluster().primary(), cluster().test_database("run").unwrap());
    let config = |size: u32| {
        format!("[pooler]\ndefault_pool_size = {size}\nadmin_users = 'admin'\nauth_type = 'any'\n")
    };
    let running = Running::start(Some(&node.url(&database)), Some(&config(7)), &[]);
    let path = running.dir.path().join("pgprime.toml");
    let console = format!("postgres://admin@127.0.0.1:{}/pgbouncer", running.pooler_port);
    let size = || {
        let output = psql().args(["-F", "|", "-c", "SHOW DATABASES", &console]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines()
            .find(|line| line.starts_with(&database))
            .and_then(|line| line.split('|').nth(5))
            .map(str::to_owned)
    };
    wait_until("the size holds", || size().as_deref() == Some("7"));
    std::fs::write(&path, "[pooler]\ndefault_pool_size = 'many'").unwrap();
    running.signal(Signal::SIGHUP);
    wait_until("the mistake is said", || running.log().contains("the configuration in force stays"));
    assert_eq!(size().as_deref(), Some("7"));
    std::fs::write(&path, config(9)).unwrap();
    running.signal(Signal::SIGHUP);
    wait_until("the new size holds", || size().as_deref() == Some("9"));
}

#[test]
fn declared_views_are_refreshed_and_figures_served() {
    let (node, database) = (cluster().primary(), cluster().test_database("run").unwrap());
    let url = node.url(&database);
    node.psql(
        &database,
        "CREATE TABLE quotes AS SELECT n AS id, 'car' AS product FROM generate_series(1, 100) n",
    )
    .unwrap();
    let config = "[pooler]\nenabled = false\n\
        [[views]]\nname = 'public.by_product'\nsql = 'SELECT product, count(*) AS quotes FROM public.quotes GROUP BY 1'\n\
        unique_key = ['product']\nschedule = '1s'\n\
        [[figures]]\nname = 'quotes'\ntitle = 'Quotes'\nsql = 'SELECT product, quotes FROM public.by_product'\nttl = '1h'\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config).unwrap();
    let mut apply = Command::new(env!("CARGO_BIN_EXE_pgprime"));
    let apply = apply.args(["views", "apply", "--database-url", &url, "--config"]).arg(file.path());
    let output = apply.env_remove("REDIS_URL").output().unwrap();
    assert!(output.status.success(), "{}", stderr_of(&output));

    let running = Running::start(Some(&url), Some(config), &[]);
    let quotes = || {
        let metrics = running.monitoring("admin/metrics");
        metrics["figures"][0]["rows"][0]["quotes"].clone()
    };
    wait_until("the figure is there", || quotes() == 100);
    assert_eq!(quotes(), 100, "from the cache");
    node.psql(&database, "INSERT INTO quotes SELECT n, 'car' FROM generate_series(101, 150) n").unwrap();
    // Its time to live is an hour: only the refresh makes it new.
    wait_until("the view is refreshed, and the cache hears of it", || quotes() == 150);
    assert_eq!(running.monitoring("pool-stats")["pooler"], Value::Null);
}

#[test]
fn figures_are_new_when_other_programs_have_changed_their_tables() {
    let (node, database) = (cluster().primary(), cluster().test_database("run").unwrap());
    let url = node.url(&database);
    node.psql(&database, "CREATE TABLE quotes AS SELECT n AS id FROM generate_series(1, 100) n").unwrap();
    let mut install = Command::new(env!("CARGO_BIN_EXE_pgprime"));
    let output =
        install.args(["cache", "triggers", "public.quotes", "--install", "--database-url", &url]).output();
    assert!(output.as_ref().unwrap().status.success(), "{}", stderr_of(&output.unwrap()));

    let config = "[pooler]\nenabled = false\n[cache]\nlisten = true\n\
        [[figures]]\nname = 'quotes'\ntitle = 'Quotes'\nsql = 'SELECT count(*) AS quotes FROM public.quotes'\nttl = '1h'\n";
    let running = Running::start(Some(&url), Some(config), &[]);
    let quotes = || running.monitoring("admin/metrics")["figures"][0]["rows"][0]["quotes"].clone();
    wait_until("the figure is there", || quotes() == 100);
    node.psql(&database, "INSERT INTO quotes SELECT n FROM generate_series(101, 150) n").unwrap();
    wait_until("the cache hears of it", || quotes() == 150);
}

#[test]
fn a_database_that_is_away_is_waited_for() {
    let own = Cluster::start(&ClusterOptions::default()).unwrap();
    own.primary().stop(StopMode::Fast).unwrap();
    let running = Running::start(Some(&own.primary().url("postgres")), None, &[]);
    wait_until("it is said to be down", || running.check("database.up").as_deref() == Some("critical"));
    let (status, body) = running.get("/api/v1/monitoring/bloat");
    assert!(status == 503 && body.contains("cannot reach"), "{status} {body}");
    let connections = running.monitoring("connections");
    assert!(connections["missing"][0]["why"].as_str().unwrap().contains("cannot reach"), "{connections}");
    own.primary().start().unwrap();
    wait_until("it is seen again", || running.check("database.up").as_deref() == Some("ok"));
    wait_until("everything is answered", || running.get("/api/v1/monitoring/bloat").0 == 200);
}

#[test]
fn a_pooler_elsewhere_is_watched_over_its_console() {
    let (node, database) = (cluster().primary(), cluster().test_database("run").unwrap());
    let url = node.url(&database);
    let first =
        Running::start(Some(&url), Some("[pooler]\nstats_users = 'watcher'\nauth_type = 'any'\n"), &[]);
    let console = format!("postgres://watcher@127.0.0.1:{}/pgbouncer", first.pooler_port);
    wait_until("its pooler listens", || TcpStream::connect(("127.0.0.1", first.pooler_port)).is_ok());
    let running = Running::start(Some(&url), Some(&format!("[pgbouncer]\nurl = '{console}'\n")), &[]);
    wait_until("the pooler is seen", || running.check("pooler.up").as_deref() == Some("ok"));
    assert_eq!(running.monitoring("pool-stats")["pooler"]["kind"], "pgprime");
    assert!(TcpStream::connect(("127.0.0.1", running.pooler_port)).is_err(), "there is none of its own");
    drop(first);
    wait_until("the pooler is missed", || running.check("pooler.up").as_deref() == Some("critical"));
}

/// A rule by which the size of any database is an alert, at the first look.
const ANY_SIZE: &str = "[health]\ninterval = '1s'\n[health.thresholds]\n\"disk.database_bytes\" = { critical = 1 }\n\
    [[alerts.rules]]\ncheck = 'disk.database_bytes'\nseverity = 'critical'\nfor = '0s'\n";

#[test]
fn applications_are_served_and_alerts_told_although_there_is_no_dashboard() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    let database = cluster().test_database("run").unwrap();
    let url = cluster().primary().url(&database);
    std::fs::write(dir.path().join("pgprime.toml"), ANY_SIZE).unwrap();
    let mut command = command(Some(&url));
    let address = taken.local_addr().unwrap().to_string();
    command.args(["--listen", &address, "--pooler-port", &port.to_string()]);
    let mut running = Running::launch(command, dir, port);
    let through = url.replace(&format!(":{}/", cluster().primary().port()), &format!(":{port}/"));
    wait_until("the pooler serves", || {
        psql().args(["-c", "SELECT 1", &through]).output().unwrap().status.success()
    });
    wait_until("people are told", || running.log().contains("alert: "));
    let log = running.log();
    assert!(log.contains("there are no REST and dashboard") && log.contains("in use"), "{log}");

    // Its place is taken as soon as it is free.
    drop(taken);
    running.wait_for_interface();
    assert_eq!(running.api, address);
    assert_eq!(running.check("database.up").as_deref(), Some("ok"));
    assert_eq!(running.log().matches("in use").count(), 1, "{}", running.log());
}

#[test]
fn what_only_watches_does_so_without_a_dashboard() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let manager = UnixDatagram::bind(dir.path().join("notify")).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    std::fs::write(dir.path().join("pgprime.toml"), ANY_SIZE).unwrap();
    let database = cluster().test_database("run").unwrap();
    let mut command = command(Some(&cluster().primary().url(&database)));
    command.args(["--no-pooler", "--listen", &taken.local_addr().unwrap().to_string()]);
    command.env("NOTIFY_SOCKET", dir.path().join("notify"));
    let mut running = Running::launch(command, dir, 0);
    let mut message = [0; 256];
    let heard: Vec<String> = (0..2)
        .map(|_| {
            let length = manager.recv(&mut message).unwrap();
            String::from_utf8_lossy(&message[..length]).into_owned()
        })
        .collect();
    assert!(heard.iter().any(|heard| heard.starts_with("STATUS=without REST")), "{heard:?}");
    assert!(heard.iter().any(|heard| heard == "READY=1\n"), "{heard:?}");
    wait_until("people are told", || running.log().contains("alert: "));
    running.signal(Signal::SIGTERM);
    assert!(running.ended().success(), "{}", running.log());
}

/// A file of `deploy/`, for this machine only.
fn deployed(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(file);
    std::fs::read_to_string(path).unwrap().replace("0.0.0.0", "127.0.0.1")
}

#[test]
fn configurations_that_are_deployed_are_run_with() {
    let database = cluster().test_database("run").unwrap();
    let url = cluster().primary().url(&database);
    let users = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(users.path(), "\"app\" \"secret\"\n").unwrap();
    let map = deployed("kubernetes/configmap.yaml");
    let lines = map.split_once("  pgprime.toml: |\n").unwrap().1.lines();
    let in_map: Vec<&str> = lines.map(|line| line.strip_prefix("    ").unwrap_or(line)).collect();
    let users = users.path().to_str().unwrap();
    for config in [deployed("docker/pgprime.toml"), in_map.join("\n")] {
        let config = config.replace("/etc/pgprime/secret/userlist.txt", users);
        // With a password the pooler has users although its configuration names none.
        let running = Running::start(Some(&url.replace('@', ":secret@")), Some(&config), &[]);
        assert_eq!((running.get("/healthz").0, running.get("/readyz").0), (200, 200));
        assert!(!running.log().contains("nothing is watched"), "{}", running.log());
    }
}

#[test]
fn a_service_manager_hears_when_clients_are_accepted() {
    let database = cluster().test_database("run").unwrap();
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    let manager = UnixDatagram::bind(dir.path().join("notify")).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut command = command(Some(&cluster().primary().url(&database)));
    command.args(["--listen", "127.0.0.1:0", "--pooler-port", &port.to_string()]);
    command.env("NOTIFY_SOCKET", dir.path().join("notify"));
    let running = Running::launch(command, dir, port);
    let mut message = [0; 64];
    let length = manager.recv(&mut message).unwrap();
    assert_eq!(&message[..length], b"READY=1\n");
    assert!(TcpStream::connect(("127.0.0.1", running.pooler_port)).is_ok());
}

#[test]
fn what_cannot_work_is_said_before_anything_starts() {
    let url = "postgres://app@127.0.0.1:6432/x";
    for (url, config, words) in [
        (None, "", "which database?"),
        (Some("nonsense"), "", "DATABASE_URL"),
        (Some(url), "", "the database itself"),
        (
            Some(url),
            "[pooler]\npol_mode = 'session'",
            "pgprime.toml:2: there is no setting \"pol_mode\"; did you mean pool_mode?",
        ),
        (
            Some(url),
            "[pooler]\nenabled = false\n[health]\nintervall = '1s'",
            "pgprime.toml:4: unknown field `intervall`",
        ),
        (Some(url), "[poler]", "unknown field `poler`"),
        (Some(url), "[pooler]\nenabled = false\n[api]\nlisten = '0.0.0.0:8000'", "pgprime token"),
        (
            Some(url),
            "[pooler]\nenabled = false\n[health.thresholds]\n\"conections.used\" = { warning = 1 }",
            "pgprime.toml:4: [health] there is no check \"conections.used\"",
        ),
        (
            Some(url),
            "[pooler]\nenabled = false\n[[alerts.rules]]\ncheck = 'x'\nseverity = 'critical'",
            "pgprime.toml:4: [[alerts.rules]] x: ",
        ),
        (Some(url), "[pooler]\nenabled = false\n[[views]]\nname = 'v'", "pgprime.toml:4: [[views]] v: "),
    ] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("pgprime.toml"), config).unwrap();
        let output = command(url).current_dir(dir.path()).arg("--state").arg(dir.path()).output().unwrap();
        let said = stderr_of(&output);
        assert!(output.status.code() == Some(2) && said.contains(words), "{config}: {said}");
    }
}
