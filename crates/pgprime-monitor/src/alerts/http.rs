//! One HTTP request, with limits on time and size. Redirects are not followed: what was written is where it goes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, Uri, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::secret::Secret;

/// Of an answer, to say what is wrong.
const ANSWER_BYTES_MAX: usize = 8 << 10;
const ANSWER_CHARS_SHOWN: usize = 200;

/// Why a request did not do what it should; holds neither URL nor key.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("the url is no URL with http:// or https://, a host, and no user or password")]
    Url,
    #[error("certificates: {0}")]
    Certificates(String),
    #[error("cannot {step}: {reason}")]
    Connection { step: &'static str, reason: String },
    #[error("no answer within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    #[error("the answer was {status}{}{said}", if said.is_empty() { "" } else { ": " })]
    Refused { status: u16, said: String },
}

impl HttpError {
    /// Whether the same request may work later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Url | Self::Certificates(_) => false,
            Self::Connection { .. } | Self::Timeout(_) => true,
            Self::Refused { status, .. } => *status >= 500 || matches!(status, 408 | 425 | 429),
        }
    }
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub(super) struct Target {
    is_tls: bool,
    host: String,
    port: u16,
    /// With the host, for the header.
    authority: String,
    path: String,
}

impl Target {
    /// Takes a URL apart.
    pub(super) fn parse(url: &Secret) -> Result<Self, HttpError> {
        let uri: Uri = url.expose().parse().map_err(|_| HttpError::Url)?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(HttpError::Url),
        };
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let authority = authority.ok_or(HttpError::Url)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(HttpError::Url);
        }
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { is_tls, host, port, authority: authority.as_str().to_owned(), path })
    }

    /// The same place with another path, unless it has one already that ends so.
    pub(super) fn with_path(mut self, end: &str) -> Self {
        if !self.path.ends_with(end) {
            self.path = format!("{}{end}", self.path.trim_end_matches('/'));
        }
        self
    }
}

/// TLS with the certificates of a file, or else those that the system trusts.
pub(super) fn tls(ca_file: Option<&Path>) -> Result<TlsConnector, HttpError> {
    let mut roots = RootCertStore::empty();
    let wrong = |reason: String| HttpError::Certificates(reason);
    match ca_file {
        Some(file) => {
            let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let found = read.map_err(|error| wrong(format!("{}: {error}", file.display())))?;
            if roots.add_parsable_certificates(found).0 == 0 {
                return Err(wrong(format!("{} holds none", file.display())));
            }
        }
        // Those that cannot be read are none that would be trusted: the handshake says so.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Sends JSON and waits for the answer; any status of success will do.
pub(super) async fn post(
    target: &Target,
    tls: &TlsConnector,
    authorization: Option<&Secret>,
    body: Vec<u8>,
    timeout: Duration,
) -> Result<(), HttpError> {
    let exchange = async {
        let stream = TcpStream::connect((target.host.as_str(), target.port));
        let stream = stream.await.map_err(|error| failed("connect", &error))?;
        if !target.is_tls {
            return exchange(TokioIo::new(stream), target, authorization, body).await;
        }
        let name = ServerName::try_from(target.host.clone()).map_err(|_| HttpError::Url)?;
        let stream = tls.connect(name, stream).await.map_err(|error| failed("set up TLS", &error))?;
        exchange(TokioIo::new(stream), target, authorization, body).await
    };
    tokio::time::timeout(timeout, exchange).await.unwrap_or(Err(HttpError::Timeout(timeout)))
}

async fn exchange<T>(
    io: TokioIo<T>,
    target: &Target,
    authorization: Option<&Secret>,
    body: Vec<u8>,
) -> Result<(), HttpError>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(&target.path)
        .header(header::HOST, &target.authority)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("pgprime/", env!("CARGO_PKG_VERSION")));
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization.expose());
    }
    let request = request.body(Full::new(Bytes::from(body))).map_err(|_| HttpError::Url)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(io).await.map_err(|error| failed("speak HTTP", &error))?;
    // Ends with this function, whatever happens.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = sender.send_request(request).await.map_err(|error| failed("send the request", &error))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let read = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    let said = read.map(|body| printable(&body.to_bytes())).unwrap_or_default();
    Err(HttpError::Refused { status: status.as_u16(), said })
}

fn failed(step: &'static str, error: &dyn std::error::Error) -> HttpError {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    HttpError::Connection { step, reason }
}

/// The start of an answer in one line.
fn printable(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|character| !character.is_control()).take(ANSWER_CHARS_SHOWN).collect()
}
