//! How clients prove who they are to the pooler, and the pooler to PostgreSQL.

use pgprime_cluster::{Cluster, ClusterOptions};
use tokio_postgres::Error;

use crate::harness::{Client, Pooler, Setup, cluster, run, sqlstate};

/// A user of the shared cluster; created by the first test that asks.
fn role(name: &str) -> String {
    let create = format!(
        "DO $$ BEGIN CREATE ROLE {name} LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    );
    cluster().primary().psql("postgres", &create).unwrap();
    name.to_owned()
}

async fn log_in(pooler: &Pooler, database: &str, user: &str, password: &str) -> Result<Client, Error> {
    let password = if password.is_empty() { String::new() } else { format!(" password='{password}'") };
    Client::connect(&format!("host=127.0.0.1 port={} dbname={database} user={user}{password}", pooler.port()))
        .await
}

/// A pooler for a user with this secret, in front of a PostgreSQL that trusts it.
fn pooler_for(auth_type: &str, user: &str, secret: &str) -> (String, Pooler) {
    let database = cluster().test_database(user).unwrap();
    let setup = Setup::new().database(cluster().primary(), &database, "").set("auth_type", auth_type);
    (database, Pooler::start(setup.user(user, secret)))
}

fn check(auth_type: &str, user: &str, secret: &str, password: &str) {
    let (database, pooler) = pooler_for(auth_type, &role(user), secret);
    run(async {
        for _ in 0..3 {
            let client = log_in(&pooler, &database, user, password).await.unwrap();
            assert_eq!(client.value("SELECT current_user").await.unwrap(), user);
        }
        for (user, password) in [(user, "wrong"), ("nobody_knows", password), ("nobody_knows", "wrong")] {
            assert_eq!(
                sqlstate(log_in(&pooler, &database, user, password).await),
                "28P01",
                "{user} {password}"
            );
        }
        // The right one still is, and refused clients hold no place.
        assert!(log_in(&pooler, &database, user, password).await.is_ok());
    });
    assert!(!pooler.log().contains(secret) && !pooler.log().contains(password), "a secret in the log");
}

#[test]
fn plain_password_by_md5() {
    check("md5", "auth_md5_plain", "correct horse", "correct horse");
}

#[test]
fn md5_secret_by_md5() {
    let secret = pgprime_wire::md5::md5_secret(b"battery", b"auth_md5_hash");
    check("md5", "auth_md5_hash", &secret, "battery");
}

#[test]
fn scram_verifier_where_md5_is_set() {
    check("md5", "auth_md5_scram", &verifier("pa ss"), "pa ss");
}

#[test]
fn plain_password_by_scram() {
    check("scram-sha-256", "auth_scram_plain", "stäple", "stäple");
}

#[test]
fn scram_verifier_by_scram() {
    check("scram-sha-256", "auth_scram_hash", &verifier("stäple"), "stäple");
}

#[test]
fn cleartext_password_against_every_kind_of_secret() {
    check("plain", "auth_clear_plain", "open sesame", "open sesame");
    check("plain", "auth_clear_scram", &verifier("open sesame"), "open sesame");
    check("plain", "auth_clear_md5", &pgprime_wire::md5::md5_secret(b"open", b"auth_clear_md5"), "open");
}

fn verifier(password: &str) -> String {
    pgprime_wire::scram::ScramVerifier::derive(password.as_bytes(), b"sixteen bytes ok", 4096).to_string()
}

#[test]
fn trust_lets_in_whom_it_knows() {
    let (database, pooler) = pooler_for("trust", &role("auth_trust"), "");
    run(async {
        let client = log_in(&pooler, &database, "auth_trust", "").await.unwrap();
        assert_eq!(client.value("SELECT current_user").await.unwrap(), "auth_trust");
        assert_eq!(sqlstate(log_in(&pooler, &database, "nobody_knows", "").await), "28000");
        assert_eq!(sqlstate(log_in(&pooler, "no_such_database", "auth_trust", "").await), "3D000");
    });
}

#[test]
fn any_logs_everyone_in_as_the_databases_user() {
    let database = cluster().test_database("auth_any").unwrap();
    let user = role("auth_any");
    let setup = Setup::new().database(cluster().primary(), &database, &format!("user={user}"));
    let pooler = Pooler::start(setup.set("auth_type", "any"));
    run(async {
        let client = log_in(&pooler, &database, "whoever", "").await.unwrap();
        assert_eq!(client.value("SELECT current_user").await.unwrap(), user);
    });
}

#[test]
fn an_empty_password_is_nobodys() {
    for auth_type in ["md5", "plain", "scram-sha-256"] {
        let (database, pooler) = pooler_for(auth_type, &role("auth_empty"), "");
        let output = crate::harness::psql()
            .env("PGPASSWORD", "x")
            .arg("--dbname")
            .arg(pooler.conninfo(&database).replace("user=postgres", "user=auth_empty"))
            .output()
            .unwrap();
        assert!(!output.status.success(), "{auth_type}");
        run(async {
            assert_eq!(sqlstate(log_in(&pooler, &database, "auth_empty", "x").await), "28P01", "{auth_type}");
        });
    }
}

/// A PostgreSQL that asks each of these users for a password in another way.
fn guarded_cluster() -> Cluster {
    let options = ClusterOptions::default().with_hba([
        "host all in_trust 127.0.0.1/32 trust",
        "host all in_clear 127.0.0.1/32 password",
        "host all in_md5 127.0.0.1/32 md5",
        "host all in_scram 127.0.0.1/32 scram-sha-256",
    ]);
    let cluster = Cluster::start(&options).unwrap();
    // Version 13 stores MD5 unless told otherwise.
    let roles = "SET password_encryption = 'scram-sha-256'; \
                 CREATE ROLE in_trust LOGIN; CREATE ROLE in_clear LOGIN PASSWORD 'clear'; \
                 CREATE ROLE in_scram LOGIN PASSWORD 'scräm'; \
                 SET password_encryption = md5; CREATE ROLE in_md5 LOGIN PASSWORD 'five'";
    cluster.primary().psql("postgres", roles).unwrap();
    cluster
}

#[test]
fn logging_in_to_servers() {
    let cluster = guarded_cluster();
    let port = cluster.primary().port();
    let stored = |user: &str| {
        let sql = format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{user}'");
        cluster.primary().psql("postgres", &sql).unwrap()
    };
    let entry = format!("postgres = host=127.0.0.1 port={port}");
    let base = || Setup::new().entry(&entry);
    let who = |setup: Setup, user: &'static str, password: &'static str| {
        let pooler = Pooler::start(setup);
        run(async move {
            let client = log_in(&pooler, "postgres", user, password).await?;
            // More than one login to servers with the same secret.
            let other = log_in(&pooler, "postgres", user, password).await?;
            client.batch_execute("BEGIN").await?;
            assert_eq!(other.value("SELECT 1").await?, "1");
            client.value("SELECT current_user").await
        })
    };

    // With what is in the user list.
    for (user, secret, password) in [
        ("in_trust", "", ""),
        ("in_clear", "clear", "clear"),
        ("in_md5", "five", "five"),
        ("in_scram", "scräm", "scräm"),
    ] {
        for auth_type in ["trust", "md5", "scram-sha-256", "plain"] {
            if password.is_empty() && auth_type != "trust" {
                continue;
            }
            let setup = base().set("auth_type", auth_type).user(user, secret);
            assert_eq!(who(setup, user, password).unwrap(), user, "{auth_type}");
        }
    }
    // With the hash that PostgreSQL itself stores.
    let setup = base().set("auth_type", "md5").user("in_md5", &stored("in_md5"));
    assert_eq!(who(setup, "in_md5", "five").unwrap(), "in_md5");
    // With what the client's own proof has shown.
    for auth_type in ["scram-sha-256", "md5"] {
        let setup = base().set("auth_type", auth_type).user("in_scram", &stored("in_scram"));
        assert_eq!(who(setup, "in_scram", "scräm").unwrap(), "in_scram");
    }
    // With user and password of the database's entry, whoever the client is.
    let forced = format!("{entry} user=in_scram password='scräm'");
    let setup = Setup::new().entry(&forced).user("somebody", "");
    assert_eq!(who(setup, "somebody", "").unwrap(), "in_scram");
}

/// The client learns at once what is wrong with the server's login, and not only after a timeout.
#[test]
fn a_login_that_the_server_refuses() {
    let cluster = guarded_cluster();
    let entry = format!("postgres = host=127.0.0.1 port={}", cluster.primary().port());
    let stored = cluster
        .primary()
        .psql("postgres", "SELECT rolpassword FROM pg_authid WHERE rolname = 'in_scram'")
        .unwrap();
    let other_salt = verifier("scräm");
    for (user, secret, auth_type, password, expected) in [
        ("in_scram", "not the servers", "trust", "", "password authentication failed"),
        ("in_md5", "not the servers", "trust", "", "password authentication failed"),
        ("in_clear", "not the servers", "trust", "", "password authentication failed"),
        ("in_scram", "", "trust", "", "password"),
        ("in_scram", stored.as_str(), "trust", "", "no client has logged in with the password yet"),
        ("in_scram", other_salt.as_str(), "scram-sha-256", "scräm", "not the server's own"),
        ("unknown_there", "", "trust", "", "no pg_hba.conf entry"),
    ] {
        let pooler = Pooler::start(Setup::new().entry(&entry).set("auth_type", auth_type).user(user, secret));
        let refused = run(log_in(&pooler, "postgres", user, password)).err().unwrap();
        let error = refused.as_db_error().unwrap_or_else(|| panic!("{user}: {refused:?}"));
        assert!(error.message().contains(expected), "{user} {auth_type}: {}", error.message());
    }
}
