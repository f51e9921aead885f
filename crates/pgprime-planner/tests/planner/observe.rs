//! What a live database says, to a superuser, a monitor and an ordinary role.

use std::path::Path;

use pgprime_capacity::postgres::{
    Machine, Recommendation, SettingsRequest, Status, Storage, Value, Workload, compare, recommend,
};
use pgprime_cluster::{Cluster, ClusterOptions, Node, SharedCluster, StopMode};
use pgprime_planner::hardware::{Hardware, is_local};
use pgprime_planner::observe::{
    Missing, Observation, ObserveError, StatementsSince, VerifierKind, observe, roles,
};
use tokio_postgres::{Client, Config, NoTls};

static CLUSTER: SharedCluster = SharedCluster::new(|| ClusterOptions::default().with_replicas(1));

const SERVICE_TIMES: &str = "measured service times";

async fn connect(node: &Node, database: &str, role: &str) -> Client {
    let mut config: Config = node.url(database).parse().unwrap();
    let (client, connection) = config.user(role).connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A database with pg_stat_statements and a table.
fn database(prefix: &str) -> (&'static Node, String) {
    let cluster = CLUSTER.cluster();
    let database = cluster.test_database(prefix).unwrap();
    let sql = "CREATE EXTENSION pg_stat_statements; CREATE TABLE quotes (id int PRIMARY KEY, premium int);
               GRANT ALL ON quotes TO PUBLIC;";
    cluster.primary().psql(&database, sql).unwrap();
    (cluster.primary(), database)
}

fn missing<'a>(observation: &'a Observation, what: &str) -> Option<&'a Missing> {
    observation.missing.iter().find(|missing| missing.what.contains(what))
}

fn version_major(node: &Node) -> u32 {
    let number: u32 = node.psql("postgres", "SHOW server_version_num").unwrap().parse().unwrap();
    number / 10_000
}

/// 20 writes, 60 reads of which 10 lock, 1 report, and much that is no request.
async fn load(client: &Client) {
    client
        .batch_execute(
            "CREATE FUNCTION double(int) RETURNS bigint LANGUAGE plpgsql AS
        'BEGIN RETURN (SELECT sum(premium) FROM quotes WHERE id <> $1) * 2; END'",
        )
        .await
        .unwrap();
    let insert = client.prepare("/* app */ INSERT INTO quotes VALUES ($1, 100)").await.unwrap();
    let select = client.prepare("-- app\n SELECT premium FROM quotes WHERE id = $1").await.unwrap();
    let lock = client.prepare("SELECT premium FROM quotes WHERE id = $1 FOR NO KEY UPDATE").await.unwrap();
    let change = "WITH old AS (SELECT id FROM quotes) UPDATE quotes SET premium = 7 WHERE id = $1";
    let change = client.prepare(change).await.unwrap();
    for id in 0..10 {
        client.batch_execute("BEGIN").await.unwrap();
        client.execute(&insert, &[&id]).await.unwrap();
        client.execute(&change, &[&id]).await.unwrap();
        client.query(&lock, &[&id]).await.unwrap();
        for _ in 0..4 {
            client.query(&select, &[&id]).await.unwrap();
        }
        client.query("SELECT double($1)", &[&id]).await.unwrap();
        client.batch_execute("COMMIT").await.unwrap();
    }
    client.batch_execute("SELECT pg_sleep(0.15)").await.unwrap();
}

#[tokio::test]
async fn a_superuser_sees_everything() {
    let (node, database) = database("superuser");
    let client = connect(node, &database, "postgres").await;
    load(&client).await;
    let before = observe(&client).await.unwrap();
    let observation = observe(&client).await.unwrap();

    assert_eq!(observation.server.version_major, version_major(node));
    assert_eq!((&*observation.server.database, &*observation.server.role), (&*database, "postgres"));
    assert!(!observation.server.in_recovery && observation.server.uptime_seconds > 0.0);
    assert_eq!(observation.max_connections(), Some(200));
    assert_eq!(observation.reserved_connections(), Some(3));
    assert_eq!(observation.preload_libraries(), Some("pg_stat_statements"));
    assert!(observation.database_bytes.unwrap() > 1_000_000);
    let still: Vec<&str> = observation.missing.iter().map(|missing| &*missing.what).collect();
    assert_eq!(still, ["the machine"]);

    // Looking is not counted itself.
    let statements = observation.statements.unwrap();
    let all = statements.all.unwrap();
    assert_eq!(before.statements.unwrap().all, Some(all));
    let has_toplevel = version_major(node) >= 14;
    if has_toplevel {
        assert_eq!(all.calls, 81);
        assert_eq!(statements.short.unwrap().calls, 80);
        assert_eq!(statements.read_share, Some(51.0 / 81.0));
        assert_eq!(statements.since, StatementsSince::Reset);
        assert_eq!(statements.dropped, Some(0));
    }
    let report = statements.long.unwrap();
    assert_eq!((report.calls, report.statements), (1, 1));
    assert!(report.mean_ms >= 150.0);
    assert!(statements.long_time_share.unwrap() > 0.5);
    assert!(all.scv > 1.0 && all.mean_ms > 150.0 / 100.0);
    let rate = all.calls as f64 / statements.window_seconds;
    assert!((statements.calls_per_second - rate).abs() < 1e-9);
    assert!((statements.busy_connections_mean - rate * all.mean_ms / 1e3).abs() < 1e-6);
}

#[tokio::test]
async fn an_ordinary_role_is_told_what_to_grant() {
    let (node, database) = database("plain");
    node.psql("postgres", "CREATE ROLE \"Plain User\" LOGIN").unwrap();
    load(&connect(node, &database, "postgres").await).await;
    let _other = connect(node, &database, "postgres").await;
    let client = connect(node, &database, "Plain User").await;
    client.query("SELECT premium FROM quotes", &[]).await.unwrap();

    let observation = observe(&client).await.unwrap();
    assert_eq!(observation.max_connections(), Some(200));
    assert_eq!(observation.preload_libraries(), None);
    let statements = observation.statements.as_ref().unwrap();
    // Those of others count in the service times but are of no known kind.
    assert!(statements.all.unwrap().calls > 81);
    assert_eq!(statements.read_share, Some(1.0));
    assert_eq!(observation.replicas.len(), 1);
    let grant = "GRANT pg_monitor TO \"Plain User\";";
    for what in ["shared_preload_libraries", "other roles' statements", "connections", "replicas"] {
        let missing = missing(&observation, what).unwrap_or_else(|| panic!("{what}: {observation:#?}"));
        assert_eq!(missing.statement.as_deref(), Some(grant), "{what}");
    }

    node.psql("postgres", grant).unwrap();
    let observation = observe(&client).await.unwrap();
    assert_eq!(observation.missing.len(), 1, "{:#?}", observation.missing);
    assert_eq!(observation.preload_libraries(), Some("pg_stat_statements"));
    assert!(observation.statements.unwrap().read_share.unwrap() < 1.0);
    let replica = &observation.replicas[0];
    assert_eq!((replica.state.as_deref(), replica.is_logical), (Some("streaming"), false));
    assert!(replica.lag_bytes.is_some());
}

#[tokio::test]
async fn a_replica_knows_that_it_follows() {
    let cluster = CLUSTER.cluster();
    let client = connect(&cluster.replicas()[0], "postgres", "postgres").await;
    let observation = observe(&client).await.unwrap();
    assert!(observation.server.in_recovery);
    assert_eq!(observation.replicas, []);
}

#[tokio::test]
async fn connections_are_counted_by_state_and_holder() {
    let (node, database) = database("connections");
    node.psql("postgres", "CREATE ROLE connections_app LOGIN; GRANT pg_monitor TO connections_app").unwrap();
    let client = connect(node, &database, "connections_app").await;
    let idle = connect(node, &database, "connections_app").await;
    idle.batch_execute("SET application_name = 'quotes'").await.unwrap();
    let open = connect(node, &database, "postgres").await;
    open.batch_execute("BEGIN").await.unwrap();

    let connections = observe(&client).await.unwrap().connections;
    let held = |role: &str, application: &str| {
        let group = connections.groups.iter().find(|group| {
            group.database == database && group.role == role && group.application == application
        });
        group.map_or(0, |group| group.connections)
    };
    assert_eq!((held("connections_app", "quotes"), held("postgres", "")), (1, 1));
    assert_eq!(held("connections_app", ""), 0, "the one that asks is not counted");
    assert!(connections.idle >= 1 && connections.idle_in_transaction >= 1);
    assert_eq!(connections.others, connections.total - 1);
}

#[tokio::test]
async fn nothing_is_left_behind() {
    let (node, database) = database("clean");
    let client = connect(node, &database, "postgres").await;
    observe(&client).await.unwrap();
    roles(&client).await.unwrap();
    let sql = "SELECT current_setting('statement_timeout') || current_setting('lock_timeout')
                   || current_setting('transaction_read_only') || current_setting('search_path')
                   || (SELECT count(*) FROM pg_prepared_statements WHERE NOT statement LIKE '%pg_prepared%')";
    let left: String = client.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(left, "00off\"$user\", public0");
}

#[tokio::test]
async fn a_lost_connection_is_an_error_that_may_pass() {
    let (node, database) = database("lost");
    let client = connect(node, &database, "postgres").await;
    let ended = client.batch_execute("SELECT pg_terminate_backend(pg_backend_pid())").await;
    assert!(ended.is_err());
    let error = observe(&client).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(error.to_string().starts_with("begin a read-only transaction"), "{error}");
}

#[tokio::test]
async fn the_view_may_be_anywhere_and_needs_its_grant() {
    let cluster = CLUSTER.cluster();
    let node = cluster.primary();
    let database = cluster.test_database("elsewhere").unwrap();
    node.psql("postgres", "CREATE ROLE elsewhere_app LOGIN").unwrap();
    let client = connect(node, &database, "elsewhere_app").await;
    let look = async || observe(&client).await.unwrap();

    let absent = look().await;
    assert_eq!(absent.statements, None);
    let create = missing(&absent, SERVICE_TIMES).unwrap();
    assert!(create.why.contains("not created in this database"), "{}", create.why);
    let statement = create.statement.as_deref().unwrap();
    assert_eq!(statement, "CREATE EXTENSION pg_stat_statements;");

    let sql = "CREATE SCHEMA \"My Stats\"; SET search_path = \"My Stats\";";
    let revoke = "REVOKE ALL ON pg_stat_statements FROM PUBLIC";
    node.psql(&database, &format!("{sql} {statement} {revoke}")).unwrap();
    let refused = look().await;
    assert_eq!(refused.statements, None);
    let grant = missing(&refused, SERVICE_TIMES).unwrap().statement.as_deref().unwrap();
    node.psql(&database, grant).unwrap();
    assert!(look().await.statements.is_some());
}

#[tokio::test]
async fn roles_have_their_verifiers() {
    let (node, database) = database("roles");
    node.psql(
        "postgres",
        "SET password_encryption = 'scram-sha-256'; CREATE ROLE roles_scram LOGIN PASSWORD 'secret one';
         CREATE ROLE roles_group PASSWORD 'secret'; CREATE ROLE roles_none LOGIN;
         CREATE ROLE roles_expired LOGIN PASSWORD 'secret' VALID UNTIL '2001-01-01';
         SET password_encryption = 'md5'; CREATE ROLE roles_md5 LOGIN PASSWORD 'secret two';",
    )
    .unwrap();
    let client = connect(node, &database, "postgres").await;
    let all = roles(&client).await.unwrap();
    let own: Vec<(&str, VerifierKind)> = all
        .iter()
        .filter(|role| role.name.starts_with("roles_"))
        .map(|role| (&*role.name, role.verifier.kind()))
        .collect();
    assert_eq!(own, [("roles_md5", VerifierKind::Md5), ("roles_scram", VerifierKind::ScramSha256)]);
    let stored = node.psql("postgres", "SELECT rolpassword FROM pg_authid WHERE rolname = 'roles_scram'");
    let scram = all.iter().find(|role| role.name == "roles_scram").unwrap();
    assert_eq!(scram.verifier.expose(), stored.unwrap());
    assert!(!format!("{all:?}").contains("SCRAM-SHA-256$"));

    node.psql("postgres", "GRANT pg_monitor TO roles_scram").unwrap();
    let client = connect(node, &database, "roles_scram").await;
    let error = roles(&client).await.unwrap_err();
    let ObserveError::NotAllowed { role, statement, .. } = &error else { panic!("{error}") };
    assert_eq!(role, "roles_scram");
    assert!(!error.is_transient() && error.to_string().contains(statement.as_str()));
    node.psql(&database, statement).unwrap();
    assert_eq!(roles(&client).await.unwrap(), all);
}

#[tokio::test]
async fn without_the_library_the_way_to_it_is_told() {
    let options = ClusterOptions::default().with_setting("shared_preload_libraries", "");
    let cluster = Cluster::start(&options).unwrap();
    let node = cluster.primary();
    let client = connect(node, "postgres", "postgres").await;
    let absent = observe(&client).await.unwrap();
    assert_eq!(absent.statements, None);
    assert!(missing(&absent, SERVICE_TIMES).unwrap().why.contains("shared_preload_libraries"));
    assert_eq!(absent.preload_libraries(), Some(""));

    // Created but not loaded: the server refuses to read it, and the rest is observed all the same.
    node.psql("postgres", "CREATE EXTENSION pg_stat_statements").unwrap();
    let refused = observe(&client).await.unwrap();
    assert_eq!(refused.statements, None);
    assert!(missing(&refused, SERVICE_TIMES).unwrap().why.contains("shared_preload_libraries"));
    assert!(refused.database_bytes.is_some());
}

fn request(node: &Node, cores: u32, memory_bytes: u64, storage: Storage) -> SettingsRequest {
    SettingsRequest {
        machine: Machine { cores, memory_bytes, storage },
        workload: Workload::ServiceAndReports,
        max_connections: 60,
        version_major: version_major(node),
        preload_libraries: "auto_explain".to_owned(),
    }
}

/// The lines as the server's own configuration file, which is read after all others.
fn write_configuration(node: &Node, settings: &[Recommendation]) {
    let folder = node.psql("postgres", "SHOW data_directory").unwrap();
    let lines: Vec<String> = settings.iter().map(|line| format!("($line${line}$line$)")).collect();
    let sql = format!("COPY (VALUES {}) TO '{folder}/postgresql.auto.conf'", lines.join(", "));
    node.psql("postgres", &sql).unwrap();
}

#[tokio::test]
async fn the_server_takes_every_recommended_line() {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let node = cluster.primary();
    for (cores, memory_bytes) in [(1, 256 << 20), (2, 3 << 30), (16, 100 << 30), (8_192, 64 << 40)] {
        for storage in [Storage::Nvme, Storage::Ssd, Storage::Hdd, Storage::Network] {
            let settings = recommend(&request(node, cores, memory_bytes, storage)).unwrap();
            let set = |setting: &Recommendation| match &setting.value {
                Value::Text(text) => format!("ALTER SYSTEM SET {} = {text};", setting.name),
                value => format!("ALTER SYSTEM SET {} = '{value}';", setting.name),
            };
            let sql: String = settings.iter().map(set).collect();
            node.psql("postgres", &sql).unwrap_or_else(|error| panic!("{cores} cores: {error}"));
        }
    }

    let settings = recommend(&request(node, 2, 1 << 30, Storage::Ssd)).unwrap();
    write_configuration(node, &settings);
    node.restart(StopMode::Fast).unwrap();
    let refused = "SELECT name, error FROM pg_file_settings WHERE error IS NOT NULL";
    assert_eq!(node.psql("postgres", refused).unwrap(), "");
    let client = connect(node, "postgres", "postgres").await;
    let observation = observe(&client).await.unwrap();
    assert_eq!(observation.preload_libraries(), Some("auto_explain, pg_stat_statements"));
    for comparison in compare(&settings, &observation.settings) {
        assert_eq!(comparison.status, Status::Met, "{comparison:#?}");
        assert_eq!(comparison.live.as_ref(), Some(&comparison.recommended), "{comparison:#?}");
        assert!(!comparison.restart_needed && !comparison.pending_restart);
    }
}

#[tokio::test]
async fn an_untuned_server_differs() {
    let (node, database) = database("untuned");
    let client = connect(node, &database, "postgres").await;
    let settings = recommend(&request(node, 8, 16 << 30, Storage::Ssd)).unwrap();
    let live = observe(&client).await.unwrap().settings;
    let comparisons = compare(&settings, &live);
    let status = |name| comparisons.iter().find(|found| found.name == name).unwrap();
    assert_eq!(status("shared_buffers").live.as_deref(), Some("128MB"));
    assert!(status("shared_buffers").restart_needed);
    assert_eq!(status("random_page_cost").status, Status::Differs);
    assert!(!status("random_page_cost").restart_needed);
    assert_eq!(status("shared_preload_libraries").status, Status::Met);
    // What the transaction that looks sets for itself is not taken for the server's.
    assert_eq!(status("idle_in_transaction_session_timeout").live.as_deref(), Some("0"));
    assert!(live.iter().all(|live| live.source != "session"), "{live:#?}");
    assert!(comparisons.iter().all(|found| found.status != Status::Unknown), "{comparisons:#?}");
    // Whether a change takes a restart is as the server says.
    for (setting, live) in settings
        .iter()
        .filter_map(|setting| live.iter().find(|live| live.name == setting.name).map(|live| (setting, live)))
    {
        assert_eq!(setting.restart, live.context == "postmaster", "{}", setting.name);
    }
}

#[test]
fn this_machine_is_known() {
    let hardware = Hardware::detect(Some(Path::new("/")));
    assert!(hardware.cores.is_some_and(|cores| cores >= 1));
    assert!(hardware.memory_bytes.is_some_and(|bytes| bytes > 64 << 20));
    assert_eq!(hardware.machine().is_some(), hardware.storage.is_some());
    assert!(is_local("127.0.0.1"));
}

#[tokio::test]
async fn json_holds_no_text_of_a_query() {
    let (node, database) = database("json");
    let client = connect(node, &database, "postgres").await;
    client.query("SELECT 'a personal detail'", &[]).await.unwrap();
    let observation = observe(&client).await.unwrap();
    let json = serde_json::to_string(&observation).unwrap();
    assert!(json.contains("\"calls_per_second\"") && !json.contains("personal") && !json.contains("SELECT"));
}
