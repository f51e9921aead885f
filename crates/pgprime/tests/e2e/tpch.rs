//! Index advice for TPC-H: what is suggested, what it really gains, and the same answers as before.

mod data;
mod known;
mod measure;
mod queries;

use std::collections::BTreeSet;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use pgprime_cluster::{Cluster, ClusterOptions};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Client, column, stderr_of};
use data::{Group, Reference};
use measure::{Measured, Measuring, cost, table};
use queries::QUERIES;

/// Gigabytes of raw data. A debug build needs less than a minute for this much.
const SCALE: f64 = 0.02;
/// All suggestions together may take this share of the tables' size.
const BUDGET_SHARE: f64 = 0.4;

/// The scale, and how often everything is executed, as the environment says.
fn setting(name: &str, default: f64) -> f64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// A cluster of its own with the tables, and a connection.
struct Stage {
    cluster: Cluster,
    client: Client,
    scale: f64,
    reference: Reference,
    dir: TempDir,
    tables_bytes: i64,
}

impl Stage {
    async fn set(scale: f64) -> Self {
        // One process for each query: how many workers are free must not decide what it costs.
        let options = ClusterOptions::default()
            .with_setting("shared_buffers", "512MB")
            .with_setting("work_mem", "64MB")
            .with_setting("maintenance_work_mem", "128MB")
            .with_setting("max_wal_size", "4GB")
            .with_setting("max_parallel_workers_per_gather", "0")
            .with_setting("random_page_cost", "1.1")
            .with_setting("autovacuum", "off")
            .with_setting("jit", "off");
        let cluster = Cluster::start(&options).unwrap();
        cluster.primary().create_database("tpch").unwrap();
        // Where there is no HypoPG, advice is an estimate.
        let hypopg =
            "SELECT 'CREATE EXTENSION hypopg' FROM pg_available_extensions WHERE name = 'hypopg' \\gexec";
        cluster.primary().psql("tpch", hypopg).unwrap();
        let client = Client::connect(&cluster.primary().url("tpch")).await.unwrap();
        let reference = data::load(&client, scale).await;
        let bytes = "SELECT sum(pg_table_size(oid))::bigint FROM pg_class WHERE relkind = 'r' \
                     AND relnamespace = 'public'::regnamespace";
        let tables_bytes = client.query_one(bytes, &[]).await.unwrap().get(0);
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("tpch.sql"), queries::file(scale)).unwrap();
        Self { cluster, client, scale, reference, dir, tables_bytes }
    }

    fn budget_bytes(&self) -> i64 {
        let megabytes = self.tables_bytes as f64 * BUDGET_SHARE / f64::from(1 << 20);
        (megabytes.ceil() as i64) << 20
    }

    /// `pgprime indexes` for the 22 queries within the budget, and how long it took.
    fn indexes(&self, arguments: &[&str]) -> (Value, Duration) {
        let url = self.cluster.primary().url("tpch");
        let workload = self.dir.path().join("tpch.sql");
        let budget = format!("{}MB", self.budget_bytes() >> 20);
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgprime"));
        command.args(["indexes", "--database-url", &url, "--budget", &budget, "--json", "--workload"]);
        command.arg(workload).args(arguments).env_remove("DATABASE_URL").stdin(Stdio::null());
        let begun = Instant::now();
        let output = command.output().unwrap();
        let took = begun.elapsed();
        (document(&output), took)
    }

    /// Names and bytes of the indexes that do not enforce anything.
    async fn created(&self) -> Vec<(String, i64)> {
        let sql = "SELECT c.relname, pg_relation_size(c.oid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
                   WHERE c.relnamespace = 'public'::regnamespace AND NOT i.indisunique \
                   AND i.indisvalid AND i.indisready ORDER BY 1";
        let rows = self.client.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Indexes that others make superfluous: plain ones whose keys begin another's.
    async fn superfluous(&self) -> Vec<String> {
        let keys = "SELECT c.relname::text, i.indexrelid, i.indrelid, c.relam, i.indisunique, \
                    i.indpred IS NULL AND i.indexprs IS NULL AND i.indnatts = i.indnkeyatts AS is_plain, \
                    (i.indkey::int2[])[0:i.indnkeyatts - 1] AS keys \
                    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
                    WHERE c.relnamespace = 'public'::regnamespace";
        let sql = format!(
            "WITH k AS ({keys}) SELECT a.relname FROM k a JOIN k b USING (indrelid, relam) \
             WHERE a.indexrelid <> b.indexrelid AND NOT a.indisunique AND a.is_plain AND b.is_plain \
             AND a.keys = b.keys[1:cardinality(a.keys)]"
        );
        column(&self.client.query(&sql, &[]).await.unwrap())
    }
}

#[track_caller]
fn document(output: &Output) -> Value {
    // 1: what is wrong with the indexes that there are.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}: {}", output.status, stderr_of(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(document: &Value, name: &str) -> f64 {
    document[name].as_f64().unwrap_or_else(|| panic!("no {name}: {document:#}"))
}

fn suggestions(advice: &Value) -> &[Value] {
    advice["suggestions"].as_array().unwrap()
}

fn names(list: &Value) -> BTreeSet<String> {
    list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

/// The first lines of each query's answer with what is known of it from the rows themselves.
fn check_reference(reference: &Reference, measured: &[Measured]) {
    let cell = |row: &[Option<String>], place: usize| row[place].clone().unwrap();
    let groups: Vec<_> = measured[0]
        .rows
        .iter()
        .map(|row| {
            let exact = |place: usize, decimals: u32| scaled(&cell(row, place), decimals);
            let group = Group {
                rows: exact(9, 0),
                quantity: exact(2, 2) / 100,
                base_price: exact(3, 2),
                discounted_price: exact(4, 4),
                charge: exact(5, 6),
                discount: (cell(row, 8).parse::<f64>().unwrap() * 100.0 * exact(9, 0) as f64).round() as i128,
            };
            ((cell(row, 0), cell(row, 1)), group)
        })
        .collect();
    assert!(groups.iter().map(|(key, group)| (key, group)).eq(&reference.groups), "{groups:#?}");
    assert_eq!(scaled(&cell(&measured[5].rows[0], 0), 4), reference.revenue, "Q6");
}

/// A decimal number in units of its last decimal.
fn scaled(text: &str, decimals: u32) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction: String = fraction.chars().chain("0".repeat(9).chars()).take(decimals as usize).collect();
    format!("{whole}{fraction}").parse().unwrap()
}

/// All rows of all queries; sums of numeric are exact, whatever the plan.
fn check_same_answers(before: &[Measured], after: &[Measured]) {
    for (number, (before, after)) in (1..).zip(before.iter().zip(after)) {
        if before.ms.is_some() {
            assert_eq!(before.rows, after.rows, "Q{number}");
        }
    }
}

fn check_advice(advice: &Value, budget_bytes: i64) {
    let sizes: f64 = suggestions(advice).iter().map(|one| number(one, "size_bytes")).sum();
    assert!(!suggestions(advice).is_empty(), "{advice:#}");
    assert!(
        sizes <= budget_bytes as f64 && number(advice, "size_bytes") == sizes,
        "{sizes} of {budget_bytes}"
    );
    assert_eq!(advice["queries"].as_array().unwrap().len(), QUERIES, "{:#}", advice["skipped"]);
    assert!(number(advice, "saved_share") > 0.1, "{advice:#}");
}

/// The planner's costs afterwards against what was promised.
fn check_promise(advice: &Value, before: &[Measured], after: &[Measured]) {
    let promised = number(advice, "cost_before") - number(advice, "cost_after");
    let kept = cost(before) - cost(after);
    println!(
        "cost {:.0}, then {:.0}: saved {:.2} of what was promised",
        cost(before),
        cost(after),
        kept / promised
    );
    let is_planned = advice["method"] == "hypopg";
    let range = if is_planned { 0.5..2.0 } else { 0.2..5.0 };
    assert!(range.contains(&(kept / promised)), "{kept} of {promised}");
    let ratio = number(advice, "cost_before") / cost(before);
    assert!((0.99..1.01).contains(&ratio), "the workload costs {ratio} of what it costs here");
}

fn print_times(before: &[Measured], after: &[Measured]) {
    let ms = |all: &[Measured]| measure::column(all.iter().map(|one| one.ms));
    let pages = |all: &[Measured]| measure::column(all.iter().map(|one| one.pages));
    let columns = [
        ("ms before", ms(before)),
        ("ms after", ms(after)),
        ("pages before", pages(before)),
        ("pages after", pages(after)),
        ("cost before", measure::column(before.iter().map(|one| Some(one.cost)))),
        ("cost after", measure::column(after.iter().map(|one| Some(one.cost)))),
    ];
    println!("{}", table(&columns));
}

#[test]
fn advice_for_tpch_keeps_its_promise_and_changes_no_answer() {
    crate::harness::run(async {
        let stage = Stage::set(setting("PGPRIME_TPCH_SCALE", SCALE)).await;
        let queries = queries::queries(stage.scale);
        let measuring = Measuring { runs: 2, limit: Duration::from_secs(30) };
        let before = measuring.all(&stage.client, &queries).await;
        check_reference(&stage.reference, &before);
        assert!(before.iter().all(|one| one.ms.is_some()), "none is stopped at this scale");
        assert!(before.iter().filter(|one| !one.rows.is_empty()).count() >= 18);

        let (document, took) = stage.indexes(&[]);
        let advice = &document["advice"];
        println!("advice in {took:.1?}");
        check_advice(advice, stage.budget_bytes());
        assert!(stage.created().await.is_empty(), "nothing is created unasked");

        let (applied, took) = stage.indexes(&["--apply"]);
        println!("applied in {took:.1?}");
        let created = stage.created().await;
        let promised = names(&advice["suggestions"]);
        assert_eq!(created.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>(), promised);
        assert_eq!(names(&applied["applied"]), promised, "{:#}", applied["applied"]);
        let bytes: i64 = created.iter().map(|(_, bytes)| bytes).sum();
        println!("{bytes} bytes created, {} promised", advice["size_bytes"]);
        // What was promised is computed from widths, and a page holds more or less.
        assert!(bytes as f64 <= stage.budget_bytes() as f64 * 1.25, "{bytes} of {}", stage.budget_bytes());
        assert_eq!(stage.superfluous().await, Vec::<String>::new());

        let after = measuring.all(&stage.client, &queries).await;
        print_times(&before, &after);
        check_same_answers(&before, &after);
        check_promise(advice, &before, &after);
        let pages = |all: &[Measured]| all.iter().filter_map(|one| one.pages).sum::<f64>();
        assert!(pages(&after) < pages(&before), "{} of {} pages", pages(&after), pages(&before));
    });
}

/// `scripts/tpch.sh` runs it with a release build.
#[test]
#[ignore = "takes minutes"]
fn bench() {
    run_long(async {
        let stage = Stage::set(setting("PGPRIME_TPCH_SCALE", 0.1)).await;
        let queries = queries::queries(stage.scale);
        let limit = Duration::from_secs_f64(setting("PGPRIME_TPCH_LIMIT_S", 120.0));
        let measuring = Measuring { runs: setting("PGPRIME_TPCH_RUNS", 3.0) as u32, limit };
        let before = measuring.all(&stage.client, &queries).await;
        check_reference(&stage.reference, &before);
        println!(
            "TPC-H, scale {}: tables of {}, primary keys only; budget {}\n",
            stage.scale,
            megabytes(stage.tables_bytes as f64),
            megabytes(stage.budget_bytes() as f64)
        );
        let planned = stage.try_out("HypoPG", &[], &queries, measuring, &before).await;
        let estimated = stage.try_out("estimate", &["--no-hypopg"], &queries, measuring, &before).await;
        print_bench(&before, &planned, &estimated);
    });
}

impl Stage {
    /// Takes advice, follows it, measures, and takes all back.
    async fn try_out(
        &self,
        method: &str,
        arguments: &[&str],
        queries: &[String],
        measuring: Measuring,
        before: &[Measured],
    ) -> Vec<Measured> {
        let (document, took) = self.indexes(arguments);
        let advice = &document["advice"];
        check_advice(advice, self.budget_bytes());
        let statements = || suggestions(advice).iter().flat_map(|one| one["statements"].as_array().unwrap());
        for statement in statements() {
            self.client.batch_execute(statement.as_str().unwrap()).await.unwrap();
        }
        self.client.batch_execute("VACUUM ANALYZE").await.unwrap();
        let created = self.created().await;
        let after = measuring.all(&self.client, queries).await;
        check_same_answers(before, &after);
        println!(
            "{method}: advice in {:.1} s, {} indexes, {} promised, {} created",
            took.as_secs_f64(),
            created.len(),
            megabytes(number(advice, "size_bytes")),
            megabytes(created.iter().map(|(_, bytes)| *bytes as f64).sum())
        );
        statements().for_each(|statement| println!("  {}", statement.as_str().unwrap()));
        check_promise(advice, before, &after);
        println!();
        for (name, _) in created {
            self.client.batch_execute(&format!("DROP INDEX \"{name}\"")).await.unwrap();
        }
        after
    }
}

fn megabytes(bytes: f64) -> String {
    format!("{:.1} MB", bytes / f64::from(1 << 20))
}

fn print_bench(before: &[Measured], planned: &[Measured], estimated: &[Measured]) {
    let ms = |all: &[Measured]| measure::column(all.iter().map(|one| one.ms));
    let costs = |all: &[Measured]| measure::column(all.iter().map(|one| Some(one.cost)));
    let columns = [
        ("ms before", ms(before)),
        ("HypoPG", ms(planned)),
        ("faster", measure::ratios(before, planned)),
        ("estimate", ms(estimated)),
        ("faster", measure::ratios(before, estimated)),
        ("cost before", costs(before)),
        ("HypoPG", costs(planned)),
        ("estimate", costs(estimated)),
    ];
    println!("{}", table(&columns));
}

#[test]
#[ignore = "loads a gigabyte"]
fn the_answers_at_scale_one_are_the_published_ones() {
    run_long(async {
        let stage = Stage::set(1.0).await;
        // Without it Q17 and Q20 take hours.
        let index = "CREATE INDEX ON lineitem (l_partkey, l_suppkey); ANALYZE lineitem";
        stage.client.batch_execute(index).await.unwrap();
        let queries = queries::queries(stage.scale);
        let measuring = Measuring { runs: 1, limit: Duration::from_secs(300) };
        let measured = measuring.all(&stage.client, &queries).await;
        let known = (1..).zip(&measured).filter_map(|(number, one)| known::difference(number, &one.rows));
        assert_eq!(known.collect::<Vec<_>>(), Vec::<String>::new());
    });
}

/// For what takes longer than a test may.
fn run_long(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(work);
}
