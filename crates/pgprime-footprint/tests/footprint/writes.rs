//! What is written.

use pgprime_footprint::{Control, NotKeptReason, Writes};

use crate::harness::{check_writes, has_reason, schema};

/// All that is checked here.
pub(crate) const ALL: &[&[(&str, &str)]] = &[
    CHANGES_REACH_WHAT_THEY_NAME,
    CHANGES_REACH_PARTITIONS_HEIRS_AND_WHAT_REFERS,
    CHANGES_REACH_WHAT_TRIGGERS_RULES_AND_VIEWS_LEAD_TO,
    FUNCTIONS_AND_PROCEDURES_WRITE,
];

const CHANGES_REACH_WHAT_THEY_NAME: &[(&str, &str)] = &[
    ("INSERT INTO lone VALUES (3, 3)", "lone"),
    ("INSERT INTO other.lone SELECT * FROM lone", "other.lone"),
    ("UPDATE lone SET n = 1 FROM counters", "lone"),
    ("DELETE FROM \"Quoted Table\" USING lone", "\"Quoted Table\""),
    ("TRUNCATE lone, counters", "counters lone"),
    ("COPY lone FROM STDIN", "lone"),
    ("MERGE INTO lone USING counters c ON c.n = lone.id AND c.name = 'a' WHEN MATCHED THEN DELETE", "lone"),
    ("WITH gone AS (DELETE FROM lone RETURNING *) SELECT * FROM gone", "lone"),
    ("WITH a AS (UPDATE lone SET n = 1), b AS (INSERT INTO counters VALUES ('x')) SELECT 1", "counters lone"),
    ("WITH lone AS (SELECT 1) INSERT INTO lone VALUES (7)", "lone"),
    ("EXPLAIN ANALYZE DELETE FROM lone", "lone"),
    ("EXPLAIN DELETE FROM lone", "-"),
    ("DELETE FROM lone; UPDATE counters SET n = 1", "counters lone"),
    ("BEGIN; DELETE FROM lone; COMMIT", "lone"),
    ("REFRESH MATERIALIZED VIEW daily", "daily"),
    ("SELECT * INTO made FROM lone", "made"),
    ("CREATE TABLE public.made AS SELECT * FROM lone", "public.made"),
    ("CREATE TABLE made AS WITH a AS (SELECT count_up('a')) SELECT * FROM a", "counters made"),
    ("CREATE TEMP TABLE made AS SELECT * FROM lone", "-"),
    ("CREATE TEMP TABLE made (id int); INSERT INTO made VALUES (1); SELECT * FROM made", "-"),
    ("INSERT INTO pg_temp.mine VALUES (1)", "-"),
    ("DECLARE c CURSOR FOR SELECT count_up('a')", "counters"),
    ("UPDATE guarded SET id = 1", "counters guarded"),
    ("INSERT INTO counting (id) VALUES (1)", "counters counting"),
    ("INSERT INTO with_default (id) VALUES (1)", "counters lone"),
    ("INSERT INTO regions VALUES ('n')", "regions"),
    ("UPDATE pg_class SET relname = 'a'", "*"),
    ("INSERT INTO not_there VALUES (1)", "*"),
    ("INSERT INTO remote VALUES (1)", "*"),
];

#[tokio::test]
async fn changes_reach_what_they_name() {
    check_writes(&schema().await, CHANGES_REACH_WHAT_THEY_NAME);
}

const ALL_EVENTS: &str = "audit events events_2024 events_2024_a events_2024_b events_2025";

const CHANGES_REACH_PARTITIONS_HEIRS_AND_WHAT_REFERS: &[(&str, &str)] = &[
    ("INSERT INTO events VALUES ('2025-01-01', 'a')", ALL_EVENTS),
    ("INSERT INTO events_2024_a VALUES ('2024-01-01', 'a')", "audit events events_2024 events_2024_a"),
    ("UPDATE events_2025 SET n = 1", "audit events events_2025"),
    ("DELETE FROM events_2024", "events events_2024 events_2024_a events_2024_b"),
    ("UPDATE animals SET name = ''", "animals dogs puppies"),
    ("DELETE FROM dogs", "animals dogs puppies"),
    ("DELETE FROM customers", "claims customers policies"),
    ("UPDATE customers SET id = id + 10", "customers policies"),
    ("INSERT INTO customers VALUES (9)", "customers"),
    ("INSERT INTO customers VALUES (9) ON CONFLICT (id) DO UPDATE SET id = 10", "customers policies"),
    ("INSERT INTO customers VALUES (9) ON CONFLICT DO NOTHING", "customers"),
    (
        "MERGE INTO customers c USING lone l ON c.id = l.id WHEN NOT MATCHED THEN INSERT VALUES (l.id)",
        "customers",
    ),
    ("DELETE FROM policies", "claims policies"),
    ("UPDATE policies SET premium = 1", "policies"),
    ("DELETE FROM notes", "notes"),
    ("TRUNCATE customers", "customers"),
    ("TRUNCATE customers CASCADE", "claims customers notes policies"),
];

#[tokio::test]
async fn changes_reach_partitions_heirs_and_what_refers() {
    check_writes(&schema().await, CHANGES_REACH_PARTITIONS_HEIRS_AND_WHAT_REFERS);
}

const CHANGES_REACH_WHAT_TRIGGERS_RULES_AND_VIEWS_LEAD_TO: &[(&str, &str)] = &[
    ("INSERT INTO policies (id) VALUES (9)", "audit policies"),
    ("INSERT INTO dynamic VALUES (1)", "*"),
    ("DELETE FROM dynamic", "dynamic"),
    ("INSERT INTO disabled VALUES (1)", "disabled"),
    ("INSERT INTO told VALUES (1)", "told"),
    ("INSERT INTO numbered (region) VALUES ('n')", "counters numbered"),
    ("DELETE FROM ruled", "audit ruled"),
    ("INSERT INTO ruled VALUES (1)", "ruled"),
    ("INSERT INTO open_policies (id) VALUES (11)", "audit policies"),
    ("DELETE FROM open_policies", "claims policies"),
    ("UPDATE many SET id = id + 10", "lone"),
    ("INSERT INTO trigger_view VALUES (1, 2)", "counters"),
    ("UPDATE trigger_view SET n = 1", "lone"),
    ("INSERT INTO rule_view VALUES (1, 2)", "counters"),
    ("DELETE FROM rule_view", "lone"),
];

#[tokio::test]
async fn changes_reach_what_triggers_rules_and_views_lead_to() {
    check_writes(&schema().await, CHANGES_REACH_WHAT_TRIGGERS_RULES_AND_VIEWS_LEAD_TO);
}

const FUNCTIONS_AND_PROCEDURES_WRITE: &[(&str, &str)] = &[
    ("SELECT count_up('a')", "counters"),
    ("SELECT count_up_twice('a')", "counters"),
    ("SELECT * FROM count_up('a')", "counters"),
    ("UPDATE lone SET n = count_up('a')", "counters lone"),
    ("SELECT anything('DELETE FROM lone')", "*"),
    ("SELECT works_on_temporary()", "-"),
    ("SELECT not_there(1)", "*"),
    ("SELECT broken()", "*"),
    ("SELECT query_to_xml('SELECT 1', true, true, '')", "*"),
    ("CALL note(1)", "notes"),
    ("CALL close_all()", "notes policies"),
    ("DO $$ BEGIN DELETE FROM lone; PERFORM count_up('a'); END $$", "counters lone"),
    ("DO $$ BEGIN EXECUTE 'DELETE FROM ' || 'lone'; END $$", "*"),
    ("DO $$ BEGIN EXECUTE 'DELETE FROM lone'; END $$", "lone"),
    ("DO $$ BEGIN DO 'BEGIN DELETE FROM lone; END'; END $$", "lone"),
    ("DO LANGUAGE plperl 'x'", "*"),
    ("EXECUTE prepared(1)", "*"),
    ("SELECT mixed('a')", "-"),
];

#[tokio::test]
async fn functions_and_procedures_write() {
    check_writes(&schema().await, FUNCTIONS_AND_PROCEDURES_WRITE);
}

#[tokio::test]
async fn definitions_and_sessions_that_change_are_told() {
    let schema = schema().await;
    for sql in [
        "CREATE TABLE a (id int)",
        "ALTER TABLE lone ADD COLUMN a int",
        "DROP TABLE lone",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE RULE r AS ON INSERT TO lone DO NOTHING",
        "CREATE VIEW a AS SELECT 1",
        "CREATE MATERIALIZED VIEW a AS SELECT 1",
        "GRANT SELECT ON lone TO PUBLIC",
        "DO $$ BEGIN DROP TABLE lone; END $$",
    ] {
        let footprint = schema.footprint(sql);
        assert!(
            matches!(footprint.writes, Writes::Anything { .. }) && footprint.changes_definitions,
            "{sql}"
        );
    }
    for sql in [
        "CREATE INDEX ON lone (n)",
        "COMMENT ON TABLE lone IS ''",
        "ANALYZE",
        "VACUUM lone",
        "LISTEN a",
        "LOCK lone",
    ] {
        let footprint = schema.footprint(sql);
        assert!(footprint.writes == Writes::Nothing && !footprint.changes_definitions, "{sql}");
        assert!(!footprint.changes_session, "{sql}");
    }
    for sql in [
        "SET search_path = other",
        "SET LOCAL search_path = other",
        "RESET search_path",
        "RESET ALL",
        "DISCARD ALL",
        "SET ROLE other",
        "SET SESSION AUTHORIZATION other",
        "SET TimeZone = 'UTC'",
        "SELECT set_config('search_path', 'other', false)",
        "SELECT set_config($1, 'other', false)",
        "CREATE TEMP VIEW lone AS SELECT 1",
    ] {
        let footprint = schema.footprint(sql);
        assert!(footprint.changes_session && footprint.writes == Writes::Nothing, "{sql}");
    }
    assert!(!schema.footprint("SET work_mem = '1MB'").changes_session);
}

#[tokio::test]
async fn control_of_transactions_is_told() {
    let schema = schema().await;
    for sql in [
        "BEGIN",
        "START TRANSACTION",
        "COMMIT",
        "END",
        "ROLLBACK",
        "SAVEPOINT a",
        "ROLLBACK TO a",
        "RELEASE a",
        "PREPARE TRANSACTION 'a'",
    ] {
        let footprint = schema.footprint(sql);
        assert_eq!((footprint.control, footprint.writes), (Control::Some, Writes::Nothing), "{sql}");
    }
    for sql in ["COMMIT PREPARED 'a'", "ROLLBACK PREPARED 'a'"] {
        let footprint = schema.footprint(sql);
        assert_eq!(footprint.control, Control::Some);
        assert!(matches!(footprint.writes, Writes::Anything { .. }), "{sql}");
    }
    for sql in ["CALL close_all()", "DO $$ BEGIN DELETE FROM lone; COMMIT; END $$", "SELECT 1; COMMIT"] {
        assert_eq!(schema.footprint(sql).control, Control::Some, "{sql}");
    }
    assert_eq!(schema.footprint("CALL note(1)").control, Control::None);
}

#[tokio::test]
async fn what_cannot_be_read_may_do_anything() {
    let schema = schema().await;
    for sql in ["SELECT FROM WHERE", "\0", "SELECT '", "DROP DROP", &"(".repeat(2_000), &"x".repeat(2 << 20)]
    {
        let footprint = schema.footprint(sql);
        assert!(has_reason(&footprint, NotKeptReason::Unparsed), "{footprint:?}");
        assert!(matches!(footprint.writes, Writes::Anything { .. }));
        assert_eq!(footprint.control, Control::Some);
    }
    for sql in ["SELECT * FROM not_there", "SELECT not_there(1)", "SELECT 1 ~~~~ 2", "SELECT other.here()"] {
        assert!(has_reason(&schema.footprint(sql), NotKeptReason::Unknown), "{sql}");
    }
}
