//! The pgprime that runs, asked over its REST interface for what it alone knows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use pgprime_api::ApiConfig;
use pgprime_monitor::checklist::Running;
use serde::Deserialize;
use tokio::net::TcpStream;

const CHECKLIST: &str = "/api/v1/monitoring/checklist";
/// A checklist is gathered while somebody waits, within this.
const ANSWER_MAX: Duration = Duration::from_secs(90);
const CONNECT_MAX: Duration = Duration::from_secs(2);
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// Why it does not tell.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunningError {
    /// Nobody listens there.
    #[error("nothing answers at {url}: {source}")]
    Absent {
        /// Where.
        url: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Anything else, in words.
    #[error("the pgprime at {url} was not asked: {why}")]
    Silent {
        /// Where.
        url: String,
        /// Why not.
        why: String,
    },
}

/// What its checklist was judged by, as far as it matters here.
#[derive(Debug, Deserialize)]
pub(crate) struct Known {
    /// The name of the database that it watches.
    pub(crate) database: String,
    /// What only it knows; none of an older version.
    #[serde(default)]
    pub(crate) running: Option<Running>,
}

/// Where `[api]` has it listen, for a program on this machine.
pub(crate) fn url_of(api: &ApiConfig) -> String {
    let ip = match api.listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let scheme = if api.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{}", SocketAddr::new(ip, api.listen.port()))
}

/// Asks it. The token is one of `pgprime token`, where it wants one.
pub(crate) async fn ask(url: &str, token: Option<&str>) -> Result<Known, RunningError> {
    let silent = |why: String| RunningError::Silent { url: url.to_owned(), why };
    let uri: Uri = url.parse().map_err(|_| silent("this is no URL".to_owned()))?;
    let host = uri.host().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(|| {
        silent(format!("only http:// is asked from here; its dashboard tells, and so does GET {CHECKLIST}"))
    })?;
    let place = (host.trim_start_matches('[').trim_end_matches(']'), uri.port_u16().unwrap_or(80));
    let stream = tokio::time::timeout(CONNECT_MAX, TcpStream::connect(place)).await;
    let stream = stream.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    let stream = stream.map_err(|source| RunningError::Absent { url: url.to_owned(), source })?;
    let answer = tokio::time::timeout(ANSWER_MAX, exchange(stream, &uri, token)).await;
    let (status, body) = answer
        .map_err(|_| silent(format!("no answer within {} s", ANSWER_MAX.as_secs())))?
        .map_err(|error| silent(error.to_string()))?;
    match status {
        200 => serde_json::from_slice(&body).map_err(|_| silent("its answer is no checklist".to_owned())),
        401 | 403 => Err(silent("it wants a token: give PGPRIME_API_TOKEN (pgprime token NAME)".to_owned())),
        status => Err(silent(format!("it answers {status}{}", detail(&body)))),
    }
}

async fn exchange(
    stream: TcpStream,
    uri: &Uri,
    token: Option<&str>,
) -> Result<(u16, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driven = tokio::spawn(connection);
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let mut request = Request::get(CHECKLIST).header(header::HOST, authority);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let answer = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await?.to_bytes();
    driven.abort();
    Ok((status, body))
}

/// What a problem says.
fn detail(body: &[u8]) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str());
    detail.map_or_else(String::new, |detail| format!(": {detail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_is_for_this_machine() {
        let of =
            |listen: &str| url_of(&ApiConfig { listen: listen.parse().unwrap(), ..ApiConfig::default() });
        assert_eq!(of("127.0.0.1:8000"), "http://127.0.0.1:8000");
        assert_eq!(of("0.0.0.0:9000"), "http://127.0.0.1:9000");
        assert_eq!(of("[::]:9000"), "http://[::1]:9000");
    }

    #[test]
    fn what_is_unusable_says_so() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for (url, words) in [
            ("https://127.0.0.1:1", "only http://"),
            ("nonsense", "only http://"),
            ("http://127.0.0.1:1", "nothing answers"),
            (" ", "no URL"),
        ] {
            let said = runtime.block_on(ask(url, None)).unwrap_err().to_string();
            assert!(said.contains(words), "{url}: {said}");
        }
    }
}
