//! What a database says, in words for the report.

use pgprime_planner::observe::{Observation, Statements, StatementsSince};

/// The pooler's usual port: what answers there is hardly the database itself.
const POOLER_PORT_END: &str = ":6432";

/// What of the missing is no loss: what else is known of the machine is told elsewhere.
const MACHINE: &str = "the machine";
/// Fewer calls than this are chance.
const CALLS_FEW: u64 = 1_000;

/// A sentence for each thing that matters to a plan, and what could not be seen.
pub(super) fn sentences(observation: &Observation, address: &str) -> Vec<String> {
    let server = &observation.server;
    let role = if server.in_recovery { ", a replica" } else { "" };
    let mut said =
        vec![format!("PostgreSQL {} at {address}, database {}{role}.", server.version, server.database)];
    if address.ends_with(POOLER_PORT_END) {
        said.push(
            "Port 6432 is usually a pooler's: in config/pgbouncer.ini put the address of the database itself.".to_owned(),
        );
    }
    if let (Some(all), Some(reserved)) = (observation.max_connections(), observation.reserved_connections()) {
        said.push(format!("max_connections is {all}, {reserved} of them reserved."));
    }
    let connections = &observation.connections;
    said.push(format!(
        "Connected now: {}, of which {} are active, {} idle and {} idle in a transaction.",
        connections.total, connections.active, connections.idle, connections.idle_in_transaction
    ));
    said.extend(observation.statements.as_ref().map(measured));
    if !observation.replicas.is_empty() {
        said.push(format!("Replicas that follow: {}.", observation.replicas.len()));
    }
    for missing in observation.missing.iter().filter(|missing| missing.what != MACHINE) {
        let how =
            missing.statement.as_ref().map_or_else(String::new, |statement| format!(" Remedy: {statement}"));
        said.push(format!("Not seen: {}. {}.{how}", missing.what, missing.why));
    }
    said
}

fn measured(statements: &Statements) -> String {
    let (since, doubt) = match statements.since {
        StatementsSince::Reset => ("since the last reset of pg_stat_statements", ""),
        StatementsSince::ServerStart => (
            "since the start of the server",
            " Calls from before a restart may be among them, which makes the rate too high: before version 14 \
             pg_stat_statements does not tell since when it counts. Reset it, and plan later.",
        ),
    };
    let Some(mix) = statements.all else { return format!("No statement was measured {since}.") };
    let few =
        if mix.calls < CALLS_FEW { " That is too little to rely on: let the service run first." } else { "" };
    format!(
        "Measured {since}, {:.0} s: {} calls of {:.3} ms on average (standard deviation {:.3} ms), {:.1} per \
         second.{few}{doubt}",
        statements.window_seconds, mix.calls, mix.mean_ms, mix.stddev_ms, statements.calls_per_second
    )
}
