//! A running interface on a shared cluster, and a plain HTTP client.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use pgprime_api::{Api, ApiConfig, LazyDatabase, Services};
use pgprime_client::DatabaseConfig;
use pgprime_cluster::{Cluster, ClusterOptions, SharedCluster};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) mod world;

/// What has not happened by then does not happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

static CLUSTER: SharedCluster = SharedCluster::new(|| {
    ClusterOptions::default()
        .with_setting("max_connections", "200")
        .with_setting("shared_preload_libraries", "pg_stat_statements")
});
static READY: LazyLock<&'static Cluster> = LazyLock::new(|| {
    let cluster = CLUSTER.cluster();
    let sql = "CREATE EXTENSION pg_stat_statements; CREATE TABLE quotes (id bigint PRIMARY KEY, status text, premium numeric); \
               INSERT INTO quotes SELECT n, 'open', n FROM generate_series(1, 1000) n; ANALYZE quotes";
    cluster.primary().psql("postgres", sql).expect("the schema is made");
    cluster
});

/// The cluster that all tests share.
pub(crate) fn cluster() -> &'static Cluster {
    &READY
}

/// A running interface; it ends with this.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    end: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub(crate) async fn services() -> Services {
    Services::new(LazyDatabase::new(config()), "test")
}

pub(crate) fn config() -> DatabaseConfig {
    let mut config = DatabaseConfig::new(cluster().primary().url("postgres"));
    config.max_connections = Some(20);
    config.pool_max = Some(2);
    config.admin.size = Some(4);
    config
}

/// An interface that anybody on this machine may use.
pub(crate) async fn start() -> Running {
    start_with("").await
}

/// One with these lines in `[api]`.
pub(crate) async fn start_with(lines: &str) -> Running {
    let config = ApiConfig::from_toml(&format!("listen = '127.0.0.1:0'\n{lines}")).unwrap();
    serve(Api::bind(config, services().await).await.unwrap())
}

pub(crate) fn serve(api: Api) -> Running {
    let address = api.address();
    let (end, ended) = oneshot::channel::<()>();
    let served = tokio::spawn(api.serve(async move { drop(ended.await) }));
    Running { address, end, served }
}

impl Running {
    /// Ends it and waits until it has.
    pub(crate) async fn end(self) {
        drop(self.end);
        self.served.await.unwrap();
    }

    /// A request whose answer goes on.
    pub(crate) async fn open(&self, path: &str, headers: &[(&str, &str)]) -> Stream {
        let mut text = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n", self.address);
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(format!("{text}\r\n").as_bytes()).await.unwrap();
        let mut stream = Stream { socket, text: String::new() };
        while !stream.text.contains("\r\n\r\n") {
            assert!(stream.read().await, "no answer: {:?}", stream.text);
        }
        stream
    }

    /// Sends these bytes and reads one answer, whose length is said or which ends with the connection.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // It may be refused before all of it is sent, and closed with the rest unread.
        drop(stream.write_all(bytes).await);
        let mut answer = Vec::new();
        while !is_whole(&answer) && stream.read_buf(&mut answer).await.is_ok_and(|count| count > 0) {}
        parse(&answer)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body).await
    }

    /// Sends a request with these headers and reads the whole answer.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut text =
            format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "host") {
            text += &format!("host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(format!("{text}\r\n{body}").as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        parse(&bytes)
    }
}

/// An answer that goes on.
pub(crate) struct Stream {
    socket: TcpStream,
    /// What has come so far, chunks and all.
    pub(crate) text: String,
}

impl Stream {
    pub(crate) fn status(&self) -> u16 {
        self.text.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Reads some more; `false` at the end.
    async fn read(&mut self) -> bool {
        let mut bytes = vec![0; 16_384];
        let count = self.socket.read(&mut bytes).await.unwrap();
        self.text.push_str(&String::from_utf8_lossy(&bytes[..count]));
        count > 0
    }

    /// Reads until an event of this name is whole that is as wanted.
    pub(crate) async fn event(&mut self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let read = async {
            loop {
                if let Some(found) = self.events(name).into_iter().find(&wanted) {
                    return found;
                }
                assert!(self.read().await, "the stream has ended: {}", self.text);
            }
        };
        tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("no event {name}"))
    }

    fn events(&self, name: &str) -> Vec<Value> {
        let (_, body) = self.text.split_once("\r\n\r\n").unwrap();
        let text = unchunked(body);
        let wanted = format!("event: {name}\ndata: ");
        let whole = text.split("\n\n").filter_map(|event| event.strip_prefix(wanted.as_str()));
        // The last one may be cut.
        whole.filter_map(|data| serde_json::from_str(data).ok()).collect()
    }

    /// Reads to the end.
    pub(crate) async fn rest(&mut self) -> &str {
        tokio::time::timeout(PATIENCE, async { while self.read().await {} }).await.expect("it ends");
        &self.text
    }
}

fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_some_and(|length| body.len() >= length.parse().unwrap())
}

pub(crate) fn parse(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header =
        |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers: Vec<_> = lines.filter_map(header).collect();
    let is_chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let is_text = !headers.iter().any(|(name, _)| name == "content-encoding");
    let body = if is_chunked && is_text { unchunked(body) } else { body.to_owned() };
    Answer { status, headers, body }
}

fn unchunked(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, more)) = rest.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size, 16) else { break };
        if size == 0 {
            break;
        }
        let Some(chunk) = more.get(..size) else { break };
        body += chunk;
        rest = more.get(size + 2..).unwrap_or_default();
    }
    body
}
