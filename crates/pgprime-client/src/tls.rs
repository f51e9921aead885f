//! TLS to the database: rustls with libpq's meanings of `sslmode`.
//!
//! Nothing of the process is touched: no crypto provider is installed, none is expected.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::endpoint::{TlsMode, TlsOptions, TrustedRoots};

/// Why TLS cannot be set up: a file that cannot be read, as a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct TlsError(String);

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
            .map_err(|error| TlsError(format!("TLS: {error}")))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match own_certificate(options)? {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| TlsError(format!("sslcert and sslkey cannot be used: {error}")))?,
            None => builder.with_no_client_auth(),
        };
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

type OwnCertificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn own_certificate(options: &TlsOptions) -> Result<Option<OwnCertificate>, TlsError> {
    let (Some(certificate), Some(key)) = (&options.certificate, &options.key) else { return Ok(None) };
    let chain = certificates("sslcert", certificate)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| {
        TlsError(format!(
            "sslkey: {} holds no private key in PEM without a passphrase: {error}",
            key.display()
        ))
    })?;
    Ok(Some((chain, key)))
}

fn certificates(name: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => {
            Err(TlsError(format!("{name}: {} holds no certificate in PEM", path.display())))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(TlsError(format!("{name}: {} cannot be read: {error}", path.display()))),
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
    let mut roots = RootCertStore::empty();
    let mut known = Vec::new();
    match &options.roots {
        Some(TrustedRoots::File(path)) => {
            known = certificates("sslrootcert", path)?;
            roots.add_parsable_certificates(known.iter().cloned());
        }
        // Everybody gets a certificate for a name of his own from one of the system's authorities.
        Some(TrustedRoots::System) | None if !checks_name => {
            let text = "without a check of the host's name, `sslrootcert` must name a file";
            return Err(TlsError(text.to_owned()));
        }
        Some(TrustedRoots::System) | None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        let text = "no trusted root certificate was found; name a file with `sslrootcert`, or install the system's \
                    (package ca-certificates)";
        return Err(TlsError(text.to_owned()));
    }
    Ok(Trust::Roots { roots, known, checks_name })
}

#[derive(Debug)]
enum Trust {
    /// TLS against listeners, not against impostors.
    Anyone,
    Roots {
        roots: RootCertStore,
        /// The certificates of `sslrootcert`: a server may present one of them itself, as self-signed ones do.
        known: Vec<CertificateDer<'static>>,
        checks_name: bool,
    },
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Trust::Roots { roots, known, checks_name } = &self.trust else {
            return Ok(ServerCertVerified::assertion());
        };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        if !known.contains(end_entity) {
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
        }
        if *checks_name {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
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
        assert!(error.starts_with("sslrootcert: /nowhere/ca.crt cannot be read"), "{error}");
        // Below verification, the file is not even opened, as in libpq.
        assert!(Tls::new(&TlsOptions { mode: TlsMode::Prefer, ..options }).is_ok());
    }
}
