//! Where a database is and how to log in there: a URL or libpq's keywords, with the parameters for TLS that the driver
//! does not know.

mod text;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, SslNegotiation};

pub(crate) use text::EndpointError;

/// TCP keepalive: an idle connection that nobody answers for is noticed within a minute, not after two hours.
const KEEPALIVES_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVES_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVES_RETRIES: u32 = 3;
/// What was sent and is not acknowledged for so long has met a dead network. TCP itself waits for 15 minutes.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);
const APPLICATION_NAME: &str = "pgprime-client";
const PORT: u16 = 5432;

/// Where a database is, and how to log in. Shown without the password: `host:port/database as user`.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// Everything but hosts and TLS.
    config: Config,
    pub(crate) hosts: Vec<Host>,
    pub(crate) tls: TlsOptions,
    pub(crate) session_attrs: SessionAttrs,
    /// Whether hosts are tried in a random order.
    pub(crate) is_balanced: bool,
    /// For one host.
    pub(crate) connect_timeout: Option<Duration>,
}

/// One of the servers of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// The name in certificates and messages.
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) port: u16,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Looked up at each attempt.
    Name(String),
    Address(IpAddr),
    /// The folder of its Unix socket.
    Folder(PathBuf),
}

/// What a server must be (`target_session_attrs`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SessionAttrs {
    #[default]
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// When TLS is used, and what is verified (`sslmode`), with libpq's meanings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TlsMode {
    Disable,
    /// Only when the server insists.
    Allow,
    /// When the server offers it; nothing is verified.
    #[default]
    Prefer,
    /// Always. The certificate's issuer is verified when `sslrootcert` is given, as in [`TlsMode::VerifyCa`].
    Require,
    /// The certificate's issuer is verified, which `sslrootcert` must name.
    VerifyCa,
    /// The issuer and the host name are verified.
    VerifyFull,
}

/// Whose certificates are trusted (`sslrootcert`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TrustedRoots {
    /// `system`: those of the operating system.
    System,
    File(PathBuf),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsOptions {
    pub(crate) mode: TlsMode,
    pub(crate) roots: Option<TrustedRoots>,
    /// The client's own certificate and its key.
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    /// TLS from the first byte on (PostgreSQL 17).
    pub(crate) is_direct: bool,
}

impl Endpoint {
    /// Reads a URL or a keyword string.
    pub(crate) fn parse(text: &str) -> Result<Self, EndpointError> {
        let mut draft = Draft::default();
        for (name, value) in text::parameters(text)? {
            draft.set(&name, &value)?;
        }
        draft.finish()
    }

    /// With this name for its sessions, where it has none of its own.
    pub(crate) fn called(mut self, name: Option<&str>) -> Self {
        if let Some(name) = name.filter(|_| self.config.get_application_name() == Some(APPLICATION_NAME)) {
            self.config.application_name(name);
        }
        self
    }

    /// What the driver needs for one server; the caller adds `options`, TLS mode and address.
    pub(crate) fn config(&self) -> Config {
        self.config.clone()
    }

    /// The startup parameter `options` of the URL.
    pub(crate) fn options(&self) -> Option<&str> {
        self.config.get_options()
    }

    /// `host:port/database as user` for one host.
    pub(crate) fn describe(&self, host: &Host) -> String {
        self.labelled(&host.to_string())
    }

    fn labelled(&self, hosts: &str) -> String {
        let user = self.config.get_user().unwrap_or("the system's user");
        let database = self.config.get_dbname().or(self.config.get_user()).unwrap_or_default();
        format!("{hosts}/{database} as {user}")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = self.hosts.iter().map(Host::to_string).collect();
        f.write_str(&self.labelled(&hosts.join(",")))
    }
}

/// As shown to people: a password is in none of it.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.contains(':') {
            true => write!(f, "[{}]:{}", self.name, self.port),
            false => write!(f, "{}:{}", self.name, self.port),
        }
    }
}

/// What has been read so far.
#[derive(Default)]
struct Draft {
    config: Config,
    hosts: Vec<String>,
    addresses: Vec<IpAddr>,
    ports: Vec<u16>,
    tls: TlsOptions,
    has_tls_mode: bool,
    session_attrs: SessionAttrs,
    is_balanced: bool,
    connect_timeout: Option<Duration>,
    keepalive: Keepalive,
}

#[derive(Default)]
struct Keepalive {
    idle: Option<Duration>,
    interval: Option<Duration>,
    retries: Option<u32>,
    user_timeout: Option<Duration>,
}

impl Draft {
    fn set(&mut self, name: &str, value: &str) -> Result<(), EndpointError> {
        match name {
            "user" => drop(self.config.user(value)),
            "password" => drop(self.config.password(value)),
            "dbname" => drop(self.config.dbname(value)),
            "options" => drop(self.config.options(value)),
            "application_name" => drop(self.config.application_name(value)),
            "host" => self.hosts = value.split(',').map(str::to_owned).collect(),
            "hostaddr" => self.addresses = list(name, value, "IP addresses such as 10.0.0.5", str::parse)?,
            "port" => self.ports = list(name, value, "numbers from 1 to 65535", port)?,
            "target_session_attrs" => self.session_attrs = choice(name, value, SESSION_ATTRS)?,
            "load_balance_hosts" => {
                self.is_balanced = choice(name, value, &[("disable", false), ("random", true)])?;
            }
            _ => return self.set_other(name, value),
        }
        Ok(())
    }

    fn set_other(&mut self, name: &str, value: &str) -> Result<(), EndpointError> {
        match name {
            "connect_timeout" => self.connect_timeout = seconds(name, value)?,
            "tcp_user_timeout" => self.keepalive.user_timeout = seconds(name, value)?,
            "keepalives" => drop(self.config.keepalives(choice(name, value, &[("0", false), ("1", true)])?)),
            "keepalives_idle" => self.keepalive.idle = seconds(name, value)?,
            "keepalives_interval" => self.keepalive.interval = seconds(name, value)?,
            "keepalives_retries" | "keepalives_count" => {
                self.keepalive.retries = Some(value.parse().map_err(|_| invalid(name, "a whole number"))?);
            }
            "channel_binding" => drop(self.config.channel_binding(choice(name, value, CHANNEL_BINDINGS)?)),
            _ => return self.set_tls(name, value),
        }
        Ok(())
    }

    fn set_tls(&mut self, name: &str, value: &str) -> Result<(), EndpointError> {
        match name {
            "sslmode" => {
                self.tls.mode = choice(name, value, TLS_MODES)?;
                self.has_tls_mode = true;
            }
            "sslrootcert" if value == "system" => self.tls.roots = Some(TrustedRoots::System),
            "sslrootcert" => self.tls.roots = Some(TrustedRoots::File(value.into())),
            "sslcert" => self.tls.certificate = Some(value.into()),
            "sslkey" => self.tls.key = Some(value.into()),
            "sslnegotiation" => {
                self.tls.is_direct = choice(name, value, &[("postgres", false), ("direct", true)])?;
            }
            // Only what reads like a parameter's name is repeated: anything else may be part of a password.
            name if name.len() < 40 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_') => {
                return Err(EndpointError(format!("the parameter `{name}` is not known here; leave it out")));
            }
            _ => return Err("a parameter has a name that is not known here; leave it out".into()),
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Endpoint, EndpointError> {
        let hosts = self.hosts()?;
        self.check_tls()?;
        let config = &mut self.config;
        if config.get_application_name().is_none() {
            config.application_name(APPLICATION_NAME);
        }
        config.tcp_user_timeout(self.keepalive.user_timeout.unwrap_or(TCP_USER_TIMEOUT));
        config.keepalives_idle(self.keepalive.idle.unwrap_or(KEEPALIVES_IDLE));
        config.keepalives_interval(self.keepalive.interval.unwrap_or(KEEPALIVES_INTERVAL));
        config.keepalives_retries(self.keepalive.retries.unwrap_or(KEEPALIVES_RETRIES));
        if self.tls.is_direct {
            config.ssl_negotiation(SslNegotiation::Direct);
        }
        Ok(Endpoint {
            config: self.config,
            hosts,
            tls: self.tls,
            session_attrs: self.session_attrs,
            is_balanced: self.is_balanced,
            connect_timeout: self.connect_timeout,
        })
    }

    /// Hosts, addresses and ports belong together by their position.
    fn hosts(&self) -> Result<Vec<Host>, EndpointError> {
        let count = self.hosts.len().max(self.addresses.len());
        if count == 0 || (self.addresses.is_empty() && self.hosts.iter().any(String::is_empty)) {
            return Err("it names no host; write postgresql://user@host:5432/database".into());
        }
        if !self.hosts.is_empty() && !self.addresses.is_empty() && self.hosts.len() != self.addresses.len() {
            return Err("`host` and `hostaddr` have different numbers of entries".into());
        }
        if self.ports.len() > 1 && self.ports.len() != count {
            return Err("`port` has neither one entry nor one for each host".into());
        }
        let host = |index: usize| {
            let port = self.ports.get(index).or(self.ports.first()).copied().unwrap_or(PORT);
            let address = self.addresses.get(index);
            let name = self.hosts.get(index).filter(|name| !name.is_empty()).cloned();
            let name = name.or_else(|| address.map(IpAddr::to_string)).unwrap_or_default();
            let place = match address {
                Some(address) => Place::Address(*address),
                None if name.starts_with('/') => Place::Folder(PathBuf::from(&name)),
                None => name.parse().map_or_else(|_| Place::Name(name.clone()), Place::Address),
            };
            Host { name, place, port }
        };
        Ok((0..count).map(host).collect())
    }

    fn check_tls(&mut self) -> Result<(), EndpointError> {
        let tls = &mut self.tls;
        if tls.roots == Some(TrustedRoots::System) {
            // As libpq: to trust every authority of the system makes sense only for the host's own name.
            if self.has_tls_mode && tls.mode < TlsMode::VerifyFull {
                return Err("`sslrootcert=system` needs `sslmode=verify-full`".into());
            }
            tls.mode = TlsMode::VerifyFull;
        }
        if tls.mode == TlsMode::VerifyCa && tls.roots.is_none() {
            // The system's authorities give a certificate to everybody who has a name.
            return Err("`sslmode=verify-ca` needs `sslrootcert`, the file with the issuer's certificate; \
                        or use `sslmode=verify-full`"
                .into());
        }
        if tls.certificate.is_some() != tls.key.is_some() {
            return Err("`sslcert` and `sslkey` belong together: give both or none".into());
        }
        if tls.is_direct && tls.mode < TlsMode::Require {
            return Err(
                "`sslnegotiation=direct` needs `sslmode=require`, `verify-ca` or `verify-full`".into()
            );
        }
        Ok(())
    }
}

const TLS_MODES: &[(&str, TlsMode)] = &[
    ("disable", TlsMode::Disable),
    ("allow", TlsMode::Allow),
    ("prefer", TlsMode::Prefer),
    ("require", TlsMode::Require),
    ("verify-ca", TlsMode::VerifyCa),
    ("verify-full", TlsMode::VerifyFull),
];

const SESSION_ATTRS: &[(&str, SessionAttrs)] = &[
    ("any", SessionAttrs::Any),
    ("read-write", SessionAttrs::ReadWrite),
    ("read-only", SessionAttrs::ReadOnly),
    ("primary", SessionAttrs::Primary),
    ("standby", SessionAttrs::Standby),
    ("prefer-standby", SessionAttrs::PreferStandby),
];

const CHANNEL_BINDINGS: &[(&str, ChannelBinding)] = &[
    ("disable", ChannelBinding::Disable),
    ("prefer", ChannelBinding::Prefer),
    ("require", ChannelBinding::Require),
];

fn choice<T: Copy>(name: &str, value: &str, choices: &[(&str, T)]) -> Result<T, EndpointError> {
    let found = choices.iter().find(|(known, _)| *known == value);
    let names = || choices.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ");
    found.map(|(_, chosen)| *chosen).ok_or_else(|| invalid(name, &format!("one of {}", names())))
}

fn list<T, E>(
    name: &str,
    value: &str,
    expected: &str,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, EndpointError> {
    value.split(',').map(|entry| read(entry).map_err(|_| invalid(name, expected))).collect()
}

fn port(text: &str) -> Result<u16, ()> {
    match text {
        "" => Ok(PORT),
        text => text.parse().ok().filter(|port| *port != 0).ok_or(()),
    }
}

/// Zero and negative mean the default, as in libpq.
fn seconds(name: &str, value: &str) -> Result<Option<Duration>, EndpointError> {
    let seconds: i64 = value.parse().map_err(|_| invalid(name, "whole seconds"))?;
    Ok(u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs))
}

fn invalid(name: &str, expected: &str) -> EndpointError {
    EndpointError(format!("the value of `{name}` is not usable; it takes {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Endpoint {
        Endpoint::parse(text).unwrap()
    }

    #[test]
    fn both_notations_mean_the_same() {
        let url = parse(
            "postgres://u:secret@a:1,[::1]/d?sslmode=verify-ca&sslrootcert=/ca%20.crt&target_session_attrs=primary",
        );
        let keywords = parse(
            "user=u password=secret host=a,::1 port=1,5432 dbname=d sslmode=verify-ca sslrootcert='/ca .crt' \
             target_session_attrs=primary",
        );
        for endpoint in [&url, &keywords] {
            assert_eq!(endpoint.to_string(), "a:1,[::1]:5432/d as u");
            assert_eq!(format!("{endpoint:?}"), "Endpoint(a:1,[::1]:5432/d as u)");
            assert_eq!(endpoint.tls.roots, Some(TrustedRoots::File("/ca .crt".into())));
            assert_eq!(endpoint.tls.mode, TlsMode::VerifyCa);
            assert_eq!(endpoint.session_attrs, SessionAttrs::Primary);
            assert_eq!(endpoint.config().get_password(), Some(&b"secret"[..]));
            assert_eq!(endpoint.config().get_application_name(), Some("pgprime-client"));
        }
        let called = |text: &str| {
            parse(text).called(Some("pgprime")).config().get_application_name().map(str::to_owned)
        };
        assert_eq!(called("postgres://a/d").as_deref(), Some("pgprime"));
        assert_eq!(called("postgres://a/d?application_name=mine").as_deref(), Some("mine"));
        assert_eq!(url.hosts, keywords.hosts);
        assert_eq!(url.hosts[1].place, Place::Address("::1".parse().unwrap()));
    }

    #[test]
    fn places_of_servers() {
        let socket = parse("postgres:///d?host=%2Frun%2Fpg&port=6432&user=u");
        assert_eq!(socket.hosts[0].place, Place::Folder("/run/pg".into()));
        assert_eq!(socket.to_string(), "/run/pg:6432/d as u");
        let address = parse("host=db.example hostaddr=10.0.0.5 user=u");
        assert_eq!(address.hosts[0].place, Place::Address("10.0.0.5".parse().unwrap()));
        assert_eq!(address.to_string(), "db.example:5432/u as u");
        assert_eq!(parse("postgres://db/d").hosts[0].place, Place::Name("db".into()));
    }

    #[test]
    fn mistakes_are_explained_without_values() {
        for (text, expected) in [
            ("postgres:///d", "it names no host"),
            ("", "it names no host"),
            ("postgres://secret:secret@h:secret/d", "the value of `port` is not usable; it takes numbers"),
            ("postgres://h:0/d", "the value of `port`"),
            (
                "postgres://h/d?sslmode=secret",
                "it takes one of disable, allow, prefer, require, verify-ca, verify-full",
            ),
            ("postgres://h/d?pgbouncer=secret", "the parameter `pgbouncer` is not known here"),
            ("postgres://h/d?SEcret=secret", "a parameter has a name that is not known"),
            ("postgres://h/d?sslcert=secret", "`sslcert` and `sslkey` belong together"),
            ("postgres://h/d?sslrootcert=system&sslmode=require", "`sslrootcert=system` needs"),
            ("postgres://h/d?sslnegotiation=direct", "`sslnegotiation=direct` needs"),
            ("postgres://a,b,c:1/d?port=1,2", "`port` has neither"),
            ("postgres://a,b/d?hostaddr=1.2.3.4", "different numbers"),
            ("postgres://h/d?connect_timeout=secret", "it takes whole seconds"),
        ] {
            let error = Endpoint::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("secret") && !error.contains("SEcret"), "{text}: {error}");
        }
    }

    #[test]
    fn no_text_makes_it_panic_or_tells_the_password() {
        let pieces = [
            "postgres://",
            "user",
            "=",
            "'",
            "\\",
            "@",
            ":",
            "/",
            "?",
            "&",
            "%",
            "%4",
            "%zz",
            "%40",
            "[",
            "]",
            "::1",
            ",",
            " ",
            "host",
            "port",
            "sslmode",
            "password",
            "sslrootcert",
            "é",
            "\u{0}",
            "5432",
            "#",
            "options",
            "-c x",
        ];
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..50_000 {
            let mut text: String =
                (0..random.usize(0..12)).map(|_| *random.choice(pieces.iter()).unwrap()).collect();
            text.push_str(" password=hunter2");
            // What is quoted, escaped or part of a URL's database is meant to be shown.
            let is_shown = text.contains("://") || text.contains(['\'', '\\']);
            match Endpoint::parse(&text) {
                Ok(endpoint) => assert!(is_shown || !format!("{endpoint:?}").contains("hunter2"), "{text}"),
                Err(error) => assert!(!error.to_string().contains("hunter2"), "{text}: {error}"),
            }
        }
    }

    #[test]
    fn trust_in_the_system_means_verification() {
        assert_eq!(parse("postgres://h/d?sslrootcert=system").tls.mode, TlsMode::VerifyFull);
    }
}
