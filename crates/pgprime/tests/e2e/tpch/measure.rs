//! What the queries answer, cost and take.

use std::time::{Duration, Instant};

use tokio_postgres::{Client, SimpleQueryMessage};

use super::queries::is_ordered;

/// A query at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    /// Rows as text; sorted where their order is left open.
    pub(super) rows: Vec<Vec<Option<String>>>,
    /// Milliseconds of the fastest execution; None when all were stopped by the limit.
    pub(super) ms: Option<f64>,
    /// The planner's total cost.
    pub(super) cost: f64,
    /// Pages of 8 KiB that an execution looked at; None when it was stopped.
    pub(super) pages: Option<f64>,
}

/// How queries are measured.
#[derive(Clone, Copy)]
pub(super) struct Measuring {
    /// Executions; the fastest counts.
    pub(super) runs: u32,
    /// The limit of one.
    pub(super) limit: Duration,
}

impl Measuring {
    pub(super) async fn all(self, client: &Client, queries: &[String]) -> Vec<Measured> {
        let limit = format!("SET statement_timeout = {}", self.limit.as_millis());
        client.batch_execute(&limit).await.unwrap();
        let mut measured = Vec::new();
        for (number, query) in (1..).zip(queries) {
            measured.push(self.one(client, number, query).await);
        }
        client.batch_execute("RESET statement_timeout").await.unwrap();
        measured
    }

    async fn one(self, client: &Client, number: usize, query: &str) -> Measured {
        let plan = explain(client, "", query).await.expect("planning is quick");
        let mut measured = Measured { cost: number_at(&plan, "/0/Plan/Total Cost"), ..Measured::default() };
        for _ in 0..self.runs {
            let begun = Instant::now();
            let Some(rows) = rows(client, query).await else { return measured };
            let ms = begun.elapsed().as_secs_f64() * 1e3;
            measured.ms = Some(measured.ms.map_or(ms, |fastest| fastest.min(ms)));
            measured.rows = rows;
        }
        if !is_ordered(number) {
            measured.rows.sort();
        }
        let plan = explain(client, "ANALYZE, TIMING off, BUFFERS, ", query).await;
        let pages = |plan: serde_json::Value| {
            number_at(&plan, "/0/Plan/Shared Hit Blocks") + number_at(&plan, "/0/Plan/Shared Read Blocks")
        };
        measured.pages = plan.map(pages);
        measured
    }
}

/// The plan; None when the limit stopped it.
async fn explain(client: &Client, options: &str, query: &str) -> Option<serde_json::Value> {
    let rows = rows(client, &format!("EXPLAIN ({options}FORMAT JSON) {query}")).await?;
    Some(serde_json::from_str(rows[0][0].as_deref().unwrap()).unwrap())
}

fn number_at(plan: &serde_json::Value, pointer: &str) -> f64 {
    plan.pointer(pointer).and_then(serde_json::Value::as_f64).unwrap()
}

async fn rows(client: &Client, query: &str) -> Option<Vec<Vec<Option<String>>>> {
    let messages = match client.simple_query(query).await {
        Ok(messages) => messages,
        Err(error) if error.code().is_some_and(|state| state.code() == "57014") => return None,
        Err(error) => panic!("{error:?}\n{query}"),
    };
    let texts = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect())
        }
        _ => None,
    };
    Some(messages.iter().filter_map(texts).collect())
}

/// The sum of the planner's costs.
pub(super) fn cost(measured: &[Measured]) -> f64 {
    measured.iter().map(|one| one.cost).sum()
}

/// One column of a table: what is known of each query, and the sum.
pub(super) fn column(numbers: impl Iterator<Item = Option<f64>>) -> Vec<String> {
    let numbers: Vec<Option<f64>> = numbers.collect();
    let sum = numbers.iter().flatten().sum();
    let text = |number: &Option<f64>| number.map_or("stopped".to_owned(), |number| format!("{number:.1}"));
    numbers.iter().chain([&Some(sum)]).map(text).collect()
}

/// How many times as fast each query became, and all that were not stopped.
pub(super) fn ratios(before: &[Measured], after: &[Measured]) -> Vec<String> {
    let times = |(before, after): (&Measured, &Measured)| Some((before.ms?, after.ms?));
    let times: Vec<Option<(f64, f64)>> = before.iter().zip(after).map(times).collect();
    let all = times.iter().flatten().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let text = |times: &Option<(f64, f64)>| {
        times.map_or_else(String::new, |(before, after)| format!("{:.1}x", before / after))
    };
    times.iter().chain([&Some(all)]).map(text).collect()
}

/// A table of columns with their heads, one line for each query and one for all.
pub(super) fn table(columns: &[(&str, Vec<String>)]) -> String {
    let lines = columns.iter().map(|(_, cells)| cells.len()).max().unwrap_or(0);
    let mut text = String::new();
    for line in 0..=lines {
        let name = match line {
            0 => "query".to_owned(),
            _ if line == lines => "all".to_owned(),
            _ => format!("Q{line}"),
        };
        text += &format!("{name:<6}");
        for (head, cells) in columns {
            let cell = line.checked_sub(1).map_or(*head, |line| cells.get(line).map_or("", String::as_str));
            let width = cells.iter().map(String::len).max().unwrap_or(0).max(head.len());
            text += &format!("  {cell:>width$}");
        }
        text.push('\n');
    }
    text
}
