//! Which certificates of servers are trusted.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use crate::files::Roots;

/// Whose certificates are taken.
#[derive(Debug)]
pub enum Trust {
    /// Anybody's: TLS against listeners, not against impostors (`require` and below).
    Anyone,
    /// Those that descend from a root (`verify-ca`).
    Issuer(Roots),
    /// Those, for the host that was asked for (`verify-full`).
    IssuerAndName(Roots),
}

/// The name that a certificate is to be for, where it is verified. What can be no name in a certificate is an address that
/// no certificate is for.
pub fn server_name(host: &str) -> ServerName<'static> {
    let nobody = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED).into());
    ServerName::try_from(host.to_string()).unwrap_or(nobody)
}

/// Checks servers' certificates as far as the mode asks for it.
#[derive(Debug)]
pub struct Verifier {
    /// Whose are taken.
    pub trust: Trust,
    /// The cryptography to check with.
    pub provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// Whether a root has signed the certificate, or it is one of the roots itself.
    fn check_issuer(
        &self,
        roots: &Roots,
        end_entity: &CertificateDer<'_>,
        certificate: &ParsedCertificate<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let algorithms = self.provider.signature_verification_algorithms.all;
        let signed = verify_server_cert_signed_by_trust_anchor(
            certificate,
            &roots.store,
            intermediates,
            now,
            algorithms,
        );
        match signed {
            // A self-signed one is marked as an authority's, or has no issuer but itself, and that is all that is wrong with
            // it: one that is out of its time is another error, which comes first.
            Err(Error::InvalidCertificate(CertificateError::Other(_) | CertificateError::UnknownIssuer))
                if roots.known.contains(end_entity) =>
            {
                Ok(())
            }
            signed => signed,
        }
    }

    fn is_anyone_trusted(&self) -> bool {
        matches!(self.trust, Trust::Anyone)
    }
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
        let (roots, checks_name) = match &self.trust {
            Trust::Anyone => return Ok(ServerCertVerified::assertion()),
            Trust::Issuer(roots) => (roots, false),
            Trust::IssuerAndName(roots) => (roots, true),
        };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        self.check_issuer(roots, end_entity, &certificate, intermediates, now)?;
        if checks_name {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    // Where any certificate is taken, a signature by its key shows nothing: an impostor has a key of his own. And
    // certificates of version 1, as made by simple recipes, could not be taken otherwise.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.is_anyone_trusted() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.is_anyone_trusted() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
