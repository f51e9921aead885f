//! The same query three ways: over the base tables, from the view, from the cache.

use std::time::Instant;

use anyhow::bail;
use pgprime_client::{CachedRows, CachedSource, Database, Role};

use super::answer::{Answer, Value};
use super::queries::{Compared, DASHBOARD, DashboardQuery};
use super::report::ComparedQuery;

/// How often each is asked; the median counts. The first time does not.
const RAW_TIMES: usize = 3;
const VIEW_TIMES: usize = 15;
const CACHE_TIMES: usize = 101;

/// Asks all queries of the dashboard, one after another. Nothing may be written meanwhile, and the views must be fresh.
pub(super) async fn compare(database: &Database) -> anyhow::Result<Vec<ComparedQuery>> {
    let mut compared = Vec::new();
    for query in &DASHBOARD {
        compared.push(one(database, query).await?);
    }
    Ok(compared)
}

async fn one(database: &Database, query: &DashboardQuery) -> anyhow::Result<ComparedQuery> {
    let (raw, raw_us) = asked(database, query.raw, RAW_TIMES).await?;
    let (view, view_us) = asked(database, query.view, VIEW_TIMES).await?;
    let kept = cached(database, query).await?;
    let ratio = |took_us: u64| raw_us as f64 / took_us as f64;
    Ok(ComparedQuery {
        name: query.name.to_owned(),
        rows: raw.rows(),
        raw_us,
        view_us,
        view_ratio: ratio(view_us),
        cache_us: kept.took_us,
        cache_ratio: kept.took_us.map(ratio),
        not_kept: kept.not_kept,
        names_only: query.compared == Compared::Names,
        equal: raw.says_the_same(&view, query.compared) && view == kept.answer,
    })
}

/// The answer and the median time, in microseconds.
async fn asked(database: &Database, sql: &str, times: usize) -> anyhow::Result<(Answer, u64)> {
    let admin = database.admin();
    let answer = Answer::of(&admin.query(sql, &[]).await?);
    let mut took_us = Vec::with_capacity(times);
    for _ in 0..times {
        let begun = Instant::now();
        admin.query(sql, &[]).await?;
        took_us.push(microseconds(begun));
    }
    Ok((answer, median(took_us)))
}

/// What the cache said.
struct Kept {
    answer: Answer,
    /// `None` where the result is not kept.
    took_us: Option<u64>,
    not_kept: Option<String>,
}

async fn cached(database: &Database, query: &DashboardQuery) -> anyhow::Result<Kept> {
    let ask = || database.cached(query.view, &[]).on(Role::Admin).named(query.name).fetch();
    let filled = ask().await?;
    if let Some(reason) = filled.not_kept() {
        return Ok(Kept { answer: answer_of(&filled), took_us: None, not_kept: Some(reason.to_owned()) });
    }
    let mut took_us = Vec::with_capacity(CACHE_TIMES);
    let mut last = filled;
    for _ in 0..CACHE_TIMES {
        let begun = Instant::now();
        last = ask().await?;
        took_us.push(microseconds(begun));
    }
    if !matches!(last.source(), CachedSource::Memory | CachedSource::Redis) {
        bail!("{} was asked again and again and is not in the cache: {:?}", query.name, last.source());
    }
    Ok(Kept { answer: answer_of(&last), took_us: Some(median(took_us)), not_kept: None })
}

fn answer_of(rows: &CachedRows) -> Answer {
    let values = |row: pgprime_client::CachedRow| -> Vec<Value> {
        (0..row.len()).map(|column| row.get(column)).collect()
    };
    Answer::new(rows.iter().map(values).collect())
}

fn microseconds(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// At least 1, so that it can be divided by.
fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_never_zero() {
        assert_eq!(median(vec![9, 1, 5]), 5);
        assert_eq!([median(vec![]), median(vec![0])], [1, 1]);
    }
}
