//! The same query three ways: over the base tables, from the view, from the cache. The times are taken while the load goes
//! on; the answers are compared when it is over, as they would differ by what it writes.

use std::time::Instant;

use anyhow::bail;
use pgprime_client::{CachedRows, CachedSource, Database, Role};

use super::answer::{Answer, Value};
use super::queries::{Compared, DASHBOARD, DashboardQuery};
use super::report::{ComparedQuery, ServiceSide};

/// How often each is asked; the median counts. The first time does not.
const RAW_TIMES: usize = 3;
const VIEW_TIMES: usize = 15;
const CACHE_TIMES: usize = 101;

/// How long the queries of the dashboard take, one after another, whatever goes on meanwhile.
pub(super) async fn time(database: &Database) -> anyhow::Result<Vec<Timed>> {
    let mut timed = Vec::new();
    for query in &DASHBOARD {
        let raw_us = asked(database, query.raw, RAW_TIMES).await?;
        let view_us = asked(database, query.view, VIEW_TIMES).await?;
        let (cache_us, not_kept) = asked_of_cache(database, query).await?;
        timed.push(Timed { query, raw_us, view_us, cache_us, not_kept });
    }
    Ok(timed)
}

/// Asks all of them once more in every way and compares the answers. Nothing may be written meanwhile, and the views must be
/// fresh.
pub(super) async fn compare(database: &Database, timed: Vec<Timed>) -> anyhow::Result<Vec<ComparedQuery>> {
    let mut compared = Vec::new();
    for timed in timed {
        let query = timed.query;
        let raw = Answer::of(&database.admin().query(query.raw, &[]).await?);
        let view = Answer::of(&database.admin().query(query.view, &[]).await?);
        // What was kept before is outdated by now; the second answer is of the cache, where one is kept.
        cached(database, query).await?;
        let kept = answer_of(&cached(database, query).await?);
        let equal = raw.says_the_same(&view, query.compared) && view == kept;
        compared.push(timed.compared(raw.rows(), equal));
    }
    Ok(compared)
}

/// What the dashboard's queries took, and the service meanwhile.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(super) timed: Vec<Timed>,
    /// The service beside them.
    pub(crate) meanwhile: ServiceSide,
}

/// What a query took.
#[derive(Debug)]
pub(super) struct Timed {
    query: &'static DashboardQuery,
    raw_us: u64,
    view_us: u64,
    /// `None` where the result is not kept.
    cache_us: Option<u64>,
    not_kept: Option<String>,
}

impl Timed {
    fn compared(self, rows: usize, equal: bool) -> ComparedQuery {
        let Self { query, raw_us, view_us, cache_us, not_kept } = self;
        let ratio = |took_us: u64| raw_us as f64 / took_us as f64;
        ComparedQuery {
            name: query.name.to_owned(),
            rows,
            raw_us,
            view_us,
            view_ratio: ratio(view_us),
            cache_us,
            cache_ratio: cache_us.map(ratio),
            not_kept,
            names_only: query.compared == Compared::Names,
            equal,
        }
    }
}

/// The median time, in microseconds.
async fn asked(database: &Database, sql: &str, times: usize) -> anyhow::Result<u64> {
    let admin = database.admin();
    admin.query(sql, &[]).await?;
    let mut took_us = Vec::with_capacity(times);
    for _ in 0..times {
        let begun = Instant::now();
        admin.query(sql, &[]).await?;
        took_us.push(microseconds(begun));
    }
    Ok(median(took_us))
}

/// The median time of what is in the cache, in microseconds; or why it is not kept.
async fn asked_of_cache(
    database: &Database,
    query: &DashboardQuery,
) -> anyhow::Result<(Option<u64>, Option<String>)> {
    let filled = cached(database, query).await?;
    if let Some(reason) = filled.not_kept() {
        return Ok((None, Some(reason.to_owned())));
    }
    let mut took_us = Vec::with_capacity(CACHE_TIMES);
    for _ in 0..CACHE_TIMES {
        let begun = Instant::now();
        let kept = cached(database, query).await?;
        took_us.push(microseconds(begun));
        if !matches!(kept.source(), CachedSource::Memory | CachedSource::Redis) {
            bail!("{} was asked again and again and is not in the cache: {:?}", query.name, kept.source());
        }
    }
    Ok((Some(median(took_us)), None))
}

async fn cached(database: &Database, query: &DashboardQuery) -> anyhow::Result<CachedRows> {
    Ok(database.cached(query.view, &[]).on(Role::Admin).named(query.name).fetch().await?)
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
