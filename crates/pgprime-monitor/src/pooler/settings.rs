//! A pooler's settings beside the plan.

use std::collections::BTreeMap;

use pgprime_capacity::Plan;

use super::diagnosis::{FindingSeverity, PoolerFinding};

/// Compares settings in force with what the plan says; the gravest first.
#[must_use]
pub fn check_settings(settings: &BTreeMap<String, String>, plan: &Plan) -> Vec<PoolerFinding> {
    let number = |name: &str| settings.get(name).and_then(|value| value.trim().parse::<f64>().ok());
    let mut findings = Vec::new();
    findings.extend(number("default_pool_size").and_then(|size| pool_size(size, plan)));
    findings.extend(number("max_client_conn").and_then(|max| clients(max, plan)));
    findings.extend(number("max_db_connections").and_then(|max| database_limit(max, plan)));
    findings.extend(number("query_wait_timeout").and_then(wait));
    findings.extend(settings.get("pool_mode").and_then(|mode| mode_of(mode)));
    findings.extend(number("max_prepared_statements").and_then(prepared));
    findings.extend(number("min_pool_size").and_then(|min| least(min, plan)));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

fn finding(
    severity: FindingSeverity,
    code: &'static str,
    text: String,
    action: &str,
    line: Option<String>,
) -> Option<PoolerFinding> {
    Some(PoolerFinding { severity, code, text, action: action.to_owned(), statement: line })
}

fn pool_size(size: f64, plan: &Plan) -> Option<PoolerFinding> {
    let planned = f64::from(plan.pool_size);
    let line = Some(format!("default_pool_size = {planned}"));
    if size < planned {
        let text = format!("default_pool_size is {size}, below the {planned} that the plan needs");
        let action =
            "clients will wait longer than planned at the peak; the size holds for each user and database";
        return finding(FindingSeverity::Warning, "pool_size_small", text, action, line);
    }
    let budget = f64::from(plan.total_max_connections);
    if size > budget {
        let text = format!(
            "default_pool_size is {size}, above the {budget} connections that the database has for it"
        );
        let action =
            "when all are in use, the database refuses further connections, those of maintenance included";
        return finding(FindingSeverity::Critical, "pool_size_large", text, action, line);
    }
    None
}

fn clients(max: f64, plan: &Plan) -> Option<PoolerFinding> {
    let users = f64::from(plan.inputs.users?);
    let text = format!("max_client_conn is {max}, below the {users} users to be expected");
    let action = "clients beyond it are refused";
    let line = Some(format!("max_client_conn = {users}"));
    (max < users).then(|| finding(FindingSeverity::Warning, "max_client_conn", text, action, line)).flatten()
}

fn database_limit(max: f64, plan: &Plan) -> Option<PoolerFinding> {
    let budget = plan.total_max_connections;
    let line = Some(format!("max_db_connections = {budget}"));
    let action =
        "pool sizes hold for each user: without this limit several users together can exhaust the database";
    match max {
        0.0 => {
            let text = "max_db_connections is not set".to_owned();
            finding(FindingSeverity::Note, "max_db_connections", text, action, line)
        }
        max if max > f64::from(budget) => {
            let text = format!("max_db_connections is {max}, above the budget of {budget}");
            finding(FindingSeverity::Warning, "max_db_connections", text, action, line)
        }
        _ => None,
    }
}

fn wait(seconds: f64) -> Option<PoolerFinding> {
    let action = "clients give up long before; waiting on only makes the queue longer";
    let line = Some("query_wait_timeout = 10".to_owned());
    let text = match seconds {
        0.0 => "query_wait_timeout is 0: clients wait for ever".to_owned(),
        seconds if seconds > 30.0 => format!("query_wait_timeout is {seconds} s"),
        _ => return None,
    };
    finding(FindingSeverity::Note, "query_wait_timeout", text, action, line)
}

fn mode_of(mode: &str) -> Option<PoolerFinding> {
    let action = "only transaction pooling lets thousands of clients share tens of servers";
    let line = Some("pool_mode = transaction".to_owned());
    let text = format!("pool_mode is {mode}");
    (mode == "session").then(|| finding(FindingSeverity::Warning, "pool_mode", text, action, line)).flatten()
}

fn prepared(max: f64) -> Option<PoolerFinding> {
    let action =
        "named prepared statements do not work in transaction pooling then; this pooler can have them";
    let line = Some("max_prepared_statements = 200".to_owned());
    let text = "max_prepared_statements is 0".to_owned();
    (max == 0.0)
        .then(|| finding(FindingSeverity::Note, "max_prepared_statements", text, action, line))
        .flatten()
}

fn least(min: f64, plan: &Plan) -> Option<PoolerFinding> {
    let planned = plan.pool_size_min;
    let action = "after a quiet time the first requests wait for logins";
    let line = Some(format!("min_pool_size = {planned}"));
    let text = format!("min_pool_size is {min}; the expected load keeps {planned} busy");
    (min < f64::from(planned) / 2.0)
        .then(|| finding(FindingSeverity::Note, "min_pool_size", text, action, line))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgprime_capacity::{Inputs, ServiceTime, plan};

    fn codes(lines: &[(&str, &str)]) -> Vec<&'static str> {
        let service = ServiceTime::exponential(20.0).expect("a time");
        let mut inputs = Inputs::new(1_000.0, service, 5, 100);
        inputs.users = Some(10_000);
        let plan = plan(&inputs).expect("a plan");
        let settings = lines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        check_settings(&settings, &plan).iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn the_guides_settings_fit_and_others_are_told() {
        let guide = [
            ("default_pool_size", "25"),
            ("max_client_conn", "10000"),
            ("max_db_connections", "80"),
            ("pool_mode", "transaction"),
            ("query_wait_timeout", "10"),
            ("min_pool_size", "20"),
        ];
        assert!(codes(&guide).is_empty(), "{:?}", codes(&guide));
        assert_eq!(codes(&[("default_pool_size", "20")]), ["pool_size_small"]);
        assert_eq!(codes(&[("default_pool_size", "90")]), ["pool_size_large"]);
        assert_eq!(codes(&[("max_client_conn", "100")]), ["max_client_conn"]);
        assert_eq!(codes(&[("max_db_connections", "0")]), ["max_db_connections"]);
        assert_eq!(
            codes(&[("query_wait_timeout", "120"), ("pool_mode", "session")]),
            ["pool_mode", "query_wait_timeout"]
        );
        assert_eq!(codes(&[("max_prepared_statements", "0"), ("min_pool_size", "0")]).len(), 2);
        assert!(codes(&[("default_pool_size", "many")]).is_empty());
    }
}
