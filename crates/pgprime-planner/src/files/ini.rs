//! `pgbouncer.ini`

use pgprime_capacity::Plan;

use super::inputs::{Database, FileInputs};
use super::template::{comment, fill};
use crate::format::{count, milliseconds, number};
use crate::reason::reason;

const TEMPLATE: &str = include_str!("templates/pgbouncer.ini");

/// The name of the console's database.
const CONSOLE: &str = "pgbouncer";

/// How long clients wait for a server at most: as long as the application itself does (`DATABASE_POOL_TIMEOUT`).
const QUERY_WAIT_TIMEOUT_S: u32 = 10;

pub(super) fn text(inputs: &FileInputs<'_>) -> String {
    let plan = inputs.plan;
    let remark = |text: String| comment(";", &text);
    let mut values = vec![
        ("command", inputs.command.to_owned()),
        ("load", remark(load(inputs))),
        ("databases", databases(inputs.database)),
        ("users", count(inputs.clients())),
        ("servers", count(plan.pool_size)),
    ];
    for (name, reason_name, value, reason) in sizes(inputs) {
        values.push((name, value.to_string()));
        values.push((reason_name, remark(reason)));
    }
    values.push(("reserve_pool_timeout", reserve_timeout_s(plan).to_string()));
    fill(TEMPLATE, &values)
}

/// What the sizes are for.
fn load(inputs: &FileInputs<'_>) -> String {
    let (plan, given) = (inputs.plan, &inputs.plan.inputs);
    format!(
        "For {} requests/s ({} at the peak) of {}, {} users, {} instances and {} connections of the database.",
        number(given.requests_per_s),
        number(plan.requests_per_s_peak),
        milliseconds(given.service.mean_ms()),
        count(inputs.clients()),
        count(given.instances),
        count(given.max_connections)
    )
}

/// Each size with the name of its place, that of its reason, its value, and the reason.
fn sizes(inputs: &FileInputs<'_>) -> Vec<(&'static str, &'static str, u32, String)> {
    let plan = inputs.plan;
    let wait_timeout_reason = "Seconds a client waits for a server: as long as the application does \
                               (DATABASE_POOL_TIMEOUT), as nobody wants the answer after that.";
    let client_reason = format!(
        "Client connections: one for each of the {} users. An idle one costs a socket and little memory.",
        count(inputs.clients())
    );
    let reserve_reason = format!(
        "{} For clients that have waited reserve_pool_timeout seconds.",
        reason(plan, "pool_size_reserve")
    );
    let budget_reason = format!(
        "{} Holds for all users of a database together, while the sizes above hold for each user.",
        reason(plan, "total_max_connections")
    );
    vec![
        ("max_client_conn", "max_client_conn_reason", inputs.clients(), client_reason),
        ("default_pool_size", "default_pool_size_reason", plan.pool_size.max(1), reason(plan, "pool_size")),
        ("min_pool_size", "min_pool_size_reason", plan.pool_size_min, reason(plan, "pool_size_min")),
        ("reserve_pool_size", "reserve_pool_size_reason", plan.pool_size_reserve, reserve_reason),
        ("max_db_connections", "max_db_connections_reason", plan.total_max_connections.max(1), budget_reason),
        (
            "query_wait_timeout",
            "query_wait_timeout_reason",
            QUERY_WAIT_TIMEOUT_S,
            wait_timeout_reason.to_owned(),
        ),
    ]
}

/// Well beyond the wait that is planned for, in whole seconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=5")]
fn reserve_timeout_s(plan: &Plan) -> u32 {
    (plan.wait_ms_p99_target / 100.0).ceil().clamp(1.0, 5.0) as u32
}

/// The lines of `[databases]`.
fn databases(database: &Database) -> String {
    let name = &database.name;
    let is_host_expressible = !database.host.is_empty() && !database.host.chars().any(char::is_control);
    if name == CONSOLE || !is_host_expressible {
        return format!(
            "; {name:?} at {:?} cannot stand in this file: name database and host by hand.\n\
             ; app = host=127.0.0.1 port=5432 dbname=app",
            database.host
        );
    }
    let place = format!("host={} port={}", value(&database.host), database.port);
    if is_plain_name(name) {
        return format!("{name} = {place} dbname={name}");
    }
    format!(
        "; PgBouncer takes the name {name:?} only in place of *, which serves each database of the server under its own \
         name.\n* = {place}"
    )
}

/// What every version of PgBouncer takes as a name; later ones and pgprime take others in double quotes.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

fn value(text: &str) -> String {
    let is_plain =
        text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | ':'));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_they_must_be() {
        let check = |host: &str, name: &str, expected: &str| {
            let database = Database { host: host.to_owned(), name: name.to_owned(), ..Database::default() };
            let text = databases(&database);
            let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with(';')).collect();
            assert_eq!(lines.join("\n"), expected, "{text}");
        };
        check("db.example", "shop", "shop = host=db.example port=5432 dbname=shop");
        check("/run/my sockets", "a.b-c", "a.b-c = host='/run/my sockets' port=5432 dbname=a.b-c");
        check("::1", "it's \"ours\"", "* = host=::1 port=5432");
        check("it's", "*", "* = host='it''s' port=5432");
        check("h", "a\nb = host=evil", "* = host=h port=5432");
        check("h\nb = host=evil", "a", "");
        check("h", "pgbouncer", "");
    }
}
