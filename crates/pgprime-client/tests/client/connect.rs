//! One connection outside any pool: TLS in all its modes, logins, and what errors say.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use pgprime_client::{ConnectError, Database, DatabaseConfig, connect};
use pgprime_cluster::{Cluster, ClusterOptions, Node, SharedCluster};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

static CLUSTER: SharedCluster = SharedCluster::new(|| {
    ClusterOptions::default().with_setting("wal_level", "logical").with_hba([
        "local all all trust",
        "hostssl all only_tls 127.0.0.1/32 trust",
        "hostnossl all only_plain 127.0.0.1/32 trust",
        "hostssl all certified 127.0.0.1/32 cert",
        "host all with_password 127.0.0.1/32 scram-sha-256",
        "host all refused 127.0.0.1/32 reject",
        "host all postgres 127.0.0.1/32 trust",
    ])
});

const TIMEOUT: Duration = Duration::from_secs(20);

/// Files for TLS: the authority that signed the server's certificate, another one, and a client's certificate.
pub(crate) struct Tls {
    pub(crate) node: &'static Node,
    folder: PathBuf,
}

impl Tls {
    /// The server has a certificate for the name `db.example` only.
    pub(crate) fn get() -> &'static Self {
        static TLS: OnceLock<Tls> = OnceLock::new();
        TLS.get_or_init(|| Self::set_up(CLUSTER.cluster()))
    }

    fn set_up(cluster: &'static Cluster) -> Self {
        let node = cluster.primary();
        let data = PathBuf::from(node.psql("postgres", "SHOW data_directory").unwrap());
        let owner = fs::metadata(&data).unwrap();
        let folder = cluster.dir().join("tls");
        fs::create_dir(&folder).unwrap();
        let (authority, issuer) = authority("pgprime test authority");
        let (other, _) = authority_of_nobody();
        let (server, server_key) = signed("db.example", "db.example", &issuer);
        let (client, client_key) = signed("certified", "client.example", &issuer);
        for (name, text) in [
            ("ca.crt", authority),
            ("other.crt", other),
            ("server.crt", server),
            ("server.key", server_key),
            ("client.crt", client),
            ("client.key", client_key),
        ] {
            let path = folder.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            if name.starts_with("server") || name == "ca.crt" {
                chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
            }
        }
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        // Who runs the cluster removes its folder.
        chown(&folder, Some(owner.uid()), Some(owner.gid())).unwrap();
        let file = |name: &str| folder.join(name).display().to_string();
        let roles = ["only_tls", "only_plain", "certified", "with_password", "refused"];
        let roles = roles.map(|role| format!("CREATE ROLE {role} LOGIN PASSWORD 'right password';")).concat();
        // Version 13 stores MD5 unless told otherwise.
        let roles = format!("SET password_encryption = 'scram-sha-256'; {roles}");
        let settings = format!(
            "ALTER SYSTEM SET ssl_cert_file = '{}'; ALTER SYSTEM SET ssl_key_file = '{}'; \
             ALTER SYSTEM SET ssl_ca_file = '{}'; ALTER SYSTEM SET ssl = on;",
            file("server.crt"),
            file("server.key"),
            file("ca.crt")
        );
        // ALTER SYSTEM runs in no transaction, so each is a command of its own.
        node.psql("postgres", &format!("{roles}\n{}", settings.replace("; ", ";\n"))).unwrap();
        node.reload().unwrap();
        Self { node, folder }
    }

    pub(crate) fn cluster(&self) -> &'static Cluster {
        CLUSTER.cluster()
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Connects by keywords; whether the session is encrypted.
    async fn connect(&self, user: &str, parameters: &str) -> Result<bool, ConnectError> {
        let text = format!(
            "host=127.0.0.1 port={} user={user} dbname=postgres password='right password' {parameters}",
            self.node.port()
        );
        let client = connect(&text, TIMEOUT).await?.client;
        let row = client.query_one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[]).await;
        Ok(row.unwrap().get(0))
    }
}

fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), Issuer::new(params, key))
}

fn authority_of_nobody() -> (String, Issuer<'static, KeyPair>) {
    authority("another authority")
}

fn signed(common_name: &str, host: &str, issuer: &Issuer<'_, KeyPair>) -> (String, String) {
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    (certificate.pem(), key.serialize_pem())
}

#[tokio::test]
async fn tls_modes_mean_what_they_mean_to_libpq() {
    let tls = Tls::get();
    let (ca, other, server) = (tls.file("ca.crt"), tls.file("other.crt"), tls.file("server.crt"));
    let encrypted = Ok(true);
    let plain = Ok(false);
    let rejected = |text: &str| Err(text.to_owned());
    for (user, parameters, expected) in [
        ("postgres", "".to_owned(), encrypted.clone()),
        ("postgres", "sslmode=disable".to_owned(), plain.clone()),
        ("postgres", "sslmode=allow".to_owned(), plain.clone()),
        ("postgres", "sslmode=prefer".to_owned(), encrypted.clone()),
        ("postgres", "sslmode=require".to_owned(), encrypted.clone()),
        // The server decides, and the other way is tried.
        ("only_tls", "sslmode=allow".to_owned(), encrypted.clone()),
        ("only_tls", "sslmode=disable".to_owned(), rejected("no pg_hba.conf entry")),
        ("only_plain", "sslmode=prefer".to_owned(), plain),
        ("only_plain", "sslmode=require".to_owned(), rejected("no pg_hba.conf entry")),
        // Who signed it.
        ("postgres", format!("sslmode=verify-ca sslrootcert={ca}"), encrypted.clone()),
        (
            "postgres",
            format!("sslmode=verify-ca sslrootcert={other}"),
            rejected("TLS: invalid peer certificate"),
        ),
        (
            "postgres",
            format!("sslmode=require sslrootcert={other}"),
            rejected("TLS: invalid peer certificate"),
        ),
        ("postgres", format!("sslmode=prefer sslrootcert={other}"), encrypted.clone()),
        // The system's authorities, where there are any, have not signed it.
        ("postgres", "sslmode=verify-full".to_owned(), rejected("")),
        // Whose it is.
        ("postgres", format!("sslmode=verify-full sslrootcert={ca}"), rejected("not valid for name")),
        (
            "postgres",
            format!("host=db.example hostaddr=127.0.0.1 sslmode=verify-full sslrootcert={ca}"),
            encrypted.clone(),
        ),
        // The very certificate is trusted.
        ("postgres", format!("sslmode=verify-ca sslrootcert={server}"), encrypted.clone()),
        (
            "postgres",
            "sslmode=verify-ca sslrootcert=/nowhere".to_owned(),
            rejected("sslrootcert: cannot read /nowhere"),
        ),
        // The client's own.
        (
            "certified",
            format!("sslcert={} sslkey={}", tls.file("client.crt"), tls.file("client.key")),
            encrypted,
        ),
        ("certified", "sslmode=require".to_owned(), rejected("")),
    ] {
        let found = tls.connect(user, &parameters).await;
        let same = match (&found, &expected) {
            (Ok(found), Ok(expected)) => found == expected,
            (Err(found @ ConnectError::Rejected { .. }), Err(expected)) => {
                found.to_string().contains(expected.as_str())
            }
            _ => false,
        };
        assert!(same, "{user} {parameters}: {found:?}, expected {expected:?}");
    }
}

#[tokio::test]
async fn refused_logins_say_why_and_keep_the_password() {
    let tls = Tls::get();
    for (user, parameters, sqlstate, reason) in [
        ("with_password", "password=wrong_secret", "28P01", "password authentication failed"),
        ("refused", "", "28000", "pg_hba.conf rejects connection"),
        ("postgres", "dbname=nowhere", "3D000", "database \"nowhere\" does not exist"),
        ("postgres", "options='-c no_such_setting=1'", "42704", "no_such_setting"),
    ] {
        let error = tls.connect(user, parameters).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, ConnectError::Rejected { .. }), "{error:?}");
        assert_eq!(error.sqlstate(), sqlstate, "{text}");
        assert!(text.starts_with("login to 127.0.0.1:") && text.contains(reason), "{text}");
        assert!(!text.contains("secret") && !text.contains("right password"), "{text}");
    }
    assert_eq!(tls.connect("with_password", "").await.ok(), Some(true));
}

#[tokio::test]
async fn hosts_are_tried_in_turn() {
    let node = Tls::get().node;
    let (port, dead) = (node.port(), pgprime_cluster::free_port());
    let ask = |url: String| async move {
        let client = connect(&url, TIMEOUT).await?.client;
        Ok::<String, ConnectError>(
            client.query_one("SELECT current_setting('application_name')", &[]).await.unwrap().get(0),
        )
    };
    let name = ask(format!("postgres://postgres@127.0.0.1:{dead},127.0.0.1:{port}/postgres")).await.unwrap();
    assert_eq!(name, "pgprime-client");
    let name = ask(format!(
        "postgres://postgres@127.0.0.1:{port}/postgres?application_name=mine&target_session_attrs=primary"
    ));
    assert_eq!(name.await.unwrap(), "mine");
    ask(node.socket_url("postgres") + "&sslmode=require").await.unwrap();
    let error = ask(format!("postgres://postgres@127.0.0.1:{port}/postgres?target_session_attrs=standby"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("the server is the primary"), "{error}");
    let error = ask(format!("postgres://u:secret@127.0.0.1:{dead}/d")).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().starts_with(&format!("connect to 127.0.0.1:{dead}/d as u: ")), "{error}");
    let error = ask("postgres://u:secret@h/d?sslmode=secret".to_owned()).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Rejected { .. }) && !error.to_string().contains("secret"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = format!("postgres://u@127.0.0.1:{port}/d");
    let error = connect(&url, Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("no answer within"), "{error}");
}

#[tokio::test]
async fn a_pool_cancels_over_tls() {
    let tls = Tls::get();
    let url = format!(
        "host=db.example hostaddr=127.0.0.1 port={} user=only_tls dbname=postgres sslmode=verify-full sslrootcert={}",
        tls.node.port(),
        tls.file("ca.crt")
    );
    let mut config = DatabaseConfig::new(url);
    (config.pool_min, config.pool_max) = (Some(1), Some(1));
    let database = Database::connect(config).await.unwrap();
    let main = database.main();
    let pid = async || main.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get::<_, i32>(0);
    let before = pid().await;
    let sleep = main.query("SELECT pg_sleep(600)", &[]);
    assert!(tokio::time::timeout(Duration::from_millis(100), sleep).await.is_err());
    // The only connection is the same one, free again.
    assert_eq!(pid().await, before);
    database.close().await;
}
