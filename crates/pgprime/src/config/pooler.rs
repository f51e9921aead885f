//! `[pooler]`: PgBouncer's settings under their own names, or the file that has them, or nothing but the database's URL.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use pgprime_client::TargetTls;
use pgprime_pooler::settings::{AuthType, Config, Entries, Secret, Settings};
use serde::Deserialize;

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

/// The setting that says what TLS is spoken with servers.
const MODE: &str = "server_tls_sslmode";
/// Its values, the laxest first.
const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// The word for the operating system's certificates in the place of a file.
const SYSTEM_ROOTS: &str = "system";

/// Servers of the largest pool: as many of its statements can be at work at once.
pub(crate) fn servers(config: &Config) -> u32 {
    let usual = config.settings.default_pool_size;
    let pools = config.databases.values().chain(&config.auto_database);
    pools.map(|database| database.pool_size.unwrap_or(usual)).max().unwrap_or(usual)
}

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
            let mut config = Config::load(&beside(origin, ini))?;
            config.warnings.extend(url.and_then(|url| laxness(&config.settings, url)));
            return Ok(config);
        }
        let mut config = Config::from_entries(&self.entries()?, origin)?;
        // Beside the file, as all paths in it.
        for path in files(&mut config.settings).into_iter().flatten() {
            if path.is_relative() && path != Path::new(SYSTEM_ROOTS) {
                *path = beside(origin, path);
            }
        }
        for (name, value) in SETTINGS.iter().filter(|(name, _)| !self.settings.contains_key(*name)) {
            config.settings.set(name, value)?;
        }
        if config.databases.is_empty() && config.auto_database.is_none() {
            let url = url.context("set DATABASE_URL, or [database] url, or [pooler.databases]")?;
            self.take_target(&mut config, url)?;
        } else if let Some(url) = url.filter(|_| !self.settings.contains_key(MODE)) {
            // Who wants the database's certificate verified wants it here, too.
            let open =
                "nothing else says what TLS the pooler's servers must speak: set [pooler] server_tls_sslmode";
            let target =
                pgprime_client::Target::parse(url).map_err(|error| anyhow::anyhow!("{error}; {open}"))?;
            if let Some(demand) = target.demands.iter().find(|demand| demand.contains('=')) {
                bail!("DATABASE_URL has {demand}, which the pooler cannot do; {open}");
            }
            self.take_tls(&mut config.settings, &target.tls)?;
        }
        Ok(config)
    }

    /// TLS with the database as the URL has it, where the settings do not say otherwise.
    fn take_tls(&self, settings: &mut Settings, tls: &TargetTls) -> anyhow::Result<()> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        for (name, value) in [
            (MODE, Some(tls.mode.to_owned())),
            ("server_tls_ca_file", path(&tls.roots)),
            ("server_tls_cert_file", path(&tls.certificate)),
            ("server_tls_key_file", path(&tls.key)),
        ] {
            if let Some(value) = value.filter(|_| !self.settings.contains_key(name)) {
                settings.set(name, &value)?;
            }
        }
        Ok(())
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
        self.take_tls(&mut config.settings, &target.tls)?;
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

/// A warning where the pooler's own file asks less of servers than the database's URL does.
fn laxness(settings: &Settings, url: &str) -> Option<String> {
    let wanted = pgprime_client::Target::parse(url).ok()?.tls.mode;
    let given = settings.server_tls_sslmode.as_str();
    let rank = |mode: &str| MODES.iter().position(|known| *known == mode);
    // `allow` and `prefer` are the same to an attacker.
    (rank(wanted) > rank(given) && wanted != "prefer" && wanted != "allow").then(|| {
        format!(
            "DATABASE_URL has sslmode={wanted}, but the pooler connects with {MODE} = {given}, as its own file has it"
        )
    })
}

/// The settings that name a file.
fn files(settings: &mut Settings) -> [Option<&mut PathBuf>; 7] {
    [
        &mut settings.auth_file,
        &mut settings.client_tls_key_file,
        &mut settings.client_tls_cert_file,
        &mut settings.client_tls_ca_file,
        &mut settings.server_tls_key_file,
        &mut settings.server_tls_cert_file,
        &mut settings.server_tls_ca_file,
    ]
    .map(Option::as_mut)
}

/// The database that a URL names.
struct Target {
    hosts: Vec<String>,
    port: u16,
    name: String,
    user: String,
    password: Option<String>,
    tls: TargetTls,
}

impl Target {
    fn of(url: &str) -> anyhow::Result<Self> {
        let needs = "the pooler cannot be configured by DATABASE_URL alone: set [pooler.databases]";
        let parsed =
            pgprime_client::Target::parse(url).map_err(|error| anyhow::anyhow!("{needs} ({error})"))?;
        if let Some(demand) = parsed.demands.first() {
            bail!(
                "{needs}, or leave out `{demand}`, which the pooler cannot do{}",
                match *demand {
                    "hostaddr" => " (`host` may be an address)",
                    _ => "",
                }
            );
        }
        let differ = parsed.hosts.windows(2).any(|pair| pair[0].1 != pair[1].1);
        if parsed.hosts.len() > 1 && (differ || parsed.is_choosy) {
            bail!("{needs} (it names several servers, of which the pooler cannot choose)");
        }
        let user = parsed.user.context("DATABASE_URL names no user")?;
        Ok(Self {
            port: parsed.hosts.first().map_or(5432, |(_, port)| *port),
            hosts: parsed.hosts.into_iter().map(|(name, _)| name).collect(),
            name: parsed.database.unwrap_or_else(|| user.clone()),
            user,
            password: parsed.password,
            tls: parsed.tls,
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
    fn tls_is_as_the_url_has_it() {
        let check = |text: &str, parameters: &str, mode: &str, roots: Option<&str>| {
            let url = format!("postgresql://app:x@db.example/insurance{parameters}");
            let settings = config(text, Some(&url)).unwrap().settings;
            let found = (settings.server_tls_sslmode.as_str(), settings.server_tls_ca_file);
            assert_eq!(found, (mode, roots.map(PathBuf::from)), "{text} {parameters}");
        };
        check("", "", "prefer", None);
        check("", "?sslmode=disable", "disable", None);
        check("", "?sslmode=require", "require", None);
        check("", "?sslmode=require&sslrootcert=/ca.crt", "verify-ca", Some("/ca.crt"));
        check("", "?sslmode=verify-full&sslrootcert=/ca.crt", "verify-full", Some("/ca.crt"));
        check("", "?sslmode=verify-full", "verify-full", Some("system"));
        check("server_tls_sslmode = 'require'", "", "require", None);
        check("server_tls_ca_file = 'own.crt'", "?sslmode=verify-full", "verify-full", Some("/etc/own.crt"));
        check("server_tls_ca_file = 'system'", "?sslmode=verify-full", "verify-full", Some("system"));
        let certified =
            config("", Some("postgresql://a:b@h/x?sslmode=require&sslcert=/c&sslkey=/k")).unwrap();
        assert_eq!(certified.settings.server_tls_cert_file, Some("/c".into()));
        assert_eq!(certified.settings.server_tls_key_file, Some("/k".into()));
    }

    const DATABASES: &str = "[databases]\none = 'host=h'";

    #[test]
    fn the_urls_tls_is_for_declared_databases_too() {
        let mode = |text: &str, parameters: &str| {
            let url = format!("postgresql://app:x@db.example/insurance?{parameters}");
            let settings = config(text, Some(&url)).unwrap().settings;
            (settings.server_tls_sslmode, settings.server_tls_ca_file)
        };
        let ca = Some(PathBuf::from("/ca.crt"));
        assert_eq!(mode(DATABASES, "sslmode=verify-full&sslrootcert=/ca.crt"), ("verify-full".into(), ca));
        assert_eq!(mode(DATABASES, "options=-cjit%3Doff"), ("prefer".into(), None));
        // What the settings say themselves holds.
        let own = format!("server_tls_sslmode = 'require'\n{DATABASES}");
        assert_eq!(mode(&own, "sslmode=verify-full"), ("require".into(), None));
        assert_eq!(mode(&own, "sslmode=verify-ca&channel_binding=require"), ("require".into(), None));
        assert_eq!(config(DATABASES, None).unwrap().settings.server_tls_sslmode, "prefer");
    }

    #[test]
    fn an_ini_that_is_laxer_than_the_url_is_warned_about() {
        let dir = tempfile::tempdir().unwrap();
        let check = |ini: &str, parameters: &str, warned: bool| {
            let path = dir.path().join("pooler.ini");
            std::fs::write(&path, format!("[databases]\none = host=h\n[pgbouncer]\n{ini}\n")).unwrap();
            let url = format!("postgresql://app:x@h/x?{parameters}");
            let text = format!("ini = '{}'", path.display());
            let warnings = config(&text, Some(&url)).unwrap().warnings;
            assert_eq!(
                warnings.iter().any(|text| text.contains("DATABASE_URL")),
                warned,
                "{ini} {warnings:?}"
            );
        };
        check("", "sslmode=verify-full", true);
        check("", "sslmode=prefer", false);
        check("server_tls_sslmode = require", "sslmode=require", false);
        check("server_tls_sslmode = require", "sslmode=verify-full", true);
        check("server_tls_sslmode = disable", "", false);
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
            ("", Some("postgresql://a:b@h/x?sslmode=sometimes"), "`sslmode` is not usable"),
            ("", Some("postgresql://a:b@h/x?channel_binding=require"), "leave out `channel_binding=require`"),
            ("", Some("postgresql://a:b@h/x?hostaddr=10.0.0.5"), "`host` may be an address"),
            ("", Some("postgresql://a:b@h/x?options=-cjit%3Doff"), "leave out `options`"),
            (
                "",
                Some("postgresql://a:b@h/x?sslmode=require&sslnegotiation=direct"),
                "leave out `sslnegotiation=direct`",
            ),
            ("", Some("postgresql://a:b@h/x?sslmode=verify-ca"), "`sslmode=verify-ca` needs `sslrootcert`"),
            (DATABASES, Some("postgresql://a:b@h/x?channel_binding=require"), "server_tls_sslmode"),
            (DATABASES, Some("postgresql://a:b@h/x?sslmode=verify-ca"), "set [pooler] server_tls_sslmode"),
            ("default_pol_size = 1", None, "default_pool_size"),
            ("ini = 'a.ini'\npool_mode = 'session'", None, "either ini"),
            ("ini = 'no-such.ini'", None, "/etc/no-such.ini"),
        ] {
            let said = format!("{:#}", config(text, url).unwrap_err());
            assert!(said.contains(words), "{text}: {said}");
        }
    }
}
