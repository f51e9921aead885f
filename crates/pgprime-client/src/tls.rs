//! TLS to the database: rustls with libpq's meanings of `sslmode`.
//!
//! Nothing of the process is touched: no crypto provider is installed, none is expected.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use pgprime_tls::{IdentitySettings, SYSTEM, TlsError, Trust, Verifier};
use rustls::ClientConfig;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::endpoint::{TlsMode, TlsOptions, TrustedRoots};

/// What makes TLS connections for one endpoint. Clones share everything.
#[derive(Clone)]
pub(crate) struct Tls(MakeRustlsConnect);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Reads the certificates, once for all connections.
    pub(crate) fn new(options: &TlsOptions) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier { trust: trust(options)?, provider: Arc::clone(&provider) };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::new("sslmode", error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let own = IdentitySettings {
            certificate: ("sslcert", options.certificate.as_deref()),
            key: ("sslkey", options.key.as_deref()),
        };
        let mut warnings = Vec::new();
        let mut config = match own.read(&mut warnings)? {
            Some(own) => builder.with_client_auth_cert(own.chain, own.key).map_err(|error| {
                TlsError::new("sslcert", format!("it cannot be used with sslkey: {error}"))
            })?,
            None => builder.with_no_client_auth(),
        };
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        if options.is_direct {
            config.alpn_protocols = vec![b"postgresql".to_vec()];
        }
        Ok(Self(MakeRustlsConnect::new(config)))
    }

    /// The driver's connector.
    pub(crate) fn connector(&self) -> MakeRustlsConnect {
        self.0.clone()
    }
}

/// Whom to trust: like libpq, `require` with a root certificate verifies as `verify-ca` does, and the modes below
/// verify nothing.
fn trust(options: &TlsOptions) -> Result<Trust, TlsError> {
    let checks_name = match options.mode {
        TlsMode::Require if options.roots.is_some() => false,
        TlsMode::VerifyCa => false,
        TlsMode::VerifyFull => true,
        TlsMode::Disable | TlsMode::Allow | TlsMode::Prefer | TlsMode::Require => return Ok(Trust::Anyone),
    };
    let path = match &options.roots {
        Some(TrustedRoots::File(path)) => path,
        // Everybody gets a certificate for a name of his own from one of the system's authorities.
        Some(TrustedRoots::System) | None if !checks_name => {
            let text = "without a check of the host's name, `sslrootcert` must name a file";
            return Err(TlsError::new("sslmode", text));
        }
        Some(TrustedRoots::System) | None => Path::new(SYSTEM),
    };
    let roots = pgprime_tls::roots("sslrootcert", path)?;
    Ok(if checks_name { Trust::IssuerAndName(roots) } else { Trust::Issuer(roots) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_certificates_are_for_names_only() {
        for (mode, roots) in [
            (TlsMode::VerifyCa, None),
            (TlsMode::VerifyCa, Some(TrustedRoots::System)),
            (TlsMode::Require, Some(TrustedRoots::System)),
        ] {
            let options = TlsOptions { mode, roots, ..TlsOptions::default() };
            let error = Tls::new(&options).unwrap_err().to_string();
            assert!(error.contains("`sslrootcert` must name a file"), "{error}");
        }
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let options = TlsOptions {
            mode: TlsMode::VerifyFull,
            roots: Some(TrustedRoots::File("/nowhere/ca.crt".into())),
            ..TlsOptions::default()
        };
        let error = Tls::new(&options).unwrap_err().to_string();
        assert!(error.starts_with("sslrootcert: cannot read /nowhere/ca.crt"), "{error}");
        // Below verification, the file is not even opened, as in libpq.
        assert!(Tls::new(&TlsOptions { mode: TlsMode::Prefer, ..options }).is_ok());
    }
}
