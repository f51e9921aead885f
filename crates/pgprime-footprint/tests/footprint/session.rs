//! Roles, search paths, settings and definitions that change.

use pgprime_footprint::{LoadError, NotKeptReason, Schema, Writes};
use tokio_postgres::Client;

use crate::harness::{SCHEMA, against, connect, database, has_reason, schema, shared, tables};

async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

async fn load(client: &Client) -> Schema {
    Schema::load(client).await.unwrap()
}

#[tokio::test]
async fn row_security_is_that_of_the_role() {
    let name = database("security").await;
    let owner = connect(&name, "postgres").await;
    let (reader, maker) = (format!("{name}_reader"), format!("{name}_maker"));
    run(
        &owner,
        &format!(
            "CREATE ROLE {reader} LOGIN; CREATE ROLE {maker} LOGIN;
             GRANT USAGE ON SCHEMA ins TO {reader}, {maker}; GRANT SELECT ON ALL TABLES IN SCHEMA ins TO {reader}, {maker};
             GRANT CREATE ON SCHEMA ins TO {maker};
             CREATE VIEW made AS SELECT * FROM secrets; ALTER VIEW made OWNER TO {maker};
             CREATE TABLE made_table (id int); ALTER TABLE made_table OWNER TO {maker}; GRANT SELECT ON made_table TO {reader};
             ALTER TABLE made_table ENABLE ROW LEVEL SECURITY;
             CREATE VIEW made_view AS SELECT * FROM made_table; ALTER VIEW made_view OWNER TO {maker};"
        ),
    )
    .await;
    let schema = load(&connect(&name, &reader).await).await;
    assert_eq!(schema.role(), reader);
    let cases = [
        ("SELECT * FROM secrets", "RowSecurity ins.secrets"),
        ("SELECT * FROM secrets_view", ""),
        ("SELECT * FROM made", "RowSecurity ins.secrets"),
        ("SELECT * FROM made_table", "RowSecurity ins.made_table"),
        ("SELECT * FROM made_view", ""),
        ("SELECT secret_count()", "RowSecurity ins.secrets"),
        ("SELECT * FROM lone", ""),
    ];
    for (sql, expected) in cases {
        assert_eq!(against(&schema.footprint(sql)), expected, "{sql}");
    }
    let schema = load(&connect(&name, &maker).await).await;
    assert_eq!(against(&schema.footprint("SELECT * FROM made_table")), "");
    run(&owner, "ALTER TABLE made_table FORCE ROW LEVEL SECURITY").await;
    let schema = load(&connect(&name, &maker).await).await;
    assert_eq!(against(&schema.footprint("SELECT * FROM made_view")), "RowSecurity ins.made_table");
    run(&owner, &format!("DROP OWNED BY {reader}, {maker}; DROP ROLE {reader}, {maker}")).await;
}

#[tokio::test]
async fn views_with_the_readers_rights_have_the_readers_row_security() {
    let name = database("invoker").await;
    let owner = connect(&name, "postgres").await;
    let version: i32 =
        owner.query_one("SELECT current_setting('server_version_num')::int", &[]).await.unwrap().get(0);
    if version < 150_000 {
        return;
    }
    let reader = format!("{name}_reader");
    run(
        &owner,
        &format!(
            "CREATE VIEW invoked WITH (security_invoker = on) AS SELECT * FROM secrets;
             CREATE VIEW around AS SELECT * FROM invoked;
             CREATE ROLE {reader} LOGIN; GRANT USAGE ON SCHEMA ins TO {reader};
             GRANT SELECT ON ALL TABLES IN SCHEMA ins TO {reader};"
        ),
    )
    .await;
    let schema = load(&connect(&name, &reader).await).await;
    assert_eq!(against(&schema.footprint("SELECT * FROM invoked")), "RowSecurity ins.secrets");
    assert_eq!(against(&schema.footprint("SELECT * FROM around")), "");
    run(&owner, &format!("DROP OWNED BY {reader}; DROP ROLE {reader}")).await;
}

#[tokio::test]
async fn names_are_found_by_the_search_path() {
    let name = &shared().await.0;
    let client = connect(name, "postgres").await;
    let cases = [
        ("ins, public", "lone", "shadowed"),
        ("public, ins", "lone", "public.shadowed"),
        ("other, public, ins", "other.lone", "public.shadowed"),
        ("\"$user\", not_there, other, ins", "other.lone", "shadowed"),
    ];
    for (path, lone, shadowed) in cases {
        run(&client, &format!("SET search_path = {path}")).await;
        let schema = load(&client).await;
        assert_eq!(tables(&schema.footprint("SELECT * FROM lone").reads), lone, "{path}");
        assert_eq!(tables(&schema.footprint("SELECT * FROM shadowed").reads), shadowed, "{path}");
        // Bound where they were made.
        assert_eq!(tables(&schema.footprint("SELECT * FROM ins.many").reads), "counters lone", "{path}");
        assert_eq!(tables(&schema.footprint("SELECT ins.elsewhere()").reads), "other.lone", "{path}");
        let shown: String = client.query_one("SHOW search_path", &[]).await.unwrap().get(0);
        assert_eq!(shown, path, "loading leaves the session as it was");
    }
    run(&client, "SET search_path = ''").await;
    let schema = load(&client).await;
    assert!(has_reason(&schema.footprint("SELECT * FROM lone"), NotKeptReason::Unknown));
    assert_eq!(schema.search_path(), ["pg_catalog"]);
    // A body that is not bound reads its names by the caller's path.
    assert!(has_reason(&schema.footprint("SELECT ins.here()"), NotKeptReason::Unknown));
}

#[tokio::test]
async fn temporary_tables_of_the_session_are_not_meant() {
    let client = connect(&shared().await.0, "postgres").await;
    run(&client, "CREATE TEMP TABLE lone (id int); CREATE TEMP TABLE mine (id int)").await;
    let schema = load(&client).await;
    assert_eq!(tables(&schema.footprint("SELECT * FROM lone").reads), "lone");
    assert!(has_reason(&schema.footprint("SELECT * FROM mine"), NotKeptReason::Unknown));
    assert!(
        schema.search_path().iter().all(|name| !name.starts_with("pg_temp")),
        "{:?}",
        schema.search_path()
    );
}

#[tokio::test]
async fn bodies_that_are_bound_are_read() {
    let name = database("bound").await;
    let client = connect(&name, "postgres").await;
    let version: i32 =
        client.query_one("SELECT current_setting('server_version_num')::int", &[]).await.unwrap().get(0);
    if version < 140_000 {
        return;
    }
    run(
        &client,
        "CREATE FUNCTION bound() RETURNS bigint LANGUAGE sql STABLE RETURN (SELECT count(*) FROM lone);
         CREATE FUNCTION bound_many() RETURNS bigint LANGUAGE sql STABLE
             BEGIN ATOMIC SELECT 1; SELECT count(*) FROM notes WHERE body <> 'END'; END;
         CREATE FUNCTION bound_write() RETURNS void LANGUAGE sql BEGIN ATOMIC DELETE FROM lone; INSERT INTO audit (what) VALUES (''); END",
    )
    .await;
    run(&client, "SET search_path = other, ins").await;
    let schema = load(&client).await;
    assert_eq!(tables(&schema.footprint("SELECT bound()").reads), "lone");
    assert_eq!(schema.footprint("SELECT bound()").kept, Ok(()));
    assert_eq!(tables(&schema.footprint("SELECT bound_many()").reads), "notes");
    let written = ["ins.audit", "ins.lone"].map(str::to_owned).into();
    assert_eq!(schema.footprint("SELECT bound_write()").writes, Writes::Tables(written));
}

#[tokio::test]
async fn extensions_in_c_are_known_or_may_do_anything() {
    let name = database("extensions").await;
    let client = connect(&name, "postgres").await;
    let harmless = client.batch_execute("CREATE EXTENSION \"uuid-ossp\"; CREATE EXTENSION pg_trgm").await;
    let dangerous = client.batch_execute("CREATE EXTENSION dblink").await;
    let schema = load(&client).await;
    if harmless.is_ok() {
        let footprint = schema.footprint("INSERT INTO notes (body) VALUES (uuid_generate_v4()::text)");
        assert_eq!(footprint.writes, Writes::Tables(["ins.notes".to_owned()].into()));
        let footprint = schema.footprint("SELECT * FROM notes WHERE body % 'a'");
        assert!(has_reason(&footprint, NotKeptReason::Opaque), "{footprint:?}");
        assert_eq!(schema.footprint("SELECT similarity('a', 'b')").kept, Ok(()));
    }
    if dangerous.is_ok() {
        let footprint = schema.footprint("SELECT * FROM dblink('', 'SELECT 1') AS t(a int)");
        assert!(matches!(footprint.writes, Writes::Anything { .. }), "{footprint:?}");
    }
}

#[tokio::test]
async fn the_hash_of_definitions_changes_with_what_is_meant() {
    let name = database("definitions").await;
    let client = connect(&name, "postgres").await;
    let texts = [
        "SELECT * FROM many",
        "SELECT premium_of(1)",
        "SELECT * FROM lone",
        "SELECT * FROM events",
        "SELECT * FROM shadowed",
        "SELECT twice(1)",
    ];
    let hashes = |schema: &Schema| texts.map(|sql| schema.footprint(sql).definitions);
    // What belongs to no single object counts for all.
    const ALL: [usize; 6] = [0, 1, 2, 3, 4, 5];
    let mut before = hashes(&load(&client).await);
    let changes: [(&str, &[usize]); 17] = [
        ("SELECT 1", &[]),
        ("CREATE TABLE unrelated (id int)", &[]),
        ("INSERT INTO lone VALUES (100, 1)", &[]),
        (
            "CREATE OR REPLACE VIEW many AS SELECT l.id, (SELECT min(n) FROM counters) AS top FROM lone l",
            &[0],
        ),
        (
            "CREATE OR REPLACE FUNCTION premium_of(customer int) RETURNS numeric LANGUAGE sql STABLE AS 'SELECT 1.0'",
            &[1],
        ),
        ("ALTER TABLE lone ADD COLUMN more int", &[0, 2]),
        (
            "CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
            &[3],
        ),
        ("DROP TABLE shadowed", &[4]),
        ("TRUNCATE lone", &[0, 2]),
        ("GRANT SELECT ON lone TO PUBLIC", &[0, 2]),
        ("GRANT SELECT (n) ON events_2025 TO PUBLIC", &[3]),
        ("REVOKE EXECUTE ON FUNCTION premium_of(int) FROM PUBLIC", &[1]),
        ("CREATE TYPE mood AS ENUM ('well')", &ALL),
        ("ALTER TYPE mood RENAME VALUE 'well' TO 'good'", &ALL),
        ("REVOKE USAGE ON SCHEMA public FROM PUBLIC", &ALL),
        ("ALTER DOMAIN region DROP CONSTRAINT region_check", &ALL),
        (
            "CREATE OR REPLACE FUNCTION twice(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + a'",
            &[5],
        ),
    ];
    for (change, expected) in changes {
        run(&client, change).await;
        let after = hashes(&load(&connect(&name, "postgres").await).await);
        let changed: Vec<usize> = (0..texts.len()).filter(|at| before[*at] != after[*at]).collect();
        assert_eq!(changed, expected, "{change}");
        before = after;
    }
}

#[tokio::test]
async fn the_environment_is_told() {
    let (name, schema) = shared().await;
    assert_eq!((schema.database(), schema.role()), (name.as_str(), "postgres"));
    assert_eq!(schema.search_path(), ["pg_catalog", "ins", "public"]);
    assert_eq!(schema.notify_triggers().iter().collect::<Vec<_>>(), ["ins.told"]);
    let client = connect(name, "postgres").await;
    run(&client, "SET TimeZone = 'Asia/Tokyo'; SET extra_float_digits = 0; SET quote_all_identifiers = on")
        .await;
    let other = load(&client).await;
    let setting = |name: &str| {
        let found = other.result_settings().iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    assert_eq!((setting("TimeZone").as_str(), setting("extra_float_digits").as_str()), ("Asia/Tokyo", "0"));
    assert_eq!(setting("quote_all_identifiers"), "on");
    assert_eq!(tables(&other.footprint("SELECT * FROM lone").reads), "lone");
    let names =
        |schema: &Schema| schema.result_settings().iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(schema), names(&other));
}

#[tokio::test]
async fn strings_with_backslashes_are_read_as_the_server_does_or_not_at_all() {
    let client = connect(&shared().await.0, "postgres").await;
    run(&client, "SET standard_conforming_strings = off").await;
    let schema = load(&client).await;
    assert!(has_reason(
        &schema.footprint(r"SELECT '\' || (SELECT 1 FROM lone) || '"),
        NotKeptReason::Unparsed
    ));
    assert_eq!(schema.footprint("SELECT * FROM lone").kept, Ok(()));
}

#[tokio::test]
async fn loading_ends_its_transaction_whatever_happens() {
    let name = database("failing").await;
    let client = connect(&name, "postgres").await;
    load(&client).await;
    // Only outside a transaction.
    run(&client, "VACUUM lone").await;
    let blocker = connect(&name, "postgres").await;
    run(&blocker, "BEGIN; LOCK TABLE pg_inherits").await;
    let refused = Schema::load(&client).await.unwrap_err();
    assert!(matches!(refused, LoadError::Database(_)), "{refused}");
    run(&blocker, "ROLLBACK").await;
    run(&client, "VACUUM lone").await;
    load(&client).await;
}

#[tokio::test]
async fn odd_texts_never_panic() {
    let schema = schema().await;
    let mut texts: Vec<String> = SCHEMA.split_inclusive(';').map(str::to_owned).collect();
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "sql") {
                texts.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
    assert!(texts.len() > 100);
    for text in &texts {
        let _ = schema.footprint(text);
        let cuts = (0..text.len()).step_by(37).filter(|cut| text.is_char_boundary(*cut));
        for cut in cuts {
            let _ = schema.footprint(&text[..cut]);
        }
    }
}

#[tokio::test]
async fn by_another_path_a_name_is_all_that_have_it() {
    let name = database("any_path").await;
    let client = connect(&name, "postgres").await;
    run(
        &client,
        "CREATE FUNCTION hidden() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
         CREATE FUNCTION other.hidden() RETURNS int LANGUAGE sql AS 'UPDATE ins.counters SET n = 1 RETURNING n';
         CREATE FUNCTION other.lower(text) RETURNS text LANGUAGE sql AS 'SELECT other.hidden()::text';
         CREATE FUNCTION calls() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN hidden(); END $$;
         CREATE VIEW twofold AS SELECT 1; CREATE VIEW other.twofold AS SELECT other.hidden();",
    )
    .await;
    let schema = load(&client).await;
    for sql in ["SELECT hidden()", "SELECT lower('A')", "SELECT calls()", "SELECT * FROM twofold"] {
        assert_eq!(schema.footprint(sql).writes, Writes::Nothing, "{sql}");
        let found = schema.footprint_by_any_path(sql).writes;
        assert_eq!(found, Writes::Tables(["ins.counters".to_owned()].into()), "{sql}");
    }
    for sql in ["SELECT * FROM lone", "SELECT upper('a'), count(*) FROM many", "SELECT ins.hidden()"] {
        assert_eq!(schema.footprint_by_any_path(sql).writes, Writes::Nothing, "{sql}");
    }
}

#[tokio::test]
async fn event_triggers_go_off_for_definitions_that_change_no_names() {
    let name = database("event_triggers").await;
    let client = connect(&name, "postgres").await;
    run(
        &client,
        "CREATE FUNCTION log_definition() RETURNS event_trigger LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO ins.audit (what) VALUES (tg_tag); END $$;
         CREATE EVENT TRIGGER log_definition ON ddl_command_end EXECUTE FUNCTION log_definition();",
    )
    .await;
    let schema = load(&client).await;
    for (sql, expected) in [
        ("CREATE INDEX ON lone (n)", "audit"),
        ("COMMENT ON TABLE lone IS ''", "audit"),
        ("REFRESH MATERIALIZED VIEW daily", "audit daily"),
        ("CREATE TEMP TABLE made AS SELECT 1", "audit"),
        ("CREATE TEMP TABLE made (id int)", "audit"),
        ("SELECT 1 INTO made", "audit made"),
        ("VACUUM lone", ""),
        ("DELETE FROM lone", "lone"),
    ] {
        let footprint = schema.footprint(sql);
        let found = match &footprint.writes {
            Writes::Nothing => String::new(),
            Writes::Tables(written) => tables(written),
            Writes::Anything { because } => because.clone(),
        };
        assert_eq!(found, expected, "{sql}");
    }
}

#[tokio::test]
async fn what_a_text_leaves_in_its_session_is_told() {
    let schema = schema().await;
    for sql in [
        "SET work_mem = '1MB'",
        "SELECT set_config('app.tenant', '1', false)",
        "SELECT set_config('TimeZone', 'UTC', true)",
        "SELECT set_config('app.tenant', '1', $1)",
        "CREATE TEMP TABLE lone (id int)",
        "SELECT 1 INTO LOCAL TEMPORARY lone",
        "SELECT 1 INTO pg_temp.lone",
        "SELECT works_on_temporary()",
        "SELECT leaves_setting()",
        "CREATE TRIGGER touch BEFORE UPDATE ON scratch FOR EACH ROW EXECUTE FUNCTION touch()",
        "DISCARD ALL",
    ] {
        assert!(schema.footprint(sql).leaves_traces, "{sql}");
    }
    for sql in [
        "SELECT * FROM lone",
        "SET LOCAL work_mem = '1MB'",
        "SELECT set_config('app.tenant', '1', true)",
        "SELECT leaves_nothing()",
        "DELETE FROM lone",
    ] {
        assert!(!schema.footprint(sql).leaves_traces, "{sql}");
    }
}
