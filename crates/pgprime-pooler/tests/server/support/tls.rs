//! Certificates, clients of TLS, and a cluster that speaks it.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};

use pgprime_cluster::{Cluster, ClusterOptions, SharedCluster};
use pgprime_wire::startup;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{PATIENCE, Raw, TestPooler};

/// Files in PEM: an authority and what it has signed, and another one.
#[derive(Debug)]
pub(crate) struct Files {
    dir: PathBuf,
}

/// An authority with its key.
pub(crate) type Authority = Issuer<'static, KeyPair>;

static CLUSTER: SharedCluster = SharedCluster::new(|| {
    ClusterOptions::default().with_setting("max_connections", "300").with_hba([
        "local all all trust",
        "hostssl all only_tls 127.0.0.1/32 trust",
        "hostnossl all only_plain 127.0.0.1/32 trust",
        "hostssl all certified 127.0.0.1/32 cert",
        "host all scrammed 127.0.0.1/32 scram-sha-256",
        "host all app 127.0.0.1/32 trust",
    ])
});
static READY: LazyLock<(&'static Cluster, Files)> = LazyLock::new(|| {
    let cluster = CLUSTER.cluster();
    let dir = cluster.dir().join("tls");
    fs::create_dir(&dir).unwrap();
    let files = Files::new(dir);
    files.serve_with(cluster);
    (cluster, files)
});

/// A cluster with `ssl = on`, whose certificate is for `localhost`, and the files.
pub(crate) fn tls_cluster() -> (&'static Cluster, &'static Files) {
    let (cluster, files) = &*READY;
    (cluster, files)
}

pub(crate) fn authority(name: &str) -> (String, Authority) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), Issuer::new(params, key))
}

/// Certificate and key.
pub(crate) fn signed(common_name: &str, host: &str, issuer: &Authority) -> (String, String) {
    signed_until(common_name, host, issuer, 2999)
}

fn signed_until(common_name: &str, host: &str, issuer: &Authority, year: i32) -> (String, String) {
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_after = date_time_ymd(year, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    (certificate.pem(), key.serialize_pem())
}

impl Files {
    fn new(dir: PathBuf) -> Self {
        let files = Self { dir };
        let (ca, issuer) = authority("pgprime test authority");
        let (other_ca, other) = authority("another authority");
        files.write("ca.crt", &ca);
        files.write("other-ca.crt", &other_ca);
        for (name, (certificate, key)) in [
            ("server", signed("localhost", "localhost", &issuer)),
            ("next", signed("next", "localhost", &issuer)),
            ("certified", signed("certified", "client.example", &issuer)),
            ("stranger", signed("stranger", "client.example", &other)),
            ("expired", signed_until("expired", "client.example", &issuer, 2001)),
        ] {
            files.write(&format!("{name}.crt"), &certificate);
            files.write(&format!("{name}.key"), &key);
        }
        files.write("empty.crt", "");
        files.write("damaged.crt", "-----BEGIN CERTIFICATE-----\nno base64!\n-----END CERTIFICATE-----\n");
        files
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.dir.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// As settings have it.
    pub(crate) fn name(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn serve_with(&self, cluster: &Cluster) {
        let node = cluster.primary();
        let data = PathBuf::from(node.psql("postgres", "SHOW data_directory").unwrap());
        let owner = fs::metadata(&data).unwrap();
        fs::set_permissions(&self.dir, fs::Permissions::from_mode(0o755)).unwrap();
        // The server reads its own files, and who runs the cluster removes its folder.
        for path in [self.dir.clone(), self.path("server.crt"), self.path("server.key"), self.path("ca.crt")]
        {
            chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        let roles = ["app", "only_tls", "only_plain", "certified", "scrammed"];
        let roles = roles.map(|role| {
            format!("CREATE ROLE {role} LOGIN PASSWORD 'right' IN ROLE pg_read_all_stats, pg_monitor;")
        });
        let settings = [("cert", "server.crt"), ("key", "server.key"), ("ca", "ca.crt")]
            .map(|(kind, name)| format!("ALTER SYSTEM SET ssl_{kind}_file = '{}';\n", self.name(name)));
        // ALTER SYSTEM runs in no transaction, so each is a command of its own.
        let sql = format!("{}\n{}ALTER SYSTEM SET ssl = on;", roles.concat(), settings.concat());
        node.psql("postgres", &sql).unwrap();
        node.reload().unwrap();
    }

    /// A client's configuration that trusts `ca.crt`.
    pub(crate) fn client(&self, alpn: Option<&str>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("ca.crt")).unwrap()).unwrap();
        let builder = client_builder().with_root_certificates(roots);
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = alpn.map(|name| name.as_bytes().to_vec()).into_iter().collect();
        config
    }

    /// A client's configuration that shows a certificate.
    pub(crate) fn client_with(&self, name: &str) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("ca.crt")).unwrap()).unwrap();
        let chain = vec![CertificateDer::from_pem_file(self.path(&format!("{name}.crt"))).unwrap()];
        let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).unwrap();
        client_builder().with_root_certificates(roots).with_client_auth_cert(chain, key).unwrap()
    }
}

fn client_builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap()
}

/// A client's side of TLS on a socket.
pub(crate) type TlsSocket = StreamOwned<ClientConnection, TcpStream>;

/// Shakes hands on a socket on which the server has said `S`, or with `direct` TLS one that has said nothing.
pub(crate) fn shake_hands(config: ClientConfig, mut socket: TcpStream) -> std::io::Result<TlsSocket> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(connection, socket))
}

/// A socket to the pooler that gives up on waiting.
pub(crate) fn socket(port: u16) -> TcpStream {
    let socket = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

/// Asks for TLS and shakes hands.
pub(crate) fn tls_socket(port: u16, config: ClientConfig) -> std::io::Result<TlsSocket> {
    let mut socket = socket(port);
    let mut request = Vec::new();
    startup::encode_ssl_request(&mut request);
    socket.write_all(&request)?;
    let mut answer = [0];
    socket.read_exact(&mut answer)?;
    assert_eq!(&answer, b"S");
    shake_hands(config, socket)
}

impl TestPooler {
    /// A client over TLS, logged in as `app`.
    #[track_caller]
    pub(crate) fn tls_client(&self, files: &Files) -> Raw {
        let mut raw = Raw::tls(tls_socket(self.port(), files.client(None)).expect("a handshake"));
        raw.log_in(&[("user", "app"), ("database", "db")]);
        raw
    }
}

/// psql's exit, its output and its errors.
#[derive(Debug)]
pub(crate) struct Psql {
    pub(crate) is_ok: bool,
    pub(crate) output: String,
    pub(crate) errors: String,
}

/// Runs psql with these parameters and this input.
pub(crate) fn psql(parameters: &str, input: &str) -> Psql {
    let mut child = Command::new("psql")
        .args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", parameters])
        .env_remove("PGSSLMODE")
        .env("PGCONNECT_TIMEOUT", "20")
        // No certificates of whoever runs the test.
        .env("HOME", "/nonexistent")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("psql is installed");
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let done = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Psql {
        is_ok: done.status.success(),
        output: String::from_utf8_lossy(&done.stdout).into_owned(),
        errors: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}

/// Passes connections on to a port, and keeps what each of them begins with.
#[derive(Debug)]
pub(crate) struct Tap {
    pub(crate) port: u16,
    pub(crate) beginnings: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Tap {
    /// Goes on until the process ends; its threads wait for connections that no longer come.
    pub(crate) fn start(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let beginnings = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&beginnings);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(client), Ok(server)) = (stream, TcpStream::connect(("127.0.0.1", to))) else {
                    return;
                };
                let place = {
                    let mut kept = kept.lock().unwrap();
                    kept.push(Vec::new());
                    kept.len() - 1
                };
                let (kept, back) =
                    (Arc::clone(&kept), (server.try_clone().unwrap(), client.try_clone().unwrap()));
                std::thread::spawn(move || {
                    pass_on(client, server, |bytes| {
                        let kept = &mut kept.lock().unwrap()[place];
                        kept.extend_from_slice(&bytes[..bytes.len().min(64 - kept.len().min(64))]);
                    })
                });
                std::thread::spawn(move || pass_on(back.0, back.1, |_| {}));
            }
        });
        Self { port, beginnings }
    }

    /// How many connections have begun with a request for TLS, and how many have not.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let mut request = Vec::new();
        startup::encode_ssl_request(&mut request);
        let beginnings = self.beginnings.lock().unwrap();
        let with = beginnings.iter().filter(|bytes| bytes.starts_with(&request)).count();
        (with, beginnings.len() - with)
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, mut see: impl FnMut(&[u8])) {
    let mut piece = [0; 16 * 1024];
    while let Ok(count) = from.read(&mut piece)
        && count > 0
    {
        see(&piece[..count]);
        if to.write_all(&piece[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
}

/// Copies certificate and key to where the pooler finds them.
pub(crate) fn install(files: &Files, name: &str, to: &Path) {
    for kind in ["crt", "key"] {
        fs::copy(files.path(&format!("{name}.{kind}")), to.join(format!("pooler.{kind}"))).unwrap();
    }
}
