//! What a plan is made from: options first, then what the database says, then assumptions, each of which is told.

use std::fmt::{Display, Write as _};

use anyhow::bail;
use pgprime_capacity::postgres::{Machine, SettingsRequest, Storage, Workload};
use pgprime_capacity::{InputError, Inputs, ServiceTime};

use super::live::Live;
use super::options::Arguments;

/// Assumed where nothing was measured: a few queries of a few milliseconds each.
const SERVICE_MS: f64 = 20.0;
/// PostgreSQL's own defaults.
const MAX_CONNECTIONS: u32 = 100;
const RESERVED_CONNECTIONS: u32 = 3;
const SAFETY_MARGIN: f64 = 0.8;
/// The version that settings are for where none is known: what the oldest supported distributions have, and what
/// newer ones understand.
const VERSION_MAJOR: u32 = 15;

/// What is known, and what had to be assumed.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) inputs: Inputs,
    /// What PostgreSQL's settings are made from; `None` where the machine is not known.
    pub(super) settings: Option<SettingsRequest>,
    /// A sentence each.
    pub(super) assumptions: Vec<String>,
}

impl Given {
    pub(super) fn new(arguments: &Arguments, live: Option<&Live>) -> anyhow::Result<Self> {
        let mut assumptions = Vec::new();
        let rate = rate(arguments, live)?;
        let service = service(arguments, live, &mut assumptions).map_err(in_words)?;
        let mut assume = |known: Option<u32>, otherwise: u32, words: &str| {
            known.unwrap_or_else(|| {
                assumptions.push(words.to_owned());
                otherwise
            })
        };
        let instances = assume(arguments.instances, 1, "One instance of the application (--instances).");
        let max_connections = assume(
            arguments.db_max_connections.or(live.and_then(|live| live.observation.max_connections())),
            MAX_CONNECTIONS,
            "100 connections of the database, PostgreSQL's default (--db-max-connections).",
        );
        let mut inputs = Inputs::new(rate, service, instances, max_connections);
        inputs.requests_per_s_peak = arguments.peak_rps;
        inputs.reserved_connections = arguments
            .db_reserved_connections
            .or(live.and_then(|live| live.observation.reserved_connections()))
            .unwrap_or(RESERVED_CONNECTIONS);
        inputs.safety_margin = arguments.safety_margin;
        inputs.users = Some(arguments.users);
        inputs.wait_ms_p99_target = arguments.p99_wait_ms;
        inputs.pool_size = arguments.pool_size;
        inputs.has_replica = arguments.replica || live.is_some_and(Live::has_replica);
        let settings = settings(arguments, live, max_connections, &mut assumptions);
        inputs.cores = arguments.cores.or(settings.as_ref().map(|settings| settings.machine.cores));
        Ok(Self { inputs, settings, assumptions })
    }
}

fn rate(arguments: &Arguments, live: Option<&Live>) -> anyhow::Result<f64> {
    if let Some(rate) = arguments.rps.or(live.and_then(Live::requests_per_s)) {
        return Ok(rate);
    }
    let why = match live {
        Some(_) => "the database has not said how many requests it serves, so --rps is needed",
        None => "--rps is missing: how many requests per second are to be expected?",
    };
    bail!(
        "{why}\nFor example: pgprime plan --rps 1000 --service-ms 20 --db-max-connections 100 --instances 5\n\
         (--database-url reads what a running database can tell)"
    )
}

fn service(
    arguments: &Arguments,
    live: Option<&Live>,
    assumptions: &mut Vec<String>,
) -> Result<ServiceTime, InputError> {
    let measured = live.and_then(Live::service);
    if arguments.service_ms.is_none() && measured.is_none() {
        assumptions.push(format!(
            "A request holds its connection for {SERVICE_MS} ms on average (--service-ms). Measure it: every size \
             follows from it."
        ));
    }
    if arguments.service_ms.is_none() && measured.is_some() {
        assumptions.push(
            "A request is one statement. Where a request runs several in a transaction, give --service-ms and --rps for \
             the whole of it."
                .to_owned(),
        );
    }
    let measured_ms = measured.map(|service| service.mean_ms());
    let mean_ms = arguments.service_ms.or(measured_ms).unwrap_or(SERVICE_MS);
    match (arguments.service_p95_ms, measured) {
        (Some(p95_ms), _) => ServiceTime::from_mean_and_p95(mean_ms, p95_ms),
        (None, Some(measured)) if arguments.service_ms.is_none() => Ok(measured),
        (None, _) => ServiceTime::exponential(mean_ms),
    }
}

fn settings(
    arguments: &Arguments,
    live: Option<&Live>,
    max_connections: u32,
    assumptions: &mut Vec<String>,
) -> Option<SettingsRequest> {
    let found = live.and_then(|live| live.hardware);
    let cores = arguments.cores.or(found.and_then(|found| found.cores));
    let memory_bytes = arguments.memory.or(found.and_then(|found| found.memory_bytes));
    let (Some(cores), Some(memory_bytes)) = (cores, memory_bytes) else {
        assumptions.push(
            "Nothing about the database's machine: give --cores, --memory and --storage for PostgreSQL's settings."
                .to_owned(),
        );
        return None;
    };
    let storage = arguments.storage.or(found.and_then(|found| found.storage)).unwrap_or_else(|| {
        assumptions.push("The data is on SSDs (--storage).".to_owned());
        Storage::Ssd
    });
    let version = arguments
        .pg_version
        .or(live.map(|live| live.observation.server.version_major))
        .unwrap_or_else(|| {
            assumptions.push(format!("PostgreSQL {VERSION_MAJOR} (--pg-version)."));
            VERSION_MAJOR
        });
    let preload_libraries = live.and_then(|live| live.observation.preload_libraries()).unwrap_or_default();
    Some(SettingsRequest {
        machine: Machine { cores, memory_bytes, storage },
        workload: Workload::default(),
        max_connections,
        version_major: version,
        preload_libraries: preload_libraries.to_owned(),
    })
}

/// The machine in a sentence.
pub(super) fn hardware(request: &SettingsRequest) -> String {
    let Machine { cores, memory_bytes, storage } = request.machine;
    format!(
        "For PostgreSQL {} on {cores} cores with {} of memory and {storage} storage.",
        request.version_major,
        memory_text(memory_bytes)
    )
}

/// An input that makes no sense, under the name of its option.
pub(super) fn in_words(error: InputError) -> anyhow::Error {
    let option = match error.input {
        "reserved-connections" => "--db-reserved-connections".to_owned(),
        measured @ ("service-stddev-ms" | "service-scv") => format!("{measured}, as measured"),
        option => format!("--{option}"),
    };
    anyhow::anyhow!("{option}: {}", error.problem)
}

/// The command that calculates the same again. The address of a database is left out: a password may be in it.
pub(super) fn command(arguments: &Arguments) -> String {
    let mut text = String::from("pgprime plan");
    let mut add = |name: &str, value: Option<&dyn Display>| {
        if let Some(value) = value {
            // Writing to a text cannot fail.
            let _ = write!(text, " --{name} {value}");
        }
    };
    fn shown<T: Display>(value: &Option<T>) -> Option<&dyn Display> {
        value.as_ref().map(|value| value as &dyn Display)
    }
    let memory = arguments.memory.map(memory_text);
    let margin = Some(arguments.safety_margin).filter(|margin| *margin != SAFETY_MARGIN);
    add("rps", shown(&arguments.rps));
    add("peak-rps", shown(&arguments.peak_rps));
    add("service-ms", shown(&arguments.service_ms));
    add("service-p95-ms", shown(&arguments.service_p95_ms));
    add("db-max-connections", shown(&arguments.db_max_connections));
    add("db-reserved-connections", shown(&arguments.db_reserved_connections));
    add("instances", shown(&arguments.instances));
    add("users", Some(&arguments.users));
    add("safety-margin", shown(&margin));
    add("cores", shown(&arguments.cores));
    add("memory", shown(&memory));
    add("storage", shown(&arguments.storage));
    add("pg-version", shown(&arguments.pg_version));
    add("p99-wait-ms", shown(&arguments.p99_wait_ms));
    add("pool-size", shown(&arguments.pool_size));
    if arguments.replica {
        text.push_str(" --replica");
    }
    if arguments.database_url().is_some() {
        text.push_str(" --database-url …");
    }
    text
}

/// In the largest unit in which it is whole.
fn memory_text(bytes: u64) -> String {
    let units = [("TB", 40), ("GB", 30), ("MB", 20)];
    let unit = units.into_iter().find(|(_, shift)| bytes.is_multiple_of(1_u64 << shift));
    let (name, shift) = unit.unwrap_or(("kB", 10));
    format!("{}{name}", bytes >> shift)
}
