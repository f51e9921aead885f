//! What is asked of a history: stretches of series, the last value, and a value some time before.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::codec::{Point, decode_round};
use super::seal::chunk;
use super::series::{About, Bucket, Series, SeriesEntry, SeriesKind, SeriesName, unit_from};
use super::tier::Tier;

/// A value is told to be missing after this many times the usual distance between two.
const GAP: f64 = 2.5;
/// And never before this many seconds, nor after those.
const GAP_S: (i64, i64) = (25, 300);
/// Rounds that are searched for a series' last value: five minutes.
const ROUNDS_BACK: i64 = 30;
/// Chunks of a series that one question may read.
const CHUNKS_MAX: i64 = 20_000;

/// A stretch with a value.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    at: i64,
    lasts: i64,
    point: Point,
}

/// Between which moments, and in how many buckets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) points_max: usize,
}

/// The id of a series and what it is about.
pub(super) fn find(connection: &Connection, name: &str) -> rusqlite::Result<Option<(u32, SeriesEntry)>> {
    let sql = "SELECT * FROM series WHERE name = ?1";
    connection.prepare_cached(sql)?.query_row([name], entry).optional()
}

/// All series by name, with the moment of the last value as far as it is sealed.
pub(super) fn catalog(connection: &Connection) -> rusqlite::Result<Vec<(u32, SeriesEntry)>> {
    connection.prepare_cached("SELECT * FROM series ORDER BY name")?.query_map([], entry)?.collect()
}

fn entry(row: &Row<'_>) -> rusqlite::Result<(u32, SeriesEntry)> {
    let moment = |seconds: i64| jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    let text = |column: &str| row.get::<_, String>(column);
    let kind = if text("kind")? == "rate" { SeriesKind::Rate } else { SeriesKind::Gauge };
    let about =
        About { title: text("title")?, unit: unit_from(&text("unit")?), group: text("family")?, kind };
    let (first_at, last_at) = (moment(row.get("first_at")?), moment(row.get("last_at")?));
    Ok((row.get("id")?, SeriesEntry { name: SeriesName::new(&text("name")?), about, first_at, last_at }))
}

/// The series in buckets; one that is not known is left out.
pub(super) fn range(
    connection: &Connection,
    names: &[SeriesName],
    range: Range,
) -> rusqlite::Result<Vec<Series>> {
    let plan = Plan::new(connection, range)?;
    let mut found = Vec::new();
    for name in names {
        found.extend(find(connection, name.as_str())?);
    }
    let mut tails = plan.tails(connection, &found.iter().map(|(id, _)| *id).collect())?;
    let mut all = Vec::new();
    for (id, entry) in found {
        let mut pieces = plan.sealed(connection, id)?;
        pieces.append(tails.entry(id).or_default());
        let buckets = plan.buckets(&mut pieces);
        all.push(Series { name: entry.name, about: entry.about, bucket_s: plan.bucket_s, buckets });
    }
    Ok(all)
}

/// Which tiers answer for which stretch.
struct Plan {
    range: Range,
    bucket_s: i64,
    /// Tier, from, to: oldest first.
    stretches: Vec<(Tier, i64, i64)>,
}

impl Plan {
    /// The coarsest tier that is fine enough, and before its beginning the next coarser one.
    fn new(connection: &Connection, range: Range) -> rusqlite::Result<Self> {
        let points = i64::try_from(range.points_max).unwrap_or(i64::MAX).max(1);
        let width = (range.to.saturating_sub(range.from)).div_euclid(points) + 1;
        let wanted = Tier::ALL.into_iter().rev().find(|tier| tier.value_s() <= width).unwrap_or(Tier::Rounds);
        let unit = wanted.value_s();
        let bucket_s = (width.max(unit) + unit - 1) / unit * unit;
        // The last moment belongs to what is asked for.
        let (mut stretches, mut end) = (Vec::new(), range.to.saturating_add(1));
        for tier in Tier::ALL.into_iter().filter(|tier| *tier as i64 >= wanted as i64) {
            let Some(first) = earliest(connection, tier)? else { continue };
            let start = first.max(range.from);
            if start < end {
                stretches.insert(0, (tier, start, end));
                end = start;
            }
        }
        Ok(Self { range, bucket_s, stretches })
    }

    fn sealed(&self, connection: &Connection, series: u32) -> rusqlite::Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        for (tier, from, to) in &self.stretches {
            let mut start = tier.chunk_start(*from).max(to - CHUNKS_MAX * tier.chunk_s());
            while start < *to {
                let points = chunk(connection, *tier, start, series)?.unwrap_or_default();
                let piece = |point: Point| Piece {
                    at: start + i64::from(point.slot) * tier.slot_s(),
                    lasts: tier.value_s(),
                    point,
                };
                let within = |piece: &Piece| piece.at + tier.slot_s() > *from && piece.at < *to;
                pieces.extend(points.into_iter().map(piece).filter(within));
                start += tier.chunk_s();
            }
        }
        Ok(pieces)
    }

    /// What is not sealed of some series.
    fn tails(
        &self,
        connection: &Connection,
        wanted: &BTreeSet<u32>,
    ) -> rusqlite::Result<BTreeMap<u32, Vec<Piece>>> {
        let mut tails: BTreeMap<u32, Vec<Piece>> = BTreeMap::new();
        let sql = "SELECT at, figures FROM recent WHERE at >= ?1 AND at <= ?2 ORDER BY at";
        let mut statement = connection.prepare_cached(sql)?;
        for found in statement.query_map(params![self.range.from, self.range.to], round)? {
            let (at, figures) = found?;
            for (series, value) in figures.into_iter().filter(|(series, _)| wanted.contains(series)) {
                let piece = Piece { at, lasts: Tier::Rounds.value_s(), point: Point::single(0, value) };
                tails.entry(series).or_default().push(piece);
            }
        }
        Ok(tails)
    }

    /// Pieces in buckets. A piece fills the bucket of its start, and later ones that hold nothing as long as it lasts.
    fn buckets(&self, pieces: &mut [Piece]) -> Vec<Bucket> {
        pieces.sort_by_key(|piece| piece.at);
        let patience = patience(pieces);
        let first = self.range.from.div_euclid(self.bucket_s) * self.bucket_s;
        let mut buckets = Vec::new();
        let (mut at, mut next, mut carried) = (first, 0, None::<Piece>);
        while at <= self.range.to && buckets.len() <= self.range.points_max {
            let mut joined: Option<Point> = None;
            while let Some(piece) = pieces.get(next).filter(|piece| piece.at < at + self.bucket_s) {
                joined = Some(joined.map_or(piece.point, |known| known.joined(piece.point)));
                carried = Some(*piece);
                next += 1;
            }
            // What comes after the last round is not known yet.
            let lasts = |piece: &Piece| match piece.lasts {
                lasts if lasts > Tier::Rounds.value_s() => lasts,
                _ if next < pieces.len() => patience,
                _ => 0,
            };
            let carried = carried.filter(|piece| piece.at + lasts(piece) > at);
            let shown = joined.or(carried.map(|piece| piece.point));
            let (mean, max) = (shown.map(|point| point.mean), shown.map(|point| point.max));
            buckets.push(Bucket { at, mean, max });
            at += self.bucket_s;
        }
        buckets
    }
}

/// Seconds that a round stands for: as long as rounds usually are apart, and half as long again.
fn patience(pieces: &[Piece]) -> i64 {
    let rounds = pieces.iter().filter(|piece| piece.lasts <= Tier::Rounds.value_s()).map(|piece| piece.at);
    let mut distances: Vec<i64> = rounds.clone().zip(rounds.skip(1)).map(|(one, next)| next - one).collect();
    distances.sort_unstable();
    let usual = distances.get(distances.len() / 2).copied().unwrap_or(0);
    ((usual as f64 * GAP) as i64).clamp(GAP_S.0, GAP_S.1)
}

/// The start of the oldest chunk of a tier.
fn earliest(connection: &Connection, tier: Tier) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT min(key) FROM chunk WHERE key >= ?1 AND key < ?2";
    let bounds = params![tier.lowest_key(), tier.end_key()];
    let key: Option<i64> = connection.prepare_cached(sql)?.query_row(bounds, |row| row.get(0))?;
    Ok(key.map(|key| tier.start_of(key)))
}

/// When a round was, and its series.
type Found = (i64, Vec<(u32, f64)>);

/// The newest round up to a moment: when it was, and its series.
pub(super) fn newest(connection: &Connection, until: i64) -> rusqlite::Result<Option<Found>> {
    let sql = "SELECT at, figures FROM recent WHERE at <= ?1 ORDER BY at DESC LIMIT 1";
    connection.prepare_cached(sql)?.query_row([until], round).optional()
}

/// The last value of a series up to a moment, if it is not older than some rounds.
pub(super) fn latest(
    connection: &Connection,
    series: u32,
    until: i64,
) -> rusqlite::Result<Option<(i64, f64)>> {
    let sql = "SELECT at, figures FROM recent WHERE at <= ?1 ORDER BY at DESC LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    for found in statement.query_map(params![until, ROUNDS_BACK], round)? {
        let (at, figures) = found?;
        if let Some(value) = value_of(&figures, series) {
            return Ok(Some((at, value)));
        }
    }
    Ok(None)
}

/// The value of a series closest to a moment, and when it was; within a tolerance in seconds.
pub(super) fn near(
    connection: &Connection,
    series: u32,
    at: i64,
    tolerance: i64,
) -> rusqlite::Result<Option<(i64, f64)>> {
    let (from, to) = (at.saturating_sub(tolerance), at.saturating_add(tolerance));
    let sql = "SELECT at, figures FROM recent WHERE at >= ?1 AND at <= ?2 ORDER BY abs(at - ?3) LIMIT ?4";
    let mut statement = connection.prepare_cached(sql)?;
    for found in statement.query_map(params![from, to, at, ROUNDS_BACK], round)? {
        let (at, figures) = found?;
        if let Some(value) = value_of(&figures, series) {
            return Ok(Some((at, value)));
        }
    }
    for tier in Tier::ALL {
        let mut best: Option<(i64, f64)> = None;
        for start in [tier.chunk_start(from), tier.chunk_start(at), tier.chunk_start(to)] {
            for point in chunk(connection, tier, start, series)?.unwrap_or_default() {
                let middle = start + i64::from(point.slot) * tier.slot_s() + tier.slot_s() / 2;
                let is_closer = best.is_none_or(|(known, _)| (known - at).abs() > (middle - at).abs());
                if is_closer && middle >= from && middle <= to {
                    best = Some((middle, point.mean));
                }
            }
        }
        if best.is_some() {
            return Ok(best);
        }
    }
    Ok(None)
}

fn round(row: &Row<'_>) -> rusqlite::Result<Found> {
    Ok((row.get(0)?, decode_round(row.get_ref(1)?.as_blob().unwrap_or_default()).unwrap_or_default()))
}

fn value_of(figures: &[(u32, f64)], series: u32) -> Option<f64> {
    figures.iter().find(|(id, _)| *id == series).map(|(_, value)| *value)
}
