//! Many connections at once, and such as say nothing.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{PATIENCE, Running, parse, start_with};

const EVENTS: &str = "/api/v1/monitoring/events";
/// Somebody waits for as long before taking pgprime for dead; headers may take longer.
const PROBE_MAX: Duration = Duration::from_secs(8);

/// A connection that begins a request and does not go on.
async fn begun(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// One that keeps its place: its body never ends.
async fn in_request(api: &Running) -> TcpStream {
    let head = "POST /api/v1/monitoring/analyze-query HTTP/1.1\r\ncontent-type: application/json\r\n\
                content-length: 1000\r\nexpect: 100-continue\r\n";
    let mut stream = begun(api.address, &format!("{head}host: {}\r\n\r\n", api.address)).await;
    let mut answer = vec![0; 25];
    // It is asked for when somebody reads it, which is after the request was taken.
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(String::from_utf8(answer).unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

/// Reads until the other end closes.
async fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // Closed with something unread it is a reset, which is an end as well.
    drop(read.expect("it ends"));
    bytes
}

/// Both ends of them are this process's.
fn allow_many_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_hundred_half_open_connections_keep_no_probe_out() {
    allow_many_files();
    let api = start_with("").await;
    let mut half_open = Vec::new();
    for number in 0..600 {
        let text = if number % 2 == 0 { "" } else { "GET /healthz HTTP/1.1\r\nhost: localho" };
        half_open.push(begun(api.address, text).await);
    }
    let began = Instant::now();
    let answer = api.get("/healthz").await;
    assert!(answer.status == 200 && began.elapsed() < PROBE_MAX, "{:?}: {answer:?}", began.elapsed());
    let began = Instant::now();
    api.end().await;
    assert!(began.elapsed() < PROBE_MAX, "{:?}: an end does not wait for them", began.elapsed());
}

#[tokio::test]
async fn streams_take_half_of_the_places_and_who_finds_none_waits() {
    let api = start_with("connections_max = 8").await;
    let mut taken = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(api.open(EVENTS, &[]).await);
    }
    assert!(streams.iter().all(|stream| stream.status() == 200));
    assert_eq!(api.get(EVENTS).await.status, 503, "half of the places are for those who ask and go");
    for _ in 0..4 {
        taken.push(in_request(&api).await);
    }
    let text = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let mut waiting = begun(api.address, text).await;
    let mut byte = [0];
    assert!(
        matches!(waiting.try_read(&mut byte), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock),
        "it is neither answered nor dropped"
    );
    assert_eq!(streams[0].event("live", |_| true).await["stale"], serde_json::Value::Null);
    drop(taken.pop());
    waiting.read_exact(&mut byte).await.unwrap();
    let answer = [&byte[..], &rest(waiting).await].concat();
    assert_eq!(parse(&answer).status, 200);
}

#[tokio::test(start_paused = true)]
async fn headers_that_do_not_end_and_silence_end_the_connection() {
    let api = start_with("").await;
    for text in ["", "GET /healthz HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: "] {
        let began = tokio::time::Instant::now();
        let answer = rest(begun(api.address, text).await).await;
        assert!(!String::from_utf8_lossy(&answer).contains("200"), "{text}");
        let took = began.elapsed();
        assert!(took >= Duration::from_secs(9) && took < Duration::from_secs(20), "{text}: {took:?}");
    }
    let whole = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let answer = rest(begun(api.address, whole).await).await;
    assert_eq!(parse(&answer).status, 200, "and nothing after it: an idle connection ends as well");
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let api = start_with("").await;
    let one = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let last = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answers = rest(begun(api.address, &format!("{one}{one}{last}")).await).await;
    assert_eq!(String::from_utf8_lossy(&answers).matches("HTTP/1.1 200 OK").count(), 3);
}
