//! `[pooler]`: the settings of the pgbouncer.ini that the planner writes, with their reasons, in TOML's syntax.

use pgprime_planner::files::{Database, FileInputs, files};

use super::load::Sizes;
use crate::toml_text::quoted;

/// What is taken over; where clients connect and who may is the configuration's own to say.
const TAKEN: [&str; 11] = [
    "pool_mode",
    "max_client_conn",
    "default_pool_size",
    "min_pool_size",
    "reserve_pool_size",
    "reserve_pool_timeout",
    "max_db_connections",
    "query_wait_timeout",
    "server_idle_timeout",
    "server_lifetime",
    "ignore_startup_parameters",
];

/// The lines of the sizes, each with its reason above it.
pub(super) fn lines(sizes: &Sizes, database: &Database) -> String {
    let plan = &sizes.plan;
    let inputs =
        FileInputs { plan, command: "pgprime init", database, settings: &[], hardware: "", users: None };
    let ini = files(&inputs).into_iter().find(|file| file.path.ends_with("pgbouncer.ini"));
    let ini = ini.expect("every plan has a pgbouncer.ini").text;
    let mut text = String::new();
    let mut reason = String::new();
    for line in ini.lines() {
        if let Some(words) = line.strip_prefix("; ") {
            reason.push_str(&format!("# {words}\n"));
            continue;
        }
        let setting = line.split_once(" = ").filter(|(name, _)| TAKEN.contains(name));
        if let Some((name, value)) = setting {
            if name == "default_pool_size" && sizes.is_raised {
                reason = "# Two for each core: see above.\n".to_owned();
            }
            // Between two reasons, as in the file that it is from.
            let gap = if reason.is_empty() || text.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{gap}{reason}{name} = {}\n", written(value)));
        }
        reason.clear();
    }
    text
}

fn written(value: &str) -> String {
    if value.parse::<u32>().is_ok() { value.to_owned() } else { quoted(value) }
}

#[cfg(test)]
mod tests {
    use pgprime_capacity::{Inputs, ServiceTime, plan};

    use super::*;

    #[test]
    fn each_size_comes_with_its_reason() {
        let inputs = Inputs::new(1000.0, ServiceTime::exponential(20.0).unwrap(), 5, 100);
        let mut sizes = Sizes { plan: plan(&inputs).unwrap(), is_raised: false, assumptions: Vec::new() };
        let text = lines(&sizes, &Database::default());
        let read: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(read.len(), TAKEN.len(), "{text}");
        assert_eq!(read["default_pool_size"].as_integer(), Some(25));
        assert_eq!(read["pool_mode"].as_str(), Some("transaction"));
        let all: Vec<&str> = text.lines().collect();
        let at = all.iter().position(|line| line.starts_with("default_pool_size")).unwrap();
        assert!(all[at - 1].starts_with("# "), "{text}");
        assert!(!text.contains("PgBouncer has"), "{text}");
        sizes.is_raised = true;
        let text = lines(&sizes, &Database::default());
        assert!(text.contains("# Two for each core: see above.\ndefault_pool_size = 25"), "{text}");
    }
}
