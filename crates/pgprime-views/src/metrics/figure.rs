//! Reading figures through the cache.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pgprime_client::{CachedRows, CachedSource, Database, Role};
use serde::{Serialize, Serializer};

use super::row::{FigureRow, Read};
use super::under_way::FiguresUnderWay;
use crate::figures::FigureDeclaration;

/// Rows of a figure; a dashboard shows fewer.
const ROWS_MAX: usize = 1_000;
/// Letters of a row as JSON: a figure is for people to read. The database sends one more, to say that there are.
const ROW_LETTERS_MAX: usize = 16_384;
/// Bytes of all rows of a figure as JSON: they are sent to each browser that shows it.
const BYTES_MAX: usize = 1 << 20;

/// One figure with its rows.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// Its name.
    pub name: String,
    /// What people read.
    pub title: String,
    /// What its values are in.
    pub unit: Option<String>,
    /// The columns that say what a row is about.
    pub labels: Vec<String>,
    /// Its rows, each an object with its columns; at most 1,000, and 1 MiB.
    #[serde(serialize_with = "each")]
    pub rows: Arc<[FigureRow]>,
    /// Whether the query gave more than that.
    pub is_cut: bool,
    /// Where the rows came from; `null` where there are none because of `error`.
    pub source: Option<CachedSource>,
    /// How old they are, in milliseconds.
    pub age_ms: f64,
    /// How long this look took, in milliseconds.
    pub took_ms: f64,
    /// Why the rows are not kept in the cache, where they are not.
    pub not_kept: Option<String>,
    /// Why there are no rows.
    pub error: Option<String>,
}

fn each<S: Serializer>(rows: &Arc<[FigureRow]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(rows.iter())
}

impl Figure {
    fn empty(declared: &FigureDeclaration) -> Self {
        Self {
            name: declared.name.clone(),
            title: declared.title.clone(),
            unit: declared.unit.clone(),
            labels: declared.labels.clone(),
            rows: Arc::default(),
            is_cut: false,
            source: None,
            age_ms: 0.0,
            took_ms: 0.0,
            not_kept: None,
            error: None,
        }
    }
}

/// All figures, each with this limit of time. What takes longer goes on by itself, but for one connection of the pool,
/// which is left to others.
pub(super) async fn all(
    database: &Database,
    declared: &[FigureDeclaration],
    timeout: Duration,
    under_way: &FiguresUnderWay,
) -> Vec<Figure> {
    let figures = join_all(declared.iter().map(|figure| one(database, figure, timeout, under_way))).await;
    let connections = usize::try_from(database.sizes().admin.max).unwrap_or(usize::MAX);
    under_way.leave(connections.saturating_sub(1).max(1));
    figures
}

async fn one(
    database: &Database,
    declared: &FigureDeclaration,
    timeout: Duration,
    under_way: &FiguresUnderWay,
) -> Figure {
    let began = Instant::now();
    // In a task of its own: given up here it goes on there, and the next look finds it.
    let reading = under_way.join(&declared.name, || read(database.clone(), declared.clone()));
    let read = tokio::time::timeout(timeout, reading).await.unwrap_or_else(|_| {
        Err(format!("no answer within {} ms; where there is room it goes on by itself", timeout.as_millis()))
    });
    let mut figure = Figure::empty(declared);
    match read {
        Ok(read) => {
            figure.rows = read.rows;
            figure.is_cut = read.is_cut;
            figure.source = Some(read.source);
            figure.age_ms = read.asked.elapsed().as_secs_f64() * 1_000.0;
            figure.not_kept = read.not_kept;
        }
        Err(error) => figure.error = Some(error),
    }
    figure.took_ms = began.elapsed().as_secs_f64() * 1_000.0;
    figure
}

async fn read(database: Database, declared: FigureDeclaration) -> Result<Read, String> {
    let sql = as_objects(&declared.sql);
    let label = format!("figure {}", declared.name);
    // Today's figures are what dashboards are for: what depends on the time is as old as the figure may be. While an older
    // one is read anew it is still shown, so that nobody waits for one that takes long; but not for another time as long.
    let cached = database.cached(sql.as_str(), &[]).ttl(declared.ttl).named(label.as_str());
    let cached = cached.stale_while_revalidate(declared.ttl).refresh_in_background();
    let began = Instant::now();
    let kept = cached.on(Role::Admin).allow_stable().fetch().await.map_err(|error| error.to_string())?;
    let (rows, is_cut) = rows(&kept)?;
    // A clock that has run for less than an age is none to reckon with.
    let asked = Instant::now().checked_sub(kept.age()).unwrap_or(began);
    let not_kept = kept.not_kept().map(str::to_owned);
    Ok(Read { rows: rows.into(), is_cut, source: kept.source(), asked, not_kept })
}

/// The rows of a query as objects, one more than are shown. Whatever the query ends with, even a comment, stays in it; what
/// it names `q` is a column of it.
fn as_objects(sql: &str) -> String {
    let (letters, rows) = (ROW_LETTERS_MAX + 1, ROWS_MAX + 1);
    format!("SELECT left(row_to_json(q.*)::text, {letters}) FROM (\n{sql}\n) AS q LIMIT {rows}")
}

/// As many of the rows as are shown, and whether those are not all.
fn rows(kept: &CachedRows) -> Result<(Vec<FigureRow>, bool), String> {
    let (mut rows, mut bytes) = (Vec::new(), 0);
    for row in kept.iter().take(ROWS_MAX) {
        let text: &str = row.try_get(0).map_err(|error| error.to_string())?;
        if text.chars().nth(ROW_LETTERS_MAX).is_some() {
            return Err(format!(
                "a row is longer than {ROW_LETTERS_MAX} letters: choose fewer columns, or shorter ones"
            ));
        }
        bytes += text.len();
        if bytes > BYTES_MAX {
            return Ok((rows, true));
        }
        rows.push(FigureRow::parse(text).map_err(|error| format!("its row is no JSON: {error}"))?);
    }
    Ok((rows, kept.len() > ROWS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_at_the_end_hides_nothing() {
        let sql = as_objects("SELECT 1 AS a -- one");
        let expected =
            "SELECT left(row_to_json(q.*)::text, 16385) FROM (\nSELECT 1 AS a -- one\n) AS q LIMIT 1001";
        assert_eq!(sql, expected);
    }
}
