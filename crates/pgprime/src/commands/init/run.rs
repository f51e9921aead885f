//! From options to a file and an exit code.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use pgprime_client::DatabaseConfig;
use pgprime_planner::files::{Existing, PlannedFile, WriteError, write};

use super::address::Address;
use super::load::Sizes;
use super::look::{Seen, look};
use super::options::Arguments;
use super::sections::{Contents, POOLER_PORT};
use crate::database::block_on;
use crate::exit;
use crate::output::print;

/// What of the missing is no loss: sizes of a pool do not rest on it.
const MACHINE: &str = "the machine";

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    // Said before the database is asked for anything; the writer makes sure.
    if !arguments.force && arguments.output.exists() {
        return Err(WriteError::Exists { paths: vec![arguments.output.clone()] }.into());
    }
    if let Some(url) = arguments.pgbouncer_url() {
        DatabaseConfig::new(url).validate().context("--pgbouncer-url is not the address of a console")?;
    }
    let seen = block_on(look(arguments.database_url()))?;
    let mut sizes = Sizes::new(arguments, &seen.observation, seen.cores)
        .map_err(|error| anyhow::anyhow!("--{}: {}", error.input, error.problem))?;
    sizes.assumptions.extend(cautions(&seen).map(str::to_owned));
    let address = |url| address(arguments, url);
    let database = arguments.database_url().map(address).unwrap_or_default();
    let pgbouncer = arguments.pgbouncer_url().map(address);
    let contents = Contents {
        address: &database,
        pgbouncer: pgbouncer.as_ref(),
        with_password: arguments.with_password,
        database: &seen.database,
        server_version: version(&seen),
        sizes: &sizes,
        replicas: seen.observation.replicas.iter().filter(|replica| !replica.is_logical).count(),
        views: &seen.views,
    };
    let has_password = |address: &Address| address.had_password;
    let is_secret = arguments.with_password
        && [Some(&database), pgbouncer.as_ref()].into_iter().flatten().any(has_password);
    let file = PlannedFile { path: arguments.output.clone(), text: contents.text(), is_secret };
    let existing = if arguments.force { Existing::Replace } else { Existing::Keep };
    write(Path::new(""), &[file], existing)?;
    print(&report(arguments, &seen, &sizes, database.had_password))?;
    Ok(if sizes.plan.is_feasible() { ExitCode::SUCCESS } else { ExitCode::from(exit::FINDING) })
}

/// What may go wrong although everything looks well.
fn cautions(seen: &Seen) -> Option<&'static str> {
    (seen.database.port == POOLER_PORT).then_some(
        "Port 6432 is the database's own, though it is usually a pooler's: [database] url has to lead to the database itself.",
    )
}

/// As it is to be written.
fn address(arguments: &Arguments, url: &str) -> Address {
    let address = Address::without_password(url);
    if arguments.with_password { Address { text: url.to_owned(), ..address } } else { address }
}

/// Without the name of the distribution.
fn version(seen: &Seen) -> &str {
    let version = seen.observation.server.version.as_str();
    version.split_whitespace().next().unwrap_or(version)
}

/// What was written, what it rests on, and what comes next.
fn report(arguments: &Arguments, seen: &Seen, sizes: &Sizes, had_password: bool) -> String {
    let (plan, path) = (&sizes.plan, arguments.output.display());
    let mut text = format!(
        "Written: {path}, for {} at {}:{}, PostgreSQL {}\n\
         Servers: {} for {} users, {} of them kept open, {} in reserve; {} at most\n",
        seen.database.name,
        seen.database.host,
        seen.database.port,
        version(seen),
        plan.pool_size,
        arguments.users,
        plan.pool_size_min,
        plan.pool_size_reserve,
        plan.total_max_connections
    );
    let mut list = |heading: &str, items: Vec<String>| {
        if !items.is_empty() {
            let _ = write!(text, "\n{heading}:\n");
        }
        for item in items {
            let _ = writeln!(text, "- {item}");
        }
    };
    list("Findings", plan.findings.iter().map(|finding| finding.text.clone()).collect());
    list("Assumed", sizes.assumptions.clone());
    let missing = seen.observation.missing.iter().filter(|missing| missing.what != MACHINE);
    let missing = missing.map(|missing| match &missing.statement {
        Some(statement) => format!("{}: {}. Remedy: {statement}", missing.what, missing.why),
        None => format!("{}: {}", missing.what, missing.why),
    });
    list("Not seen", missing.collect());
    text += "\nNext:\n";
    if had_password && !arguments.with_password {
        text += "  export DATABASE_URL='…'     the whole address with its password, which the file does not have\n";
    }
    let _ = writeln!(text, "  pgprime run --config {path}");
    text
}
