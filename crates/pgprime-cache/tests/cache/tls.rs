//! TLS to Redis.

use std::process::Command;

use pgprime_cache::{Cache, CacheConfig, RedisConfig, RedisState, Source};

use crate::support::{LONG, Redis, get, redis_state};

/// Tells this test, run again in a process of its own, where to connect to.
const URL: &str = "PGPRIME_CACHE_TEST_TLS_URL";

async fn connect(url: String) -> Cache {
    let redis = RedisConfig { timeout: LONG, connect_timeout: LONG, ..RedisConfig::new(url) };
    Cache::connect(CacheConfig { redis: Some(redis), ..CacheConfig::default() }).await.unwrap()
}

#[tokio::test]
async fn certificates_are_checked_against_the_systems() {
    if let Ok(url) = std::env::var(URL) {
        let (one, other) = (connect(url.clone()).await, connect(url).await);
        assert_eq!(redis_state(&one), RedisState::Up);
        get(&one, "value").await;
        assert_eq!(get(&other, "x").await.source, Source::Redis);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let port = pgprime_cluster::free_port().to_string();
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let _redis = Redis::with(&[
        "--bind",
        "127.0.0.1",
        "--tls-port",
        &port,
        "--tls-auth-clients",
        "no",
        "--tls-cert-file",
        certificate,
        "--tls-key-file",
        key,
        "--tls-ca-cert-file",
        certificate,
    ]);
    let url = format!("rediss://localhost:{port}");
    assert_ne!(redis_state(&connect(url.clone()).await), RedisState::Up, "nobody knows this certificate");
    // What the system trusts is read from the environment, which is not to be changed in a process with threads.
    let trusting = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tls::certificates_are_checked_against_the_systems"])
        .env(URL, &url)
        .env("SSL_CERT_FILE", certificate)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&trusting.stdout);
    assert!(trusting.status.success() && said.contains("1 passed"), "{said}");
}
