//! Settings beside what is calculated for the machine.

use pgprime_capacity::postgres::{
    Comparison, LiveSetting, Machine, SettingsRequest, Status, Storage, Workload, compare, recommend,
};

use super::evidence::Evidence;
use super::item::Judged;
use super::words::literal;

/// What makes settings take effect that need no restart.
pub(super) const RELOAD: &str = "SELECT pg_reload_conf();";

/// What has to be known of the machine for a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Memory,
    Cores,
    Storage,
}

impl Evidence {
    /// The value of a setting, as pg_settings has it.
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

/// These settings beside what is calculated for them, or why they cannot be judged.
pub(super) fn compared(
    evidence: &Evidence,
    names: &[&str],
    needs: &[Need],
) -> Result<Vec<Comparison>, Box<Judged>> {
    let unknown: Vec<&str> =
        needs.iter().filter(|need| !evidence.knows(**need)).map(|need| word(*need)).collect();
    if !unknown.is_empty() {
        return Err(Box::new(machine_unknown(evidence, names, &unknown)));
    }
    let all = recommend(&request(evidence)).map_err(|error| {
        Box::new(Judged::cannot_tell(values(evidence, names), format!("nothing can be calculated: {error}")))
    })?;
    let wanted: Vec<_> = all.into_iter().filter(|setting| names.contains(&setting.name)).collect();
    Ok(compare(&wanted, &evidence.settings))
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

/// `work_mem 4MB, jit on`
pub(super) fn values(evidence: &Evidence, names: &[&str]) -> String {
    let value = |name: &&str| {
        let setting = evidence.setting(name)?;
        let unit = setting.unit.as_deref().unwrap_or_default();
        let (count, unit) = match unit {
            "8kB" => (setting.setting.parse::<u64>().ok().map(|pages| pages * 8), "kB"),
            other => (None, other),
        };
        let count = count.map_or_else(|| setting.setting.clone(), |count| count.to_string());
        Some(format!("{name} {count}{}", if unit.is_empty() { String::new() } else { format!(" {unit}") }))
    };
    let shown: Vec<String> = names.iter().filter_map(value).collect();
    if shown.is_empty() { "the settings cannot be seen".to_owned() } else { shown.join(", ") }
}

/// Those that differ enough to matter.
pub(super) fn differing(compared: &[Comparison]) -> Vec<&Comparison> {
    compared.iter().filter(|setting| setting.status == Status::Differs).collect()
}

/// `shared_buffers is 128MB rather than 6GB`
pub(super) fn difference(comparison: &Comparison) -> String {
    let live = comparison.live.as_deref().unwrap_or("not known");
    format!("{} is {live} rather than {}", comparison.name, comparison.recommended)
}

/// An item whose settings are to be those that are calculated.
pub(super) fn judged(evidence: &Evidence, compared: &[Comparison], met: impl Into<String>) -> Judged {
    let differing = differing(compared);
    if differing.is_empty() {
        return match compared.iter().find(|setting| setting.status == Status::Unknown) {
            Some(unknown) => Judged::cannot_tell(
                format!("{} cannot be seen", unknown.name),
                "the role may not see it: it needs pg_monitor, or pg_read_all_settings",
            ),
            None => Judged::met(met),
        };
    }
    let evidence_text = differing.iter().map(|setting| difference(setting)).collect::<Vec<_>>().join("; ");
    let why = match differing.as_slice() {
        [only] => only.reason.clone(),
        several => {
            let reasons = several.iter().map(|setting| format!("{}: {}", setting.name, setting.reason));
            reasons.collect::<Vec<_>>().join("; ")
        }
    };
    changing(evidence, &differing, Judged::not_met(evidence_text).because(why))
}

/// With the statements that set these.
pub(super) fn changing(evidence: &Evidence, settings: &[&Comparison], judged: Judged) -> Judged {
    let mut statements: Vec<String> = settings
        .iter()
        .filter(|setting| !setting.pending_restart)
        .filter_map(|setting| {
            statement(evidence, setting.name, &setting.recommended, setting.source.as_deref())
        })
        .collect();
    let needs_restart = settings.iter().any(|setting| setting.restart_needed);
    let judged = if needs_restart { judged.after_restart() } else { judged };
    if statements.is_empty() {
        return judged.advice(advice(settings));
    }
    // What is set for a role or a database holds for its next sessions anyway.
    let is_loaded_anew = |setting: &&&Comparison| !setting.restart_needed && !setting.pending_restart;
    let is_for_all = |setting: &Comparison| !setting.source.as_deref().is_some_and(is_for_some);
    if settings.iter().filter(is_loaded_anew).any(|setting| is_for_all(setting)) {
        statements.push(RELOAD.to_owned());
    }
    judged.sql(statements.join("\n"))
}

/// Whether a value of this source holds for a role or a database alone.
fn is_for_some(source: &str) -> bool {
    matches!(source, "database" | "user" | "database user")
}

/// Where no statement helps.
fn advice(settings: &[&Comparison]) -> String {
    match settings.iter().find(|setting| !setting.pending_restart) {
        None => "restart the server: its configuration files have another value already".to_owned(),
        Some(setting) => format!(
            "change {} where the server is started: it is set by its {}, which no statement overrides",
            setting.name,
            setting.source.as_deref().unwrap_or("command line")
        ),
    }
}

/// What sets a setting; `None` where no statement can.
pub(super) fn statement(
    evidence: &Evidence,
    name: &str,
    value: &str,
    source: Option<&str>,
) -> Option<String> {
    let (database, role) = (
        pgprime_advisor::sql::quoted(&evidence.server.database),
        pgprime_advisor::sql::quoted(&evidence.server.role),
    );
    match source {
        Some("command line" | "environment variable") => None,
        Some("database") => Some(format!("ALTER DATABASE {database} RESET {name};")),
        Some("user") => Some(format!("ALTER ROLE {role} RESET {name};")),
        Some("database user") => Some(format!("ALTER ROLE {role} IN DATABASE {database} RESET {name};")),
        _ => Some(format!("ALTER SYSTEM SET {name} = {};", listed(name, value))),
    }
}

/// The libraries of a list are written one by one: a list in quotes would be one library of that name.
fn listed(name: &str, value: &str) -> String {
    match name {
        "shared_preload_libraries" => {
            let libraries = value.split(',').map(|library| library.trim().trim_matches('"'));
            libraries.filter(|library| !library.is_empty()).map(literal).collect::<Vec<_>>().join(", ")
        }
        _ => literal(value),
    }
}
