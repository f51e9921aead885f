//! Each thing a review finds, planted beside what looks like it and is none.

use std::time::Duration;

use pgprime_advisor::index_review::{
    Confidence, IndexFinding, IndexProblem, IndexReview, ReviewOptions, review, text,
};
use pgprime_advisor::space::{Measure, Severity, SpaceOptions};
use pgprime_cluster::Node;
use tokio_postgres::Client;

use crate::space::{connect, database, steps};

/// Sizes that a test can fill, and statistics that are old enough at once.
fn options() -> ReviewOptions {
    let measure = Measure { relations_max: 0, ..Measure::default() };
    let space = SpaceOptions { waste_bytes_min: 256 << 10, measure, ..SpaceOptions::default() };
    ReviewOptions {
        space,
        statistics_age_min: Duration::ZERO,
        statistics_age_sure: Duration::ZERO,
        index_bytes_min: 0,
        foreign_key_table_bytes_min: 0,
        ..ReviewOptions::default()
    }
}

async fn look(client: &Client, options: &ReviewOptions) -> IndexReview {
    review(client, options).await.unwrap()
}

/// Problem, index or table, and what covers it; sorted.
fn found(review: &IndexReview) -> Vec<String> {
    let line = |finding: &IndexFinding| {
        let object = finding.index.as_ref().unwrap_or(&finding.table);
        let by = finding.covered_by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
        format!("{} {object}{by}", finding.problem).replace("public.", "")
    };
    let mut lines: Vec<String> = review.findings.iter().map(line).collect();
    lines.sort();
    lines
}

/// All definitions, by which what was undone is as before.
fn definitions(node: &Node, database: &str) -> String {
    let sql = "SELECT string_agg(pg_get_indexdef(indexrelid), E'\\n' ORDER BY indexrelid::regclass::text)
               FROM pg_index WHERE indrelid >= 16384 AND indrelid::regclass::text !~ '^pg_toast'";
    node.psql(database, sql).unwrap()
}

/// Uses all indexes that have columns of `table` once, so that they count as used.
fn use_index(node: &Node, database: &str, query: &str) {
    let sql = format!("SET enable_seqscan = off; SET enable_bitmapscan = off; {query}");
    steps(node, database, &[&sql]);
}

const OVERLAPS: &str = "
    CREATE EXTENSION btree_gist;
    CREATE TABLE t (id int PRIMARY KEY, a int, b int, c text, d int UNIQUE, e int NOT NULL, f text, r int4range,
                    EXCLUDE USING gist (r WITH &&));
    INSERT INTO t SELECT i, i, i, i::text, i, i, i::text, int4range(i, i + 1) FROM generate_series(1, 500) i;
    -- The same, but for a name.
    CREATE INDEX same_1 ON t (a, b); CREATE INDEX \"Same 2\" ON t (a, b);
    CREATE INDEX like_primary ON t (id);
    CREATE UNIQUE INDEX like_unique ON t (d);
    CREATE INDEX expr_1 ON t (lower(c)) WHERE a > 0; CREATE INDEX expr_2 ON t (lower(c)) WHERE a > 0;
    CREATE INDEX included_1 ON t (e) INCLUDE (a); CREATE INDEX included_2 ON t (e) INCLUDE (a);
    CREATE INDEX hash_1 ON t USING hash (a); CREATE INDEX hash_2 ON t USING hash (a);
    -- The beginning of same_1.
    CREATE INDEX prefix ON t (a);
    -- Not quite the same, nor the beginning of another.
    CREATE INDEX near_order ON t (a DESC, b); CREATE INDEX near_class ON t (c text_pattern_ops);
    CREATE INDEX near_collation ON t (c COLLATE \"C\"); CREATE INDEX near_plain ON t (c, a);
    CREATE INDEX near_predicate ON t (a, b) WHERE b > 0; CREATE INDEX near_second ON t (b);
    CREATE UNIQUE INDEX near_unique ON t (f); CREATE INDEX near_wider ON t (f, a);
    CREATE INDEX near_included ON t (b, c) INCLUDE (e); CREATE INDEX near_method ON t USING brin (b, c);
    CREATE UNIQUE INDEX replica ON t (e); ALTER TABLE t REPLICA IDENTITY USING INDEX replica;
    ANALYZE t;";

#[tokio::test]
async fn duplicates_and_prefixes_with_their_undo() {
    let (node, database) = database("overlaps");
    node.psql(&database, OVERLAPS).unwrap();
    use_index(node, &database, "SELECT * FROM t WHERE a = 5 AND b = 5");
    let client = connect(node, &database, "postgres").await;
    let all = look(&client, &options()).await;
    let overlapping = |review: &IndexReview| -> Vec<IndexFinding> {
        let is_overlap = |finding: &&IndexFinding| {
            matches!(finding.problem, IndexProblem::Duplicate | IndexProblem::Redundant)
        };
        review.findings.iter().filter(is_overlap).cloned().collect()
    };
    let findings = overlapping(&all);
    let lines: Vec<String> = found(&all).into_iter().filter(|line| !line.starts_with("unused")).collect();
    let stays = |one: &str, other: &str| -> bool {
        lines.contains(&format!("duplicate {one} by {other}"))
            || lines.contains(&format!("duplicate {other} by {one}"))
    };
    assert!(
        stays("same_1", "\"Same 2\"") && stays("expr_1", "expr_2") && stays("hash_1", "hash_2"),
        "{lines:?}"
    );
    assert!(stays("included_1", "included_2"), "{lines:?}");
    assert!(lines.contains(&"duplicate like_primary by t_pkey".to_owned()), "{lines:?}");
    assert!(lines.contains(&"duplicate like_unique by t_d_key".to_owned()), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("redundant prefix by ")), "{lines:?}");
    // near_second begins near_included as well.
    assert!(lines.iter().any(|line| line.starts_with("redundant near_second by near_included")), "{lines:?}");
    assert_eq!(lines.len(), 8, "{lines:#?}");
    let shown = text(&all);
    assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");

    let before = definitions(node, &database);
    for finding in &findings {
        node.psql(&database, &finding.remedies[0].statement).unwrap();
        assert_eq!(finding.remedies[0].lock, "SHARE UPDATE EXCLUSIVE");
        assert!(finding.freed_bytes.is_some_and(|bytes| bytes >= 8_192));
    }
    assert_eq!(overlapping(&look(&client, &options()).await), []);
    for finding in &findings {
        node.psql(&database, &finding.undo.as_ref().unwrap().statement).unwrap();
    }
    assert_eq!(definitions(node, &database), before);
}

const USE: &str = "
    CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent SELECT generate_series(1, 100);
    CREATE TABLE t (id int PRIMARY KEY, a int, b int UNIQUE, c int NOT NULL, d int REFERENCES parent, e int, f int, g int);
    INSERT INTO t SELECT i, i, i, i, i % 100 + 1, i, i, i FROM generate_series(1, 2000) i;
    CREATE INDEX never ON t (a);
    -- Of use, or for more than speed.
    CREATE INDEX used ON t (e); CREATE UNIQUE INDEX unique_index ON t (c);
    CREATE INDEX only_support ON t (d); CREATE INDEX ordered ON t (f); CLUSTER t USING ordered;
    -- Unused itself, but takes over what the shorter one did.
    CREATE INDEX short ON t (g); CREATE INDEX long ON t (g, a, b);
    CREATE TABLE parts (id int, k int) PARTITION BY RANGE (k);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (1000);
    CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (1000) TO (2000);
    INSERT INTO parts SELECT i, i FROM generate_series(1, 1999) i;
    CREATE INDEX parts_never ON parts (id); CREATE INDEX parts_used ON parts (k);
    CREATE INDEX part_alone ON parts_1 (k, id);
    ANALYZE;";

#[tokio::test]
async fn unused_indexes_and_what_only_looks_it() {
    let (node, database) = database("unused");
    node.psql(&database, USE).unwrap();
    use_index(node, &database, "SELECT * FROM t WHERE e = 5");
    use_index(
        node,
        &database,
        "DROP INDEX long; SELECT * FROM t WHERE g = 5; CREATE INDEX long ON t (g, a, b);",
    );
    // Of the partitioned index one part is used, and that is enough.
    use_index(node, &database, "SELECT * FROM parts_2 WHERE k = 1500");
    let client = connect(node, &database, "postgres").await;
    let all = look(&client, &options()).await;
    let expected = ["redundant short by long", "unused never", "unused part_alone", "unused parts_never"];
    assert_eq!(found(&all), expected);
    let finding =
        |name: &str| all.findings.iter().find(|finding| finding.index.as_deref() == Some(name)).unwrap();
    assert_eq!(finding("public.never").confidence, Confidence::High);
    assert_eq!(finding("public.never").remedies[0].statement, "DROP INDEX CONCURRENTLY public.never;");
    let whole = finding("public.parts_never");
    assert_eq!(whole.remedies[0].statement, "DROP INDEX public.parts_never;");
    assert!(whole.remedies[0].lock.starts_with("ACCESS EXCLUSIVE"));
    let part_bytes = "SELECT sum(pg_relation_size(indexrelid)) FROM pg_index WHERE indexrelid::regclass::text ~ 'parts_._id'";
    assert_eq!(whole.freed_bytes, node.psql(&database, part_bytes).unwrap().parse().ok());
    let before = definitions(node, &database);
    for finding in &all.findings {
        node.psql(&database, &finding.remedies[0].statement).unwrap();
    }
    // Nobody remembers whose work it does now.
    assert_eq!(found(&look(&client, &options()).await), ["unused long"]);
    for finding in &all.findings {
        node.psql(&database, &finding.undo.as_ref().unwrap().statement).unwrap();
    }
    assert_eq!(definitions(node, &database), before);

    // A week is needed to be sure, and the statistics are minutes old.
    let young = ReviewOptions { statistics_age_min: Duration::from_secs(7 * 86_400), ..options() };
    let all = look(&client, &young).await;
    let unused: Vec<&IndexFinding> =
        all.findings.iter().filter(|finding| finding.problem == IndexProblem::Unused).collect();
    assert!(!unused.is_empty());
    for finding in unused {
        assert_eq!((finding.severity, finding.confidence), (Severity::Info, Confidence::Low));
        assert!(finding.reason.contains("too short to tell"), "{}", finding.reason);
    }
    assert!(all.missing.iter().any(|missing| missing.what == "which indexes are unused"));
}

const KEYS: &str = "
    CREATE SCHEMA \"S s\"; SET search_path = \"S s\", public;
    CREATE TABLE parent (a int, b int, PRIMARY KEY (a, b)); CREATE TABLE single (id int PRIMARY KEY);
    INSERT INTO parent SELECT i, i FROM generate_series(1, 100) i; INSERT INTO single SELECT generate_series(1, 100);
    CREATE TABLE bare (x int, \"Y y\" int, FOREIGN KEY (x, \"Y y\") REFERENCES parent);
    CREATE TABLE wrong_order (x int, y int, z int, FOREIGN KEY (x, y) REFERENCES parent);
    CREATE INDEX ON wrong_order (z, x, y);
    CREATE TABLE conditional (x int REFERENCES single, y int); CREATE INDEX ON conditional (x) WHERE y > 0;
    CREATE TABLE divided (x int REFERENCES single) PARTITION BY LIST (x);
    CREATE TABLE divided_1 PARTITION OF divided FOR VALUES IN (1);
    -- With an index that will do.
    CREATE TABLE turned (x int, y int, FOREIGN KEY (x, y) REFERENCES parent); CREATE INDEX ON turned (y, x);
    CREATE TABLE prefixed (x int REFERENCES single, y int, PRIMARY KEY (x, y));
    CREATE TABLE not_null (x int REFERENCES single); CREATE INDEX ON not_null (x) WHERE x IS NOT NULL;
    CREATE TABLE hashed (x int REFERENCES single); CREATE INDEX ON hashed USING hash (x);
    INSERT INTO bare SELECT i, i FROM generate_series(1, 100) i; DELETE FROM bare; DELETE FROM parent;";

#[tokio::test]
async fn foreign_keys_without_an_index() {
    let (node, database) = database("keys");
    steps(node, &database, &[KEYS]);
    let client = connect(node, &database, "postgres").await;
    let keys = |review: &IndexReview| -> Vec<IndexFinding> {
        let is_key = |finding: &&IndexFinding| finding.problem == IndexProblem::ForeignKeyWithoutIndex;
        review.findings.iter().filter(is_key).cloned().collect()
    };
    let findings = keys(&look(&client, &options()).await);
    let mut tables: Vec<&str> = findings.iter().map(|finding| &*finding.table).collect();
    tables.sort_unstable();
    let expected = ["\"S s\".bare", "\"S s\".conditional", "\"S s\".divided", "\"S s\".wrong_order"];
    assert_eq!(tables, expected);
    let bare = findings.iter().find(|finding| finding.table == "\"S s\".bare").unwrap();
    let statement = "CREATE INDEX CONCURRENTLY \"bare_x_Y y_idx\" ON \"S s\".bare (x, \"Y y\");";
    assert_eq!(bare.remedies[0].statement, statement);
    assert_eq!((bare.severity, bare.confidence), (Severity::Warning, Confidence::High));
    assert!(bare.reason.contains("100 deletes"), "{}", bare.reason);
    let unchanged = findings.iter().find(|finding| finding.table == "\"S s\".conditional").unwrap();
    assert_eq!(unchanged.severity, Severity::Info);

    let before = definitions(node, &database);
    for finding in &findings {
        node.psql(&database, &finding.remedies[0].statement).unwrap();
    }
    assert_eq!(keys(&look(&client, &options()).await), []);
    for finding in &findings {
        node.psql(&database, &finding.undo.as_ref().unwrap().statement).unwrap();
    }
    assert_eq!(definitions(node, &database), before);
    let large = ReviewOptions { foreign_key_table_bytes_min: 1 << 20, ..options() };
    assert_eq!(keys(&look(&client, &large).await), [], "small tables are read in no time");
}

#[tokio::test]
async fn failed_builds_and_bloat() {
    let (node, database) = database("failed");
    let sql = "CREATE TABLE t (id int PRIMARY KEY, a int, b int);
               INSERT INTO t SELECT i, i % 1000, i FROM generate_series(1, 40000) i;";
    node.psql(&database, sql).unwrap();
    node.psql(&database, "CREATE UNIQUE INDEX CONCURRENTLY failed ON t (a)").unwrap_err();
    node.psql(&database, "REINDEX INDEX CONCURRENTLY failed").unwrap_err();
    steps(node, &database, &["DELETE FROM t WHERE id % 10 > 2", "VACUUM ANALYZE t"]);
    use_index(node, &database, "SELECT * FROM t WHERE id = 5");
    let client = connect(node, &database, "postgres").await;
    let all = look(
        &client,
        &ReviewOptions { space: SpaceOptions { estimate_bytes_min: 0, ..options().space }, ..options() },
    )
    .await;
    let expected = ["bloated t_pkey", "invalid failed", "invalid failed_ccnew"];
    assert_eq!(found(&all), expected, "{:#?}", all.findings);
    let statements = |index: &str| {
        let finding = all.findings.iter().find(|finding| finding.index.as_deref() == Some(index)).unwrap();
        finding.remedies.iter().map(|remedy| remedy.statement.clone()).collect::<Vec<_>>()
    };
    let statement = |index: &str| statements(index)[0].clone();
    assert_eq!(statement("public.failed_ccnew"), "DROP INDEX CONCURRENTLY public.failed_ccnew;");
    let [find, build, _] = &statements("public.failed")[..] else {
        panic!("{:?}", statements("public.failed"))
    };
    assert_eq!(build, "REINDEX INDEX CONCURRENTLY public.failed;");
    assert_eq!(node.psql(&database, find).unwrap().lines().count(), 20, "{find}");
    node.psql(&database, &statement("public.failed_ccnew")).unwrap();
    node.psql(&database, "UPDATE t SET a = id").unwrap();
    assert_eq!(node.psql(&database, find).unwrap(), "");
    node.psql(&database, build).unwrap();
    node.psql(&database, &statement("public.t_pkey")).unwrap();
    // It is valid now and, being unique, is not to go for want of use.
    assert_eq!(found(&look(&client, &options()).await), [""; 0]);
}

#[tokio::test]
async fn an_ordinary_role_reviews_as_well() {
    let (node, database) = database("review_plain");
    node.psql(&database, OVERLAPS).unwrap();
    node.psql(&database, "CREATE ROLE review_plain LOGIN; CREATE ROLE review_monitor LOGIN; GRANT pg_monitor TO review_monitor")
        .unwrap();
    let all = look(&connect(node, &database, "postgres").await, &options()).await;
    for role in ["review_plain", "review_monitor"] {
        let client = connect(node, &database, role).await;
        assert_eq!(found(&look(&client, &options()).await), found(&all), "{role}");
    }
}
