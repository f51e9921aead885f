//! `[pooler]`: PgBouncer's settings under their own names, or the file that has them, or nothing but the database's URL.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use pgprime_pooler::settings::{AuthType, Config, Entries, Secret};
use serde::Deserialize;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// What holds where nothing else is said: loopback only, 10,000 clients on 25 servers of each user. `pgprime init` and `pgprime
/// plan` calculate these sizes from load and limits.
const SETTINGS: [(&str, &str); 6] = [
    ("listen_addr", "127.0.0.1"),
    ("pool_mode", "transaction"),
    ("max_client_conn", "10000"),
    ("default_pool_size", "25"),
    ("query_wait_timeout", "10"),
    // What JDBC and sqlx send.
    ("ignore_startup_parameters", "extra_float_digits"),
];

const TLS_WANTED: &str = "DATABASE_URL insists on TLS, which the pooler does not speak to servers yet: run pgprime beside the \
                          database and say sslmode=prefer, or put PgBouncer in the pooler's place ([pgbouncer] url)";

/// `[pooler]` as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct PoolerSection {
    /// A pgbouncer.ini with everything; then only `enabled` and `workers` may stand beside it.
    ini: Option<PathBuf>,
    /// Whether the built-in pooler runs; by default it does, unless a PgBouncer is named.
    pub(crate) enabled: Option<bool>,
    /// Event loops.
    pub(crate) workers: Option<usize>,
    #[serde(default)]
    databases: toml::Table,
    #[serde(default)]
    users: toml::Table,
    /// PgBouncer's settings.
    #[serde(flatten)]
    settings: toml::Table,
}

impl PoolerSection {
    /// The pooler's configuration. What the section leaves open follows from the database's URL: its database, its user
    /// and its password.
    pub(crate) fn config(&self, origin: &Path, url: Option<&str>) -> anyhow::Result<Config> {
        if let Some(ini) = &self.ini {
            if !(self.settings.is_empty() && self.databases.is_empty() && self.users.is_empty()) {
                bail!("[pooler]: give either ini or the settings themselves");
            }
            return Ok(Config::load(&beside(origin, ini))?);
        }
        let mut config = Config::from_entries(&self.entries()?, origin)?;
        // Beside the file, as all paths in it.
        if let Some(path) = config.settings.auth_file.as_mut().filter(|path| path.is_relative()) {
            *path = beside(origin, path);
        }
        for (name, value) in SETTINGS.iter().filter(|(name, _)| !self.settings.contains_key(*name)) {
            config.settings.set(name, value)?;
        }
        if config.databases.is_empty() && config.auto_database.is_none() {
            let url = url.context("set DATABASE_URL, or [database] url, or [pooler.databases]")?;
            self.take_target(&mut config, url)?;
        }
        Ok(config)
    }

    fn entries(&self) -> anyhow::Result<Entries> {
        let values = |table: &toml::Table| -> anyhow::Result<Vec<(String, String)>> {
            table.iter().map(|(name, value)| Ok((name.clone(), text(name, value)?))).collect()
        };
        Ok(Entries {
            settings: values(&self.settings)?,
            databases: values(&self.databases)?,
            users: values(&self.users)?,
        })
    }

    /// One database and one user: those of the URL.
    fn take_target(&self, config: &mut Config, url: &str) -> anyhow::Result<()> {
        let target = Target::of(url)?;
        if target.leads_to(config.settings.listen_port) {
            bail!(
                "DATABASE_URL leads to port {} of this machine, where pgprime's own pooler is to listen: give pgprime the \
                 database itself, and applications the pooler",
                config.settings.listen_port
            );
        }
        let entries =
            Entries { databases: vec![(target.name.clone(), target.entry())], ..Entries::default() };
        let parsed = Config::from_entries(&entries, Path::new("DATABASE_URL"))?;
        config.databases = parsed.databases;
        if config.settings.auth_file.is_some() {
            return Ok(());
        }
        if !self.settings.contains_key("auth_type") {
            config.settings.auth_type = match target.password {
                Some(_) => AuthType::ScramSha256,
                // The database trusts this machine, and so does the pooler; nobody else.
                None if target.trusts_loopback() && is_loopback_only(&config.settings.listen_addr) => {
                    AuthType::Trust
                }
                None => bail!(
                    "DATABASE_URL has no password, so nothing says who may use the pooler: set [pooler] auth_type and auth_file \
                     (without them it is open only to this machine, for a database that is reached over TCP)"
                ),
            };
        }
        let secret = Secret::from_text(target.password.as_deref().unwrap_or_default());
        config.secrets = BTreeMap::from([(target.user, secret)]);
        Ok(())
    }
}

/// The database that a URL names.
struct Target {
    hosts: Vec<String>,
    port: u16,
    name: String,
    user: String,
    password: Option<String>,
}

impl Target {
    fn of(url: &str) -> anyhow::Result<Self> {
        let needs = "the pooler cannot be configured by DATABASE_URL alone: set [pooler.databases]";
        if insists_on_tls(url) {
            bail!(TLS_WANTED);
        }
        let parsed: tokio_postgres::Config =
            url.parse().map_err(|error: tokio_postgres::Error| anyhow::anyhow!("{needs} ({error})"))?;
        if parsed.get_ssl_mode() == SslMode::Require {
            bail!(TLS_WANTED);
        }
        let ports = parsed.get_ports();
        let differ = ports.windows(2).any(|pair| pair[0] != pair[1]);
        let chooses = parsed.get_target_session_attrs() != TargetSessionAttrs::Any;
        if parsed.get_hosts().len() > 1 && (differ || chooses) {
            bail!("{needs} (it names several servers, of which the pooler cannot choose)");
        }
        let hosts = parsed.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(folder) => folder.display().to_string(),
        });
        let user = parsed.get_user().context("DATABASE_URL names no user")?.to_owned();
        let password = match parsed.get_password() {
            Some(bytes) => {
                Some(String::from_utf8(bytes.to_vec()).context("the password in DATABASE_URL is not UTF-8")?)
            }
            None => None,
        };
        Ok(Self {
            hosts: hosts.collect(),
            port: parsed.get_ports().first().copied().unwrap_or(5432),
            name: parsed.get_dbname().unwrap_or(&user).to_owned(),
            user,
            password,
        })
    }

    /// As a line of `[databases]`.
    fn entry(&self) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let hosts = self.hosts.join(",");
        format!("host={} port={} dbname={}", quoted(&hosts), self.port, quoted(&self.name))
    }

    /// Whether the database lets programs of this machine in by their address. A Unix socket may ask who the caller is.
    fn trusts_loopback(&self) -> bool {
        !self.hosts.iter().any(|host| host.starts_with('/'))
    }

    fn leads_to(&self, port: u16) -> bool {
        let is_here = |host: &String| matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1");
        self.port == port && self.hosts.iter().any(is_here)
    }
}

/// Whether a URL, or a list of keywords, asks for an encrypted connection or none.
fn insists_on_tls(url: &str) -> bool {
    let mode = url.split("sslmode=").nth(1).unwrap_or_default();
    let mode: String =
        mode.chars().take_while(|letter| letter.is_ascii_alphabetic() || *letter == '-').collect();
    ["require", "verify-ca", "verify-full"].contains(&mode.as_str())
}

fn is_loopback_only(addresses: &[String]) -> bool {
    let is_loopback = |address: &String| {
        address == "localhost"
            || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    };
    addresses.iter().all(is_loopback)
}

fn beside(origin: &Path, path: &Path) -> PathBuf {
    origin.parent().unwrap_or(Path::new(".")).join(path)
}

/// A value as PgBouncer's syntax has it: `true` is 1, a list is separated by commas, a table is a connection string.
fn text(name: &str, value: &toml::Value) -> anyhow::Result<String> {
    Ok(match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::Boolean(on) => u8::from(*on).to_string(),
        toml::Value::Array(items) => {
            let items: anyhow::Result<Vec<String>> = items.iter().map(|item| text(name, item)).collect();
            items?.join(",")
        }
        toml::Value::Table(pairs) => {
            let pair = |(key, value): (&String, &toml::Value)| {
                anyhow::Ok(format!("{key}='{}'", text(key, value)?.replace('\'', "''")))
            };
            pairs.iter().map(pair).collect::<anyhow::Result<Vec<String>>>()?.join(" ")
        }
        toml::Value::Datetime(_) => bail!("[pooler] {name}: a date is no setting"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(text: &str) -> PoolerSection {
        toml::from_str(text).unwrap()
    }

    fn config(text: &str, url: Option<&str>) -> anyhow::Result<Config> {
        section(text).config(Path::new("/etc/pgprime.toml"), url)
    }

    #[test]
    fn settings_have_pgbouncers_names() {
        let text = "default_pool_size = 25\npool_mode = 'transaction'\nadmin_users = ['a', 'b']\n[databases]\n\
                    one = 'host=h port=1'\ntwo = { host = 'h', port = 5433, dbname = \"it's\" }";
        let config = config(text, None).unwrap();
        assert_eq!(config.settings.default_pool_size, 25);
        assert_eq!(
            (config.settings.listen_addr, config.settings.max_client_conn),
            (vec!["127.0.0.1".to_owned()], 10_000)
        );
        assert_eq!(config.databases["two"].dbname.as_deref(), Some("it's"));
        assert_eq!(config.databases["two"].port, 5433);
    }

    #[test]
    fn a_url_is_enough() {
        let made = config("", Some("postgresql://app:s%27x@db.example:5432/insurance")).unwrap();
        assert_eq!(made.databases["insurance"].hosts, ["db.example"]);
        assert_eq!((made.settings.auth_type, made.secrets["app"].expose()), (AuthType::ScramSha256, "s'x"));
        let open = config("", Some("postgresql://app@localhost:5432/insurance")).unwrap();
        assert_eq!((open.settings.auth_type, open.secrets["app"].expose()), (AuthType::Trust, ""));
    }

    #[test]
    fn what_cannot_work_says_so() {
        for (text, url, words) in [
            ("", None, "set DATABASE_URL"),
            ("", Some("postgresql://app@localhost:6432/x"), "the database itself"),
            ("listen_addr = '0.0.0.0'", Some("postgresql://app@db.example/x"), "who may use the pooler"),
            ("", Some("postgresql://app@/x?host=/run/postgresql"), "who may use the pooler"),
            ("", Some("postgresql://a:b@h1:1,h2:2/x"), "several servers"),
            ("", Some("postgresql://a:b@h1,h2/x?target_session_attrs=read-write"), "several servers"),
            ("", Some("host=db.example user=app password=x sslmode='require'"), "insists on TLS"),
            ("", Some("postgresql://app@db.example/x?sslmode=require"), "insists on TLS"),
            ("", Some("host=db.example user=app sslmode=verify-full"), "insists on TLS"),
            ("default_pol_size = 1", None, "default_pool_size"),
            ("ini = 'a.ini'\npool_mode = 'session'", None, "either ini"),
            ("ini = 'no-such.ini'", None, "/etc/no-such.ini"),
        ] {
            let said = format!("{:#}", config(text, url).unwrap_err());
            assert!(said.contains(words), "{text}: {said}");
        }
    }
}
