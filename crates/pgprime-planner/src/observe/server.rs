//! The server itself: version, role, settings, size.

use serde::Serialize;

use pgprime_capacity::postgres::LiveSetting;

use pgprime_readonly::{Attempt, Missing, ReadError, Session, column, count, server_version};

/// The server, and who asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Server {
    /// As the server writes it, as `15.8 (Debian 15.8-0+deb12u1)`.
    pub version: String,
    /// The major version, as 15.
    pub version_major: u32,
    /// The database that was connected to.
    pub database: String,
    /// The role that asked.
    pub role: String,
    /// Whether it follows another server.
    pub in_recovery: bool,
    /// Seconds since it was started.
    pub uptime_seconds: f64,
    #[serde(skip)]
    pub(super) role_quoted: String,
    #[serde(skip)]
    pub(super) sees_statistics: bool,
    #[serde(skip)]
    pub(super) sees_settings: bool,
}

impl Server {
    /// The one grant that shows everything to a role that is no superuser.
    pub(super) fn grant_monitor(&self) -> String {
        format!("GRANT pg_monitor TO {};", self.role_quoted)
    }
}

pub(super) async fn identify(session: &Session<'_>) -> Result<Server, ReadError> {
    let number = server_version(session).await?;
    let step = "ask who asks";
    let row = session.row(step, include_str!("../../sql/server.sql")).await?;
    Ok(Server {
        version: column(&row, step, "version")?,
        version_major: number / 10_000,
        database: column(&row, step, "database")?,
        role: column(&row, step, "role")?,
        in_recovery: column(&row, step, "in_recovery")?,
        uptime_seconds: column::<f64>(&row, step, "uptime_seconds")?.max(0.0),
        role_quoted: column(&row, step, "role_quoted")?,
        sees_statistics: column(&row, step, "sees_statistics")?,
        sees_settings: column(&row, step, "sees_settings")?,
    })
}

pub(super) fn find<'a>(settings: &'a [LiveSetting], name: &str) -> Option<&'a str> {
    settings.iter().find(|live| live.name == name).map(|live| live.setting.as_str())
}

/// The server counts files for this, which may take longer than a plan should.
pub(super) async fn size(
    session: &Session<'_>,
    missing: &mut Vec<Missing>,
) -> Result<Option<u64>, ReadError> {
    let step = "measure the database";
    match session.attempt(step, include_str!("../../sql/size.sql"), &[]).await? {
        Attempt::Rows(rows) => rows.first().map(|row| count(row, step, "bytes")).transpose(),
        Attempt::Refused { message, .. } => {
            missing.push(Missing::new("the size of the database", message));
            Ok(None)
        }
    }
}
