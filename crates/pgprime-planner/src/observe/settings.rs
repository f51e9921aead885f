//! Settings as a new session of this database has them, and which roles have others.
//!
//! What pg_settings shows is what the session that asks has: the options of its own connection are in it, what its role has,
//! and what its database had when it began. All of that is put aside, and what the catalog says now is put in its place.

use std::collections::{BTreeMap, BTreeSet};

use pgprime_capacity::postgres::{LiveSetting, SETTING_NAMES, in_unit};
use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::server::{Server, find};
use pgprime_readonly::Missing;
use pgprime_readonly::ReadError;
use pgprime_readonly::{Attempt, Session, column};

/// Settings that are read besides those that have a rule.
const MORE_NAMES: &[&str] =
    &["reserved_connections", "data_directory", "track_counts", "pg_stat_statements.track_planning"];
/// Those that the server shows to members of pg_read_all_settings alone.
const PRIVILEGED_NAMES: &[&str] = &["shared_preload_libraries", "data_directory"];

/// What one role has instead of everybody's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoleSetting {
    /// The role, one that may log in.
    pub role: String,
    /// Whether it has it in this database only.
    pub in_database: bool,
    /// The value. Its source is `user`, or `database user`.
    pub live: LiveSetting,
}

/// Settings as a new session of this database has them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Settings {
    /// For a role that has nothing of its own.
    pub(super) common: Vec<LiveSetting>,
    /// What would hold instead if the database had nothing of its own, as far as it is known.
    pub(super) beneath: Vec<LiveSetting>,
    /// What roles have of their own.
    pub(super) of_roles: Vec<RoleSetting>,
    /// Settings of which the session that asks has a value of its own, and nothing tells that of others.
    untold: Vec<String>,
}

/// A row of pg_settings.
struct Seen {
    live: LiveSetting,
    /// The type, as `bool`.
    kind: String,
    built_in: String,
}

/// What the catalog has of a setting for a database, for roles, or for a role in a database.
struct Override {
    name: String,
    value: String,
    in_database: bool,
    /// None for all roles.
    role: Option<String>,
}

pub(super) async fn read(
    session: &Session<'_>,
    server: &Server,
    missing: &mut Vec<Missing>,
) -> Result<Settings, ReadError> {
    let step = "read the settings";
    let names: Vec<&str> = SETTING_NAMES.iter().chain(MORE_NAMES).copied().collect();
    let rows =
        session.rows(step, include_str!("../../sql/settings.sql"), &[(&names, Type::TEXT_ARRAY)]).await?;
    let seen: Vec<Seen> = rows.iter().map(|row| seen(row, step)).collect::<Result<_, _>>()?;
    let overrides = overrides(session, &names).await?;
    let files = match seen.iter().any(|seen| !is_for_all(&seen.live.source)) {
        true => files(session, &names).await?,
        false => None,
    };
    let settings = resolve(&seen, &overrides, files.as_ref(), &server.role);
    missing.extend(hidden(&settings, server));
    missing.extend(untold(&settings, server));
    Ok(settings)
}

fn seen(row: &Row, step: &'static str) -> Result<Seen, ReadError> {
    let live = LiveSetting {
        name: column(row, step, "name")?,
        setting: column(row, step, "setting")?,
        unit: column(row, step, "unit")?,
        source: column(row, step, "source")?,
        context: column(row, step, "context")?,
        pending_restart: column(row, step, "pending_restart")?,
    };
    Ok(Seen { live, kind: column(row, step, "kind")?, built_in: column(row, step, "built_in")? })
}

async fn overrides(session: &Session<'_>, names: &[&str]) -> Result<Vec<Override>, ReadError> {
    let step = "read what databases and roles have of their own";
    let sql = include_str!("../../sql/setting_overrides.sql");
    let found = match session.attempt(step, sql, &[(&names, Type::TEXT_ARRAY)]).await? {
        Attempt::Rows(rows) => rows,
        // Where somebody has taken the catalog from all, the session's own sources tell what they can.
        Attempt::Refused { .. } => return Ok(Vec::new()),
    };
    let parse = |row: &Row| -> Result<Override, ReadError> {
        Ok(Override {
            name: column(row, step, "name")?,
            value: column(row, step, "value")?,
            in_database: column(row, step, "in_database")?,
            role: column(row, step, "role")?,
        })
    };
    found.iter().map(parse).collect()
}

/// What the configuration files say, by name; `None` where this role may not read them.
async fn files(session: &Session<'_>, names: &[&str]) -> Result<Option<BTreeMap<String, String>>, ReadError> {
    let step = "read the configuration files";
    let sql = include_str!("../../sql/setting_files.sql");
    match session.attempt(step, sql, &[(&names, Type::TEXT_ARRAY)]).await? {
        Attempt::Rows(rows) => rows
            .iter()
            .map(|row| Ok((column(row, step, "name")?, column(row, step, "value")?)))
            .collect::<Result<_, ReadError>>()
            .map(Some),
        Attempt::Refused { .. } => Ok(None),
    }
}

/// Whether a value of this source is everybody's who has no other.
fn is_for_all(source: &str) -> bool {
    matches!(source, "default" | "environment variable" | "configuration file" | "command line" | "override")
}

fn resolve(
    seen: &[Seen],
    overrides: &[Override],
    files: Option<&BTreeMap<String, String>>,
    own_role: &str,
) -> Settings {
    let mut settings = Settings::default();
    for seen in seen {
        let name = seen.live.name.to_ascii_lowercase();
        let mut of_this: Vec<&Override> = overrides.iter().filter(|found| found.name == name).collect();
        let of_all = |in_database: bool| {
            let found = of_this.iter().find(|found| found.role.is_none() && found.in_database == in_database);
            found.map(|found| seen.with(&found.value, if in_database { "database" } else { "global" }))
        };
        let (of_database, of_roles) = (of_all(true), of_all(false));
        let of_server = match files {
            _ if is_for_all(&seen.live.source) => Some(seen.live.clone()),
            Some(files) => Some(match files.get(&name) {
                Some(value) => seen.with(value, "configuration file"),
                None => seen.with(&seen.built_in, "default"),
            }),
            None => None,
        };
        match (of_database, of_roles, of_server) {
            (Some(own), beneath, server) => {
                settings.common.push(own);
                settings.beneath.extend(beneath.or(server));
            }
            (None, Some(own), server) => {
                settings.common.push(own);
                settings.beneath.extend(server);
            }
            (None, None, Some(server)) => settings.common.push(server),
            // What this role has is all that is known; it may well be the application's.
            (None, None, None) if is_of_role(&seen.live.source) => {
                of_this.retain(|found| found.role.as_deref() != Some(own_role));
                settings.common.push(seen.live.clone());
            }
            (None, None, None) => settings.untold.push(name),
        }
        settings.of_roles.extend(of_each_role(seen, &of_this));
    }
    settings
}

fn is_of_role(source: &str) -> bool {
    matches!(source, "user" | "database user")
}

/// What a role has in this database goes before what it has in all.
fn of_each_role(seen: &Seen, overrides: &[&Override]) -> Vec<RoleSetting> {
    let roles: BTreeSet<&str> = overrides.iter().filter_map(|found| found.role.as_deref()).collect();
    let of_role = |role: &str| {
        let found = overrides.iter().filter(|found| found.role.as_deref() == Some(role));
        let found = found.max_by_key(|found| found.in_database)?;
        let source = if found.in_database { "database user" } else { "user" };
        let live = seen.with(&found.value, source);
        Some(RoleSetting { role: role.to_owned(), in_database: found.in_database, live })
    };
    roles.into_iter().filter_map(of_role).collect()
}

impl Seen {
    /// With another value, as somebody has written it. No such setting is one that waits for a restart.
    fn with(&self, written: &str, source: &str) -> LiveSetting {
        let written = written.trim();
        let setting = match (&self.live.unit, self.kind.as_str()) {
            (Some(unit), _) => in_unit(written, unit),
            (None, "bool") => match written.to_ascii_lowercase().as_str() {
                "on" | "true" | "yes" | "1" | "t" | "y" => "on".to_owned(),
                "off" | "false" | "no" | "0" | "f" | "n" => "off".to_owned(),
                other => other.to_owned(),
            },
            (None, "enum") => written.to_ascii_lowercase(),
            (None, "real") => written.parse::<f64>().map_or(written.to_owned(), |number| number.to_string()),
            (None, _) => written.to_owned(),
        };
        LiveSetting { setting, source: source.to_owned(), pending_restart: false, ..self.live.clone() }
    }
}

fn hidden(settings: &Settings, server: &Server) -> Option<Missing> {
    let is_hidden = |name: &&&str| find(&settings.common, name).is_none();
    let hidden: Vec<&str> = PRIVILEGED_NAMES.iter().filter(is_hidden).copied().collect();
    if hidden.is_empty() || server.sees_settings {
        return None;
    }
    let why = "the server shows them to members of pg_read_all_settings, which is part of pg_monitor; libraries loaded \
               already must be kept when pg_stat_statements is added";
    Some(Missing::new(hidden.join(" and "), why).with_statement(server.grant_monitor()))
}

fn untold(settings: &Settings, server: &Server) -> Option<Missing> {
    if settings.untold.is_empty() {
        return None;
    }
    let why = "the session that asks has a value of its own, from the options of its connection or from before a change: ask \
               with a new connection without options, or let this role read the configuration files";
    let grant = format!(
        "GRANT SELECT ON pg_file_settings TO {role};\nGRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO {role};",
        role = server.role_quoted
    );
    Some(Missing::new(format!("{} of other sessions", settings.untold.join(", ")), why).with_statement(grant))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work_mem(setting: &str, source: &str) -> Seen {
        let live = LiveSetting {
            name: "work_mem".to_owned(),
            setting: setting.to_owned(),
            unit: Some("kB".to_owned()),
            source: source.to_owned(),
            context: "user".to_owned(),
            pending_restart: false,
        };
        Seen { live, kind: "integer".to_owned(), built_in: "4096".to_owned() }
    }

    fn written(value: &str, in_database: bool, role: Option<&str>) -> Override {
        let role = role.map(str::to_owned);
        Override { name: "work_mem".to_owned(), value: value.to_owned(), in_database, role }
    }

    /// The common value and its source, that beneath, and those of roles.
    fn found(seen: Seen, overrides: &[Override], file: Option<&str>) -> (String, String, Vec<String>) {
        let files = file.map(|text| {
            let lines = text.split(';').filter(|line| !line.is_empty());
            lines.map(|value| ("work_mem".to_owned(), value.to_owned())).collect()
        });
        let settings = resolve(&[seen], overrides, files.as_ref(), "app");
        let said = |live: &LiveSetting| format!("{} {}", live.setting, live.source);
        let first = |all: &[LiveSetting]| all.first().map(said).unwrap_or_default();
        let of_roles = settings.of_roles.iter().map(|own| format!("{} {}", own.role, said(&own.live)));
        (first(&settings.common), first(&settings.beneath), of_roles.collect())
    }

    #[test]
    fn what_a_new_session_has_is_not_what_this_one_has() {
        let plain = |seen: Seen, overrides: &[Override], file: Option<&str>| {
            let (common, beneath, of_roles) = found(seen, overrides, file);
            (common, beneath, of_roles.join(", "))
        };
        let expect = |common: &str, beneath: &str, of_roles: &str| {
            (common.to_owned(), beneath.to_owned(), of_roles.to_owned())
        };
        let file = work_mem("8192", "configuration file");
        assert_eq!(plain(file, &[], None), expect("8192 configuration file", "", ""));
        // The options of this connection are of no account, and what the files say is known to few.
        assert_eq!(plain(work_mem("65536", "client"), &[], None), expect("", "", ""));
        assert_eq!(plain(work_mem("65536", "client"), &[], Some("")), expect("4096 default", "", ""));
        let said = plain(work_mem("65536", "client"), &[], Some("16MB"));
        assert_eq!(said, expect("16384 configuration file", "", ""));
        let of_database = [written("32MB", true, None), written("1GB", false, None)];
        let said = plain(work_mem("65536", "client"), &of_database, None);
        assert_eq!(said, expect("32768 database", "1048576 global", ""));
        // Set after this session began.
        let said = plain(work_mem("8192", "configuration file"), &of_database[..1], None);
        assert_eq!(said, expect("32768 database", "8192 configuration file", ""));
        // Reset after this session began.
        assert_eq!(plain(work_mem("32768", "database"), &[], None), expect("", "", ""));
    }

    #[test]
    fn what_roles_have_of_their_own_is_told_apart() {
        let own = [written("64MB", false, Some("app")), written("1GB", false, Some("reports"))];
        let (common, _, of_roles) = found(work_mem("65536", "user"), &own, Some(""));
        assert_eq!(common, "4096 default");
        assert_eq!(of_roles, ["app 65536 user", "reports 1048576 user"]);
        // Where nothing else is known, the own role stands for all.
        let (common, _, of_roles) = found(work_mem("65536", "user"), &own, None);
        assert_eq!((common.as_str(), of_roles), ("65536 user", vec!["reports 1048576 user".to_owned()]));
        let both = [written("1GB", false, Some("reports")), written("2GB", true, Some("reports"))];
        let (_, _, of_roles) = found(work_mem("4096", "default"), &both, None);
        assert_eq!(of_roles, ["reports 2097152 database user"]);
    }

    #[test]
    fn words_are_brought_into_the_form_of_pg_settings() {
        for (kind, written, expected) in [
            ("bool", "TRUE", "on"),
            ("bool", "0", "off"),
            ("enum", "Top", "top"),
            ("real", "4.0", "4"),
            ("string", "A", "A"),
        ] {
            let mut seen = work_mem("", "default");
            (seen.live.unit, seen.kind) = (None, kind.to_owned());
            assert_eq!(seen.with(written, "user").setting, expected, "{kind} {written}");
        }
    }
}
