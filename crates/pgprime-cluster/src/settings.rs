//! The text of the configuration files.

use std::path::Path;

/// What every node is configured with unless the caller says otherwise, as names and values of postgresql.conf.
const DEFAULTS: &[(&str, &str)] = &[
    // The data may be lost, so nothing waits for a disk.
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("synchronous_commit", "off"),
    // Files in the node's folder, not in /dev/shm: a killed server leaves them behind, and containers have little room
    // there for parallel queries.
    ("dynamic_shared_memory_type", "mmap"),
    ("shared_preload_libraries", "pg_stat_statements"),
    ("pg_stat_statements.track", "all"),
    ("listen_addresses", "127.0.0.1"),
    ("max_connections", "200"),
    ("wal_level", "replica"),
    ("hot_standby", "on"),
    // A replica that is down or paused for a while finds what it missed.
    ("wal_keep_size", "256MB"),
    ("wal_retrieve_retry_interval", "100ms"),
    ("autovacuum", "on"),
    ("logging_collector", "off"),
    ("log_destination", "stderr"),
    ("log_line_prefix", "%m [%p] %q%u@%d "),
];

/// Who may log in, unless the caller says otherwise: everyone on this machine.
const OPEN_HBA: &[&str] = &[
    "local all all trust",
    "local replication all trust",
    "host all all 127.0.0.1/32 trust",
    "host replication all 127.0.0.1/32 trust",
];

/// The way in that no caller can close: the cluster's own statements and the replicas need it.
const OWN_HBA: &[&str] = &["local all postgres trust", "local replication postgres trust"];

/// What differs between the nodes of a cluster.
pub(crate) struct NodeSettings<'a> {
    pub(crate) cluster_name: &'a str,
    pub(crate) socket_dir: &'a Path,
    pub(crate) port: u16,
    /// Of the primary, for a replica.
    pub(crate) primary_port: Option<u16>,
    pub(crate) replicas: usize,
}

/// The configuration file of one node; a later line wins over an earlier one.
pub(crate) fn configuration(node: &NodeSettings<'_>, chosen: &[(String, String)]) -> String {
    let socket_dir = node.socket_dir.display().to_string();
    let mut text = String::new();
    let mut put = |name: &str, value: &str| text.push_str(&format!("{name} = {}\n", quoted(value)));
    for (name, value) in DEFAULTS {
        put(name, value);
    }
    put("max_wal_senders", &(10 + 2 * node.replicas).to_string());
    for (name, value) in chosen {
        put(name, value);
    }
    put("cluster_name", node.cluster_name);
    put("unix_socket_directories", &socket_dir);
    put("port", &node.port.to_string());
    if let Some(primary_port) = node.primary_port {
        let name = node.cluster_name;
        put(
            "primary_conninfo",
            &format!("host={socket_dir} port={primary_port} user=postgres application_name={name}"),
        );
    }
    text
}

/// The text of pg_hba.conf, with the lines given or with everyone let in.
pub(crate) fn hba(lines: Option<&[String]>) -> String {
    let chosen: Vec<&str> = match lines {
        Some(lines) => lines.iter().map(String::as_str).collect(),
        None => OPEN_HBA.to_vec(),
    };
    OWN_HBA.iter().copied().chain(chosen).map(|line| format!("{line}\n")).collect()
}

/// A value as postgresql.conf reads it.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_and_the_chosen_ones_come_later() {
        let node = NodeSettings {
            cluster_name: "c",
            socket_dir: Path::new("/run/c"),
            port: 15_001,
            primary_port: Some(15_002),
            replicas: 2,
        };
        let text = configuration(&node, &[("fsync".into(), "on".into()), ("x.y".into(), r"it's\n".into())]);
        assert!(text.find("fsync = 'off'").unwrap() < text.find("fsync = 'on'").unwrap());
        assert!(text.contains(r"x.y = 'it''s\\n'"));
        assert!(text.contains("max_wal_senders = '14'"));
        assert!(text.contains("port = '15001'"));
        assert!(text.contains("'host=/run/c port=15002 user=postgres application_name=c'"));
    }

    #[test]
    fn the_own_way_in_comes_first() {
        assert!(hba(None).starts_with("local all postgres trust\n"));
        let own = hba(Some(&[]));
        assert_eq!(own, "local all postgres trust\nlocal replication postgres trust\n");
        assert_eq!(hba(Some(&["host all all all reject".into()])), own + "host all all all reject\n");
    }
}
