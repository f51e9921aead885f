//! Units of systemd.

use super::inputs::FileInputs;
use super::template::{comment, fill};
use crate::format::count;

const UNIT: &str = include_str!("templates/pgprime-pooler.service");
const LIMITS: &str = include_str!("templates/limits.conf");

/// Files besides connections: listeners, logs, timers, logins and cancel requests in flight.
const SPARE_FILES: u64 = 1_024;

/// The unit of the built-in pooler.
pub(super) fn pooler_unit(inputs: &FileInputs<'_>) -> String {
    fill(UNIT, &limit(inputs))
}

/// What the unit of PgBouncer's package lacks.
pub(super) fn pgbouncer_limits(inputs: &FileInputs<'_>) -> String {
    fill(LIMITS, &limit(inputs))
}

fn limit(inputs: &FileInputs<'_>) -> [(&'static str, String); 2] {
    let (clients, servers) =
        (u64::from(inputs.clients()), u64::from(inputs.plan.total_max_connections.max(1)));
    let reason = format!(
        "Open files: {} clients, {} servers, and {} for everything else.",
        count(clients),
        count(servers),
        count(SPARE_FILES)
    );
    let limit = clients + servers + SPARE_FILES;
    [("limit_nofile", limit.to_string()), ("limit_nofile_reason", comment("#", &reason))]
}
