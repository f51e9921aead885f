//! The metrics for people, at most 100 letters wide.

use std::fmt::Write as _;

use pgprime_cache::Worth;
use pgprime_client::CachedSource;

use crate::decide::{Changes, decision_text};
use crate::metrics::{AdminMetrics, AdminPool, CacheMetrics, Figure, FigureRow};
use crate::status::{Status, ViewStatus};

const WIDTH: usize = 100;
/// Rows of a figure that are shown.
const ROWS_SHOWN: usize = 10;
/// Queries of the cache that are shown.
const QUERIES_SHOWN: usize = 10;

/// The metrics as a page.
#[must_use]
pub fn metrics_text(metrics: &AdminMetrics) -> String {
    let mut page = Page(String::new());
    page.line(0, &format!("Admin metrics at {:.0}", metrics.taken_at));
    admin(&mut page, &metrics.admin);
    if !metrics.slowest.is_empty() {
        page.line(0, "Slowest admin statements, by total time");
    }
    for one in &metrics.slowest {
        let (total, mean, max) = (one.total_ms, one.mean_ms, one.max_ms);
        page.cut(
            2,
            &format!("{total:>9.0} ms in {:>5}, mean {mean:.0}, max {max:.0}: {}", one.count, one.statement),
        );
    }
    if let Some(status) = &metrics.views {
        page.line(0, "Views");
        status.views.iter().for_each(|one| view(&mut page, status, one));
    }
    if let Some(found) = &metrics.cache {
        cache(&mut page, found);
    }
    metrics.figures.iter().for_each(|one| figure(&mut page, one));
    if !metrics.missing.is_empty() {
        page.line(0, "Missing");
    }
    for missing in &metrics.missing {
        page.line(2, &format!("{}: {}", missing.what, missing.why));
    }
    page.0
}

fn admin(page: &mut Page, admin: &AdminPool) {
    let queries = &admin.queries;
    let busy = admin.pool.as_ref().map_or(String::new(), |pool| {
        format!("{} of {} connections busy, {} waiting; ", pool.busy, pool.size_max, pool.waiting)
    });
    page.line(
        0,
        &format!(
            "Admin pool: {busy}{} statements, {} slow, {} failed, {} took too long",
            queries.queries_total, queries.slow_queries_total, queries.errors_total, queries.timeouts_total
        ),
    );
    let limits = &admin.limits;
    let time = |ms: u64| if ms == 0 { "no limit".to_owned() } else { seconds(ms as f64 / 1_000.0) };
    let disk =
        limits.temp_file_limit.as_ref().map_or(String::new(), |limit| format!(" temporary files {limit},"));
    page.line(
        2,
        &format!(
            "each statement: work_mem {}, {} times that for a hash table,{disk} {} further processes, time {}, \
             wait for a lock {}, idle in transaction {}",
            limits.work_mem,
            limits.hash_mem_multiplier,
            limits.parallel_workers_max,
            time(limits.statement_timeout_ms),
            time(limits.lock_timeout_ms),
            time(limits.idle_in_transaction_timeout_ms)
        ),
    );
    if let Some(held) = &admin.held {
        page.line(
            2,
            &format!(
                "held back for the service: {} now, {} so far, {} of them given up",
                held.now, held.held_total, held.refused_total
            ),
        );
    }
}

fn view(page: &mut Page, status: &Status, view: &ViewStatus) {
    if !view.exists {
        return page.line(2, &format!("{}: MISSING: run `pgprime views apply`", view.view));
    }
    let age = view.age_s.map_or("not known".to_owned(), seconds);
    let lacks = match view.changes {
        Changes::Unknown => "what it lacks is not known".to_owned(),
        Changes::Rows(0) => "up to date".to_owned(),
        Changes::Rows(rows) => format!("lacks {rows} changed rows"),
        Changes::AtLeast(rows) => format!("lacks at least {rows} changed rows"),
    };
    let next = decision_text(status.now, &view.next);
    let worth = match view.worth.as_ref().and_then(crate::status::Worth::is_worth_it) {
        Some(true) => "; worth it",
        Some(false) => "; not worth it so far",
        None => "",
    };
    page.line(2, &format!("{}: age {age}; {lacks}; next refresh: {next}{worth}", view.view));
    if let Some(error) = &view.error {
        let how = if view.is_failing { "FAILING" } else { "failed" };
        page.line(4, &format!("{how}, {} times in a row: {error}", view.failures));
    }
}

fn cache(page: &mut Page, cache: &CacheMetrics) {
    let hits = percent(cache.hit_ratio);
    page.line(
        0,
        &format!(
            "Cache: {hits} hits, {:.0} ms of the database saved; {} of {} kB in {} results",
            cache.saved_ms,
            cache.memory_bytes / 1_024,
            cache.memory_bytes_max / 1_024,
            cache.memory_entries
        ),
    );
    for query in cache.queries.iter().take(QUERIES_SHOWN) {
        let verdict = match query.worth {
            Worth::TooEarly { .. } => "",
            Worth::WorthHaving { .. } => ", worth it",
            Worth::NotWorthHaving { .. } => ", NOT WORTH IT",
        };
        let (hits, saved) = (percent(query.hit_ratio), query.saved_ms);
        page.cut(
            2,
            &format!("{hits} of {:>6}, {saved:.0} ms saved{verdict}: {}", query.requests, query.label),
        );
    }
    for refusal in cache.refusals.iter().take(QUERIES_SHOWN) {
        let reason = refusal.reasons.first().map_or("", |first| first.reason.as_str());
        page.line(2, &format!("not kept, {} times: {}: {reason}", refusal.count, refusal.label));
    }
}

fn figure(page: &mut Page, figure: &Figure) {
    let unit = figure.unit.as_ref().map(|unit| format!(" in {unit}")).unwrap_or_default();
    let from = match figure.source {
        None => "NOT TO BE HAD".to_owned(),
        Some(CachedSource::Filled | CachedSource::Shared) => {
            format!("asked for now, {:.0} ms", figure.took_ms)
        }
        Some(CachedSource::NotKept) => format!("asked for now, {:.0} ms, not kept", figure.took_ms),
        Some(CachedSource::Memory | CachedSource::Redis | CachedSource::Stale) => {
            format!("from the cache, {} old", seconds(figure.age_ms / 1_000.0))
        }
    };
    page.line(0, &format!("{}{unit} ({from})", figure.title));
    for row in figure.rows.iter().take(ROWS_SHOWN) {
        page.cut(2, &row_text(row, &figure.labels));
    }
    let more = figure.rows.len().saturating_sub(ROWS_SHOWN);
    if more > 0 {
        let at_least = if figure.is_cut { "at least " } else { "" };
        page.line(2, &format!("and {at_least}{more} more rows"));
    }
}

/// What the row is about, then its values.
fn row_text(row: &FigureRow, labels: &[String]) -> String {
    let about: Vec<String> = labels.iter().filter_map(|label| row.get(label)).map(plain).collect();
    let values = row.columns().filter(|(name, _)| !labels.iter().any(|label| label == name));
    let values: Vec<String> = values.map(|(name, value)| format!("{name} {}", plain(value))).collect();
    match (about.is_empty(), values.is_empty()) {
        (true, _) => values.join(", "),
        (_, true) => about.join(", "),
        _ => format!("{}: {}", about.join(", "), values.join(", ")),
    }
}

/// A value without the quotes of JSON.
fn plain(value: &str) -> String {
    match value {
        "null" => "-".to_owned(),
        text => serde_json::from_str::<String>(text).unwrap_or_else(|_| text.to_owned()),
    }
}

fn percent(ratio: Option<f64>) -> String {
    ratio.map_or("  -  %".to_owned(), |ratio| format!("{:>5.1} %", ratio * 100.0))
}

fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1_000.0),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3_600.0),
    }
}

struct Page(String);

impl Page {
    /// A paragraph, broken between words; its further lines stand further in.
    fn line(&mut self, indent: usize, text: &str) {
        let (mut line, mut is_first) = (" ".repeat(indent), true);
        for word in text.split_whitespace() {
            let space = usize::from(!line.trim_start().is_empty());
            if line.chars().count() + space + word.chars().count() > WIDTH && space == 1 {
                self.put(&line);
                (line, is_first) = (" ".repeat(indent + 4), false);
            }
            if !line.trim_start().is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if is_first || !line.trim().is_empty() {
            self.put(&line);
        }
    }

    /// One line, whatever of it fits.
    fn cut(&mut self, indent: usize, text: &str) {
        let one_line: String =
            text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        self.put(&format!("{}{one_line}", " ".repeat(indent)));
    }

    fn put(&mut self, line: &str) {
        if line.chars().count() > WIDTH {
            let _ = writeln!(self.0, "{}…", line.chars().take(WIDTH - 1).collect::<String>());
        } else {
            let _ = writeln!(self.0, "{line}");
        }
    }
}
