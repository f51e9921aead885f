//! The file of series: one writer, any number of readers that do not wait for it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::codec::encode_round;
use super::error::StoreError;
use super::file::{self, Kind, WriterLock};
use super::read::{self, Range};
use super::seal;
use super::series::{Figure, Series, SeriesEntry, SeriesKind, SeriesName, unit_text};
use super::tier::Retention;

/// "pgps"
const KIND: Kind =
    Kind { application_id: 0x7067_7073, migrations: &[include_str!("../../sql/series_1.sql")] };
/// Series that are kept; figures of further ones are left out.
pub const SERIES_MAX: usize = 2_000;
/// Series that one question may name.
pub const NAMES_MAX: usize = 100;
/// Points that one question may ask for.
pub const POINTS_MAX: usize = 10_000;
/// A clock that moves further than this between two rounds may be wrong.
const LEAP_S: i64 = 3_600;
/// Rounds after a leap before anything is dropped for its age.
const SETTLED_AFTER: u32 = 30;
/// Connections for reading that are kept open.
const READERS_MAX: usize = 4;
/// `before` takes a value that is not farther off than this part of the time asked for.
const TOLERANCE: i64 = 10;

/// Series of figures in a file.
///
/// Rounds are kept to the second, later as minutes, then as quarters of an hour: see [`Retention`]. What is committed
/// survives the end of the process at any moment. All calls block for as long as the disk takes; time is passed in.
#[derive(Debug)]
pub struct SeriesStore {
    path: PathBuf,
    retention: Retention,
    writer: Option<Mutex<Writer>>,
    readers: Mutex<Readers>,
}

#[derive(Debug)]
struct Writer {
    lock: WriterLock,
    /// `None` after damage, until it could be begun anew.
    file: Option<OpenFile>,
    last_at: Option<i64>,
    /// Rounds since the clock leapt.
    settled: u32,
}

#[derive(Debug)]
struct OpenFile {
    connection: Connection,
    ids: HashMap<SeriesName, u32>,
}

/// Connections to the file as it is since it was last begun anew.
#[derive(Debug, Default)]
struct Readers {
    generation: u64,
    idle: Vec<Connection>,
    last_at: Option<i64>,
}

impl SeriesStore {
    /// Opens the file for writing and reading; where there is none it is created with its folder, readable by their
    /// owner alone. A damaged one is moved aside, which is logged, and begun anew.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::InUse`] when another process writes to it.
    pub fn open(path: &Path, retention: Retention, now: Timestamp) -> Result<Self, StoreError> {
        let lock = file::lock(path)?;
        let file = OpenFile::open(path, now, &lock)?;
        let last_at = file.last_at().map_err(|error| StoreError::sql(path.to_owned(), error))?;
        let writer = Writer { lock, file: Some(file), last_at, settled: 0 };
        let readers = Mutex::new(Readers { last_at, ..Readers::default() });
        Ok(Self { path: path.to_owned(), retention, writer: Some(Mutex::new(writer)), readers })
    }

    /// Opens a file that another process may write to, for reading.
    ///
    /// # Errors
    /// [`StoreError`]; there has to be one.
    pub fn open_reader(path: &Path) -> Result<Self, StoreError> {
        let idle = vec![file::open_reader(path, KIND)?];
        let readers = Mutex::new(Readers { idle, ..Readers::default() });
        Ok(Self { path: path.to_owned(), retention: Retention::default(), writer: None, readers })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the figures of one moment, all or none; the first of a name counts. After each full hour the one before is
    /// packed, which takes some tens of milliseconds.
    ///
    /// # Errors
    /// [`StoreError`]; the next call tries again with its own figures.
    pub fn append(&self, at: Timestamp, figures: &[Figure]) -> Result<(), StoreError> {
        let Some(writer) = &self.writer else {
            let error = rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_READONLY),
                Some("it was opened for reading".to_owned()),
            );
            return Err(self.error(error));
        };
        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = match self.write(&mut writer, at, figures) {
            Err(error) if error.is_damage() => {
                self.begin_anew(&mut writer, at, &error)?;
                self.write(&mut writer, at, figures)
            }
            outcome => outcome,
        };
        self.lock_readers().last_at = writer.last_at;
        outcome
    }

    /// The series between two moments in at most `points_max` buckets (and one): mean and maximum, `None` in gaps. A
    /// series that is not known is left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn range(
        &self,
        names: &[SeriesName],
        from: Timestamp,
        to: Timestamp,
        points_max: usize,
    ) -> Result<Vec<Series>, StoreError> {
        let points_max = points_max.clamp(1, POINTS_MAX);
        let range = Range { from: from.as_second(), to: to.as_second().max(from.as_second()), points_max };
        self.read(|connection, _| read::range(connection, &names[..names.len().min(NAMES_MAX)], range))
    }

    /// All series, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn catalog(&self) -> Result<Vec<SeriesEntry>, StoreError> {
        self.read(|connection, until| {
            let newest = read::newest(connection, until)?;
            let in_newest: BTreeMap<u32, Timestamp> = newest
                .iter()
                .flat_map(|(at, figures)| figures.iter().map(|(id, _)| (*id, *at)))
                .filter_map(|(id, at)| Some((id, Timestamp::from_second(at).ok()?)))
                .collect();
            let with_last = |(id, mut entry): (u32, SeriesEntry)| {
                entry.last_at = in_newest.get(&id).map_or(entry.last_at, |at| entry.last_at.max(*at));
                entry
            };
            Ok(read::catalog(connection)?.into_iter().map(with_last).collect())
        })
    }

    /// The last value of a series, if it is not older than some rounds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn latest(&self, name: &SeriesName) -> Result<Option<(Timestamp, f64)>, StoreError> {
        self.read(|connection, until| {
            let Some((id, _)) = read::find(connection, name.as_str())? else { return Ok(None) };
            let found = read::latest(connection, id, until)?;
            Ok(found.and_then(|(at, value)| Some((Timestamp::from_second(at).ok()?, value))))
        })
    }

    /// The value of a series `ago` before the last round and how many seconds before it was, for a trend; `None` if
    /// there is none within a tenth of that time, and half a minute.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn before(
        &self,
        name: &SeriesName,
        ago: std::time::Duration,
    ) -> Result<Option<(f64, f64)>, StoreError> {
        let ago = i64::try_from(ago.as_secs()).unwrap_or(i64::MAX);
        self.read(|connection, until| {
            let Some((id, _)) = read::find(connection, name.as_str())? else { return Ok(None) };
            let Some((now, _)) = read::newest(connection, until)? else { return Ok(None) };
            let found = read::near(connection, id, now.saturating_sub(ago), (ago / TOLERANCE).max(30))?;
            Ok(found.filter(|(at, _)| *at < now).map(|(at, value)| (value, (now - at) as f64)))
        })
    }

    /// Bytes in use.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn bytes(&self) -> Result<u64, StoreError> {
        self.read(|connection, _| file::used_bytes(connection))
    }

    /// What a full disk does: no more pages than these.
    #[cfg(test)]
    pub(super) fn limit_pages(&self, pages: u32) {
        let writer = self.writer.as_ref().expect("opened for writing").lock().unwrap();
        let connection = &writer.file.as_ref().unwrap().connection;
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    }

    /// Asks in one snapshot of the file. `action` gets the moment of the last round, or the end of time.
    fn read<T>(&self, action: impl FnOnce(&Connection, i64) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let (generation, until, idle) = {
            let mut readers = self.lock_readers();
            (readers.generation, readers.last_at.unwrap_or(i64::MAX), readers.idle.pop())
        };
        let mut connection = match idle {
            Some(connection) => connection,
            None => file::open_reader(&self.path, KIND)?,
        };
        let outcome = in_snapshot(&mut connection, |transaction| action(transaction, until));
        let mut readers = self.lock_readers();
        if outcome.is_ok() && readers.generation == generation && readers.idle.len() < READERS_MAX {
            readers.idle.push(connection);
        }
        outcome.map_err(|error| self.error(error))
    }

    fn write(&self, writer: &mut Writer, at: Timestamp, figures: &[Figure]) -> Result<(), StoreError> {
        let file = match &mut writer.file {
            Some(file) => file,
            none => none.insert(OpenFile::open(&self.path, at, &writer.lock)?),
        };
        let second = at.as_second();
        let has_leapt = writer.last_at.is_some_and(|last| (second - last).abs() > LEAP_S);
        writer.settled = if has_leapt { 0 } else { writer.settled.saturating_add(1) };
        let settled = writer.settled;
        let kept = file.append(second, figures);
        if kept.is_ok() {
            writer.last_at = Some(second);
        }
        kept.and_then(|()| file.pack(second, settled, &self.retention)).map_err(|error| self.error(error))
    }

    /// Moves the damaged file aside. Its connections are closed before: closing one later would remove the log of the
    /// new file, which has the same name.
    fn begin_anew(&self, writer: &mut Writer, now: Timestamp, why: &StoreError) -> Result<(), StoreError> {
        writer.file = None;
        let mut readers = self.lock_readers();
        readers.generation += 1;
        readers.idle.clear();
        drop(readers);
        file::set_aside(&self.path, now, why)
    }

    fn lock_readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, source: rusqlite::Error) -> StoreError {
        StoreError::sql(self.path.clone(), source)
    }
}

fn in_snapshot<T>(
    connection: &mut Connection,
    action: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = connection.transaction()?;
    let value = action(&transaction)?;
    transaction.finish()?;
    Ok(value)
}

impl OpenFile {
    fn open(path: &Path, now: Timestamp, lock: &WriterLock) -> Result<Self, StoreError> {
        let connection = file::open(path, KIND, now, lock)?;
        let ids = ids(&connection).map_err(|error| StoreError::sql(path.to_owned(), error))?;
        Ok(Self { connection, ids })
    }

    fn last_at(&self) -> rusqlite::Result<Option<i64>> {
        self.connection.query_row("SELECT max(at) FROM recent", [], |row| row.get(0))
    }

    fn append(&mut self, at: i64, figures: &[Figure]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let added = keep(&transaction, &self.ids, at, figures)?;
        transaction.commit()?;
        self.ids.extend(added);
        Ok(())
    }

    /// Seals the hours that are over, and drops what is too old or too much.
    fn pack(&mut self, at: i64, settled: u32, retention: &Retention) -> rusqlite::Result<()> {
        let hours = seal::open_hours(&self.connection, at)?;
        for hour in &hours {
            self.change(|transaction| seal::seal(transaction, *hour))?;
        }
        let is_settling = settled == SETTLED_AFTER;
        if hours.is_empty() && !is_settling {
            return Ok(());
        }
        if settled >= SETTLED_AFTER {
            self.change(|transaction| seal::drop_old(transaction, retention, at))?;
            self.ids = ids(&self.connection)?;
        }
        if file::used_bytes(&self.connection)? > retention.bytes_max {
            // A tenth less, so that this is not repeated every hour.
            while file::used_bytes(&self.connection)? > retention.bytes_max / 10 * 9 {
                if !self.change(seal::drop_oldest)? {
                    break;
                }
            }
        }
        file::give_back(&self.connection)
    }

    fn change<T>(
        &mut self,
        action: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = action(&transaction)?;
        transaction.commit()?;
        Ok(value)
    }
}

fn ids(connection: &Connection) -> rusqlite::Result<HashMap<SeriesName, u32>> {
    Ok(read::catalog(connection)?.into_iter().map(|(id, entry)| (entry.name, id)).collect())
}

/// Writes the round; returns the series that are new.
fn keep(
    transaction: &Transaction<'_>,
    known: &HashMap<SeriesName, u32>,
    at: i64,
    figures: &[Figure],
) -> rusqlite::Result<Vec<(SeriesName, u32)>> {
    let (mut values, mut added) = (BTreeMap::new(), Vec::new());
    for figure in figures.iter().filter(|figure| figure.value.is_finite()) {
        let id = match known.get(&figure.name) {
            Some(id) => *id,
            None if known.len() + added.len() >= SERIES_MAX => continue,
            None => {
                let id = add_series(transaction, figure, at)?;
                added.push((figure.name.clone(), id));
                id
            }
        };
        values.entry(id).or_insert(figure.value);
    }
    let values: Vec<(u32, f64)> = values.into_iter().collect();
    let sql = "INSERT OR REPLACE INTO recent (at, figures) VALUES (?1, ?2)";
    transaction.prepare_cached(sql)?.execute(params![at, encode_round(&values)])?;
    Ok(added)
}

fn add_series(transaction: &Transaction<'_>, figure: &Figure, at: i64) -> rusqlite::Result<u32> {
    let about = &figure.about;
    let kind = if about.kind == SeriesKind::Rate { "rate" } else { "gauge" };
    // The name may have been added in this round.
    let sql = "INSERT INTO series (name, title, unit, family, kind, first_at, last_at) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6) ON CONFLICT (name) DO UPDATE SET last_at = excluded.last_at \
               RETURNING id";
    let unit = unit_text(about.unit);
    let values = params![figure.name.as_str(), about.title, unit, about.group, kind, at];
    transaction.prepare_cached(sql)?.query_row(values, |row| row.get(0))
}
