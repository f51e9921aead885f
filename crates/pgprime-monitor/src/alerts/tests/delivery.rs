//! Messages on their way, to a server that answers as it is told.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use super::support::{Answer, Server, channel, channels, report};
use crate::alerts::{
    AlertCenter, AlertSettings, Channel, ChannelKind, Rule, Secret, Severity, test_delivery,
};
use crate::health::Status;

const CHECK: &str = "connections.used";

fn settings(channels: Vec<Channel>) -> AlertSettings {
    let mut rule = Rule::new(CHECK, Severity::Critical, Duration::ZERO);
    rule.clear_after = Duration::ZERO;
    AlertSettings { rules: vec![rule], channels: super::support::channels(channels) }
}

fn round(center: &AlertCenter, status: Status) {
    let value = if status == Status::Critical { 95.0 } else { 50.0 };
    let now = Timestamp::now();
    center.round(now, &report(now, &[(CHECK, status, value)]));
}

fn start(settings: AlertSettings, file: Option<&std::path::Path>) -> AlertCenter {
    AlertCenter::start_with(settings, file, Timestamp::now(), Duration::from_millis(500)).unwrap()
}

#[tokio::test]
async fn what_fails_is_sent_again_and_in_order() {
    let mut server = Server::start(vec![Answer::Status(500), Answer::Status(200)]).await;
    let center = start(settings(vec![channel(ChannelKind::Webhook, &server.url)]), None);
    round(&center, Status::Critical);
    let (first, second) = (server.next().await, server.next().await);
    assert_eq!(first.body["alerts"], second.body["alerts"], "the same once more");
    assert_eq!(second.body["alerts"][0]["event"], "fired");
    round(&center, Status::Ok);
    let third = server.next().await;
    assert_eq!(
        (&third.body["status"], &third.body["alerts"][0]["event"]),
        (&"resolved".into(), &"resolved".into())
    );
    center.end().await;
    let view = center.view();
    assert_eq!((view.firing.len(), view.history.len()), (0, 1));
    assert!(view.channels[0].last_delivery.as_ref().unwrap().ok);
}

#[tokio::test]
async fn a_channel_that_hangs_holds_up_neither_rounds_nor_others() {
    let hanging = Server::start(vec![Answer::Hang]).await;
    let mut well = Server::start(vec![]).await;
    let mut other = channel(ChannelKind::Slack, &well.url);
    other.name = "other".to_owned();
    let mut changes = {
        let center = start(settings(vec![channel(ChannelKind::Webhook, &hanging.url), other]), None);
        let mut changes = center.subscribe();
        round(&center, Status::Critical);
        assert!(
            well.next().await.body["text"].as_str().unwrap().starts_with("[critical] insurance at db1: ")
        );
        assert_eq!(changes.try_recv().unwrap().alert.check, CHECK);
        center.end().await;
        let hung = center.view().channels[0].clone();
        assert_eq!((hung.waiting, hung.lost), (1, 0), "kept for later");
        assert_eq!(hung.last_delivery.unwrap().detail, "no answer within 0.5 s");
        changes
    };
    assert!(changes.try_recv().is_err());
}

#[tokio::test]
async fn a_restart_sends_what_was_not_heard_and_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alerts.db");
    let mut server = Server::start(vec![]).await;
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    // Heard by nobody at first.
    let center = start(settings(vec![channel(ChannelKind::Webhook, &gone)]), Some(&file));
    round(&center, Status::Critical);
    center.end().await;
    let since = center.view().firing[0].since;
    drop(center);
    let here = || settings(vec![channel(ChannelKind::Webhook, &server.url)]);
    let (second, third) = (here(), here());
    let center = start(second, Some(&file));
    let asked = server.next().await;
    assert_eq!(asked.body["alerts"][0]["since"], serde_json::json!(since));
    center.end().await;
    drop(center);
    // Heard: a third process says only that it is over.
    let center = start(third, Some(&file));
    round(&center, Status::Critical);
    round(&center, Status::Ok);
    let asked = server.next().await;
    assert_eq!(asked.body["status"], "resolved");
    center.end().await;
    assert!(server.is_quiet());
    drop(center);
    let center = start(settings(vec![]), Some(&file));
    assert_eq!(center.view().history[0].since, since, "the history is kept");
}

#[tokio::test]
async fn redirects_are_refused_and_secrets_stay_hidden() {
    let elsewhere = Server::start(vec![]).await;
    let redirecting = Server::start(vec![Answer::Redirect(elsewhere.url.clone())]).await;
    let echoing = Server::start(vec![Answer::Echo]).await;
    let mut echo = channel(ChannelKind::Pagerduty, &format!("{}/hook/T0SECRET00", echoing.url));
    echo.key = Some(Secret::new("K3Y-very-secret"));
    echo.authorization = Some(Secret::new("Bearer t0ken-secret"));
    let all = channels(vec![channel(ChannelKind::Webhook, &redirecting.url), echo]);
    let deliveries = test_delivery(&all).await;
    assert_eq!(deliveries[0].detail, "the answer was 302");
    assert!(deliveries[1].detail.starts_with("the answer was 403: no POST /hook/(hidden)"), "{deliveries:?}");
    let shown = format!("{deliveries:?} {all:?} {}", serde_json::to_string(&deliveries).unwrap());
    for secret in ["T0SECRET00", "very-secret", "t0ken-secret"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let mut elsewhere = elsewhere;
    assert!(elsewhere.is_quiet());
}

#[tokio::test]
async fn a_test_says_what_is_wrong_with_each_channel() {
    let mut server = Server::start(vec![]).await;
    let mut alertmanager = channel(ChannelKind::Alertmanager, &format!("{}/am/", server.url));
    alertmanager.authorization = Some(Secret::new("Basic dXNlcg=="));
    let closed = channel(ChannelKind::Webhook, "http://127.0.0.1:1/");
    let deliveries = test_delivery(&channels(vec![alertmanager, closed])).await;
    assert!(deliveries[0].ok && deliveries[0].detail == "delivered", "{deliveries:?}");
    assert!(!deliveries[1].ok && deliveries[1].detail.starts_with("cannot connect: "), "{deliveries:?}");
    let asked = server.next().await;
    assert_eq!(asked.path, "/am/api/v2/alerts");
    assert!(asked.head.to_lowercase().contains("authorization: basic dxnlcg=="), "{}", asked.head);
    assert_eq!(asked.body[0]["labels"]["alertname"], "test");
}

#[tokio::test]
async fn certificates_are_checked() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let mut server = Server::start_with(vec![], Some(TlsAcceptor::from(Arc::new(config)))).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, made.cert.pem()).unwrap();
    let trusting = Channel { ca_file: Some(file), ..channel(ChannelKind::Webhook, &server.url) };
    let doubting = channel(ChannelKind::Webhook, &server.url);
    let lost = Channel { ca_file: Some(folder.path().join("none.pem")), ..doubting.clone() };
    let deliveries = test_delivery(&channels(vec![trusting, doubting, lost])).await;
    assert!(deliveries[0].ok, "{deliveries:?}");
    assert_eq!(server.next().await.body["version"], 1);
    assert!(
        deliveries[1].detail.starts_with("cannot set up TLS: invalid peer certificate"),
        "{deliveries:?}"
    );
    assert!(deliveries[2].detail.starts_with("certificates: "), "{deliveries:?}");
}
