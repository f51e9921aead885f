//! The server, and who asks.

use serde::Serialize;
use tokio_postgres::{Error, Row};

use super::session::{Session, count, get, known_count};
use crate::health::down::Down;

/// The oldest supported version, as `server_version_num`.
const VERSION_NUMBER_MIN: i32 = 130_000;

/// The server, and who asks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Server {
    /// As the server writes it, as `15.8 (Debian 15.8-0+deb12u1)`.
    pub version: String,
    /// The major version, as 15.
    pub version_major: u32,
    /// The database that was connected to.
    pub database: String,
    /// The role that asked, as SQL writes it.
    pub role: String,
    /// Whether that role sees what others do.
    pub sees_all: bool,
    /// Whether it follows another server.
    pub in_recovery: bool,
    /// The moment of the look by the server's clock, in seconds since 1970.
    pub at_s: f64,
    /// When the server was started, likewise.
    pub started_s: f64,
    /// Where the WAL ends: written on a primary, received on a replica.
    pub wal_position: Option<u64>,
    /// `max_connections`.
    pub connections_max: u64,
    /// Of those, reserved for administrators.
    pub connections_reserved: u64,
    /// `autovacuum_freeze_max_age`.
    pub freeze_age_max: u64,
    /// `autovacuum_multixact_freeze_max_age`.
    pub multixact_freeze_age_max: u64,
    /// `autovacuum_max_workers`.
    pub autovacuum_workers_max: u64,
    /// Whether autovacuum is on, and counts what it goes by.
    pub has_autovacuum: bool,
    /// Whether blocks have checksums.
    pub has_checksums: bool,
    /// `max_wal_size`.
    pub wal_size_max_bytes: u64,
    /// `max_slot_wal_keep_size`; `None` for no limit.
    pub slot_wal_max_bytes: Option<u64>,
    /// Where its data are, where the role may know it.
    pub data_directory: Option<String>,
    /// Whether it was reached over a Unix socket or a loopback address, as the server sees it.
    pub is_on_loopback: bool,
    /// Where pg_stat_statements is in this database, as SQL writes it, with its version.
    pub statements_extension: Option<(String, String)>,
    /// The libraries that the server loads at its start, where the role may know them.
    pub preload_libraries: Option<String>,
}

impl Server {
    /// Whether the server has loaded pg_stat_statements, where the role may know it.
    #[must_use]
    pub fn has_statements_library(&self) -> Option<bool> {
        self.preload_libraries.as_ref().map(|libraries| libraries.contains("pg_stat_statements"))
    }

    /// Connections that services may use.
    #[must_use]
    pub fn connections_usable(&self) -> u64 {
        self.connections_max.saturating_sub(self.connections_reserved).max(1)
    }

    /// Whether counters of the two can be compared: the same server since the same start, and the same database.
    #[must_use]
    pub fn is_same_run(&self, other: &Self) -> bool {
        // The start is told as it was stored, so equal ones are equal to the last digit.
        (self.started_s - other.started_s).abs() < 0.001 && self.database == other.database
    }

    /// What lets the role see what others do.
    pub(crate) fn grant(&self) -> String {
        format!("GRANT pg_monitor TO {};", self.role)
    }
}

pub(super) async fn read(session: &Session<'_>) -> Result<Server, Down> {
    let rows = session.rows("SHOW /* pgprime */ \"SERVER_VERSION_NUM\"").await?;
    let number = rows.first().and_then(|row| row.try_get::<_, &str>(0).ok()?.parse::<i32>().ok());
    match number {
        None => {
            return Err(Down::foreign(
                "what answers is not PostgreSQL; connect to the database, not to a console",
            ));
        }
        Some(number) if number < VERSION_NUMBER_MIN => {
            let text = format!("PostgreSQL {} is too old: version 13 or newer is needed", number / 10_000);
            return Err(Down::foreign(text));
        }
        Some(_) => {}
    }
    let rows = session.rows(include_str!("../../../sql/health_server.sql")).await?;
    let server = rows.first().map(parse).transpose().map_err(|error| Down::of_driver(&error))?;
    server.ok_or_else(|| Down::foreign("the server says nothing of itself"))
}

fn parse(row: &Row) -> Result<Server, Error> {
    let version_number: i32 = get(row, "version_number")?;
    let schema: Option<String> = get(row, "statements_schema")?;
    let version: Option<String> = get(row, "statements_version")?;
    Ok(Server {
        version: get(row, "version")?,
        version_major: u32::try_from(version_number / 10_000).unwrap_or(0),
        database: get(row, "database")?,
        role: get(row, "role")?,
        sees_all: get(row, "sees_all")?,
        in_recovery: get(row, "in_recovery")?,
        at_s: get(row, "at_s")?,
        started_s: get(row, "started_s")?,
        wal_position: known_count(row, "wal_position")?,
        connections_max: count(row, "connections_max")?,
        connections_reserved: count(row, "connections_reserved")?,
        freeze_age_max: count(row, "freeze_age_max")?,
        multixact_freeze_age_max: count(row, "multixact_freeze_age_max")?,
        autovacuum_workers_max: count(row, "autovacuum_workers_max")?,
        has_autovacuum: get(row, "has_autovacuum")?,
        has_checksums: get(row, "has_checksums")?,
        wal_size_max_bytes: count(row, "wal_size_max")?,
        slot_wal_max_bytes: known_count(row, "slot_wal_max")?,
        data_directory: get(row, "data_directory")?,
        is_on_loopback: get(row, "is_on_loopback")?,
        statements_extension: schema.zip(version),
        preload_libraries: get(row, "preload_libraries")?,
    })
}
