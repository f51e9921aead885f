//! Ways into Redis: users and passwords, certificates, sentinels; and what is said when one is barred.

use std::path::Path;

use pgprime_cache::{Cache, CacheConfig, ConfigError, Reach, RedisConfig, RedisReport, RedisState, Source};
use pgprime_cluster::{RedisServer, free_port};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::support::{LONG, Redis, get, redis_state, tables, until, until_up, until_up_by_use};

async fn connect(url: &str) -> Result<Cache, ConfigError> {
    let redis = RedisConfig {
        timeout: LONG,
        connect_timeout: LONG,
        pause_first: LONG,
        pause_max: LONG,
        ..RedisConfig::new(url)
    };
    Cache::connect(CacheConfig { redis: Some(redis), ..CacheConfig::default() }).await
}

async fn refused(url: &str) -> RedisReport {
    let cache = connect(url).await.unwrap();
    assert_eq!(redis_state(&cache), RedisState::Down, "{url}");
    assert_eq!(get(&cache, "1").await.bytes, "1");
    cache.snapshot().redis.unwrap()
}

/// What one instance stores and changes, another sees.
pub(crate) async fn works(url: &str) {
    let (one, other) = (connect(url).await.unwrap(), connect(url).await.unwrap());
    assert_eq!(redis_state(&one), RedisState::Up, "{:?}", one.snapshot().redis);
    let _ = one.invalidate_all().await;
    get(&one, &"value".repeat(2000)).await;
    assert_eq!(get(&other, "x").await.source, Source::Redis);
    assert_eq!(one.begin_write(&tables(&["t"])).await.committed().await, Reach::Everywhere);
    assert_eq!(get(&other, "new").await.bytes, "new");
    one.begin_write(&tables(&["t"])).await.rolled_back().await;
    assert_eq!(get(&one, "x").await.bytes, "new");
    let report = other.snapshot().redis.unwrap();
    assert_eq!((report.state, report.failures, report.trouble), (RedisState::Up, 0, None));
}

/// As the document has it.
pub(crate) const ALLOWED: &str = "~pgprime:* ~{pgprime}:* +select +info +time +evalsha +script|load +get +set +getrange \
                       +del +hget +hgetall +hlen +hset +hdel +pexpire";

fn without(lacking: &str) -> String {
    let is_kept = |word: &&str| word.strip_prefix('+') != Some(lacking);
    ALLOWED.split_whitespace().filter(is_kept).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_user_who_may_no_more_than_is_needed() {
    let redis = Redis::on_a_port(&[]);
    let allow = |words: &str| {
        let user = ["ACL", "SETUSER", "cache/er", "reset", "on", ">p,a:s@s#w%r d"].into_iter();
        redis.query::<()>(&user.chain(words.split_whitespace()).collect::<Vec<_>>());
    };
    allow(ALLOWED);
    let account = "cache%2Fer:p,a%3As%40s%23w%25r%20d";
    let port = redis.port();
    works(&format!("redis://{account}@127.0.0.1:{port}/3")).await;
    works(&format!("redis://{account}@127.0.0.1:{port}?protocol=resp3")).await;
    let socket = redis.url();
    works(&format!("{socket}?user=cache%2Fer&pass=p%2Ca%3As%40s%23w%25r%20d&db=2")).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "p,a:s@s#w%r d\n").unwrap();
    works(&format!("redis://cache%2Fer@127.0.0.1:{port}?password_file={}", file.path().display())).await;

    for lacking in ALLOWED.split_whitespace().filter_map(|word| word.strip_prefix('+')) {
        allow(&without(lacking));
        redis.query::<()>(&["FLUSHALL"]);
        redis.query::<()>(&["SCRIPT", "FLUSH"]);
        let cache = connect(&format!("redis://{account}@127.0.0.1:{port}/1")).await.unwrap();
        get(&cache, "1").await;
        get(&cache, "2").await;
        cache.begin_write(&tables(&["t"])).await.rolled_back().await;
        let _ = cache.invalidate_all().await;
        let trouble = cache.snapshot().redis.unwrap().trouble;
        assert!(
            trouble.as_ref().is_some_and(|text| text.contains("docs/cache.md")),
            "{lacking}: {trouble:?}"
        );
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_repeated() {
    let redis = Redis::on_a_port(&["--requirepass", "right"]);
    let port = redis.port();
    for account in ["", ":secret@", "nobody:secret@"] {
        let trouble = refused(&format!("redis://{account}127.0.0.1:{port}")).await.trouble.unwrap();
        assert!(trouble.contains("password") && !trouble.contains("secret"), "{trouble}");
    }
    let trouble = refused(&format!("redis://:right@127.0.0.1:{port}/99")).await.trouble.unwrap();
    assert!(trouble.contains("out of range") && !trouble.contains("right"), "{trouble}");
}

#[tokio::test]
async fn a_password_that_is_exchanged_in_its_file_is_used() {
    let mut redis = Redis::on_a_port(&["--requirepass", "new"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "old").unwrap();
    let url = format!("redis://127.0.0.1:{}?password_file={}", redis.port(), file.path().display());
    let config = CacheConfig { redis: Some(RedisConfig { url, ..redis.config() }), ..CacheConfig::default() };
    let cache = Cache::connect(config).await.unwrap();
    assert_ne!(redis_state(&cache), RedisState::Up);
    std::fs::write(file.path(), "new").unwrap();
    until_up(&cache).await;
    redis.kill();
}

#[tokio::test]
async fn a_command_that_is_renamed_is_missed_aloud() {
    for command in ["EVALSHA", "INFO"] {
        let redis = Redis::with(&["--rename-command", command, ""]);
        let trouble = refused(&redis.url()).await.trouble.unwrap();
        assert!(trouble.contains("docs/cache.md"), "{trouble}");
    }
}

/// Files in PEM: an authority's certificate, and certificates and keys by it.
struct Certificates {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Certificates {
    fn new() -> Certificates {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        std::fs::write(folder.path().join("ca.crt"), params.self_signed(&key).unwrap().pem()).unwrap();
        Certificates { folder, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, name: &str) {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.folder.path().join(format!("{name}.crt")), certificate.pem()).unwrap();
        std::fs::write(self.folder.path().join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn redis(&self, name: &str, clients: &str, others: &[&str]) -> (Redis, u16) {
        let port = free_port();
        let files =
            [self.file(&format!("{name}.crt")), self.file(&format!("{name}.key")), self.file("ca.crt")];
        let port_text = port.to_string();
        let options = [
            ["--tls-port", &port_text],
            ["--bind", "127.0.0.1"],
            ["--tls-auth-clients", clients],
            ["--tls-cert-file", &files[0]],
            ["--tls-key-file", &files[1]],
            ["--tls-ca-cert-file", &files[2]],
        ];
        (Redis::with(&[&options.concat(), others].concat()), port)
    }
}

#[tokio::test]
async fn certificates_of_ones_own_on_both_sides() {
    let certificates = Certificates::new();
    for name in ["localhost", "elsewhere", "client"] {
        certificates.issue(name);
    }
    let (_redis, port) = certificates.redis("localhost", "yes", &[]);
    let url = |roots: &str, rest: &str| format!("rediss://localhost:{port}?sslrootcert={roots}{rest}");
    let (roots, crt, key) =
        (certificates.file("ca.crt"), certificates.file("client.crt"), certificates.file("client.key"));
    let identity = format!("&sslcert={crt}&sslkey={key}");
    works(&url(&roots, &identity)).await;
    assert!(refused(&url("system", &identity)).await.trouble.unwrap().contains("ertificate"));
    assert!(refused(&url(&roots, "")).await.trouble.is_some(), "without a certificate of its own");

    let (_redis, port) = certificates.redis("elsewhere", "no", &[]);
    let trouble = refused(&format!("rediss://localhost:{port}?sslrootcert={roots}")).await.trouble.unwrap();
    assert!(trouble.contains("name"), "{trouble}");

    let nowhere = Path::new(&roots).with_file_name("nowhere.crt").display().to_string();
    for (bad, said) in [
        (format!("rediss://localhost:{port}?sslrootcert={nowhere}"), "nowhere.crt"),
        (format!("rediss://localhost:{port}?sslrootcert={key}"), "client.key"),
        (format!("rediss://localhost:{port}?sslcert={crt}"), "sslkey"),
        (format!("rediss://localhost:{port}#insecure"), "always verified"),
    ] {
        let error = connect(&bad).await.err().unwrap().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[tokio::test]
async fn a_cluster_over_tls() {
    let certificates = Certificates::new();
    certificates.issue("localhost");
    let (redis, port) =
        certificates.redis("localhost", "no", &["--cluster-enabled", "yes", "--tls-cluster", "yes"]);
    let slots: Vec<String> = (0..16384).map(|slot| slot.to_string()).collect();
    redis.query::<()>(
        &["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect::<Vec<_>>(),
    );
    until("the cluster is whole", || {
        redis.query::<String>(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
    })
    .await;
    works(&format!("rediss://localhost:{port}?sslrootcert={}", certificates.file("ca.crt"))).await;
}

#[tokio::test]
async fn sentinels_say_which_is_the_primary() {
    let (mut primary, replica) =
        (Redis::on_a_port(&["--requirepass", "s"]), Redis::on_a_port(&["--requirepass", "s"]));
    for one in [&primary, &replica] {
        one.authenticated::<()>("s", &["CONFIG", "SET", "masterauth", "s"]).unwrap();
    }
    replica.authenticated::<()>("s", &["REPLICAOF", "127.0.0.1", &primary.port().to_string()]).unwrap();
    let lines = format!(
        "sentinel monitor main 127.0.0.1 {} 1\nsentinel auth-pass main s\nsentinel down-after-milliseconds main 300\n\
         sentinel failover-timeout main 5000",
        primary.port()
    );
    let sentinel = free_port();
    let _sentinel = RedisServer::start_sentinel(sentinel, &lines).unwrap();
    let dead = free_port();
    let url = format!("redis+sentinel://:s@127.0.0.1:{dead},127.0.0.1:{sentinel}/main");
    works(&url).await;
    let trouble = refused(&url.replace("/main", "/other")).await.trouble.unwrap();
    assert!(trouble.contains("know no primary of this name"), "{trouble}");
    let trouble = refused(&format!("redis+sentinel://127.0.0.1:{dead}/main")).await.trouble.unwrap();
    assert!(trouble.contains("refused"), "{trouble}");

    let config = RedisConfig { url, ..primary.config() };
    let cache = Cache::connect(CacheConfig { redis: Some(config), ..CacheConfig::default() }).await.unwrap();
    let _ = cache.invalidate_all().await;
    get(&cache, "old").await;
    let says = |redis: &Redis, what: &str| {
        redis.authenticated::<String>("s", &["INFO", "replication"]).is_some_and(|info| info.contains(what))
    };
    until("the replica follows", || says(&replica, "master_link_status:up")).await;
    primary.kill();
    until("the replica is made the primary", || says(&replica, "role:master")).await;
    until_up_by_use(&cache).await;
    assert_eq!(get(&cache, "new").await.bytes, "new");
    assert_eq!(get(&cache, "x").await.bytes, "new");
}
