//! Writes the pgbouncer.ini that every pooler of a demo or benchmark is started with.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// How the pooler lets clients in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Everybody, as long as the user exists.
    Trust,
    /// SCRAM-SHA-256 against verifiers stored in the user list.
    Scram,
}

impl Auth {
    /// The value of the setting `auth_type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trust => "trust",
            Self::Scram => "scram-sha-256",
        }
    }
}

impl std::str::FromStr for Auth {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        match name {
            "trust" => Ok(Self::Trust),
            "scram" | "scram-sha-256" => Ok(Self::Scram),
            _ => bail!("expected trust or scram, found {name:?}"),
        }
    }
}

/// What the configuration of a pooler says.
#[derive(Clone, Debug)]
pub(crate) struct PoolerConfig {
    /// Folder of the configuration, its user list, its log and the pooler's Unix socket.
    pub(crate) folder: PathBuf,
    pub(crate) listen_port: u16,
    /// Folder of the PostgreSQL server's Unix socket.
    pub(crate) server_host: PathBuf,
    pub(crate) server_port: u16,
    pub(crate) database: String,
    /// Name and stored password (clear text or SCRAM verifier) of each user. The first may use the console.
    pub(crate) users: Vec<(String, String)>,
    pub(crate) pool_size: u32,
    pub(crate) clients_max: u32,
    pub(crate) auth: Auth,
}

impl PoolerConfig {
    /// Writes pgbouncer.ini and the user list; gives the path of the former.
    pub(crate) fn write(&self) -> anyhow::Result<PathBuf> {
        let config = self.folder.join("pgbouncer.ini");
        let users = self.folder.join("userlist.txt");
        std::fs::write(&config, self.ini(&users)).with_context(|| format!("writing {}", config.display()))?;
        std::fs::write(&users, self.user_list()).with_context(|| format!("writing {}", users.display()))?;
        Ok(config)
    }

    fn ini(&self, users: &Path) -> String {
        let console_user = self.users.first().map_or("", |(name, _)| name.as_str());
        let mut text = String::new();
        let _ = writeln!(
            text,
            "[databases]\n{} = host={} port={} dbname={}\n\n[pgbouncer]",
            self.database,
            self.server_host.display(),
            self.server_port,
            self.database
        );
        for (key, value) in [
            ("listen_addr", "127.0.0.1".to_owned()),
            ("listen_port", self.listen_port.to_string()),
            ("unix_socket_dir", self.folder.display().to_string()),
            ("auth_type", self.auth.name().to_owned()),
            ("auth_file", users.display().to_string()),
            ("admin_users", console_user.to_owned()),
            ("pool_mode", "transaction".to_owned()),
            ("max_client_conn", self.clients_max.to_string()),
            ("default_pool_size", self.pool_size.to_string()),
            ("query_wait_timeout", "60".to_owned()),
            ("log_connections", "0".to_owned()),
            ("log_disconnections", "0".to_owned()),
        ] {
            let _ = writeln!(text, "{key} = {value}");
        }
        text
    }

    fn user_list(&self) -> String {
        let mut text = String::new();
        for (name, password) in &self.users {
            let _ = writeln!(text, "{} {}", quoted(name), quoted(password));
        }
        text
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(folder: &Path) -> PoolerConfig {
        PoolerConfig {
            folder: folder.to_owned(),
            listen_port: 6499,
            server_host: "/sockets".into(),
            server_port: 5499,
            database: "insurance".into(),
            users: vec![("app".into(), "SCRAM-SHA-256$4096:x".into()), ("o\"dd".into(), String::new())],
            pool_size: 25,
            clients_max: 10_100,
            auth: Auth::Trust,
        }
    }

    #[test]
    fn the_ini_holds_what_was_asked() {
        let text = config(Path::new("/run/x")).ini(Path::new("/run/x/userlist.txt"));
        let expected = "[databases]\ninsurance = host=/sockets port=5499 dbname=insurance\n\n[pgbouncer]\n\
            listen_addr = 127.0.0.1\nlisten_port = 6499\nunix_socket_dir = /run/x\nauth_type = trust\n\
            auth_file = /run/x/userlist.txt\nadmin_users = app\npool_mode = transaction\n\
            max_client_conn = 10100\ndefault_pool_size = 25\nquery_wait_timeout = 60\n\
            log_connections = 0\nlog_disconnections = 0\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn methods_by_name() {
        for auth in [Auth::Trust, Auth::Scram] {
            assert_eq!(auth.name().parse::<Auth>().unwrap(), auth);
        }
        assert_eq!("scram".parse::<Auth>().unwrap(), Auth::Scram);
        assert!("md5".parse::<Auth>().is_err());
    }

    #[test]
    fn names_in_the_user_list_are_quoted() {
        let list = config(Path::new("/run/x")).user_list();
        assert_eq!(list, "\"app\" \"SCRAM-SHA-256$4096:x\"\n\"o\"\"dd\" \"\"\n");
    }
}
