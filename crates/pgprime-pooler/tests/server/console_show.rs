//! What the console shows: PgBouncer's columns, and values that are true.

use std::collections::HashSet;

use pgprime_wire::frontend::encode;

use crate::support::{Raw, Setup, cluster, eventually};

const SOCKET_COLUMNS: &str = "type,user,database,replication,state,addr,port,local_addr,local_port,connect_time,\
    request_time,wait,wait_us,close_needed,ptr,link,remote_pid,tls,application_name,prepared_statements,id";
const FIGURES: [&str; 11] = [
    "server_assignment_count",
    "xact_count",
    "query_count",
    "bytes_received",
    "bytes_sent",
    "xact_time",
    "query_time",
    "wait_time",
    "client_parse_count",
    "server_parse_count",
    "bind_count",
];

#[test]
fn every_table_has_the_columns_of_pgbouncer_1_25() {
    let pooler = Setup::new().workers(3).start();
    pooler.client().value("SELECT 1");
    let mut console = pooler.console();
    let plain = FIGURES.join(",");
    let stats = |prefix: &str, received: &str| {
        let names = FIGURES.map(|figure| match figure {
            "bytes_received" => format!("{prefix}{received}"),
            "bytes_sent" => format!("{prefix}sent"),
            other => format!("{prefix}{other}"),
        });
        names.join(",")
    };
    let stats_columns = format!("database,{},{}", stats("total_", "received"), stats("avg_", "recv"));
    let of_stats = format!("database,{plain}");
    for (topic, columns) in [
        (
            "POOLS",
            "database,user,cl_active,cl_waiting,cl_active_cancel_req,cl_waiting_cancel_req,sv_active,\
             sv_active_cancel,sv_being_canceled,sv_idle,sv_used,sv_tested,sv_login,maxwait,maxwait_us,pool_mode,\
             load_balance_hosts",
        ),
        ("CLIENTS", SOCKET_COLUMNS),
        ("SERVERS", SOCKET_COLUMNS),
        (
            "DATABASES",
            "name,host,port,database,force_user,pool_size,min_pool_size,reserve_pool_size,server_lifetime,pool_mode,\
             load_balance_hosts,max_connections,current_connections,max_client_connections,\
             current_client_connections,paused,disabled",
        ),
        (
            "USERS",
            "name,pool_size,reserve_pool_size,pool_mode,max_user_connections,current_connections,\
             max_user_client_connections,current_client_connections",
        ),
        ("LISTS", "list,items"),
        ("CONFIG", "key,value,default,changeable"),
        ("STATE", "key,value"),
        ("VERSION", "version"),
        ("TOTALS", "name,value"),
        ("STATS", &stats_columns),
        ("STATS_TOTALS", &of_stats),
        ("STATS_AVERAGES", &of_stats),
    ] {
        for text in [format!("SHOW {topic}"), format!("  show {};", topic.to_lowercase())] {
            let reply = console.run(&text);
            assert_eq!(reply.columns.join(","), columns, "{text}");
            assert!(reply.rows.iter().all(|row| row.len() == reply.columns.len()));
            assert_eq!(reply.commands, ["SHOW"]);
        }
    }
    for topic in ["SOCKETS", "ACTIVE_SOCKETS"] {
        let columns = console.run(&format!("SHOW {topic}")).columns.join(",");
        assert!(columns.starts_with(SOCKET_COLUMNS), "{topic}: {columns}");
    }
    let help = console.run("SHOW HELP");
    assert_eq!((help.tags.as_str(), help.commands), ("NCZ", vec!["SHOW".to_string()]));
    let lists: Vec<String> = console.run("SHOW LISTS").column("list").into_iter().map(String::from).collect();
    assert_eq!(
        lists.join(","),
        "databases,users,peers,pools,peer_pools,free_clients,used_clients,login_clients,free_servers,used_servers,\
         dns_names,dns_zones,dns_queries,dns_pending"
    );
    let totals = console.run("SHOW TOTALS");
    let names = totals.column("name");
    assert_eq!(names.len(), 2 * FIGURES.len());
    assert!(names.contains(&"total_client_bytes") && names.contains(&"avg_server_bytes"), "{names:?}");
}

#[test]
fn pools_count_clients_and_servers_as_they_wait_and_work() {
    for workers in [1, 3] {
        let pooler = Setup::new().set("default_pool_size", 2).workers(workers).start();
        let mut console = pooler.console();
        let mut clients: Vec<Raw> = (0..5).map(|_| pooler.client()).collect();
        eventually("all are known", || console.pool("db", "app", "cl_active") == 5);
        assert_eq!(console.pool("db", "app", "cl_waiting"), 0);
        for client in &mut clients {
            client.start_query("BEGIN");
        }
        eventually("two work, three wait", || {
            let numbers = ["cl_active", "cl_waiting", "sv_active", "sv_idle"]
                .map(|column| console.pool("db", "app", column));
            numbers == [2, 3, 2, 0]
        });
        let mut last = (0, 0);
        for _ in 0..3 {
            let now = (console.pool("db", "app", "maxwait"), console.pool("db", "app", "maxwait_us"));
            assert!(now > last && now.1 < 1_000_000, "the longest wait grows: {last:?} {now:?}");
            last = now;
        }
        eventually("a second of waiting", || console.pool("db", "app", "maxwait") >= 1);
        let shown = console.run("SHOW CLIENTS");
        let states = shown.column("state");
        assert_eq!(states.iter().filter(|state| **state == "waiting").count(), 3, "{states:?}");
        assert_eq!(states.iter().filter(|state| **state == "active").count(), 2, "{states:?}");
        let waits = shown.column("wait");
        assert_eq!(waits.iter().filter(|wait| **wait != "0").count(), 3, "{waits:?}");
        drop(clients);
        eventually("nobody is left", || console.pool("db", "app", "cl_active") == 0);
        assert_eq!(console.pool("db", "app", "maxwait"), 0);
    }
}

#[test]
fn clients_and_servers_show_each_other_and_who_they_are() {
    let pooler = Setup::new().workers(3).start();
    let mut clients: Vec<Raw> = (0..4)
        .map(|number| {
            let mut client = pooler.connect();
            client.log_in(&[
                ("user", "app"),
                ("database", "db"),
                ("application_name", &format!("client {number}")),
            ]);
            client.query("BEGIN");
            client
        })
        .collect();
    let processes: Vec<String> =
        clients.iter_mut().map(|client| client.value("SELECT pg_backend_pid()")).collect();
    let mut console = pooler.console();
    let (shown, servers) = (console.run("SHOW CLIENTS"), console.run("SHOW SERVERS"));
    for (number, process) in processes.iter().enumerate() {
        let name = format!("client {number}");
        let link = shown.cell("application_name", &name, "link");
        assert_eq!(servers.cell("ptr", link, "remote_pid"), process);
        assert_eq!(servers.cell("ptr", link, "link"), shown.cell("application_name", &name, "ptr"));
        assert_eq!(servers.cell("ptr", link, "application_name"), name);
        assert_eq!(servers.cell("ptr", link, "state"), "active");
        assert_eq!(servers.cell("ptr", link, "port"), cluster().primary().port().to_string());
        assert_eq!(shown.cell("application_name", &name, "state"), "active");
        assert_eq!(shown.cell("application_name", &name, "addr"), "127.0.0.1");
        assert_eq!(shown.cell("application_name", &name, "local_port"), pooler.port().to_string());
    }
    for reply in [&shown, &servers] {
        for column in ["ptr", "id"] {
            let unique: HashSet<&str> = reply.column(column).into_iter().collect();
            assert_eq!(unique.len(), reply.rows.len(), "{column}");
        }
        assert!(
            reply.column("connect_time").iter().all(|time| time.starts_with("20") && time.ends_with(" UTC"))
        );
    }
    let sockets = console.run("SHOW SOCKETS");
    assert_eq!(sockets.rows.len(), shown.rows.len() + servers.rows.len());
}

#[test]
fn a_client_of_the_unix_socket_shows_its_process() {
    let pooler = Setup::new().start();
    let mut client = Raw::unix(&pooler.socket_path());
    client.log_in(&[("user", "app"), ("database", "db")]);
    assert_eq!(client.value("SELECT 1"), "1");
    let shown = pooler.console().run("SHOW CLIENTS");
    assert_eq!(shown.cell("user", "app", "addr"), "unix");
    assert_eq!(shown.cell("user", "app", "remote_pid"), std::process::id().to_string());
}

#[test]
fn statistics_add_up_to_the_work_done() {
    for workers in [1, 3] {
        let pooler = Setup::new().workers(workers).start();
        let mut clients = [pooler.client(), pooler.client(), pooler.client()];
        for client in &mut clients {
            client.value("SELECT 1");
            client.query("BEGIN");
            client.value("SELECT 2");
            client.query("COMMIT");
            client.tell(|out| {
                encode::parse(out, b"s", b"SELECT pg_sleep(0.05)", &[]);
                for _ in 0..2 {
                    encode::bind_text(out, b"", b"s", &[]);
                    encode::execute(out, b"", 0);
                }
                encode::sync(out);
            });
            client.reply();
        }
        let mut console = pooler.console();
        let stats = console.run("SHOW STATS");
        let figure = |name: &str| stats.cell("database", "db", name).parse::<u64>().unwrap();
        // SELECT, BEGIN to COMMIT, and the prepared one; the last counts as one request.
        assert_eq!(figure("total_xact_count"), 9);
        assert_eq!(figure("total_query_count"), 15);
        assert_eq!(figure("total_server_assignment_count"), 9);
        assert_eq!(figure("total_client_parse_count"), 3);
        assert!((1..=3).contains(&figure("total_server_parse_count")));
        assert_eq!(figure("total_bind_count"), 6);
        let (transactions, queries) = (figure("total_xact_time"), figure("total_query_time"));
        assert!(
            queries >= 300_000 && transactions >= queries && transactions < 20_000_000,
            "{transactions} {queries}"
        );
        assert!(figure("total_received") > 300 && figure("total_sent") > 300);
        let totals = console.run("SHOW TOTALS");
        assert_eq!(totals.cell("name", "total_query_count", "value"), "15");
        let of_totals = console.run("SHOW STATS_TOTALS");
        assert_eq!(of_totals.cell("database", "db", "query_count"), "15");
        // Waiting is added up when it ends.
        assert!(figure("total_wait_time") < 20_000_000);
    }
}

#[test]
fn averages_are_those_of_the_last_period() {
    let pooler = Setup::new().set("stats_period", 1).start();
    let mut client = pooler.client();
    let mut console = pooler.console();
    eventually("a period with work in it is over", || {
        for _ in 0..20 {
            client.value("SELECT 1");
        }
        console.run("SHOW STATS").cell("database", "db", "avg_query_count") != "0"
    });
    let averages = console.run("SHOW STATS_AVERAGES");
    assert_ne!(averages.cell("database", "db", "query_time"), "0");
    eventually("a period without work is over", || {
        console.run("SHOW STATS_AVERAGES").cell("database", "db", "query_count") == "0"
    });
}

#[test]
fn databases_and_users_show_their_limits_and_numbers() {
    let pooler = Setup::new()
        .set("default_pool_size", 7)
        .set("max_user_client_connections", 70)
        .database("db", "")
        .database("own", "pool_size=3 min_pool_size=1 reserve_pool_size=2 pool_mode=session max_db_connections=9 max_db_client_connections=8 server_lifetime=60 user=other")
        .user("app", "pool_size=4 reserve_pool_size=1 pool_mode=transaction max_user_connections=11 max_user_client_connections=12")
        .start();
    let mut clients =
        [pooler.client_of("own", "app"), pooler.client_of("db", "app"), pooler.client_of("db", "other")];
    for client in &mut clients {
        client.value("SELECT 1");
    }
    let mut console = pooler.console();
    let databases = console.run("SHOW DATABASES");
    for (column, expected) in [
        ("host", "127.0.0.1"),
        ("database", "postgres"),
        ("force_user", "other"),
        ("pool_size", "3"),
        ("min_pool_size", "1"),
        ("reserve_pool_size", "2"),
        ("server_lifetime", "60"),
        ("pool_mode", "session"),
        ("max_connections", "9"),
        ("current_connections", "1"),
        ("max_client_connections", "8"),
        ("current_client_connections", "1"),
        ("paused", "0"),
        ("disabled", "0"),
    ] {
        assert_eq!(databases.cell("name", "own", column), expected, "{column}");
    }
    for (column, expected) in [
        ("force_user", "NULL"),
        ("pool_size", "7"),
        ("pool_mode", "NULL"),
        ("current_client_connections", "2"),
    ] {
        assert_eq!(databases.cell("name", "db", column), expected, "{column}");
    }
    assert_eq!(databases.cell("name", "pgbouncer", "database"), "pgbouncer");
    let users = console.run("SHOW USERS");
    for (column, expected) in [
        ("pool_size", "4"),
        ("reserve_pool_size", "1"),
        ("pool_mode", "transaction"),
        ("max_user_connections", "11"),
        ("max_user_client_connections", "12"),
        ("current_client_connections", "2"),
    ] {
        assert_eq!(users.cell("name", "app", column), expected, "{column}");
    }
    assert_eq!(users.cell("name", "other", "max_user_client_connections"), "70");
    assert_eq!(users.cell("name", "other", "pool_size"), "NULL");
    let lists = console.run("SHOW LISTS");
    assert_eq!(lists.cell("list", "databases", "items"), "3");
    assert_eq!(lists.cell("list", "used_clients", "items"), "3");
    assert_eq!(lists.cell("list", "pools", "items"), "4");
}

#[test]
fn the_version_and_state_are_told() {
    let pooler = Setup::new().start();
    let mut console = pooler.console();
    assert!(console.run("SHOW VERSION").value().contains("1.25"));
    assert_eq!(console.run("SHOW STATE").cell("key", "active", "value"), "yes");
    console.run("PAUSE");
    let state = console.run("SHOW STATE");
    assert_eq!((state.cell("key", "active", "value"), state.cell("key", "paused", "value")), ("no", "yes"));
    assert_eq!(state.cell("key", "suspended", "value"), "no");
    console.run("RESUME");
    assert!(console.raw.parameter("server_version").is_some_and(|version| version.contains("1.25")));
}
