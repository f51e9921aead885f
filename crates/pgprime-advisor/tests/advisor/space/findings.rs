//! What else runs out: sequences, transaction ids, leftovers; and growth.

use std::time::Duration;

use jiff::Timestamp;
use pgprime_advisor::history::{History, Retention};
use pgprime_advisor::space::{
    FindingKind, Growth, Severity, SpaceOptions, SpaceReport, remember, report, text,
};
use pgprime_cluster::{Cluster, ClusterOptions};

use super::{connect, database, find, look, options, run_remedies, steps};

const SEQUENCES: &str = "
    CREATE TABLE a (id serial PRIMARY KEY); SELECT setval('a_id_seq', 2000000000);
    CREATE TABLE b (id int GENERATED ALWAYS AS IDENTITY); SELECT setval('b_id_seq', 1700000000);
    CREATE SEQUENCE shared; CREATE TABLE \"C c\" (\"Id\" int DEFAULT nextval('shared')); SELECT setval('shared', 1800000000);
    CREATE SEQUENCE down AS int INCREMENT -1 MINVALUE -100 MAXVALUE -1 START -1; SELECT setval('down', -80);
    CREATE SEQUENCE short MAXVALUE 1000; SELECT setval('short', 950);
    -- None of these is near its end.
    CREATE TABLE d (id bigserial); SELECT setval('d_id_seq', 4000000000);
    CREATE TABLE e (id serial); SELECT setval('e_id_seq', 1000000);
    CREATE SEQUENCE round AS smallint CYCLE; SELECT setval('round', 32000);
    CREATE TABLE f (id int GENERATED ALWAYS AS IDENTITY);
    CREATE SEQUENCE unused AS smallint;";

fn ends(report: &SpaceReport) -> Vec<(&str, Severity)> {
    let is_end = |finding: &&pgprime_advisor::space::Finding| finding.kind == FindingKind::SequenceEnd;
    let mut ends: Vec<_> =
        report.findings.iter().filter(is_end).map(|end| (&*end.object, end.severity)).collect();
    ends.sort_by_key(|(object, _)| *object);
    ends
}

#[tokio::test]
async fn sequences_near_their_end_and_the_way_out() {
    let (node, database) = database("sequences");
    node.psql(&database, SEQUENCES).unwrap();
    let client = connect(node, &database, "postgres").await;
    let report = look(&client, &options()).await;
    let expected = [
        ("public.a_id_seq", Severity::Critical),
        ("public.b_id_seq", Severity::Warning),
        ("public.down", Severity::Warning),
        ("public.shared", Severity::Warning),
        ("public.short", Severity::Critical),
    ];
    assert_eq!(ends(&report), expected);
    let shared = find(&report, FindingKind::SequenceEnd, "public.shared").unwrap();
    assert!(
        shared.summary.contains("The column \"Id\" of public.\"C c\" is only integer"),
        "{}",
        shared.summary
    );
    let statement = &shared.remedies[0].statement;
    assert_eq!(statement, "ALTER TABLE public.\"C c\" ALTER COLUMN \"Id\" TYPE bigint;");
    assert_eq!(shared.remedies[0].lock, "ACCESS EXCLUSIVE");
    for finding in report.findings.iter().filter(|finding| finding.kind == FindingKind::SequenceEnd) {
        run_remedies(node, &database, finding);
    }
    // What was not made with a limit of its own has room now.
    assert_eq!(ends(&look(&client, &options()).await), [("public.down", Severity::Warning)]);
}

#[tokio::test]
async fn ages_of_ids_against_lowered_limits() {
    let options = ClusterOptions::default()
        .with_setting("autovacuum", "off")
        .with_setting("autovacuum_freeze_max_age", "100000");
    let cluster = Cluster::start(&options).unwrap();
    let node = cluster.primary();
    node.psql("postgres", "CREATE TABLE old (id int); INSERT INTO old VALUES (1)").unwrap();
    // While this one looks at the past nothing can be frozen, whoever tries.
    let holder = connect(node, "postgres", "postgres").await;
    holder.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM old").await.unwrap();
    let burn = "DO $$ BEGIN FOR i IN 1..115000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$";
    node.psql("postgres", burn).unwrap();
    let client = connect(node, "postgres", "postgres").await;
    let aged = report(&client, &SpaceOptions::default()).await.unwrap();
    let table = find(&aged, FindingKind::TransactionAge, "public.old").unwrap();
    assert_eq!(table.severity, Severity::Warning);
    assert_eq!(table.remedies[0].statement, "VACUUM (FREEZE) public.old;");
    let own = find(&aged, FindingKind::TransactionAge, "database postgres").unwrap();
    assert!(
        own.summary.contains("The session ") && own.summary.contains("end that first"),
        "{}",
        own.summary
    );
    assert!(find(&aged, FindingKind::TransactionAge, "database template1").is_some());
    assert!(aged.holders[0].transaction_age >= 110_000);
    assert!(aged.databases.iter().all(|database| database.transaction_age >= 110_000));

    holder.batch_execute("ROLLBACK").await.unwrap();
    run_remedies(node, "postgres", table);
    run_remedies(node, "postgres", own);
    let frozen = report(&client, &SpaceOptions::default()).await.unwrap();
    assert_eq!(find(&frozen, FindingKind::TransactionAge, "public.old"), None);
    assert_eq!(find(&frozen, FindingKind::TransactionAge, "database postgres"), None);
}

#[tokio::test]
async fn temporary_tables_of_a_crash_are_left_over() {
    let options = ClusterOptions::default().with_setting("autovacuum", "off");
    let cluster = Cluster::start(&options).unwrap();
    let node = cluster.primary();
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let session = connect(node, "postgres", "postgres").await;
        session.batch_execute("CREATE TEMP TABLE scratch AS SELECT 1 AS x").await.unwrap();
        sessions.push(session);
    }
    let client = connect(node, "postgres", "postgres").await;
    assert_eq!(report(&client, &SpaceOptions::default()).await.unwrap().orphaned_schemas, []);
    // Commits are not written at once here.
    node.psql("postgres", "CHECKPOINT").unwrap();
    node.kill();
    node.start().unwrap();
    let client = connect(node, "postgres", "postgres").await;
    let left = report(&client, &SpaceOptions::default()).await.unwrap();
    // The new session may have the number of one that is gone.
    assert!((2..=3).contains(&left.orphaned_schemas.len()), "{:?}", left.orphaned_schemas);
    let is_orphan =
        |finding: &&pgprime_advisor::space::Finding| finding.kind == FindingKind::OrphanedTemporary;
    let orphans: Vec<_> = left.findings.iter().filter(is_orphan).collect();
    assert_eq!(orphans.len(), left.orphaned_schemas.len());
    orphans.iter().for_each(|orphan| run_remedies(node, "postgres", orphan));
    assert_eq!(report(&client, &SpaceOptions::default()).await.unwrap().orphaned_schemas, []);
}

#[tokio::test]
async fn unlogged_tables_autovacuum_and_growth() {
    let (node, database) = database("small_things");
    let sql = "CREATE UNLOGGED TABLE u (id int); CREATE TABLE off (id int) WITH (autovacuum_enabled = false);
               CREATE TABLE grown (id int); INSERT INTO grown SELECT generate_series(1, 10000);";
    steps(node, &database, &[sql, "VACUUM ANALYZE"]);
    let client = connect(node, &database, "postgres").await;
    let options = options();
    let report = look(&client, &options).await;
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::open(&folder.path().join("history"), Retention::default()).unwrap();
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    let mut before = report.clone();
    remember(&mut history, &mut before, "here:1", None, now).unwrap();
    assert!(before.tables.iter().all(|table| table.growth.is_none()), "nothing was recorded");
    steps(node, &database, &["INSERT INTO grown SELECT generate_series(1, 10000)", "ANALYZE grown"]);
    let mut after = look(&client, &options).await;
    let later = now + Duration::from_secs(7_200);
    remember(&mut history, &mut after, "here:1", None, later).unwrap();
    let growth = |name: &str| after.tables.iter().find(|table| table.name == name).unwrap().growth.unwrap();
    assert!(growth("grown").bytes > 300_000, "{:?}", growth("grown"));
    assert_eq!(growth("off"), Growth { bytes: 0, seconds: 7_200.0 });
    assert!(text(&after).contains("more than 2 h ago"), "{}", text(&after));
    remember(&mut history, &mut after, "elsewhere:1", None, later).unwrap();
    assert!(after.tables.iter().all(|table| table.growth.is_none()), "another server's");
    let severity = |kind, object: &str| find(&report, kind, object).map(|finding| finding.severity);
    assert_eq!(severity(FindingKind::Unlogged, "public.u"), Some(Severity::Info));
    assert_eq!(severity(FindingKind::AutovacuumOff, "public.off"), Some(Severity::Info));
    assert_eq!(severity(FindingKind::AutovacuumOff, "autovacuum"), Some(Severity::Warning));
    assert_eq!(severity(FindingKind::StaleStatistics, "public.grown"), None);
    assert_eq!(report.findings.len(), 3, "{:#?}", report.findings);
    assert_eq!(report.worst(), Some(Severity::Warning));
    run_remedies(node, &database, find(&report, FindingKind::Unlogged, "public.u").unwrap());
    run_remedies(node, &database, find(&report, FindingKind::AutovacuumOff, "public.off").unwrap());
    assert_eq!(look(&client, &options).await.findings.len(), 1);

    steps(node, &database, &["INSERT INTO grown SELECT generate_series(1, 20000)"]);
    let report = look(&client, &options).await;
    let stale = find(&report, FindingKind::StaleStatistics, "public.grown").unwrap();
    assert!(stale.summary.starts_with("20,000 rows changed since the last analyze"), "{}", stale.summary);
    let shown = text(&report);
    assert!(shown.contains("Only this database"), "{shown}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["findings"][0]["severity"], "warning");
    assert_eq!(json["tables"][0]["name"], "grown");
}

#[tokio::test]
async fn names_are_quoted_and_harmless_on_a_terminal() {
    let (node, database) = database("names");
    let long = "n".repeat(63);
    let sql = format!(
        "CREATE SCHEMA \"a.b\"; CREATE TABLE \"a.b\".\"It's \"\"quoted\"\"\" (id int);
         CREATE SCHEMA {long}; CREATE UNLOGGED TABLE {long}.{long} (id int);
         CREATE UNLOGGED TABLE U&\"red\\001B[31m\" (id int);
         INSERT INTO \"a.b\".\"It's \"\"quoted\"\"\" SELECT generate_series(1, 40000);
         DELETE FROM \"a.b\".\"It's \"\"quoted\"\"\" WHERE id > 5; VACUUM ANALYZE;
         INSERT INTO \"a.b\".\"It's \"\"quoted\"\"\" SELECT generate_series(1, 40000);
         DELETE FROM \"a.b\".\"It's \"\"quoted\"\"\" WHERE id > 5; ANALYZE;"
    );
    node.psql(&database, &sql).unwrap();
    let client = connect(node, &database, "postgres").await;
    let report = look(&client, &options()).await;
    let object = "\"a.b\".\"It's \"\"quoted\"\"\"";
    let finding = find(&report, FindingKind::TableBloat, object).unwrap();
    run_remedies(node, &database, finding);
    let repack = finding.remedies.iter().find(|remedy| remedy.is_shell).unwrap();
    assert!(repack.statement.ends_with(r#"--table='"a.b"."It'\''s ""quoted"""'"#), "{}", repack.statement);
    let shown = text(&report);
    assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown}");
}
