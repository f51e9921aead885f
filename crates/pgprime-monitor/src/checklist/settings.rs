//! Settings beside what is calculated for the machine.

use pgprime_capacity::postgres::{
    Comparison, LiveSetting, Machine, SettingsRequest, Status, Storage, Workload, compare, recommend,
};

use super::evidence::Evidence;
use super::item::Judged;
use super::words::{listed, literal};
use crate::health::words::{bytes, library_list};

/// What makes settings take effect that need no restart.
pub(super) const RELOAD: &str = "SELECT pg_reload_conf();";
/// Roles with a value of their own that are named.
const ROLES_NAMED_MAX: usize = 3;

/// What has to be known of the machine for a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Memory,
    Cores,
    Storage,
}

impl Evidence {
    /// The value of a setting, as pg_settings would show it to a new session of this database.
    pub(super) fn setting(&self, name: &str) -> Option<&LiveSetting> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    /// A setting that is a whole number.
    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.setting(name)?.setting.parse().ok()
    }

    /// Whether a setting has this value.
    pub(super) fn is_set(&self, name: &str, value: &str) -> bool {
        self.setting(name).is_some_and(|setting| setting.setting == value)
    }

    fn knows(&self, need: Need) -> bool {
        match need {
            Need::Memory => self.machine.memory_bytes.is_some(),
            Need::Cores => self.machine.cores.is_some(),
            Need::Storage => self.machine.storage.is_some(),
        }
    }
}

/// A setting beside what is calculated for it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) comparison: Comparison,
    /// Whose value it is, where a role has one of its own.
    role: Option<Role>,
}

/// A role with a value of its own.
#[derive(Clone, Debug)]
struct Role {
    name: String,
    /// In this database only.
    in_database: bool,
}

impl Found {
    /// Whether it differs enough to matter. A role that is given much work_mem is given it on purpose.
    fn differs(&self) -> bool {
        let is_given = self.role.is_some() && self.comparison.name == "work_mem";
        self.comparison.status == Status::Differs && !is_given
    }

    /// Whether it is what everybody has who has no other.
    pub(super) fn is_common(&self) -> bool {
        self.role.is_none()
    }

    /// `in this database`, where it is not so everywhere.
    pub(super) fn whose(&self, evidence: &Evidence) -> String {
        let in_database = |is_so: bool| if is_so { " in this database" } else { "" };
        match (&self.role, self.comparison.source.as_deref()) {
            (Some(role), _) => format!(" for the role {}{}", role.name, in_database(role.in_database)),
            (None, Some("database")) => in_database(true).to_owned(),
            (None, Some("global")) => " for all roles".to_owned(),
            (None, Some(source @ ("user" | "database user"))) => {
                format!(" for the role {}{}", evidence.server.role, in_database(source == "database user"))
            }
            _ => String::new(),
        }
    }
}

/// These settings beside what is calculated for them, then those that roles have of their own; or why they cannot be judged.
pub(super) fn compared(
    evidence: &Evidence,
    names: &[&str],
    needs: &[Need],
) -> Result<Vec<Found>, Box<Judged>> {
    let unknown: Vec<&str> =
        needs.iter().filter(|need| !evidence.knows(**need)).map(|need| word(*need)).collect();
    if !unknown.is_empty() {
        return Err(Box::new(machine_unknown(evidence, names, &unknown)));
    }
    let all = recommend(&request(evidence)).map_err(|error| {
        Box::new(Judged::cannot_tell(values(evidence, names), format!("nothing can be calculated: {error}")))
    })?;
    let wanted: Vec<_> = all.into_iter().filter(|setting| names.contains(&setting.name)).collect();
    let common = compare(&wanted, &evidence.settings);
    let mut found: Vec<Found> =
        common.into_iter().map(|comparison| Found { comparison, role: None }).collect();
    for own in evidence.role_settings.iter().filter(|own| names.contains(&own.live.name.as_str())) {
        let wanted: Vec<_> = wanted.iter().filter(|wanted| wanted.name == own.live.name).cloned().collect();
        let role = Role { name: own.role.clone(), in_database: own.in_database };
        let compared = compare(&wanted, std::slice::from_ref(&own.live));
        found.extend(compared.into_iter().map(|comparison| Found { comparison, role: Some(role.clone()) }));
    }
    Ok(found)
}

/// Whether a value will do, by the rule for it, or by being this one.
fn is_fit(evidence: &Evidence, live: &LiveSetting, value: &str) -> bool {
    let rules = recommend(&request(evidence)).unwrap_or_default();
    let rule: Vec<_> = rules.into_iter().filter(|rule| rule.name == live.name).collect();
    let compared = compare(&rule, std::slice::from_ref(live));
    live.setting == value || compared.first().is_some_and(|found| found.status == Status::Met)
}

/// What is not known stands for what nothing that is asked for depends on.
fn request(evidence: &Evidence) -> SettingsRequest {
    let machine = evidence.machine;
    let max_connections = evidence.count("max_connections").and_then(|count| u32::try_from(count).ok());
    let libraries = evidence.setting("shared_preload_libraries").map(|setting| setting.setting.clone());
    SettingsRequest {
        machine: Machine {
            cores: machine.cores.unwrap_or(4),
            memory_bytes: machine.memory_bytes.unwrap_or(8 << 30),
            storage: machine.storage.unwrap_or(Storage::Ssd),
        },
        workload: Workload::ServiceAndReports,
        max_connections: max_connections.unwrap_or(100),
        version_major: evidence.server.version_major,
        preload_libraries: libraries.unwrap_or_default(),
    }
}

fn word(need: Need) -> &'static str {
    match need {
        Need::Memory => "memory (--memory 64GB)",
        Need::Cores => "cores (--cores 8)",
        Need::Storage => "storage (--storage ssd)",
    }
}

fn machine_unknown(evidence: &Evidence, names: &[&str], unknown: &[&str]) -> Judged {
    let why = format!(
        "of the server's machine this is not known: {}; state it, or look from that machine",
        unknown.join(", ")
    );
    Judged::cannot_tell(values(evidence, names), why)
}

/// `work_mem 4.0 MiB, jit on`
pub(super) fn values(evidence: &Evidence, names: &[&str]) -> String {
    let value = |name: &&str| Some(format!("{name} {}", value_of(evidence.setting(name)?)));
    let shown: Vec<String> = names.iter().filter_map(value).collect();
    if shown.is_empty() { "the settings cannot be seen".to_owned() } else { shown.join(", ") }
}

/// A value with its unit.
fn value_of(setting: &LiveSetting) -> String {
    match (size(setting), setting.unit.as_deref()) {
        (Some(size), _) => bytes(size),
        (None, Some(unit)) => format!("{} {unit}", setting.setting),
        (None, None) => setting.setting.clone(),
    }
}

/// The bytes of a setting that is a size.
pub(super) fn size(setting: &LiveSetting) -> Option<f64> {
    let unit = match setting.unit.as_deref() {
        Some("8kB") => 8_192.0,
        Some("kB") => 1_024.0,
        Some("MB") => 1_048_576.0,
        _ => return None,
    };
    setting.setting.parse::<f64>().ok().filter(|count| *count >= 0.0).map(|count| count * unit)
}

/// What roles have of their own, in words to append; empty where none has.
pub(super) fn of_roles(evidence: &Evidence, names: &[&str]) -> String {
    let owned = evidence.role_settings.iter().filter(|own| names.contains(&own.live.name.as_str()));
    let said: Vec<String> = owned
        .map(|own| format!("the role {} has {} {}", own.role, own.live.name, value_of(&own.live)))
        .collect();
    if said.is_empty() { String::new() } else { format!("; {}", listed(&said, ROLES_NAMED_MAX)) }
}

/// Those that differ enough to matter.
pub(super) fn differing(found: &[Found]) -> Vec<&Found> {
    found.iter().filter(|found| found.differs()).collect()
}

/// `shared_buffers is 128MB rather than 6GB`
fn difference(evidence: &Evidence, found: &Found) -> String {
    let comparison = &found.comparison;
    let live = comparison.live.as_deref().unwrap_or("not known");
    let whose = found.whose(evidence);
    format!("{} is {live} rather than {}{whose}", comparison.name, comparison.recommended)
}

/// An item whose settings are to be those that are calculated.
pub(super) fn judged(evidence: &Evidence, found: &[Found], met: impl Into<String>) -> Judged {
    let differing = differing(found);
    if differing.is_empty() {
        return match found.iter().find(|found| found.comparison.status == Status::Unknown) {
            Some(unknown) => Judged::cannot_tell(
                format!("{} cannot be seen", unknown.comparison.name),
                "the role may not see it (it needs pg_monitor, or pg_read_all_settings), or the session that asks has a \
                 value of its own",
            ),
            None => {
                let names: Vec<&str> = found.iter().map(|found| found.comparison.name).collect();
                Judged::met(met.into() + &of_roles(evidence, &names))
            }
        };
    }
    let evidence_text =
        differing.iter().map(|found| difference(evidence, found)).collect::<Vec<_>>().join("; ");
    let mut reasons: Vec<(&str, &str)> = Vec::new();
    for found in &differing {
        let reason = (found.comparison.name, found.comparison.reason.as_str());
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    let why = match reasons.as_slice() {
        [(_, only)] => (*only).to_owned(),
        several => {
            several.iter().map(|(name, reason)| format!("{name}: {reason}")).collect::<Vec<_>>().join("; ")
        }
    };
    changing(evidence, &differing, Judged::not_met(evidence_text).because(why))
}

/// With the statements that set these.
pub(super) fn changing(evidence: &Evidence, settings: &[&Found], judged: Judged) -> Judged {
    let mut statements: Vec<String> = settings
        .iter()
        .filter(|found| !found.comparison.pending_restart)
        .filter_map(|found| match &found.role {
            Some(role) => Some(format!(
                "{} RESET {};",
                alter_role(evidence, &role.name, role.in_database),
                found.comparison.name
            )),
            None => {
                let Comparison { name, recommended, source, .. } = &found.comparison;
                statement(evidence, name, recommended, source.as_deref())
            }
        })
        .collect();
    let needs_restart = settings.iter().any(|found| found.comparison.restart_needed);
    let judged = if needs_restart { judged.after_restart() } else { judged };
    if statements.is_empty() {
        return judged.advice(advice(settings));
    }
    if evidence.server.in_recovery && settings.iter().any(|found| is_in_catalog(found)) {
        return judged
            .advice(format!("on the primary, or here where it is ALTER SYSTEM: {}", statements.join(" ")));
    }
    // What is set for a role or a database holds for its next sessions anyway.
    let is_loaded_anew = |found: &&&Found| {
        !found.comparison.restart_needed && !found.comparison.pending_restart && !is_in_catalog(found)
    };
    if settings.iter().any(|found| is_loaded_anew(&found)) {
        statements.push(RELOAD.to_owned());
    }
    judged.sql(statements.join("\n"))
}

/// Whether its value holds for some only, and is kept in the catalog.
fn is_in_catalog(found: &Found) -> bool {
    let source = found.comparison.source.as_deref();
    found.role.is_some() || source.is_some_and(is_for_some)
}

/// Whether a value of this source holds for a role or a database alone, and not for what the configuration files are for.
fn is_for_some(source: &str) -> bool {
    matches!(source, "database" | "user" | "database user" | "global")
}

/// Where no statement helps.
fn advice(settings: &[&Found]) -> String {
    match settings.iter().map(|found| &found.comparison).find(|setting| !setting.pending_restart) {
        None => "restart the server: its configuration files have another value already".to_owned(),
        Some(setting) => format!(
            "change {} where the server is started: it is set by its {}, which no statement overrides",
            setting.name,
            setting.source.as_deref().unwrap_or("command line")
        ),
    }
}

fn alter_role(evidence: &Evidence, role: &str, in_database: bool) -> String {
    let role = pgprime_advisor::sql::quoted(role);
    match in_database {
        true => {
            format!(
                "ALTER ROLE {role} IN DATABASE {}",
                pgprime_advisor::sql::quoted(&evidence.server.database)
            )
        }
        false => format!("ALTER ROLE {role}"),
    }
}

/// What sets a setting, with what makes it take effect; `None` where no statement can.
pub(super) fn statement_with_reload(evidence: &Evidence, name: &str, value: &str) -> Option<String> {
    let source = evidence.setting(name).map(|setting| setting.source.as_str());
    let sql = statement(evidence, name, value, source)?;
    Some(if source.is_some_and(is_for_some) { sql } else { format!("{sql}\n{RELOAD}") })
}

/// What sets a setting; `None` where no statement can. What the database or all roles have of their own is taken away where
/// what lies beneath will do, and replaced where it will not or is not known.
pub(super) fn statement(
    evidence: &Evidence,
    name: &str,
    value: &str,
    source: Option<&str>,
) -> Option<String> {
    let for_some = |alter: String| {
        let beneath = evidence.beneath.iter().find(|beneath| beneath.name == name);
        match beneath.is_some_and(|beneath| is_fit(evidence, beneath, value)) {
            true => format!("{alter} RESET {name};"),
            false => format!("{alter} SET {name} = {};", quoted_values(name, value)),
        }
    };
    match source {
        Some("command line" | "environment variable") => None,
        Some("database") => {
            let database = pgprime_advisor::sql::quoted(&evidence.server.database);
            Some(for_some(format!("ALTER DATABASE {database}")))
        }
        Some("global") => Some(for_some("ALTER ROLE ALL".to_owned())),
        Some(source @ ("user" | "database user")) => {
            Some(for_some(alter_role(evidence, &evidence.server.role, source == "database user")))
        }
        _ => Some(format!("ALTER SYSTEM SET {name} = {};", quoted_values(name, value))),
    }
}

/// The libraries of a list are written one by one.
fn quoted_values(name: &str, value: &str) -> String {
    match name {
        "shared_preload_libraries" => library_list(value),
        _ => literal(value),
    }
}
