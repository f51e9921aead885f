//! What the address of a database says, for programs that connect by themselves.

use std::fmt;
use std::path::PathBuf;

use crate::config::ConfigError;
use tokio_postgres::config::ChannelBinding;

use crate::endpoint::{Endpoint, Host, Place, SessionAttrs, TlsMode, TrustedRoots};

/// What a URL, or a string of libpq's keywords, says: where a database is, who logs in, and what TLS is wanted.
///
/// `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// Names, addresses, or folders of Unix sockets, each with its port.
    pub hosts: Vec<(String, u16)>,
    /// Who logs in.
    pub user: Option<String>,
    /// With what; `None` where it is not UTF-8, too.
    pub password: Option<String>,
    /// Without one, the user's name is the database's.
    pub database: Option<String>,
    /// Whether not any of the hosts will do (`target_session_attrs`).
    pub is_choosy: bool,
    /// What TLS is wanted.
    pub tls: TargetTls,
    /// What else is wanted, as parameters are written: `channel_binding=require`, `sslnegotiation=direct`, `hostaddr` (where
    /// it is not the host), `options`. Who cannot do one of them must not connect as if it were not there.
    pub demands: Vec<&'static str>,
}

/// What an address says of TLS, in words that the settings of poolers know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TargetTls {
    /// `disable` to `verify-full`. As in libpq, `require` with root certificates is `verify-ca`.
    pub mode: &'static str,
    /// Where verification is wanted: the file with root certificates, or `system`.
    pub roots: Option<PathBuf>,
    /// Our own certificate.
    pub certificate: Option<PathBuf>,
    /// The key of our own certificate.
    pub key: Option<PathBuf>,
}

impl Target {
    /// Reads an address. No file is opened.
    ///
    /// # Errors
    /// What of it cannot be used, without a word of the password.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let endpoint = Endpoint::parse(text)
            .map_err(|error| ConfigError::new("DATABASE_URL", format!("cannot be used: {error}"), ""))?;
        let config = endpoint.config();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        Ok(Self {
            hosts: endpoint.hosts.iter().map(|host| (host.name.clone(), host.port)).collect(),
            user: config.get_user().map(str::to_owned),
            password: config.get_password().and_then(text),
            database: config.get_dbname().map(str::to_owned),
            is_choosy: endpoint.session_attrs != SessionAttrs::Any,
            tls: tls(&endpoint),
            demands: demands(&endpoint),
        })
    }
}

fn demands(endpoint: &Endpoint) -> Vec<&'static str> {
    let binds_channel = endpoint.config().get_channel_binding() == ChannelBinding::Require;
    let is_elsewhere = |host: &Host| match &host.place {
        Place::Address(address) => host.name.parse() != Ok(*address),
        Place::Name(_) | Place::Folder(_) => false,
    };
    [
        ("channel_binding=require", binds_channel),
        ("sslnegotiation=direct", endpoint.tls.is_direct),
        ("hostaddr", endpoint.hosts.iter().any(is_elsewhere)),
        ("options", endpoint.options().is_some_and(|options| !options.is_empty())),
    ]
    .into_iter()
    .filter_map(|(demand, is_made)| is_made.then_some(demand))
    .collect()
}

fn tls(endpoint: &Endpoint) -> TargetTls {
    let options = &endpoint.tls;
    let (mode, verifies) = match (options.mode, &options.roots) {
        (TlsMode::Disable, _) => ("disable", false),
        (TlsMode::Allow, _) => ("allow", false),
        (TlsMode::Prefer, _) => ("prefer", false),
        (TlsMode::Require, None) => ("require", false),
        (TlsMode::Require, Some(_)) | (TlsMode::VerifyCa, _) => ("verify-ca", true),
        (TlsMode::VerifyFull, _) => ("verify-full", true),
    };
    let roots = match &options.roots {
        Some(TrustedRoots::File(path)) => path.clone(),
        Some(TrustedRoots::System) | None => PathBuf::from("system"),
    };
    TargetTls {
        mode,
        roots: verifies.then_some(roots),
        certificate: options.certificate.clone(),
        key: options.key.clone(),
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("hosts", &self.hosts)
            .field("user", &self.user)
            .field("database", &self.database)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let target = Target::parse("postgres://u:hunter2@a:1,b:2/d?target_session_attrs=primary").unwrap();
        assert_eq!(target.hosts, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
        assert_eq!((target.user.as_deref(), target.database.as_deref()), (Some("u"), Some("d")));
        assert_eq!((target.password.as_deref(), target.is_choosy), (Some("hunter2"), true));
        assert!(!format!("{target:?}").contains("hunter2"));
    }

    #[test]
    fn demands_are_not_lost() {
        let check = |parameters: &str, expected: &[&str]| {
            let target = Target::parse(&format!("user=u {parameters}")).unwrap();
            assert_eq!(target.demands, expected, "{parameters}");
        };
        check("host=h channel_binding=prefer sslnegotiation=postgres options=''", &[]);
        check("host=h channel_binding=require", &["channel_binding=require"]);
        check("host=h sslmode=require sslnegotiation=direct", &["sslnegotiation=direct"]);
        check("host=h options='-c jit=off'", &["options"]);
        check("host=h hostaddr=10.0.0.5", &["hostaddr"]);
        check("hostaddr=10.0.0.5", &[]);
        check("host=10.0.0.5 hostaddr=10.0.0.5", &[]);
    }

    #[test]
    fn the_systems_certificates_verify_no_issuer() {
        let error = Target::parse("host=h user=u sslmode=verify-ca").unwrap_err().to_string();
        assert!(error.contains("`sslmode=verify-ca` needs `sslrootcert`"), "{error}");
        let error = Target::parse("host=h user=u sslmode=verify-ca sslrootcert=system").unwrap_err();
        assert!(error.to_string().contains("needs `sslmode=verify-full`"), "{error}");
    }

    #[test]
    fn tls_is_as_libpq_reads_it() {
        let check = |parameters: &str, mode: &str, roots: Option<&str>| {
            let tls = Target::parse(&format!("host=h user=u {parameters}")).unwrap().tls;
            assert_eq!((tls.mode, tls.roots), (mode, roots.map(PathBuf::from)), "{parameters}");
        };
        check("", "prefer", None);
        check("sslmode=disable", "disable", None);
        check("sslmode=prefer sslrootcert=/ca", "prefer", None);
        check("sslmode=require", "require", None);
        check("sslmode=require sslrootcert=/ca", "verify-ca", Some("/ca"));
        check("sslmode=verify-ca sslrootcert=/ca", "verify-ca", Some("/ca"));
        check("sslmode=verify-full", "verify-full", Some("system"));
        check("sslrootcert=system", "verify-full", Some("system"));
    }
}
