//! The report for people, at most 100 columns wide.

use jiff::tz::TimeZone;

use super::period::Basis;
use super::pooler::PoolerRepeat;
use super::repeats::RepeatHint;
use super::report::{SlowReport, SlowStatement, Trend};
use super::text::shortened;
use crate::Missing;

const WIDTH: usize = 100;
const INDENT: &str = "     ";

/// The report as text. Times of day are in this zone.
#[must_use]
pub fn text(report: &SlowReport, zone: &TimeZone) -> String {
    let mut page = String::new();
    for line in heading(report, zone) {
        paragraph(&mut page, &line, "");
    }
    if !report.statements.is_empty() {
        page.push('\n');
        line(&mut page, HEADER);
        for (index, statement) in report.statements.iter().enumerate() {
            told(&mut page, index + 1, statement, report);
        }
    }
    if !report.pooler_repeats.is_empty() {
        page.push('\n');
        line(&mut page, "Repeated by one client (N+1), as the pooler has seen:");
        report.pooler_repeats.iter().for_each(|repeat| pooler_repeat(&mut page, repeat, report));
    }
    if !report.repeats.is_empty() {
        page.push('\n');
        paragraph(
            &mut page,
            "Perhaps run once for each row of another statement (a weak hint, from the numbers alone):",
            "",
        );
        report.repeats.iter().for_each(|hint| repeat(&mut page, hint));
    }
    if !report.notes.is_empty() {
        page.push('\n');
        report.notes.iter().for_each(|note| paragraph(&mut page, note, ""));
    }
    page + &missing(&report.missing)
}

/// What could not be seen, as text; empty when there is nothing.
#[must_use]
pub fn missing(missing: &[Missing]) -> String {
    let mut page = String::new();
    if missing.is_empty() {
        return page;
    }
    page.push_str("\nNot seen\n");
    for gap in missing {
        paragraph(&mut page, &format!("{}: {}", gap.what, gap.why), "  ");
        if let Some(statement) = &gap.statement {
            // Not broken, so that it can be copied.
            line(&mut page, &format!("    {statement}"));
        }
    }
    page
}

fn heading(report: &SlowReport, zone: &TimeZone) -> Vec<String> {
    let moment = |at: jiff::Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let (start, end, length) = (moment(report.start), moment(report.end), span(report.seconds * 1e3));
    let database = &report.server.database;
    let period = match report.basis {
        Basis::History => {
            format!("{start} to {end} ({length}), recorded in {} intervals", report.recordings)
        }
        Basis::Interval => format!("{start} to {end} ({length}), measured just now"),
        Basis::Totals => format!("{start} to {end} ({length}), all that was counted since the last reset"),
        Basis::TotalsOfUnknownAge => format!("all that was counted until {end}"),
    };
    let all = report.all;
    let sums = format!(
        "{} statements, {} calls, {} of execution",
        grouped(all.statements as u64),
        grouped(all.calls),
        span(all.exec_ms)
    );
    let threshold = span(report.threshold_ms);
    let longest = report.threshold_max_ms.map_or_else(String::new, |max| format!(", or {} once", span(max)));
    let verdict = match (report.slow_count, report.statements.len()) {
        (0, 0) => "No statement was run.".to_owned(),
        (0, shown) => format!(
            "No statement takes {threshold} or more on average{longest}. The {shown} that took most of the time:"
        ),
        (count, shown) if count > shown => {
            format!("{count} statements take {threshold} or more on average{longest}; the first {shown}:")
        }
        (1, _) => format!("1 statement takes {threshold} or more on average{longest}:"),
        (count, _) => format!("{count} statements take {threshold} or more on average{longest}:"),
    };
    let mut heading = vec![format!("Statements of {database}, {period}"), sums];
    heading.extend(
        report.pooler_since.map(|since| format!("Figures of the pooler are since {}", moment(since))),
    );
    heading.push(verdict);
    heading
}

const HEADER: &str = "   #    total  share       calls     mean      max   stddev   rows/call   hits  trend";

fn told(page: &mut String, number: usize, statement: &SlowStatement, report: &SlowReport) {
    let max = match (statement.exec_ms_max, statement.exec_ms_max_bound) {
        (Some(max), _) => span(max),
        (None, Some(bound)) => format!("≤{}", span(bound)),
        (None, None) => "?".to_owned(),
    };
    let hits = statement.hit_ratio.map_or_else(|| "–".to_owned(), percent);
    let row = format!(
        "{number:>4} {:>8} {:>6} {:>11} {:>8} {max:>8} {:>8} {:>11} {hits:>6}  {}",
        span(statement.exec_ms_total),
        percent(statement.exec_share),
        grouped(statement.calls),
        span(statement.exec_ms_mean),
        span(statement.exec_ms_stddev),
        decimal(statement.rows_per_call),
        trend(statement.trend)
    );
    line(page, row.trim_end());
    let text = statement.text.as_deref().unwrap_or("(its text could not be read)");
    line(page, &format!("{INDENT}{}", shortened(text, WIDTH - INDENT.len())));
    paragraph(page, &details(statement, report), INDENT);
}

fn details(statement: &SlowStatement, report: &SlowReport) -> String {
    let mut details = vec![format!("query id {}", statement.query_id)];
    details.extend(statement.role.as_ref().map(|role| format!("role {role}")));
    let is_elsewhere = |database: &&String| **database != report.server.database;
    details.extend(statement.database.as_ref().filter(is_elsewhere).map(|name| format!("database {name}")));
    if !statement.toplevel {
        details.push("within functions".to_owned());
    }
    if statement.may_include_own {
        details.push("pgprime's own may be among them".to_owned());
    }
    let sizes =
        [("read", statement.read_bytes), ("temp", statement.temp_bytes), ("WAL", statement.wal_bytes)];
    let sizes = sizes.into_iter().filter(|(_, bytes)| *bytes > 0);
    details.extend(sizes.map(|(name, bytes)| format!("{name} {}", size(bytes))));
    let times = [
        ("I/O", statement.io_ms.unwrap_or(0.0)),
        ("planning", statement.plan_ms_total),
        ("JIT", statement.jit_ms),
    ];
    let times = times.into_iter().filter(|(_, ms)| *ms >= 0.05);
    details.extend(times.map(|(name, ms)| format!("{name} {}", span(ms))));
    if let Some(figures) = &statement.pooler {
        details.push(format!(
            "pooler: {} calls, p50 {}, p95 {}, p99 {}, max {}, waiting {} (p99 {}), errors {}",
            grouped(figures.calls),
            span(figures.exec_ms_p50),
            span(figures.exec_ms_p95),
            span(figures.exec_ms_p99),
            span(figures.exec_ms_max),
            span(figures.wait_ms_mean),
            span(figures.wait_ms_p99),
            grouped(figures.errors)
        ));
        if !figures.application_names.is_empty() {
            details.push(format!("from {}", figures.application_names.join(" and ")));
        }
    }
    details.join(", ")
}

fn pooler_repeat(page: &mut String, repeat: &PoolerRepeat, report: &SlowReport) {
    line(page, &format!("  {}", shortened(&repeat.text, WIDTH - 2)));
    let database = if repeat.database == report.server.database {
        String::new()
    } else {
        format!(" in database {}", repeat.database)
    };
    let mean = repeat.executions.checked_div(repeat.bursts).unwrap_or(0);
    let evidence = format!(
        "role {}{database}: {} times, {} calls in a row on average, {} at most; {} calls in all, which took {}{}",
        repeat.role,
        grouped(repeat.bursts),
        grouped(mean),
        grouped(repeat.longest),
        grouped(repeat.executions),
        span(repeat.exec_ms),
        if repeat.parent_text.is_some() { "; after:" } else { "" }
    );
    paragraph(page, &evidence, INDENT);
    if let Some(parent) = &repeat.parent_text {
        line(page, &format!("{INDENT}{}", shortened(parent, WIDTH - INDENT.len())));
    }
}

fn repeat(page: &mut String, hint: &RepeatHint) {
    line(page, &format!("  {}", shortened(&hint.text, WIDTH - 2)));
    let evidence = format!(
        "{} calls of {} rows each, {} altogether; query id {}; {} calls for each row of query id {}, which returned {} \
         rows in {} calls:",
        grouped(hint.calls),
        decimal(hint.rows_per_call),
        span(hint.exec_ms),
        hint.query_id,
        decimal(hint.calls_per_parent_row),
        hint.parent_query_id,
        grouped(hint.parent_rows),
        grouped(hint.parent_calls)
    );
    paragraph(page, &evidence, INDENT);
    line(page, &format!("{INDENT}{}", shortened(&hint.parent_text, WIDTH - INDENT.len())));
}

fn trend(trend: Option<Trend>) -> String {
    match trend {
        None => String::new(),
        Some(Trend::New) => "new".to_owned(),
        Some(Trend::Steady { .. }) => "steady".to_owned(),
        Some(Trend::Slower { factor, .. }) => format!("{factor:.1}× slower"),
        Some(Trend::Faster { factor, .. }) => format!("{:.1}× faster", 1.0 / factor),
    }
}

fn line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push('\n');
}

/// Words on lines that are not too long.
fn paragraph(page: &mut String, text: &str, indent: &str) {
    let mut width = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > WIDTH {
            page.push('\n');
            width = 0;
        }
        if width == 0 {
            page.push_str(indent);
            width = indent.chars().count();
        } else {
            page.push(' ');
            width += 1;
        }
        page.push_str(word);
        width += length;
    }
    page.push('\n');
}

/// A time in the unit that suits it.
fn span(ms: f64) -> String {
    match ms {
        _ if ms < 0.995 => format!("{ms:.2} ms"),
        _ if ms < 999.5 => format!("{ms:.0} ms"),
        _ if ms < 99_950.0 => format!("{:.1} s", ms / 1e3),
        _ if ms < 5_970_000.0 => format!("{:.0} min", ms / 60e3),
        _ if ms < 172_800_000.0 => format!("{:.1} h", ms / 3_600e3),
        _ => format!("{:.0} d", ms / 86_400e3),
    }
}

fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

fn decimal(value: f64) -> String {
    if value < 100.0 { format!("{value:.1}") } else { grouped(value.round() as u64) }
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// 1,234,567
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    // Digits are ASCII, so any position is between characters.
    let mut ends: Vec<usize> = (0..=digits.len()).rev().step_by(3).collect();
    ends.push(0);
    ends.dedup();
    let groups: Vec<&str> =
        ends.windows(2).map(|pair| digits.get(pair[1]..pair[0]).unwrap_or_default()).collect();
    groups.into_iter().rev().collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        let spans = [0.004, 0.5, 12.4, 999.6, 1_500.0, 120_000.0, 7_200_000.0, 864_000_000.0].map(span);
        assert_eq!(spans, ["0.00 ms", "0.50 ms", "12 ms", "1.0 s", "1.5 s", "2 min", "2.0 h", "10 d"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([512, 8_192, 3 << 30].map(size), ["0.5 KiB", "8.0 KiB", "3.0 GiB"]);
    }

    #[test]
    fn paragraphs_are_not_too_wide() {
        let mut page = String::new();
        paragraph(&mut page, &"word ".repeat(60), "  ");
        assert!(page.lines().all(|line| line.chars().count() <= WIDTH && line.starts_with("  ")), "{page}");
    }
}
