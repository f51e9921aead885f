//! A small HTTP server that answers as it is told, and what is delivered to it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::alerts::{Channel, ChannelKind, Channels, Secret, Sender, Severity};
use crate::health::{Check, Group, HealthReport, Status, Thresholds, Unit};

/// Longer than anything here takes; reached only by a failing test.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the server does with a request; the last goes on for ever.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Status(u16),
    Hang,
    Redirect(String),
    /// 403 with the path, the header and the body in the answer.
    Echo,
}

#[derive(Debug)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) head: String,
    pub(super) body: Value,
}

pub(super) struct Server {
    pub(super) url: String,
    asked: mpsc::UnboundedReceiver<Asked>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(super) async fn start(answers: Vec<Answer>) -> Self {
        Self::start_with(answers, None).await
    }

    pub(super) async fn start_with(mut answers: Vec<Answer>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https://localhost" } else { "http://127.0.0.1" };
        let url = format!("{scheme}:{}", listener.local_addr().unwrap().port());
        let (sender, asked) = mpsc::unbounded_channel();
        answers.reverse();
        let task = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                let answer = if answers.len() > 1 { answers.pop() } else { answers.last().cloned() };
                let answer = answer.unwrap_or(Answer::Status(200));
                if let Answer::Hang = answer {
                    held.push(stream);
                    continue;
                }
                match &tls {
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve(stream, answer, &sender).await;
                        }
                    }
                    None => serve(stream, answer, &sender).await,
                }
            }
        });
        Self { url, asked, task }
    }

    pub(super) async fn next(&mut self) -> Asked {
        tokio::time::timeout(PATIENCE, self.asked.recv()).await.expect("a request in time").unwrap()
    }

    /// Whether nothing has arrived so far.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.asked.try_recv().is_err()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    answer: Answer,
    asked: &mpsc::UnboundedSender<Asked>,
) {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    while bytes.len() < head_end + length.unwrap_or(0) {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let body = String::from_utf8_lossy(&bytes[head_end..]).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let (status, extra, said) = match answer {
        Answer::Status(status) => (status, String::new(), "said".to_owned()),
        Answer::Redirect(to) => (302, format!("Location: {to}\r\n"), String::new()),
        Answer::Echo => (403, String::new(), format!("no {head} {body}")),
        Answer::Hang => return,
    };
    let text = format!("HTTP/1.1 {status} X\r\n{extra}Content-Length: {}\r\n\r\n{said}", said.len());
    stream.write_all(text.as_bytes()).await.ok();
    stream.shutdown().await.ok();
    asked.send(Asked { path, head, body: serde_json::from_str(&body).unwrap_or(Value::Null) }).ok();
}

pub(super) fn channel(kind: ChannelKind, url: &str) -> Channel {
    Channel {
        name: "ops".to_owned(),
        kind,
        url: Secret::new(url),
        key: (kind == ChannelKind::Pagerduty).then(|| Secret::new("routing-key-1")),
        authorization: None,
        severity_min: Severity::Warning,
        repeat: Duration::from_secs(4 * 3_600),
        ca_file: None,
    }
}

pub(super) fn channels(channels: Vec<Channel>) -> Channels {
    let public_url = Some("https://db.example.com".to_owned());
    Channels {
        channels,
        sender: Sender { source: "insurance at db1".to_owned(), public_url },
        group_wait: Duration::ZERO,
    }
}

pub(super) fn report(at: Timestamp, statuses: &[(&str, Status, f64)]) -> HealthReport {
    let check = |(id, status, value): &(&str, Status, f64)| Check {
        id: (*id).to_owned(),
        group: Group::Connections,
        title: "Connections in use".to_owned(),
        status: *status,
        value: Some(*value),
        unit: Unit::Percent,
        thresholds: Some(Thresholds { warning: 80.0, critical: 90.0 }),
        text: format!("{value} of 100 connections are in use"),
        trend: None,
        action: Some("find out <who> holds them & why".to_owned()),
        statement: Some("SELECT usename, count(*) FROM pg_stat_activity GROUP BY 1".to_owned()),
        details: Vec::new(),
        is_tentative: false,
    };
    HealthReport {
        taken_at: at,
        status: Status::Ok,
        server_version: None,
        in_recovery: None,
        took_ms: 1.0,
        checks: statuses.iter().map(check).collect(),
        missing: Vec::new(),
    }
}
