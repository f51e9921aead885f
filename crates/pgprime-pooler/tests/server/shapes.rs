//! Statements whose results change while clients rely on what they were told: nobody gets rows of another kind.

use pgprime_wire::frontend::encode;

use crate::support::{Raw, Reply, Setup, TestPooler, cluster};

const INSERT: &str = "INSERT INTO quotes (id) VALUES ($1::text::int) RETURNING *";

/// A database with a table, and a pooler with two servers for it.
fn setup() -> (String, TestPooler) {
    let database = cluster().test_database("shapes").unwrap();
    run_directly(
        &database,
        "CREATE TABLE quotes (id int, premium int DEFAULT 7); GRANT ALL ON quotes TO app",
    );
    let entry = format!("host=127.0.0.1 port={} dbname={database}", cluster().primary().port());
    let pooler = Setup::new().database_at("db", &entry).set("default_pool_size", 2).start();
    (database, pooler)
}

fn run_directly(database: &str, sql: &str) -> String {
    cluster().primary().psql(database, sql).unwrap()
}

/// Two clients that hold the pool's servers, so that a test decides which one is free.
struct Servers {
    holders: [Raw; 2],
    processes: [String; 2],
}

impl Servers {
    fn hold(pooler: &TestPooler) -> Self {
        let mut holders = [pooler.client(), pooler.client()];
        let processes = holders.each_mut().map(|holder| {
            holder.query("BEGIN");
            holder.value("SELECT pg_backend_pid()")
        });
        assert_ne!(processes[0], processes[1]);
        Self { holders, processes }
    }

    /// What `client` does on one of them.
    fn on<T>(&mut self, server: usize, client: &mut Raw, act: impl FnOnce(&mut Raw) -> T) -> T {
        self.holders[server].query("COMMIT");
        assert_eq!(client.value("SELECT pg_backend_pid()"), self.processes[server]);
        let outcome = act(client);
        self.holders[server].query("BEGIN");
        outcome
    }
}

/// Prepares and asks what the result is like, as most drivers do.
fn prepare(client: &mut Raw, name: &str, sql: &str) {
    client.tell(|out| {
        encode::parse(out, name.as_bytes(), sql.as_bytes(), &[0, 0]);
        encode::describe_statement(out, name.as_bytes());
        encode::sync(out);
    });
    let reply = client.reply();
    assert_eq!(reply.tags, "1tTZ", "{reply:?}");
}

fn bind(out: &mut Vec<u8>, name: &str, value: &str) {
    encode::bind_text(out, b"", name.as_bytes(), &[Some(value.as_bytes())]);
}

fn execute(client: &mut Raw, name: &str, value: &str) -> Reply {
    client.tell(|out| {
        bind(out, name, value);
        encode::execute(out, b"", 0);
        encode::sync(out);
    });
    client.reply()
}

#[test]
fn a_client_never_gets_rows_of_a_kind_it_was_not_told() {
    let (database, pooler) = setup();
    let mut client = pooler.client();
    let mut servers = Servers::hold(&pooler);
    servers.on(0, &mut client, |client| {
        prepare(client, "a", INSERT);
        assert_eq!(execute(client, "a", "1").rows, [[Some("1".to_owned()), Some("7".to_owned())]]);
    });
    // Another server, nothing has changed.
    servers.on(1, &mut client, |client| assert_eq!(execute(client, "a", "2").tags, "2DCZ"));
    run_directly(&database, "ALTER TABLE quotes ALTER premium TYPE text");

    for server in [0, 1] {
        let reply = servers.on(server, &mut client, |client| execute(client, "a", "3"));
        assert_eq!((reply.tags.as_str(), reply.sqlstate()), ("EZ", "0A000"), "{reply:?}");
        assert_eq!(reply.error_text(), "cached plan must not change result type");
    }
    assert_eq!(run_directly(&database, "SELECT count(*) FROM quotes"), "2", "nothing was executed");

    // Who prepares it again knows, on either server.
    servers.on(1, &mut client, |client| {
        client.tell(|out| {
            encode::close_statement(out, b"a");
            encode::sync(out);
        });
        client.reply();
        prepare(client, "a", INSERT);
        assert_eq!(execute(client, "a", "4").tags, "2DCZ");
    });
    servers.on(0, &mut client, |client| assert_eq!(execute(client, "a", "5").tags, "2DCZ"));
}

#[test]
fn a_server_that_prepares_it_anew_is_asked_first() {
    let (database, pooler) = setup();
    let mut client = pooler.client();
    let mut servers = Servers::hold(&pooler);
    servers.on(0, &mut client, |client| prepare(client, "a", INSERT));
    run_directly(&database, "ALTER TABLE quotes DROP premium");
    // In a transaction, behind another statement: all of it fails, as PostgreSQL would have it.
    let replies = servers.on(1, &mut client, |client| {
        client.tell(|out| {
            encode::query(out, b"BEGIN");
            encode::parse(out, b"", b"INSERT INTO quotes VALUES (10)", &[0, 0]);
            encode::bind_text(out, b"", b"", &[]);
            encode::execute(out, b"", 0);
            bind(out, "a", "11");
            encode::execute(out, b"", 0);
            bind(out, "a", "12");
            encode::execute(out, b"", 0);
            encode::sync(out);
            encode::query(out, b"COMMIT");
        });
        [client.reply(), client.reply(), client.reply()]
    });
    assert_eq!((replies[1].tags.as_str(), replies[1].sqlstate()), ("12CEZ", "0A000"));
    assert_eq!((replies[1].status, replies[2].commands.join("")), (Some('E'), "ROLLBACK".to_owned()));
    assert_eq!(run_directly(&database, "SELECT count(*) FROM quotes"), "0");
    // What else is wrong with it is said as ever.
    run_directly(&database, "DROP TABLE quotes");
    servers.on(1, &mut client, |client| {
        let reply = execute(client, "a", "3");
        assert_eq!((reply.tags.as_str(), reply.sqlstate()), ("EZ", "42P01"), "{reply:?}");
        assert_eq!(client.value("SELECT 'well'"), "well");
    });
}

#[test]
fn who_describes_each_portal_or_nothing_goes_on() {
    let (database, pooler) = setup();
    let mut client = pooler.client();
    let mut servers = Servers::hold(&pooler);
    servers.on(0, &mut client, |client| {
        prepare(client, "told", INSERT);
        client.tell(|out| {
            encode::parse(out, b"untold", INSERT.as_bytes(), &[0, 0]);
            encode::sync(out);
        });
        client.reply();
    });
    run_directly(&database, "ALTER TABLE quotes ADD note text DEFAULT 'new'");
    servers.on(1, &mut client, |client| {
        client.tell(|out| {
            bind(out, "told", "1");
            encode::describe_portal(out, b"");
            encode::execute(out, b"", 0);
            encode::sync(out);
        });
        let reply = client.reply();
        assert_eq!(reply.columns, ["id", "premium", "note"], "{reply:?}");
        assert_eq!(execute(client, "untold", "2").tags, "2DCZ");
        // The unnamed statement is described and bound in requests of their own.
        prepare(client, "", INSERT);
        assert_eq!(execute(client, "", "3").tags, "2DCZ");
        assert_eq!(execute(client, "told", "4").sqlstate(), "0A000");
    });
}
