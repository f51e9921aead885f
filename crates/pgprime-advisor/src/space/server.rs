//! The server, and who asks.

use std::collections::HashMap;

use serde::Serialize;

use pgprime_readonly::{ReadError, Session, column, count, server_version};

/// The server, and who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Server {
    /// As the server writes it, as `15.8 (Debian 15.8-0+deb12u1)`.
    pub version: String,
    /// The major version, as 15.
    pub version_major: u32,
    /// The database that was connected to: the only one whose tables are seen.
    pub database: String,
    /// The role that asked.
    pub role: String,
    /// Whether it follows another server, so that statements have to be run on that one.
    pub in_recovery: bool,
    /// Servers and subscribers that follow this one.
    pub replicas: u64,
    #[serde(skip)]
    pub(crate) role_quoted: String,
    #[serde(skip)]
    pub(crate) block_bytes: u32,
    /// Where pgstattuple is, quoted.
    #[serde(skip)]
    pub(crate) pgstattuple_schema: Option<String>,
    #[serde(skip)]
    pub(crate) may_measure: bool,
    /// Whether pgstattuple could be created.
    #[serde(skip)]
    pub(crate) has_pgstattuple: bool,
    #[serde(skip)]
    pub(crate) has_pg_repack: bool,
}

impl Server {
    pub(crate) async fn identify(session: &Session<'_>) -> Result<Self, ReadError> {
        let version_number = server_version(session).await?;
        let step = "ask who asks";
        let row = session.row(step, include_str!("../../sql/space_server.sql")).await?;
        let block_bytes: i64 = column(&row, step, "block_bytes")?;
        Ok(Self {
            version: column(&row, step, "version")?,
            version_major: version_number / 10_000,
            database: column(&row, step, "database")?,
            role: column(&row, step, "role")?,
            in_recovery: column(&row, step, "in_recovery")?,
            replicas: count(&row, step, "replicas")?,
            role_quoted: column(&row, step, "role_quoted")?,
            block_bytes: u32::try_from(block_bytes).unwrap_or(8_192),
            pgstattuple_schema: column(&row, step, "pgstattuple_schema")?,
            may_measure: column::<Option<bool>>(&row, step, "may_measure")?.unwrap_or(false),
            has_pgstattuple: column(&row, step, "has_pgstattuple")?,
            has_pg_repack: column(&row, step, "has_pg_repack")?,
        })
    }

    pub(crate) fn block_bytes(&self) -> f64 {
        f64::from(self.block_bytes)
    }
}

/// The settings that autovacuum goes by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings(HashMap<String, String>);

impl Settings {
    pub(crate) async fn read(session: &Session<'_>) -> Result<Self, ReadError> {
        let step = "read autovacuum's settings";
        let rows = session.rows(step, include_str!("../../sql/space_settings.sql"), &[]).await?;
        let pair = |row| Ok((column(row, step, "name")?, column(row, step, "setting")?));
        rows.iter().map(pair).collect::<Result<_, ReadError>>().map(Self)
    }

    #[cfg(test)]
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.0.get(name)?.parse().ok()
    }

    /// Whether a switch is on; one that the server does not have is.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.0.get(name).is_none_or(|value| value == "on")
    }
}
