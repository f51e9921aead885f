//! The report as text.

use std::path::PathBuf;

use pgprime_capacity::postgres::Comparison;
use pgprime_capacity::{Amount, CurvePoint, Finding, Plan, PoolKind, Reason, ServerKind, Severity};

use super::paint::Colour;
use super::settings;
use crate::format::{connections, count, decimals, milliseconds, number, percent};
use crate::layout::{Align, WIDTH, broken, hanging, paragraph, table};
use crate::plot::{WaitPlot, terminal};

/// What a report says.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The sizes.
    pub plan: &'a Plan,
    /// What each number of connections would mean.
    pub curve: &'a [CurvePoint],
    /// PostgreSQL's settings; empty where the machine is not known.
    pub settings: &'a [Comparison],
    /// What the live database said, a sentence each; `None` where none was asked.
    pub observed: Option<&'a [String]>,
    /// What was assumed, a sentence each.
    pub assumptions: &'a [String],
    /// The files that were written.
    pub written: &'a [PathBuf],
    /// What to do now: what for, and the command.
    pub next_steps: &'a [(String, String)],
}

/// The report, with a line end behind each line.
#[must_use]
pub fn text(report: &Report<'_>, colour: Colour) -> String {
    let title = broken(&title(report.plan), WIDTH);
    let mut lines: Vec<String> = title.iter().map(|line| colour.heading(line)).collect();
    lines.push(String::new());
    let mut section = |heading: &str, body: Vec<String>| {
        if !body.is_empty() {
            lines.push(colour.heading(heading));
            lines.extend(body);
            lines.push(String::new());
        }
    };
    section("Findings", findings(&report.plan.findings, colour));
    section("Read from the database", report.observed.map_or_else(Vec::new, bullets));
    section("Assumed", bullets(report.assumptions));
    section("Sizes", sizes(report.plan));
    section("Waiting for a connection", waiting(report.plan));
    let plot = WaitPlot::new(report.plan, report.curve);
    section(&format!("Waiting by size, at {}", plot.load()), terminal(&plot));
    section("Pools of each instance", pools(report.plan));
    let is_live = report.observed.is_some();
    section("Settings of PostgreSQL", settings::lines(report.settings, is_live, colour));
    let written: Vec<String> = report.written.iter().map(|path| path.display().to_string()).collect();
    section("Written", bullets(&written));
    section("Next steps", steps(report.next_steps));
    lines.pop();
    lines.into_iter().map(|line| line + "\n").collect()
}

fn title(plan: &Plan) -> String {
    let inputs = &plan.inputs;
    let users = inputs.users.map_or_else(String::new, |users| format!(", {} users", count(users)));
    format!(
        "Capacity plan: {} requests/s × {}, {} instances{users}, max_connections {}",
        number(plan.requests_per_s_peak),
        milliseconds(inputs.service.mean_ms()),
        count(inputs.instances),
        count(inputs.max_connections)
    )
}

fn bullets(texts: &[String]) -> Vec<String> {
    texts.iter().flat_map(|text| hanging("  - ", text)).collect()
}

fn findings(findings: &[Finding], colour: Colour) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in findings {
        let word = match finding.severity {
            Severity::Critical => colour.bad("critical"),
            Severity::Warning => colour.doubtful("warning "),
            Severity::Info => colour.aside("note    "),
        };
        // Measured without the colour's codes.
        let mut body = hanging("  ######## ", &finding.text).into_iter();
        lines.extend(body.next().map(|first| first.replacen("########", &word, 1)));
        lines.extend(body);
        lines.extend(finding.ways_out.iter().flat_map(|way| hanging("           → ", way)));
    }
    lines
}

fn sizes(plan: &Plan) -> Vec<String> {
    // Those of pools have a table of their own.
    let reasons: Vec<&Reason> =
        plan.reasons.iter().filter(|reason| !reason.name.starts_with("pools.")).collect();
    let names = reasons.iter().map(|reason| reason.name.len()).max().unwrap_or(0);
    let amounts: Vec<String> = reasons.iter().map(|reason| amount(reason)).collect();
    let width = amounts.iter().map(|amount| amount.chars().count()).max().unwrap_or(0);
    let indent = 2 + names + 2 + width + 2;
    let mut lines = Vec::new();
    for (reason, amount) in reasons.iter().zip(&amounts) {
        let mut text = broken(&reason.text, WIDTH.saturating_sub(indent).max(30)).into_iter();
        let first = text.next().unwrap_or_default();
        lines.push(format!("  {:<names$}  {amount:>width$}  {first}", reason.name).trim_end().to_owned());
        lines.extend(text.map(|line| format!("{:indent$}{line}", "")));
    }
    lines
}

/// A number with its unit where that is more than a count of connections or users, which the name tells.
fn amount(reason: &Reason) -> String {
    match (reason.value, reason.unit) {
        (None, _) => "–".to_owned(),
        (Some(Amount::Decimal(value)), "ms") => milliseconds(value),
        (Some(Amount::Decimal(value)), "") => percent(value),
        (Some(Amount::Decimal(value)), _) => number(value),
        (Some(Amount::Count(value)), _) => count(value),
    }
}

fn waiting(plan: &Plan) -> Vec<String> {
    let heading = ["", "size", "busy", "wait", "mean", "p95", "p99", "answered/s"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    let has_peak = plan.requests_per_s_peak > plan.inputs.requests_per_s;
    let at = |rate: f64| format!("{} requests/s", number(rate));
    if has_peak {
        rows.push(row(&format!("expected, {}", at(plan.inputs.requests_per_s)), &plan.at_expected));
        rows.push(row(&format!("peak, {}", at(plan.requests_per_s_peak)), &plan.at_peak));
    } else {
        rows.push(row(&at(plan.requests_per_s_peak), &plan.at_peak));
    }
    let load = if has_peak { " at the peak" } else { "" };
    for (name, point) in [("with the minimum", &plan.at_min), ("with the maximum", &plan.at_max)] {
        if point.connections != plan.at_peak.connections {
            rows.push(row(&format!("{name}{load}"), point));
        }
    }
    let mut align = [Align::Right; 8];
    align[0] = Align::Left;
    let mut lines = table(&align, &rows);
    lines.extend(paragraph(&without_pooler(plan), 2));
    lines
}

fn row(name: &str, point: &CurvePoint) -> Vec<String> {
    let wait = |wait_ms: Option<f64>| wait_ms.map_or_else(|| "no end".to_owned(), milliseconds);
    vec![
        name.to_owned(),
        count(point.connections),
        percent(point.utilisation),
        point.wait_probability.map_or_else(|| "all".to_owned(), percent),
        wait(point.wait_ms_mean),
        wait(point.wait_ms_p95),
        wait(point.wait_ms_p99),
        decimals(point.throughput_per_s, 0),
    ]
}

fn without_pooler(plan: &Plan) -> String {
    let without = &plan.without_pooler;
    format!(
        "Without a pooler that all instances share it takes {} per instance, {} in all, for the same \
         wait: {} the budget of {}.",
        connections(without.connections_per_instance),
        count(without.total_connections),
        if without.fits_budget { "within" } else { "beyond" },
        count(plan.total_max_connections)
    )
}

fn pools(plan: &Plan) -> Vec<String> {
    let heading = ["pool", "server", "share", "least", "most", ""];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for pool in &plan.pools {
        let (name, purpose) = match pool.pool {
            PoolKind::Main => ("main", "the service's transactions"),
            PoolKind::Read => ("read", "reads"),
            PoolKind::Admin => ("admin", "long analytical queries"),
        };
        let server = match pool.server {
            ServerKind::Primary => "primary",
            ServerKind::Replica => "replica",
        };
        let purpose = if pool.max_connections == 0 { "uses the main pool" } else { purpose };
        let (least, most) = (count(pool.min_connections), count(pool.max_connections));
        let cells = [name, server, &percent(pool.share), &least, &most, purpose];
        rows.push(cells.map(str::to_owned).to_vec());
    }
    use Align::{Left, Right};
    table(&[Left, Left, Right, Right, Right, Left], &rows)
}

fn steps(steps: &[(String, String)]) -> Vec<String> {
    let step = |(what_for, command): &(String, String)| [format!("  {what_for}"), format!("    {command}")];
    steps.iter().flat_map(step).collect()
}
