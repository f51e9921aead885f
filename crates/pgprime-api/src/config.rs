//! `[api]`: where it listens, and who may ask what.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use crate::security::Role;

const CONNECTIONS_LEAST: usize = 8;
const CONNECTIONS_MOST: usize = 65_536;

/// `[api]` of `pgprime.toml`.
///
/// ```
/// let config = pgprime_api::ApiConfig::from_toml("listen = '127.0.0.1:8000'").unwrap();
/// assert!(config.listen.ip().is_loopback());
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// Address and port. Default `127.0.0.1:8000`: this machine only.
    pub listen: SocketAddr,
    /// What programs on this machine may do without a token; `"none"` for nothing. Default `"admin"` while there are no tokens,
    /// `hosts` and `public_url`: whoever is logged in here could read the configuration and its passwords anyway. With any of
    /// them `"none"`: a proxy on this machine may pass on what others ask.
    #[serde(deserialize_with = "role_or_none")]
    pub loopback_role: Option<LoopbackRole>,
    /// Everybody else, and programs here that have a token.
    pub tokens: Vec<TokenEntry>,
    /// Certificate and key; without them HTTP is plain.
    pub tls: Option<TlsFiles>,
    /// Names under which it is reached, besides this machine's own addresses: `pgprime.example.org`. A request with another
    /// name in its `Host` is refused where no token proves who asks, so that no web page can use a visitor's browser.
    pub hosts: Vec<String>,
    /// Connections at once, 8 to 65,536; further ones wait. Half of them, and 200 at most, may be live streams. Default 512:
    /// browsers open six each.
    pub connections_max: usize,
    /// Requests of one address in a minute. Default 1,200: a dashboard with all its pages open needs a tenth.
    pub requests_per_minute: u32,
    /// Whether statements may be executed for `analyze-query`, by those with the role for it. Default yes.
    pub allow_execute: bool,
    /// Where every action is noted besides the log.
    pub audit_file: Option<PathBuf>,
    /// What is written into messages as the address of the dashboard.
    pub public_url: Option<String>,
}

/// What programs on this machine may do without a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoopbackRole {
    /// Nothing.
    None,
    /// What the role may.
    May(Role),
}

/// One token. Only its hash is kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenEntry {
    /// Who it is, for the audit log.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of the token in hexadecimal, as `pgprime token` prints it.
    pub sha256: String,
}

/// Files in PEM.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The certificate and those between it and its root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why `[api]` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ApiConfigError {
    /// An unknown field, or one of the wrong kind.
    #[error("[api]: {0}")]
    Toml(String),
    /// Anybody on the network could ask.
    #[error(
        "[api]: {0} can be reached from other machines, and there is no token: add one with `pgprime token NAME`, or listen \
         on 127.0.0.1"
    )]
    Open(SocketAddr),
    /// A token's hash is none.
    #[error(
        "[api]: the sha256 of token {0:?} is not 64 hexadecimal digits: make one with `pgprime token NAME`"
    )]
    Hash(String),
    /// Too few connections for a dashboard beside a probe, or more than ports.
    #[error("[api]: connections_max is {CONNECTIONS_LEAST} to {CONNECTIONS_MOST}, not {0}")]
    Connections(usize),
    /// Two tokens of one name.
    #[error("[api]: two tokens are named {0:?}")]
    Twice(String),
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            loopback_role: None,
            tokens: Vec::new(),
            tls: None,
            hosts: Vec::new(),
            connections_max: 512,
            requests_per_minute: 1_200,
            allow_execute: true,
            audit_file: None,
            public_url: None,
        }
    }
}

impl ApiConfig {
    /// Reads the fields of `[api]`.
    ///
    /// # Errors
    /// [`ApiConfigError`]
    pub fn from_toml(text: &str) -> Result<Self, ApiConfigError> {
        let config: Self =
            toml::from_str(text).map_err(|error| ApiConfigError::Toml(without_values(error.message())))?;
        config.check()?;
        Ok(config)
    }

    /// Takes the fields of `[api]` where somebody else has read the file.
    ///
    /// # Errors
    /// [`ApiConfigError`]
    pub fn from_table(table: toml::Table) -> Result<Self, ApiConfigError> {
        let config: Self = table
            .try_into()
            .map_err(|error: toml::de::Error| ApiConfigError::Toml(without_values(error.message())))?;
        config.check()?;
        Ok(config)
    }

    /// What programs on this machine may do without a token.
    pub(crate) fn role_of_loopback(&self) -> Option<Role> {
        match self.loopback_role {
            Some(LoopbackRole::May(role)) => Some(role),
            Some(LoopbackRole::None) => None,
            None => {
                let is_for_others =
                    !self.tokens.is_empty() || !self.hosts.is_empty() || self.public_url.is_some();
                (!is_for_others).then_some(Role::Admin)
            }
        }
    }

    /// Whether it can be used as it is.
    ///
    /// # Errors
    /// [`ApiConfigError`]
    pub fn check(&self) -> Result<(), ApiConfigError> {
        let is_hash = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if let Some(token) = self.tokens.iter().find(|token| !is_hash(&token.sha256)) {
            return Err(ApiConfigError::Hash(token.name.clone()));
        }
        if !(CONNECTIONS_LEAST..=CONNECTIONS_MOST).contains(&self.connections_max) {
            return Err(ApiConfigError::Connections(self.connections_max));
        }
        let mut names: Vec<&str> = self.tokens.iter().map(|token| token.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ApiConfigError::Twice(pair[0].to_owned()));
        }
        match self.listen.ip().is_loopback() || !self.tokens.is_empty() {
            true => Ok(()),
            false => Err(ApiConfigError::Open(self.listen)),
        }
    }
}

/// What is wrong, without the value that is: it may be a token.
fn without_values(message: &str) -> String {
    let (kind, expected) = match message.split_once(", expected ") {
        Some((kind, expected)) => (kind, format!(", expected {expected}")),
        None => (message, String::new()),
    };
    match kind.contains("invalid type") || kind.contains("invalid value") {
        true => format!("a value is of the wrong kind{expected}"),
        false => message.to_owned(),
    }
}

fn role_or_none<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<LoopbackRole>, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.as_str() {
        "none" => Ok(Some(LoopbackRole::None)),
        name => Role::named(name)
            .map(|role| Some(LoopbackRole::May(role)))
            .ok_or_else(|| serde::de::Error::custom("loopback_role is none, read, analyze or admin")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_to_all_is_refused() {
        let said = |text: &str| ApiConfig::from_toml(text).unwrap_err().to_string();
        assert!(said("listen = '0.0.0.0:8000'").contains("can be reached from other machines"));
        assert!(said("connections_max = 7").contains("8 to 65536, not 7"));
        assert!(said("listn = 'x'").contains("unknown field `listn`"));
        assert!(said("loopback_role = 'root'").contains("none, read, analyze or admin"));
        assert!(said("tokens = [{ name = 'a', role = 'read', sha256 = 'x' }]").contains("64 hexadecimal"));
        let hash = "0".repeat(64);
        let two = format!(
            "tokens = [{{ name = 'a', role = 'read', sha256 = '{hash}' }}, {{ name = 'a', role = 'admin', sha256 = '{hash}' }}]"
        );
        assert!(said(&two).contains("two tokens"));
        let one =
            format!("listen = '0.0.0.0:8000'\ntokens = [{{ name = 'a', role = 'read', sha256 = '{hash}' }}]");
        assert!(ApiConfig::from_toml(&one).is_ok());
        let role = |text: &str| ApiConfig::from_toml(text).unwrap().role_of_loopback();
        assert_eq!((role(""), role("loopback_role = 'none'")), (Some(Role::Admin), None));
        assert_eq!(
            (role("hosts = ['db.example']"), role("loopback_role = 'read'")),
            (None, Some(Role::Read))
        );
        assert!(!said("tokens = ['pgprime_secret']").contains("secret"));
    }
}
