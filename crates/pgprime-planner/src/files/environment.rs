//! The environment of the application's instances.

use pgprime_capacity::{Plan, PoolKind};

use super::inputs::FileInputs;
use super::template::{comment, fill};

const TEMPLATE: &str = include_str!("templates/env.example");
const POOLER_PORT: u16 = 6432;

pub(super) fn text(inputs: &FileInputs<'_>) -> String {
    let plan = inputs.plan;
    let (read_comment, read_line) = read(inputs);
    let (pool_min, pool_max) = main_pool(plan);
    let remark = |text: &str| comment("#", text);
    let values = [
        ("command", inputs.command.to_owned()),
        ("instances", plan.inputs.instances.to_string()),
        ("requests_per_s", plan.inputs.requests_per_s.to_string()),
        ("database_url", url(inputs, &inputs.database.user, "localhost", POOLER_PORT)),
        ("read_comment", remark(read_comment)),
        ("read_line", read_line),
        ("pool_min_reason", remark("The main pool of one instance: connections to keep open.")),
        ("pool_min", pool_min.to_string()),
        ("pool_max_reason", remark("The main pool of one instance: connections at the most.")),
        ("pool_max", pool_max.to_string()),
        ("database_max_connections", plan.inputs.max_connections.to_string()),
    ];
    fill(TEMPLATE, &values)
}

/// Least and most connections of an instance's main pool. An application can do nothing without one.
fn main_pool(plan: &Plan) -> (u32, u32) {
    let main = plan.pools.iter().find(|pool| pool.pool == PoolKind::Main);
    let (least, most) = main.map_or((plan.min_connections, plan.max_connections), |main| {
        (main.min_connections, main.max_connections)
    });
    (least.min(most.max(1)), most.max(1))
}

fn read(inputs: &FileInputs<'_>) -> (&'static str, String) {
    let line = format!("DATABASE_READ_URL={}", url(inputs, "app_readonly", "read-replica", 5432));
    match inputs.plan.inputs.has_replica {
        true => ("The read replica.", line),
        false => ("A read replica, where there is one.", format!("# {line}")),
    }
}

/// `password` stands for itself: a person replaces it.
fn url(inputs: &FileInputs<'_>, user: &str, host: &str, port: u16) -> String {
    let (user, database) = (encoded(user), encoded(&inputs.database.name));
    format!("postgresql://{user}:password@{host}:{port}/{database}")
}

/// A text as a part of an address (RFC 3986): all but unreserved characters as `%` and two digits.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte))
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_addresses() {
        assert_eq!(encoded("pd_prime-demo.x~1"), "pd_prime-demo.x~1");
        assert_eq!(encoded("a b/c@d:e%é\n"), "a%20b%2Fc%40d%3Ae%25%C3%A9%0A");
    }
}
