//! What the dashboard showed, for people and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::generator::{Errors, Latency};
use crate::text::{grouped, memory, milliseconds, table};

/// The admin dashboard of a demo.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DashboardReport {
    /// Its views.
    pub views: ViewsReport,
    /// What their scheduler did while the load ran.
    pub refreshes: RefreshesReport,
    /// The same queries over base tables, views and cache: their times while the load went on, their answers when nobody wrote.
    pub queries: Vec<ComparedQuery>,
    /// The service while they were asked.
    pub meanwhile: ServiceSide,
    /// Where results were kept.
    pub cache: &'static str,
    /// The pool that the queries ran in.
    pub admin_pool: AdminPool,
    /// The service with and without a heavy report beside it.
    pub beside: BesideReport,
}

/// The views that were made.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ViewsReport {
    /// Seconds it took to plan, make and fill all of them.
    pub seconds: f64,
    /// Each of them.
    pub views: Vec<DashboardView>,
}

/// One view, when it was made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DashboardView {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: i64,
    /// Its size with its indexes.
    pub bytes: i64,
    /// Time to make it, in milliseconds.
    pub made_ms: f64,
    /// Why its refresh blocks readers; `None` where it does not.
    pub blocks_readers: Option<String>,
}

/// What a scheduler did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RefreshesReport {
    /// How often it looked.
    pub looks: u64,
    /// Refreshes that were done.
    pub refreshed: u64,
    /// Refreshes that were due and left out because nothing had changed.
    pub skipped: u64,
    /// Refreshes for which readers had to wait.
    pub blocked_readers: u64,
    /// The longest refresh, in milliseconds.
    pub duration_ms_max: f64,
    /// What went wrong.
    pub errors: Errors,
}

/// One query of the dashboard.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparedQuery {
    /// What it is for.
    pub name: String,
    /// Rows of the answer.
    pub rows: usize,
    /// Median time over the base tables, in microseconds.
    pub raw_us: u64,
    /// From the view.
    pub view_us: u64,
    /// How many times faster than over the base tables.
    pub view_ratio: f64,
    /// From the cache; `None` without one.
    pub cache_us: Option<u64>,
    /// How many times faster than over the base tables.
    pub cache_ratio: Option<f64>,
    /// Why its result is not kept.
    pub not_kept: Option<String>,
    /// Whether only the names of the figures were compared, as the figures are never the same twice.
    pub names_only: bool,
    /// Whether all answers were the same.
    pub equal: bool,
}

/// The pool for heavy queries, and the limits that its sessions say they have.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AdminPool {
    /// Most connections.
    pub connections_max: u32,
    /// Memory of one sort or hash table.
    pub work_mem: String,
    /// A statement is cancelled after this.
    pub statement_timeout: String,
    /// A lock is waited for no longer than this.
    pub lock_timeout: String,
    /// Workers beside the session's own process, for each Gather of a plan.
    pub parallel_workers: String,
}

/// The service beside a heavy report.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BesideReport {
    /// The service alone.
    pub without: ServiceSide,
    /// The service beside the report.
    pub with: ServiceSide,
    /// The report itself.
    pub report: HeavyReport,
}

/// The service in the slices of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ServiceSide {
    /// Latencies of its requests.
    pub latency: Latency,
    /// The 99th percentile of each slice by itself, in microseconds: how far it varies anyhow.
    pub slices_p99_us: Vec<u64>,
    /// Requests answered, per second.
    pub requests_per_second: f64,
    /// What went wrong.
    pub errors: Errors,
}

/// A heavy report without end.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct HeavyReport {
    /// Queries under way at a time.
    pub at_a_time: u32,
    /// Queries that were answered; those that the end of a slice cut off are not among them.
    pub finished: u64,
    /// Median time of one, in microseconds.
    pub p50_us: u64,
    /// The longest, in microseconds.
    pub max_us: u64,
    /// What went wrong.
    pub errors: Errors,
}

impl DashboardReport {
    /// Whether all answers were the same, and nothing went wrong.
    pub fn is_clean(&self) -> bool {
        self.queries.iter().all(|query| query.equal) && self.all_errors().all(|errors| errors.count == 0)
    }

    /// The report as text, at most 100 columns wide.
    pub fn text(&self) -> String {
        let mut text = self.queries_text();
        text.push('\n');
        text += &self.beside_text();
        text.push('\n');
        for (name, fact) in [
            ("p99 of slices, ms", self.slices_fact()),
            ("heavy report", self.heavy_fact()),
            ("admin pool", self.pool_fact()),
            ("cache", self.cache.to_owned()),
            ("views", self.views_fact()),
            ("scheduler", self.scheduler_fact()),
        ] {
            let _ = writeln!(text, "{name:<20}{fact}");
        }
        for sample in self.all_errors().flat_map(|errors| &errors.samples) {
            let _ = writeln!(text, "{:<20}{sample}", "");
        }
        text
    }

    fn all_errors(&self) -> impl Iterator<Item = &Errors> {
        let BesideReport { without, with, report } = &self.beside;
        let meanwhile = &self.meanwhile.errors;
        [&self.refreshes.errors, meanwhile, &without.errors, &with.errors, &report.errors].into_iter()
    }

    /// The slices of both sides tell whether they differ by more than the slices of one.
    fn slices_fact(&self) -> String {
        let span = |side: &ServiceSide| {
            let of = |us: Option<&u64>| us.map_or("-".to_owned(), |us| milliseconds(*us));
            format!("{} to {}", of(side.slices_p99_us.iter().min()), of(side.slices_p99_us.iter().max()))
        };
        format!("{} without the report, {} beside it", span(&self.beside.without), span(&self.beside.with))
    }

    fn queries_text(&self) -> String {
        let rows: Vec<Vec<String>> = self.queries.iter().map(ComparedQuery::row).collect();
        let heads = ["admin dashboard, ms", "rows", "raw", "view", "", "cache", "", "answers"];
        let mut text = table(&heads, 1, &rows);
        let rate = grouped(self.meanwhile.requests_per_second.round() as u64);
        let _ = writeln!(text, "asked while {rate} requests/s went on; answers compared when nobody wrote");
        for query in &self.queries {
            if let Some(reason) = &query.not_kept {
                let _ = writeln!(text, "{}: not kept: {reason}", query.name);
            }
        }
        text
    }

    fn beside_text(&self) -> String {
        let BesideReport { without, with, .. } = &self.beside;
        let rows = [("without it", without), ("beside it", with)].map(|(name, side)| side.row(name));
        table(
            &["service and heavy report, ms", "requests", "p50", "p95", "p99", "max", "requests/s"],
            1,
            &rows,
        )
    }

    fn heavy_fact(&self) -> String {
        let report = &self.beside.report;
        format!(
            "{} at a time, {} finished, {} ms in the median, {} ms at most",
            report.at_a_time,
            grouped(report.finished),
            milliseconds(report.p50_us),
            milliseconds(report.max_us)
        )
    }

    fn pool_fact(&self) -> String {
        let AdminPool { connections_max, work_mem, statement_timeout, lock_timeout, parallel_workers } =
            &self.admin_pool;
        format!(
            "size {connections_max}, work_mem {work_mem}, statements {statement_timeout}, \
             locks {lock_timeout}, parallel workers {parallel_workers}"
        )
    }

    fn views_fact(&self) -> String {
        let views = &self.views.views;
        let rows: i64 = views.iter().map(|view| view.rows).sum();
        let bytes: i64 = views.iter().map(|view| view.bytes).sum();
        format!(
            "{} with {} rows, {}, made in {:.1} s",
            views.len(),
            grouped(rows.unsigned_abs()),
            memory(bytes as f64 / 1024.0),
            self.views.seconds
        )
    }

    fn scheduler_fact(&self) -> String {
        let done = &self.refreshes;
        let longest_us = (done.duration_ms_max * 1000.0) as u64;
        format!(
            "looked {} times: {} refreshed ({} ms at most), {} unchanged, {} errors",
            done.looks,
            done.refreshed,
            milliseconds(longest_us),
            done.skipped,
            done.errors.count
        )
    }
}

impl ComparedQuery {
    fn row(&self) -> Vec<String> {
        let cache = self.cache_us.map_or_else(String::new, fine_milliseconds);
        let answers = match (self.equal, self.names_only) {
            (false, _) => "DIFFERENT",
            (true, false) => "equal",
            (true, true) => "equal names",
        };
        vec![
            self.name.clone(),
            grouped(self.rows as u64),
            milliseconds(self.raw_us),
            fine_milliseconds(self.view_us),
            times(self.view_ratio),
            cache,
            self.cache_ratio.map_or_else(String::new, times),
            answers.to_owned(),
        ]
    }
}

impl ServiceSide {
    fn row(&self, name: &str) -> Vec<String> {
        let latency = &self.latency;
        let mut row = vec![name.to_owned(), grouped(latency.count)];
        row.extend([latency.p50_us, latency.p95_us, latency.p99_us, latency.max_us].map(milliseconds));
        row.push(grouped(self.requests_per_second.round() as u64));
        row
    }
}

/// As [`milliseconds`], with microseconds where there are few of them.
fn fine_milliseconds(microseconds: u64) -> String {
    if microseconds < 100 { format!("0.{microseconds:03}") } else { milliseconds(microseconds) }
}

/// `7.3×`, `1,250×`.
fn times(ratio: f64) -> String {
    if ratio < 9.95 { format!("{ratio:.1}×") } else { format!("{}×", grouped(ratio.round() as u64)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(name: &str, raw_us: u64, cache_us: Option<u64>) -> ComparedQuery {
        ComparedQuery {
            name: name.to_owned(),
            rows: 216,
            raw_us,
            view_us: 5_000,
            view_ratio: raw_us as f64 / 5_000.0,
            cache_us,
            cache_ratio: cache_us.map(|took_us| raw_us as f64 / took_us as f64),
            not_kept: cache_us.is_none().then(|| "it reads now()".to_owned()),
            names_only: cache_us.is_none(),
            equal: true,
        }
    }

    fn side(p99_us: u64) -> ServiceSide {
        let latency =
            Latency { name: "it".into(), count: 6_700, p50_us: 300, p95_us: 800, p99_us, max_us: 31_000 };
        let slices_p99_us = vec![p99_us - 90, p99_us + 110];
        ServiceSide { latency, slices_p99_us, requests_per_second: 1999.6, errors: Errors::default() }
    }

    fn report() -> DashboardReport {
        let view = DashboardView {
            name: "admin.daily_quotes".into(),
            rows: 26_000,
            bytes: 3 << 20,
            made_ms: 250.0,
            blocks_readers: None,
        };
        DashboardReport {
            views: ViewsReport { seconds: 0.96, views: vec![view.clone(), view] },
            refreshes: RefreshesReport {
                looks: 10,
                refreshed: 1,
                skipped: 2,
                duration_ms_max: 624.4,
                ..RefreshesReport::default()
            },
            queries: vec![query("quotes by month", 136_000, Some(12)), query("system health", 10_000, None)],
            meanwhile: side(1_700),
            cache: "memory",
            admin_pool: AdminPool {
                connections_max: 6,
                work_mem: "64MB".into(),
                statement_timeout: "5min".into(),
                lock_timeout: "5s".into(),
                parallel_workers: "0".into(),
            },
            beside: BesideReport {
                without: side(1_500),
                with: side(4_200),
                report: HeavyReport {
                    at_a_time: 6,
                    finished: 28,
                    p50_us: 519_000,
                    max_us: 2_366_000,
                    errors: Errors::default(),
                },
            },
        }
    }

    #[test]
    fn the_text_says_everything() {
        let expected = "\
admin dashboard, ms  rows   raw  view        cache               answers
quotes by month       216   136  5.00   27×  0.012  11,333×        equal
system health         216  10.0  5.00  2.0×                  equal names
asked while 2,000 requests/s went on; answers compared when nobody wrote
system health: not kept: it reads now()

service and heavy report, ms  requests   p50   p95   p99   max  requests/s
without it                       6,700  0.30  0.80  1.50  31.0       2,000
beside it                        6,700  0.30  0.80  4.20  31.0       2,000

p99 of slices, ms   1.41 to 1.61 without the report, 4.11 to 4.31 beside it
heavy report        6 at a time, 28 finished, 519 ms in the median, 2,366 ms at most
admin pool          size 6, work_mem 64MB, statements 5min, locks 5s, parallel workers 0
cache               memory
views               2 with 52,000 rows, 6.0 MiB, made in 1.0 s
scheduler           looked 10 times: 1 refreshed (624 ms at most), 2 unchanged, 0 errors
";
        assert_eq!(report().text(), expected);
        assert!(expected.lines().all(|line| line.chars().count() <= 100));
    }

    #[test]
    fn a_difference_and_an_error_are_not_clean() {
        assert!(report().is_clean());
        let mut different = report();
        different.queries[0].equal = false;
        assert!(!different.is_clean() && different.text().contains("DIFFERENT"));
        let mut failed = report();
        failed.beside.report.errors.add("report: no");
        assert!(!failed.is_clean());
        assert!(failed.text().ends_with("0 errors\n                    report: no\n"));
        let json = serde_json::to_value(&failed).unwrap();
        assert_eq!(json["beside"]["report"]["errors"]["count"], 1);
        assert_eq!(json["queries"][1]["cache_us"], serde_json::Value::Null);
    }
}
