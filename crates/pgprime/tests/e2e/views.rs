//! `pgprime views`: from a declaration to a refreshed view, JSON, exit codes and refusals.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use pgprime_cluster::free_port;

use crate::harness::{Pooler, Setup, cluster, stderr_of};

const DECLARATIONS: &str = "
[[views]]
name = 'daily'
file = 'daily.sql'
unique_key = ['day']
schedule = '15m'
";

/// A configuration with its file of SQL, and a database with a table.
struct Setting {
    folder: tempfile::TempDir,
    database: String,
}

impl Setting {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pgprime.toml"), DECLARATIONS).unwrap();
        std::fs::write(
            folder.path().join("daily.sql"),
            "SELECT day, count(*) AS n FROM orders GROUP BY day;\n",
        )
        .unwrap();
        let database = cluster().test_database("views").unwrap();
        let sql =
            "CREATE TABLE orders AS SELECT date '2025-01-01' + i % 7 AS day FROM generate_series(1, 70) i";
        cluster().primary().psql(&database, sql).unwrap();
        cluster().primary().wait_for_statistics(&database).unwrap();
        Self { folder, database }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("pgprime.toml")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let url = cluster().primary().url(&self.database);
        let config = self.config();
        views(&[arguments, &["--database-url", &url, "--config", config.to_str().unwrap()]].concat())
    }

    /// What is printed, with the exit code that is expected.
    #[track_caller]
    fn says(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}{}", stderr_of(&output));
        text
    }
}

fn views(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgprime"));
    command.env_remove("DATABASE_URL").env_remove("PGPRIME_CONFIG");
    command.arg("views").args(arguments).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn file_and_database_are_those_of_the_other_commands() {
    let setting = Setting::new();
    let url = cluster().primary().url(&setting.database);
    let pooler = "[pooler]\nauth_type = 'trust'\ndefault_pool_size = 10\nauth_file = 'users'\n";
    let policy = "[view_policy]\nhistory_max = 1\n";
    let text = format!("[database]\nurl = '{url}'\n{pooler}{policy}{DECLARATIONS}");
    std::fs::write(setting.config(), &text).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgprime"));
        command.env_remove("DATABASE_URL").env("PGPRIME_CONFIG", setting.config());
        let output = command.arg("views").args(arguments).stdin(Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned() + &stderr_of(&output))
    };
    let (code, said) = run(&["apply"]);
    assert!(code == Some(0) && said.contains("public.daily: create"), "{said}");
    assert!(run(&["refresh", "daily"]).1.contains("refreshed in"));
    let (code, history) = run(&["history"]);
    assert!(code == Some(0) && history.lines().count() == 1, "{history}");

    let wrong = text.replace("history_max = 1", "history_max = 0");
    std::fs::write(setting.config(), wrong).unwrap();
    let (code, said) = run(&["status"]);
    assert!(
        code == Some(2) && said.contains("pgprime.toml:8: [view_policy] history_max: give 1 to 100000"),
        "{said}"
    );
    let elsewhere = Command::new(env!("CARGO_BIN_EXE_pgprime"))
        .args(["views", "status", "--database-url", &url])
        .env_remove("PGPRIME_CONFIG")
        .current_dir(setting.folder.path().join(".."))
        .output()
        .unwrap();
    let said = stderr_of(&elsewhere);
    assert!(elsewhere.status.code() == Some(2) && said.contains("there is no configuration"), "{said}");
}

#[test]
fn from_a_declaration_to_a_refreshed_view() {
    let setting = Setting::new();
    let plan = setting.says(&["plan"], 1);
    assert!(plan.contains("public.daily: create: it is not there"), "{plan}");
    assert!(plan.contains("CREATE TABLE IF NOT EXISTS pgprime.view_states"), "{plan}");
    assert!(setting.says(&["apply"], 0).contains("public.daily: create, "));
    assert!(setting.says(&["plan"], 0).contains("Nothing has to be done."));
    assert!(setting.says(&["refresh"], 0).contains("Nothing is due."));
    let refreshed = setting.says(&["refresh", "daily"], 0);
    assert!(refreshed.contains("public.daily: refreshed in") && refreshed.contains("7 rows"), "{refreshed}");
    cluster().primary().wait_for_statistics(&setting.database).unwrap();
    let status = setting.says(&["status"], 0);
    assert!(status.contains("read 0 times"), "{status}");
    assert!(
        status.contains("nothing has changed since") && status.contains("next refresh: in 1"),
        "{status}"
    );
    let history = setting.says(&["history", "daily"], 0);
    assert!(history.lines().count() == 2 && history.contains("asked"), "{history}");
    let document: serde_json::Value = serde_json::from_str(&setting.says(&["status", "--json"], 0)).unwrap();
    assert_eq!(document["views"][0]["view"], "public.daily");
    assert_eq!(document["views"][0]["changes"]["rows"], 0);
    assert!(setting.says(&["adopt"], 0).contains("public.daily"));
    assert!(setting.says(&["adopt", "daily"], 0).contains("unique_key = [\"day\"]"));
    cluster().primary().psql(&setting.database, "DROP MATERIALIZED VIEW daily").unwrap();
    assert!(setting.says(&["status"], 1).contains("public.daily: MISSING"));
    std::fs::write(setting.folder.path().join("daily.sql"), "SELECT nothing FROM orders").unwrap();
    assert!(
        setting
            .says(&["apply"], 1)
            .contains("public.daily: NOT DONE: try the definition: column \"nothing\"")
    );
}

const FIGURES: &str = "
[[figures]]
name = 'days'
title = 'Orders by day'
sql = 'SELECT day, n FROM daily ORDER BY day'
ttl = '1m'
unit = 'orders'
labels = ['day']
[[figures]]
name = 'broken'
sql = 'SELECT nothing FROM daily'
";

#[test]
fn what_an_admin_dashboard_shows() {
    let setting = Setting::new();
    setting.says(&["apply"], 0);
    setting.says(&["metrics"], 0);
    std::fs::write(setting.config(), format!("{DECLARATIONS}{FIGURES}")).unwrap();
    let text = setting.says(&["metrics"], 1);
    for words in [
        "Admin pool: ",
        "work_mem 64MB, 2 times that for a hash table, 0 further processes, time 5 min,",
        "public.daily: age ",
        "Orders by day in orders (asked for now, ",
        "2025-01-01: n 10",
        "broken: query: column \"nothing\" does not exist",
    ] {
        assert!(text.contains(words), "{words} is not in\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    let document: serde_json::Value = serde_json::from_str(&setting.says(&["metrics", "--json"], 1)).unwrap();
    assert_eq!(document["figures"][0]["rows"][6], serde_json::json!({"day": "2025-01-07", "n": 10}));
    assert_eq!(document["missing"][0]["what"], "broken");
    // The shape of `GET /api/v1/monitoring/admin/metrics`.
    assert_eq!(document["views"][0]["view"], "public.daily");
    assert_eq!(document["pool"]["limits"]["parallel_workers_max"], 0);
    assert!(document["cache"]["labels"].is_array() && document["figures"][0]["age_s"].is_f64(), "{document}");
    std::fs::write(setting.config(), "[[figures]]\nname = 'a'\nsql = 'SELECT 1'\nevery = '1m'").unwrap();
    let output = setting.run(&["metrics"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr_of(&output).contains("unknown field `every`"), "{}", stderr_of(&output));
}

#[test]
fn all_of_it_works_through_a_transaction_pooler() {
    let setting = Setting::new();
    let primary = cluster().primary();
    let pooler = Pooler::start(Setup::new().database(primary, &setting.database, "pool_size=2"));
    let (url, config) = (pooler.url(&setting.database), setting.config());
    let says = |what: &[&str], words: &str| {
        let output = views(&[what, &["--database-url", &url, "--config", config.to_str().unwrap()]].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains(words), "{what:?}: {text}{}", stderr_of(&output));
    };
    says(&["apply"], "create, ");
    primary.psql(&setting.database, "CREATE VIEW reader AS SELECT sum(n) AS n FROM daily").unwrap();
    let changed = "SELECT day, 2 * count(*) AS n FROM orders GROUP BY day";
    std::fs::write(setting.folder.path().join("daily.sql"), changed).unwrap();
    says(&["apply"], "made anew with it: public.reader");
    assert_eq!(primary.psql(&setting.database, "SELECT n FROM reader").unwrap(), "140");
    says(&["refresh", "daily"], "refreshed in");
    says(&["status"], "nothing has changed since");
    says(&["metrics"], "public.daily: age ");
    says(&["plan"], "Nothing has to be done.");
}

#[test]
fn what_is_refused() {
    let setting = Setting::new();
    let closed = format!("postgresql://app:topsecret@127.0.0.1:{}/db", free_port());
    let config = setting.config();
    let config = config.to_str().unwrap();
    let url = cluster().primary().url(&setting.database);
    for (arguments, code, words) in [
        (&["plan", "--config", config, "--database-url", &closed][..], 3, "cannot reach the database"),
        (&["plan", "--config", config], 2, "DATABASE_URL is needed"),
        (&["plan", "--config", "no-such-file.toml", "--database-url", &url], 2, "no-such-file.toml"),
        (&["refresh", "a b", "--config", config, "--database-url", &url], 2, "is not a name"),
        (
            &["refresh", "daily", "--config", config, "--database-url", &url],
            2,
            "no materialized view public.daily",
        ),
        (&["status", "--config", config, "--database-url", &url], 2, "run `pgprime views apply`"),
    ] {
        let output = views(arguments);
        let said = stderr_of(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words) && !said.contains("topsecret"), "{arguments:?}: {said}");
    }
    std::fs::write(setting.config(), DECLARATIONS.replace("schedule", "sheduled")).unwrap();
    let said = stderr_of(&setting.run(&["plan"]));
    assert!(said.contains("unknown field `sheduled`"), "{said}");
}

/// pg_stat_statements keeps no constants, so that the statement has to be given where they are more than a key.
#[test]
fn views_are_suggested_for_what_is_repeated() {
    let setting = Setting::new();
    let psql = |sql: &str| cluster().primary().psql(&setting.database, sql).unwrap();
    let missing = setting.run(&["suggest"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(stderr_of(&missing).contains("CREATE EXTENSION"), "{}", stderr_of(&missing));
    psql("CREATE EXTENSION pg_stat_statements");
    psql(
        "INSERT INTO orders SELECT date '2025-01-01' + i % 7 FROM generate_series(1, 200000) i; ANALYZE orders",
    );
    let statement = "SELECT date_trunc('week', day) AS week, count(*) FROM orders GROUP BY 1 ORDER BY 1";
    // So often that it is worth a refresh, whatever the time since the counters were reset.
    (0..300).for_each(|_| drop(psql(statement)));
    let bare = setting.says(&["suggest", "--threshold-ms", "1"], 0);
    assert!(bare.contains("--statement"), "{bare}");
    let text = setting.says(&["suggest", "--threshold-ms", "1", "--statement", statement], 1);
    for part in [
        "CREATE MATERIALIZED VIEW orders_by_week AS",
        "CREATE UNIQUE INDEX ON orders_by_week (week);",
        "read it by: SELECT week, count FROM orders_by_week ORDER BY week",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // What is pasted is made, and read as the suggestion says.
    let (_, block) = text.split_once("[[views]]").unwrap();
    std::fs::write(setting.config(), format!("[[views]]{block}")).unwrap();
    assert!(setting.says(&["apply"], 0).contains("public.orders_by_week: create"));
    let read = "SELECT week, count FROM orders_by_week ORDER BY week";
    assert_eq!(psql(read), psql(statement));
    let status = setting.says(&["status"], 0);
    assert!(!status.contains("blocks its readers") && status.contains("next refresh: in 14m"), "{status}");
    let unknown = setting.run(&["suggest", "--statement", "SELECT 1 + 1 FROM orders"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr_of(&unknown).contains("has not counted"), "{}", stderr_of(&unknown));
}
