//! Versions of TLS and ciphers: how settings name them and how they are shown.

use rustls::{CipherSuite, CommonState, ProtocolVersion, SupportedProtocolVersion};

use super::TlsError;

/// The versions that a setting names, and a warning about those it names in vain.
#[derive(Debug)]
pub(super) struct Versions {
    pub(super) offered: Vec<&'static SupportedProtocolVersion>,
    pub(super) warning: Option<String>,
}

/// Reads `secure`, `all`, `legacy` or a list such as `tlsv1.2,tlsv1.3`.
pub(super) fn versions(setting: &'static str, text: &str) -> Result<Versions, TlsError> {
    let (mut has_12, mut has_13) = (false, false);
    let mut old = Vec::new();
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match word.to_ascii_lowercase().as_str() {
            "secure" | "all" | "legacy" => (has_12, has_13) = (true, true),
            "tlsv1.2" => has_12 = true,
            "tlsv1.3" => has_13 = true,
            "tlsv1.0" => old.push("tlsv1.0"),
            "tlsv1.1" => old.push("tlsv1.1"),
            _ => {
                let known = "expected secure, all, or a list of tlsv1.2 and tlsv1.3";
                return Err(TlsError::new(setting, known));
            }
        }
    }
    if !has_12 && !has_13 {
        let text = "names no version that is spoken: those are tlsv1.2 and tlsv1.3, secure stands for both";
        return Err(TlsError::new(setting, text));
    }
    let mut offered = Vec::new();
    if has_13 {
        offered.push(&rustls::version::TLS13);
    }
    if has_12 {
        offered.push(&rustls::version::TLS12);
    }
    let warning = (!old.is_empty())
        .then(|| format!("{setting}: {} is never spoken, as it is not safe", old.join(", ")));
    Ok(Versions { offered, warning })
}

/// Version and cipher of a session, as `SHOW CLIENTS` has them.
pub(super) fn shown(session: &CommonState) -> &'static str {
    let version = session.protocol_version();
    let suite = session.negotiated_cipher_suite().map(|suite| suite.suite());
    let known = SHOWN.iter().find(|known| Some(known.0) == version && Some(known.1) == suite);
    known.map_or("TLS", |known| known.2)
}

/// All that there is, so that no connection holds a text of its own.
const SHOWN: [(ProtocolVersion, CipherSuite, &str); 9] = {
    use CipherSuite as S;
    use ProtocolVersion::{TLSv1_2, TLSv1_3};
    [
        (TLSv1_3, S::TLS13_AES_256_GCM_SHA384, "TLSv1.3/TLS_AES_256_GCM_SHA384"),
        (TLSv1_3, S::TLS13_AES_128_GCM_SHA256, "TLSv1.3/TLS_AES_128_GCM_SHA256"),
        (TLSv1_3, S::TLS13_CHACHA20_POLY1305_SHA256, "TLSv1.3/TLS_CHACHA20_POLY1305_SHA256"),
        (TLSv1_2, S::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "TLSv1.2/ECDHE-ECDSA-AES256-GCM-SHA384"),
        (TLSv1_2, S::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "TLSv1.2/ECDHE-ECDSA-AES128-GCM-SHA256"),
        (TLSv1_2, S::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "TLSv1.2/ECDHE-ECDSA-CHACHA20-POLY1305"),
        (TLSv1_2, S::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "TLSv1.2/ECDHE-RSA-AES256-GCM-SHA384"),
        (TLSv1_2, S::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "TLSv1.2/ECDHE-RSA-AES128-GCM-SHA256"),
        (TLSv1_2, S::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "TLSv1.2/ECDHE-RSA-CHACHA20-POLY1305"),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_named_as_in_pgbouncer() {
        let check = |text: &str, offered: &[ProtocolVersion], warned: bool| {
            let found = versions("x", text).unwrap();
            let names: Vec<ProtocolVersion> = found.offered.iter().map(|offered| offered.version).collect();
            assert_eq!((names.as_slice(), found.warning.is_some()), (offered, warned), "{text}");
        };
        let both = [ProtocolVersion::TLSv1_3, ProtocolVersion::TLSv1_2];
        check("secure", &both, false);
        check("ALL", &both, false);
        check("legacy", &both, false);
        check("tlsv1.2, tlsv1.3", &both, false);
        check("tlsv1.3", &both[..1], false);
        check("tlsv1.2", &both[1..], false);
        check("tlsv1.0,tlsv1.1,tlsv1.2", &both[1..], true);
        for (text, expected) in [
            ("tlsv1.1", "x: names no version that is spoken"),
            ("", "x: names no version"),
            ("sslv3", "x: expected secure, all, or a list"),
        ] {
            let error = versions("x", text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
