//! Estimates against what a rewrite gives back, and against pgstattuple.

use pgprime_advisor::space::{FindingKind, NoEstimate, SpaceOptions, SpaceReport, text};
use pgprime_cluster::Installation;

use super::{
    connect, database, estimated, estimated_index, find, look, measuring, options, run_remedies, steps,
};

/// How far an estimate may be from what a rewrite gives back, in percent of the relation.
const TOLERANCE_PERCENT: f64 = 6.0;
/// How far it may be from what is measured, where places in a page's list that are free again count as used.
const MEASURED_TOLERANCE_PERCENT: f64 = 8.0;
/// The first for an index, whose entries are small enough for what a text is rounded up to to count.
const INDEX_TOLERANCE_PERCENT: f64 = 8.0;

/// Tables of every shape that the formula tells apart: columns, storage parameters, and a row for each number `i`.
const SHAPES: &[(&str, &str, &str, u32, &str)] = &[
    ("narrow", "id int", "", 60_000, "i"),
    ("two_bytes", "a smallint, b bigint, c boolean", "", 40_000, "i % 9, i, true"),
    ("texts", "id int, a text, b text, c timestamptz", "", 30_000,
     "i, repeat('x', i % 40), md5(i::text), now()"),
    ("wide", "id bigint, a uuid, b text, c text, d numeric, e jsonb, f int, g double precision", "", 10_000,
     "i, md5(i::text)::uuid, repeat('b', 120 + i % 60), repeat('c', 60), i * 1.5, '{\"k\": 1}', i, i"),
    ("nulls", "id int, a bigint, b bigint, c bigint, d text, e text, f int, g int, h int, k bigint", "", 30_000,
     "i, CASE WHEN i % 3 = 0 THEN i END, CASE WHEN i % 5 = 0 THEN i END, NULL, CASE WHEN i % 2 = 0 THEN 'some text' END,
      NULL, CASE WHEN i % 7 = 0 THEN i END, NULL, i, CASE WHEN i % 2 = 0 THEN i END"),
    ("half", "id int, a text", "fillfactor = 50", 30_000, "i, md5(i::text)"),
    ("three_a_page", "id int, a text STORAGE PLAIN", "", 2_000, "i, repeat(md5(i::text), 75)"),
    ("toast", "id int, body text STORAGE EXTERNAL", "", 600, "i, repeat(md5(i::text), 300 + i % 20)"),
];

/// Creates, fills and analyzes the shapes, and deletes three of five rows, all over the table.
fn planted() -> String {
    let mut sql = String::new();
    for (name, columns, storage, rows, values) in SHAPES {
        // Version 13 to 15 do not take STORAGE in CREATE TABLE.
        let (mut plain, mut alters) = (Vec::new(), String::new());
        for column in columns.split(", ") {
            let (column, kind) = column.split_once(" STORAGE ").unwrap_or((column, ""));
            plain.push(column);
            if !kind.is_empty() {
                let column = column.split(' ').next().unwrap();
                alters += &format!("ALTER TABLE {name} ALTER COLUMN {column} SET STORAGE {kind};");
            }
        }
        let with = if storage.is_empty() { String::new() } else { format!("WITH ({storage})") };
        sql += &format!("CREATE TABLE {name} ({}) {with}; {alters}", plain.join(", "));
        sql += &format!("INSERT INTO {name} SELECT {values} FROM generate_series(1, {rows}) i;");
        let key = if columns.starts_with("id") { "id" } else { "b" };
        sql += &format!("DELETE FROM {name} WHERE {key} % 5 < 3;");
    }
    sql
}

fn sizes(node: &pgprime_cluster::Node, database: &str) -> Vec<f64> {
    let size = |name: &str| -> f64 {
        let sql = format!(
            "SELECT pg_relation_size('{name}') + coalesce(pg_relation_size(nullif(reltoastrelid, 0)), 0) FROM pg_class
             WHERE oid = '{name}'::regclass"
        );
        node.psql(database, &sql).unwrap().parse().unwrap()
    };
    SHAPES.iter().map(|(name, ..)| size(name)).collect()
}

#[tokio::test]
async fn estimates_are_what_a_rewrite_gives_back() {
    let (node, database) = database("shapes");
    steps(node, &database, &[&planted(), "VACUUM", "ANALYZE"]);
    let client = connect(node, &database, "postgres").await;
    let wasted = look(&client, &options()).await;
    let before = sizes(node, &database);
    node.psql(&database, "VACUUM (FULL, ANALYZE)").unwrap();
    let after = sizes(node, &database);
    let rewritten = look(&client, &options()).await;
    for (at, (name, ..)) in SHAPES.iter().enumerate() {
        let truth = (before[at] - after[at]) / before[at] * 100.0;
        let estimate = estimated(&wasted, name).percent;
        assert!(truth > 40.0, "{name}: {truth} % planted");
        assert!((estimate - truth).abs() <= TOLERANCE_PERCENT, "{name}: {estimate:.1} % for {truth:.1} %");
        let left = estimated(&rewritten, name).percent;
        assert!(left <= TOLERANCE_PERCENT, "{name}: {left:.1} % after a rewrite");
        let finding = find(&wasted, FindingKind::TableBloat, &format!("public.{name}"));
        assert!(finding.is_some(), "{name}: {:#?}", wasted.findings);
        assert_eq!(find(&rewritten, FindingKind::TableBloat, &format!("public.{name}")), None);
    }
}

#[tokio::test]
async fn measuring_confirms_the_estimate() {
    let (node, database) = database("measured");
    node.psql(&database, "CREATE SCHEMA \"Tools\"; CREATE EXTENSION pgstattuple SCHEMA \"Tools\"").unwrap();
    steps(node, &database, &[&planted(), "VACUUM", "ANALYZE"]);
    let client = connect(node, &database, "postgres").await;
    let report = look(&client, &measuring()).await;
    let measures_toast = Installation::find().unwrap().version_major() >= 14;
    for (name, _, storage, ..) in SHAPES {
        let table = report.tables.iter().find(|table| table.name == *name).unwrap();
        // Version 13's pgstattuple refuses what is out of line: the reason is told.
        if table.toast_bytes > 0 && !measures_toast && table.waste.measured.is_none() {
            let reason = table.waste.not_measured.as_deref().unwrap();
            assert!(reason.contains("is not a table or materialized view"), "{name}: {reason}");
            continue;
        }
        let (Some(estimated), Some(measured)) = (table.waste.estimated, table.waste.measured) else {
            panic!("{name}: {:?}", table.waste);
        };
        let apart = (estimated.percent - measured.percent).abs();
        assert!(apart <= MEASURED_TOLERANCE_PERCENT, "{name}: {estimated:?} {measured:?}");
        if table.toast_bytes > 0 || !storage.is_empty() || *name == "three_a_page" {
            continue;
        }
        // What pgstattuple itself counts as free and dead.
        let sql = format!("SELECT free_percent + dead_tuple_percent FROM \"Tools\".pgstattuple('{name}')");
        let counted: f64 = node.psql(&database, &sql).unwrap().parse().unwrap();
        assert!((counted - measured.percent).abs() <= TOLERANCE_PERCENT, "{name}: {counted} {measured:?}");
    }
    let summary = &find(&report, FindingKind::TableBloat, "public.narrow").unwrap().summary;
    assert!(summary.contains("(measured)") && summary.contains("free already"), "{summary}");
}

#[tokio::test]
async fn dead_rows_are_waste_before_a_vacuum() {
    let (node, database) = database("dead");
    let sql = "CREATE TABLE t (id int, a text) WITH (autovacuum_enabled = off);
               INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 40000) i;";
    steps(node, &database, &[sql, "VACUUM ANALYZE t", "DELETE FROM t WHERE id % 2 = 0"]);
    let client = connect(node, &database, "postgres").await;
    let report = look(&client, &options()).await;
    let percent = estimated(&report, "t").percent;
    assert!((44.0..56.0).contains(&percent), "{percent}");
    let table = &report.tables[0];
    assert_eq!((table.live_rows, table.dead_rows), (20_000, 20_000));
    assert!(table.autovacuum.is_vacuum_due && !table.autovacuum.is_enabled);
    assert!(table.maintained.last_vacuum_seconds_ago().is_some_and(|seconds| seconds < 300.0));
    let finding = find(&report, FindingKind::TableBloat, "public.t").unwrap();
    assert_eq!(finding.remedies[0].statement, "VACUUM (ANALYZE) public.t;");
    assert_eq!(finding.remedies[0].lock, "SHARE UPDATE EXCLUSIVE");
    let dead = find(&report, FindingKind::DeadRows, "public.t").unwrap();
    assert!(dead.summary.contains("switched off for this table"), "{}", dead.summary);

    run_remedies(node, &database, dead);
    run_remedies(node, &database, finding);
    let report = look(&client, &options()).await;
    assert_eq!(report.findings.len(), 1, "only the server's switch is left: {:#?}", report.findings);
    assert_eq!(report.findings[0].object, "autovacuum");
}

/// Indexes of every shape, and the table's rows thinned out after they were built.
const INDEXES: &str = "
    CREATE TABLE t (id int, a text, b int, c bigint, d int, \"strange name\" text);
    CREATE INDEX t_id ON t (id);
    CREATE INDEX t_text ON t (a);
    CREATE INDEX t_few ON t (b);
    CREATE INDEX t_two ON t (id, c);
    CREATE INDEX t_null ON t (d);
    CREATE INDEX t_lower ON t (lower(a));
    CREATE INDEX t_part ON t (c) WHERE b < 10;
    CREATE INDEX t_include ON t (id) INCLUDE (a);
    CREATE INDEX t_full ON t (id) WITH (fillfactor = 60);
    CREATE INDEX \"T Strange\" ON t (\"strange name\");
    INSERT INTO t SELECT i, md5(i::text), i % 20, i, CASE WHEN i % 2 = 0 THEN i END, 'x' || i
    FROM generate_series(1, 60000) i;";

const INDEX_NAMES: &[&str] = &[
    "t_id",
    "t_text",
    "t_few",
    "t_two",
    "t_null",
    "t_lower",
    "t_part",
    "t_include",
    "t_full",
    "\"T Strange\"",
];

#[tokio::test]
async fn index_estimates_are_what_building_anew_gives_back() {
    let (node, database) = database("indexes");
    steps(node, &database, &["CREATE EXTENSION pgstattuple", INDEXES, "ANALYZE t; REINDEX TABLE t"]);
    let client = connect(node, &database, "postgres").await;
    let fresh = look(&client, &measuring()).await;
    for name in INDEX_NAMES {
        let left = estimated_index(&fresh, &format!("public.{name}")).percent;
        assert!(left <= INDEX_TOLERANCE_PERCENT, "{name}: {left:.1} % when just built");
    }
    steps(node, &database, &["DELETE FROM t WHERE id % 10 < 6", "VACUUM ANALYZE t"]);
    let wasted = look(&client, &SpaceOptions { waste_bytes_min: 64 << 10, ..measuring() }).await;
    let size = |name: &str| -> f64 {
        let sql = format!("SELECT pg_relation_size('{name}')");
        node.psql(&database, &sql).unwrap().parse().unwrap()
    };
    let before: Vec<f64> = INDEX_NAMES.iter().map(|name| size(name)).collect();
    for name in INDEX_NAMES {
        let qualified = format!("public.{name}");
        let finding = find(&wasted, FindingKind::IndexBloat, &qualified);
        let finding = finding.unwrap_or_else(|| panic!("{name}: {:#?}", wasted.findings));
        assert_eq!(finding.remedies[0].statement, format!("REINDEX INDEX CONCURRENTLY {qualified};"));
        run_remedies(node, &database, finding);
    }
    for (name, before) in INDEX_NAMES.iter().zip(before) {
        let truth = (before - size(name)) / before * 100.0;
        let index = wasted.indexes.iter().find(|index| index.qualified == format!("public.{name}")).unwrap();
        let (estimated, measured) = (index.waste.estimated.unwrap(), index.waste.measured.unwrap());
        assert!(
            (estimated.percent - truth).abs() <= INDEX_TOLERANCE_PERCENT,
            "{name}: {estimated:?} for {truth:.1} %"
        );
        assert!(
            (measured.percent - truth).abs() <= TOLERANCE_PERCENT,
            "{name}: {measured:?} for {truth:.1} %"
        );
    }
}

fn no_estimate(report: &SpaceReport, name: &str) -> Option<NoEstimate> {
    report.tables.iter().find(|table| table.name == name).unwrap().waste.not_estimated.clone()
}

#[tokio::test]
async fn where_the_estimate_does_not_apply_it_says_why() {
    let (node, database) = database("not_estimated");
    let fill =
        |name: &str| format!("INSERT INTO {name} SELECT i, md5(i::text) FROM generate_series(1, 20000) i;");
    let sql = format!(
        "CREATE TABLE never (id int, a text); CREATE TABLE added (id int, a text);
         CREATE TABLE small (id int, a text); CREATE TABLE hidden (id int, a text);
         CREATE TABLE zero (id int, a text); ALTER TABLE zero ALTER COLUMN a SET STATISTICS 0;
         {} {} {} {} INSERT INTO small VALUES (1, 'x');
         CREATE INDEX never_gin ON never USING gin (string_to_array(a, 'a'));
         ANALYZE added; ANALYZE small; ANALYZE zero; ANALYZE hidden;
         ALTER TABLE added ADD COLUMN later text; ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
         CREATE ROLE not_estimated_app LOGIN; GRANT SELECT ON hidden, small, zero TO not_estimated_app;
         GRANT SELECT (id) ON added TO not_estimated_app;",
        fill("never"),
        fill("added"),
        fill("hidden"),
        fill("zero")
    );
    node.psql(&database, &sql).unwrap();
    let client = connect(node, &database, "postgres").await;
    let report = look(&client, &options()).await;
    let without = |column: &str| NoEstimate::ColumnsWithoutStatistics { columns: vec![column.to_owned()] };
    assert_eq!(no_estimate(&report, "never"), Some(NoEstimate::NeverAnalyzed));
    assert_eq!(no_estimate(&report, "added"), Some(without("later")));
    assert_eq!(no_estimate(&report, "zero"), Some(without("a")));
    assert_eq!(no_estimate(&report, "small"), Some(NoEstimate::Small));
    assert_eq!(no_estimate(&report, "hidden"), None);
    let gin = report.indexes.iter().find(|index| index.qualified == "public.never_gin").unwrap();
    assert_eq!(gin.waste.not_estimated, Some(NoEstimate::NotBTree { method: "gin".to_owned() }));
    let stale = find(&report, FindingKind::StaleStatistics, "public.never").unwrap();
    run_remedies(node, &database, stale);
    assert_eq!(no_estimate(&look(&client, &options()).await, "never"), None);

    let client = connect(node, &database, "not_estimated_app").await;
    let report = look(&client, &options()).await;
    assert_eq!(no_estimate(&report, "never"), Some(NoEstimate::NotPermitted));
    assert_eq!(no_estimate(&report, "added"), Some(NoEstimate::NotPermitted));
    assert_eq!(no_estimate(&report, "hidden"), Some(NoEstimate::RowSecurity));
    let shown = text(&report);
    assert!(shown.contains("public.never: no estimate: this role may not read its columns"), "{shown}");
}

#[tokio::test]
async fn roles_get_what_they_may_see_and_the_way_to_the_rest() {
    let (node, database) = database("privileges");
    let sql = "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, a text);
               INSERT INTO t (a) SELECT md5(i::text) FROM generate_series(1, 40000) i;
               DELETE FROM t WHERE id % 3 > 0;
               CREATE ROLE \"Space Monitor\" LOGIN; GRANT pg_monitor TO \"Space Monitor\";
               CREATE ROLE space_plain LOGIN;";
    steps(node, &database, &[sql, "VACUUM ANALYZE t"]);
    let monitor = connect(node, &database, "Space Monitor").await;
    let plain = connect(node, &database, "space_plain").await;

    let report = look(&monitor, &measuring()).await;
    let way = |report: &SpaceReport, what: &str| {
        let missing = report.missing.iter().find(|missing| missing.what.contains(what));
        missing.unwrap_or_else(|| panic!("{what}: {:#?}", report.missing)).statement.clone().unwrap()
    };
    assert_eq!(report.tables[0].waste.best(), None);
    assert_eq!(way(&report, "measured waste"), "CREATE EXTENSION pgstattuple;");
    node.psql(&database, &way(&report, "measured waste")).unwrap();

    // The role may measure now, without reading a row.
    let report = look(&monitor, &measuring()).await;
    assert!(report.tables[0].waste.measured.unwrap().percent > 55.0);
    assert!(find(&report, FindingKind::TableBloat, "public.t").is_some());
    let grants = way(&report, "estimated waste") + &way(&report, "how far 1 sequences are");

    let report = look(&plain, &measuring()).await;
    let measure = way(&report, "measured waste");
    assert!(measure.contains("GRANT pg_stat_scan_tables TO space_plain;"), "{measure}");
    node.psql(&database, &(measure + &grants.replace("\"Space Monitor\"", "space_plain"))).unwrap();
    let report = look(&plain, &measuring()).await;
    let waste = &report.tables[0].waste;
    assert!((waste.estimated.unwrap().percent - waste.measured.unwrap().percent).abs() < 6.0, "{waste:?}");
    assert_eq!(report.missing, []);
    assert_eq!(report.sequences[0].last_value, Some(40_000));
}

#[tokio::test]
async fn partitions_add_up_and_the_whole_is_analyzed_by_hand() {
    let (node, database) = database("partitions");
    let sql = "CREATE SCHEMA \"S p\"; SET search_path = \"S p\";
               CREATE TABLE \"The Whole\" (id int, a text) PARTITION BY RANGE (id);
               CREATE TABLE p1 PARTITION OF \"The Whole\" FOR VALUES FROM (0) TO (20000);
               CREATE TABLE p2 PARTITION OF \"The Whole\" FOR VALUES FROM (20000) TO (50000) PARTITION BY RANGE (id);
               CREATE TABLE p3 PARTITION OF p2 FOR VALUES FROM (20000) TO (50000);
               INSERT INTO \"The Whole\" SELECT i, md5(i::text) FROM generate_series(1, 49999) i;
               DELETE FROM p3 WHERE id % 2 = 0;";
    steps(node, &database, &[sql, "SET search_path = \"S p\"; VACUUM ANALYZE p1; VACUUM ANALYZE p3;"]);
    let client = connect(node, &database, "postgres").await;
    let report = look(&client, &options()).await;
    assert_eq!(report.partitioned.len(), 1);
    let whole = &report.partitioned[0];
    assert_eq!((&*whole.qualified, whole.partitions), ("\"S p\".\"The Whole\"", 2));
    assert_eq!(whole.live_rows, 19_999 + 15_000);
    assert_eq!(whole.total_bytes, report.tables.iter().map(|table| table.total_bytes).sum::<u64>());
    assert!(find(&report, FindingKind::TableBloat, "\"S p\".p3").is_some(), "{:#?}", report.findings);
    assert_eq!(find(&report, FindingKind::TableBloat, "\"S p\".p1"), None);
    let stale = find(&report, FindingKind::StaleStatistics, "\"S p\".\"The Whole\"").unwrap();
    run_remedies(node, &database, stale);
    let report = look(&client, &options()).await;
    assert_eq!(find(&report, FindingKind::StaleStatistics, "\"S p\".\"The Whole\""), None);
    assert!(text(&report).lines().all(|line| line.chars().count() <= 100));
}
