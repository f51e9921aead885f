//! Certificates and keys as files in PEM.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::TlsError;

/// The word for the operating system's certificates in the place of a file, as libpq has it.
pub const SYSTEM: &str = "system";

/// A certificate with those between it and its root, and its key.
#[derive(Debug)]
pub struct Identity {
    /// One's own first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Never shown.
    pub key: PrivateKeyDer<'static>,
}

/// The settings that name the files of an identity.
#[derive(Debug)]
pub struct IdentitySettings<'a> {
    /// The setting's name, and its value.
    pub certificate: (&'static str, Option<&'a Path>),
    /// The setting's name, and its value.
    pub key: (&'static str, Option<&'a Path>),
}

impl IdentitySettings<'_> {
    /// `None` where neither file is set. Warns of a key that is not kept secret.
    ///
    /// # Errors
    /// [`TlsError`]: one without the other, or a file that is of no use.
    pub fn read(&self, warnings: &mut Vec<String>) -> Result<Option<Identity>, TlsError> {
        let (certificate, key) = match (self.certificate.1, self.key.1) {
            (Some(certificate), Some(key)) => (certificate, key),
            (None, None) => return Ok(None),
            (None, Some(_)) => return Err(belongs(self.certificate.0, self.key.0)),
            (Some(_), None) => return Err(belongs(self.key.0, self.certificate.0)),
        };
        let chain = certificates(self.certificate.0, certificate)?;
        warnings.extend(exposure(self.key.0, key));
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| {
            let what = "no private key in PEM without a passphrase";
            TlsError::new(self.key.0, reason(key, what, &error))
        })?;
        Ok(Some(Identity { chain, key }))
    }
}

/// A key that others of this machine may read. As libpq has it: root's may be read by a group.
fn exposure(setting: &str, path: &Path) -> Option<String> {
    let file = path.metadata().ok()?;
    let forbidden = if file.uid() == 0 { 0o037 } else { 0o077 };
    (file.is_file() && file.mode() & forbidden != 0).then(|| {
        format!(
            "{setting}: {} is open to others than its owner (mode {:04o}); chmod 0600 makes it private",
            path.display(),
            file.mode() & 0o777
        )
    })
}

fn belongs(missing: &'static str, given: &str) -> TlsError {
    TlsError::new(missing, format!("not set, and {given} is of no use without it"))
}

/// Certificates that others must descend from.
#[derive(Debug)]
pub struct Roots {
    /// All of them.
    pub store: RootCertStore,
    /// Those of the file: a server may show one of them itself, as self-signed ones do.
    pub known: Vec<CertificateDer<'static>>,
}

/// Reads roots from a file, or takes the system's: those are for verifying a name, too. Anybody gets a certificate for a name
/// of his own from one of them. What a file holds besides usable roots is passed over.
///
/// # Errors
/// [`TlsError`]: no root at all.
pub fn roots(setting: &'static str, path: &Path) -> Result<Roots, TlsError> {
    let mut store = RootCertStore::empty();
    if path == Path::new(SYSTEM) {
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if store.is_empty() {
            let text = "the system has no certificates (package ca-certificates)";
            return Err(TlsError::new(setting, text));
        }
        return Ok(Roots { store, known: Vec::new() });
    }
    let known = certificates(setting, path)?;
    store.add_parsable_certificates(known.iter().cloned());
    if store.is_empty() {
        let text = format!("{} holds no certificate that can be a root", path.display());
        return Err(TlsError::new(setting, text));
    }
    Ok(Roots { store, known })
}

fn certificates(setting: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => {
            Err(TlsError::new(setting, format!("{} holds no certificate in PEM", path.display())))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(TlsError::new(setting, reason(path, "no certificates in PEM", &error))),
    }
}

fn reason(path: &Path, what: &str, error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => format!("cannot read {}: {error}", path.display()),
        // Nothing else of the error: it may quote the file.
        pem::Error::NoItemsFound => format!("{} holds {what}", path.display()),
        _ => format!("{} holds {what}: it is damaged", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn keys_that_others_may_read_are_warned_about() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("own.key");
        fs::write(&path, "").unwrap();
        let is_root = path.metadata().unwrap().uid() == 0;
        for (mode, warned) in
            [(0o600, false), (0o400, false), (0o640, !is_root), (0o660, true), (0o644, true)]
        {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let warning = exposure("client_tls_key_file", &path);
            assert_eq!(warning.is_some(), warned, "{mode:o} {warning:?}");
        }
        assert_eq!(exposure("client_tls_key_file", &dir.path().join("none")), None);
    }
}
