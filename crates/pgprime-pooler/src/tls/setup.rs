//! From settings to what makes sessions.

use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, ServerConfig};

use super::versions::versions;
use super::{ALPN, TlsError};
use crate::settings::Settings;
use pgprime_tls::{IdentitySettings, SYSTEM, Trust, Verifier};

/// Both sides, ready for new connections. A reload makes another; sessions go on with the one they began with.
#[derive(Debug)]
pub(crate) struct Tls {
    pub(crate) clients: ClientTls,
    pub(crate) servers: ServerTls,
    /// What of the settings has no effect.
    pub(crate) warnings: Vec<String>,
}

/// What is spoken with clients over TCP.
#[derive(Clone, Debug)]
pub(crate) enum ClientTls {
    /// `disable`.
    Never,
    /// `allow` and `prefer`: when the client asks for it.
    OnRequest(Arc<ServerConfig>),
    /// `require` and beyond: who does not ask for it is not let in.
    Always(Arc<ServerConfig>),
}

/// What is spoken with servers over TCP.
#[derive(Clone, Debug)]
pub(crate) enum ServerTls {
    /// `disable`.
    Never,
    /// `allow`: where the server insists on it.
    OnDemand(Arc<ClientConfig>),
    /// `prefer`: where the server offers it.
    WhereOffered(Arc<ClientConfig>),
    /// `require` and beyond.
    Always(Arc<ClientConfig>),
}

impl Tls {
    /// Reads the files that the settings name.
    pub(crate) fn load(settings: &Settings) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut warnings = Vec::new();
        let clients = clients(settings, &provider, &mut warnings)?;
        let servers = servers(settings, &provider, &mut warnings)?;
        Ok(Self { clients, servers, warnings })
    }
}

fn clients(
    settings: &Settings,
    provider: &Arc<CryptoProvider>,
    warnings: &mut Vec<String>,
) -> Result<ClientTls, TlsError> {
    let (mode_name, mode) = ("client_tls_sslmode", settings.client_tls_sslmode.as_str());
    if mode == "disable" {
        return Ok(ClientTls::Never);
    }
    let versions = versions("client_tls_protocols", &settings.client_tls_protocols)?;
    warnings.extend(versions.warning);
    let files = IdentitySettings {
        certificate: ("client_tls_cert_file", settings.client_tls_cert_file.as_deref()),
        key: ("client_tls_key_file", settings.client_tls_key_file.as_deref()),
    };
    let identity = files.read(warnings)?.ok_or_else(|| {
        let text = format!("{mode} needs client_tls_cert_file and client_tls_key_file");
        TlsError::new(mode_name, text)
    })?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&versions.offered)
        .map_err(|error| TlsError::new("client_tls_protocols", error.to_string()))?;
    let builder = if mode.starts_with("verify-") {
        let path = required(mode_name, mode, "client_tls_ca_file", settings.client_tls_ca_file.as_deref())?;
        if path == Path::new(SYSTEM) {
            let text =
                "`system` lets everybody in who has any public certificate: name a file with your own roots";
            return Err(TlsError::new("client_tls_ca_file", text));
        }
        let roots = Arc::new(pgprime_tls::roots("client_tls_ca_file", path)?.store);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
        let failed = |error: rustls::server::VerifierBuilderError| {
            TlsError::new("client_tls_ca_file", error.to_string())
        };
        builder.with_client_cert_verifier(verifier.map_err(failed)?)
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder
        .with_single_cert(identity.chain, identity.key)
        .map_err(|error| unusable("client_tls_cert_file", "client_tls_key_file", &error))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // As in PostgreSQL: sessions are not taken up again. libpq does not ask for it, and a certificate that is no longer
    // good would go on being so.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    let config = Arc::new(config);
    Ok(match mode {
        "allow" | "prefer" => ClientTls::OnRequest(config),
        _ => ClientTls::Always(config),
    })
}

fn servers(
    settings: &Settings,
    provider: &Arc<CryptoProvider>,
    warnings: &mut Vec<String>,
) -> Result<ServerTls, TlsError> {
    let (mode_name, mode) = ("server_tls_sslmode", settings.server_tls_sslmode.as_str());
    if mode == "disable" {
        return Ok(ServerTls::Never);
    }
    let versions = versions("server_tls_protocols", &settings.server_tls_protocols)?;
    warnings.extend(versions.warning);
    let roots = || {
        let path = required(mode_name, mode, "server_tls_ca_file", settings.server_tls_ca_file.as_deref())?;
        if path == Path::new(SYSTEM) && mode != "verify-full" {
            let text = "`system` needs server_tls_sslmode = verify-full: anybody gets a public certificate";
            return Err(TlsError::new("server_tls_ca_file", text));
        }
        pgprime_tls::roots("server_tls_ca_file", path)
    };
    let trust = match mode {
        "verify-ca" => Trust::Issuer(roots()?),
        "verify-full" => Trust::IssuerAndName(roots()?),
        _ => Trust::Anyone,
    };
    let verifier = Verifier { trust, provider: Arc::clone(provider) };
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&versions.offered)
        .map_err(|error| TlsError::new("server_tls_protocols", error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let files = IdentitySettings {
        certificate: ("server_tls_cert_file", settings.server_tls_cert_file.as_deref()),
        key: ("server_tls_key_file", settings.server_tls_key_file.as_deref()),
    };
    let mut config = match files.read(warnings)? {
        Some(identity) => builder
            .with_client_auth_cert(identity.chain, identity.key)
            .map_err(|error| unusable("server_tls_cert_file", "server_tls_key_file", &error))?,
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    let config = Arc::new(config);
    Ok(match mode {
        "allow" => ServerTls::OnDemand(config),
        "prefer" => ServerTls::WhereOffered(config),
        _ => ServerTls::Always(config),
    })
}

fn required<'a>(
    mode_name: &'static str,
    mode: &str,
    setting: &str,
    path: Option<&'a Path>,
) -> Result<&'a Path, TlsError> {
    path.ok_or_else(|| TlsError::new(mode_name, format!("{mode} needs {setting}")))
}

fn unusable(certificate: &'static str, key: &str, error: &rustls::Error) -> TlsError {
    let text = match error {
        rustls::Error::InconsistentKeys(_) => format!("the certificate does not belong to {key}"),
        error => format!("cannot be used with {key}: {error}"),
    };
    TlsError::new(certificate, text)
}
