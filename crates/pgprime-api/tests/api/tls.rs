//! HTTPS.

use std::sync::Arc;

use pgprime_api::{Api, ApiConfig};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::{parse, serve, services};

#[tokio::test]
async fn https_is_served_and_an_unfinished_handshake_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let lines = format!(
        "listen = '127.0.0.1:0'\ntls = {{ certificate = '{}', key = '{}' }}",
        certificate.display(),
        key.display()
    );
    let api = serve(Api::bind(ApiConfig::from_toml(&lines).unwrap(), services().await).await.unwrap());
    let _idle = TcpStream::connect(api.address).await.unwrap();

    let answer = ask(api.address, made.cert.der().clone()).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("loopback"), "{}", answer.body);
}

async fn ask(address: std::net::SocketAddr, root: CertificateDer<'static>) -> crate::support::Answer {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let request = "GET /api/v1/session HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    // A server may close without TLS' own end.
    drop(stream.read_to_end(&mut bytes).await);
    parse(&bytes)
}

#[tokio::test]
async fn a_key_that_is_none_says_which_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("empty.pem");
    std::fs::write(&file, "").unwrap();
    let lines =
        format!("tls = {{ certificate = '{0}', key = '{0}' }}\nlisten = '127.0.0.1:0'", file.display());
    let Err(error) = Api::bind(ApiConfig::from_toml(&lines).unwrap(), services().await).await else {
        panic!("it has started")
    };
    assert!(error.to_string().contains("empty.pem"), "{error}");
}
