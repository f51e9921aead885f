//! Connections to one server, to the primary that sentinels name, or to a cluster.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue,
    RedisError, RedisResult, ScriptInvocation, TlsCertificates,
};
use tokio::time::timeout;

use crate::config::{ConfigError, RedisConfig};

use super::url::{Kind, Place};

/// A connection; clones share it, and their requests are pipelined.
#[derive(Clone)]
pub(crate) enum Link {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    pub(crate) async fn query<T: FromRedisValue>(mut self, command: &Cmd) -> RedisResult<T> {
        match &mut self {
            Link::Single(connection) => command.query_async(connection).await,
            Link::Cluster(connection) => command.query_async(connection).await,
        }
    }

    pub(crate) async fn run<T: FromRedisValue>(mut self, script: &ScriptInvocation<'_>) -> RedisResult<T> {
        match &mut self {
            Link::Single(connection) => script.invoke_async(connection).await,
            Link::Cluster(connection) => script.invoke_async(connection).await,
        }
    }
}

/// Where Redis is. Names are looked up, and files read, at each attempt to connect.
pub(crate) struct Address {
    place: Place,
    connect_timeout: Duration,
}

impl Address {
    pub(crate) fn new(config: &RedisConfig) -> Result<Address, ConfigError> {
        let place = Place::new(&config.url)?;
        if place.is_tls() {
            provide_tls();
        }
        Ok(Address { place, connect_timeout: config.connect_timeout })
    }

    /// The caller bounds the time that this takes.
    pub(crate) async fn connect(&self) -> RedisResult<Link> {
        let unusable = |reason| RedisError::from((ErrorKind::InvalidClientConfig, "the URL's files", reason));
        let nodes = self.place.nodes_of_today().map_err(unusable)?;
        let certificates = self.place.certificates().map_err(unusable)?;
        let node = match (&self.place.kind, nodes.first()) {
            (Kind::Server, Some(node)) => node.clone(),
            (Kind::Sentinel { .. }, _) => self.primary(&nodes, certificates.as_ref()).await?,
            _ => return self.connect_cluster(nodes, certificates).await,
        };
        let connection = connect_to(node.clone(), certificates.as_ref()).await?;
        let link = Link::Single(connection);
        let about: String = link.clone().query(redis::cmd("INFO").arg("cluster")).await?;
        if about.contains("cluster_enabled:1") {
            self.connect_cluster(vec![node], certificates).await
        } else {
            Ok(link)
        }
    }

    async fn connect_cluster(
        &self,
        nodes: Vec<ConnectionInfo>,
        certificates: Option<TlsCertificates>,
    ) -> RedisResult<Link> {
        // A redirection counts as a retry. Waits are short, so that an operation ends by what the cluster says and not by its
        // time limit. A node that hangs must not use up the time for all.
        let builder = ClusterClient::builder(nodes)
            .retries(2)
            .min_retry_wait(1)
            .max_retry_wait(5)
            .connection_timeout(self.connect_timeout / 2)
            .response_timeout(self.connect_timeout / 2);
        let builder = match certificates {
            Some(certificates) => builder.certs(certificates),
            None => builder,
        };
        Ok(Link::Cluster(builder.build()?.get_async_connection().await?))
    }

    /// The primary by the first sentinel that knows one.
    async fn primary(
        &self,
        sentinels: &[ConnectionInfo],
        certificates: Option<&TlsCertificates>,
    ) -> RedisResult<ConnectionInfo> {
        let Kind::Sentinel { name, user, password } = &self.place.kind else {
            return Err(no_primary("there are no sentinels"));
        };
        // What hangs among them must leave time for the others and for the primary.
        let patience = self.connect_timeout / u32::try_from(sentinels.len() + 1).unwrap_or(u32::MAX);
        let mut trouble = no_primary("no sentinel answers");
        for sentinel in sentinels {
            let asking = ask(sentinel, (user.as_deref(), password.as_deref()), name, certificates);
            match timeout(patience, asking).await {
                Ok(Ok(Some((host, port)))) => return Ok(sentinel.clone().set_addr(at(sentinel, host, port))),
                Ok(Ok(None)) => trouble = no_primary("the sentinels know no primary of this name"),
                Ok(Err(error)) => trouble = error,
                Err(_) => {}
            }
        }
        Err(trouble)
    }
}

/// What the sentinel says of the primary called `name`.
async fn ask(
    sentinel: &ConnectionInfo,
    (user, password): (Option<&str>, Option<&str>),
    name: &str,
    certificates: Option<&TlsCertificates>,
) -> RedisResult<Option<(String, u16)>> {
    let mut settings =
        redis::RedisConnectionInfo::default().set_protocol(sentinel.redis_settings().protocol());
    if let Some(user) = user {
        settings = settings.set_username(user);
    }
    if let Some(password) = password {
        settings = settings.set_password(password);
    }
    let mut connection = connect_to(sentinel.clone().set_redis_settings(settings), certificates).await?;
    redis::cmd("SENTINEL").arg("get-master-addr-by-name").arg(name).query_async(&mut connection).await
}

/// An address that is reached as `like` is.
fn at(like: &ConnectionInfo, host: String, port: u16) -> ConnectionAddr {
    match like.addr() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
        }
        _ => ConnectionAddr::Tcp(host, port),
    }
}

async fn connect_to(
    node: ConnectionInfo,
    certificates: Option<&TlsCertificates>,
) -> RedisResult<MultiplexedConnection> {
    let client = match certificates {
        Some(certificates) => Client::build_with_tls(node, certificates.clone())?,
        None => Client::open(node)?,
    };
    // Time limits are the caller's, for each operation as a whole.
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    client.get_multiplexed_async_connection_with_config(&config).await
}

fn no_primary(reason: &'static str) -> RedisError {
    RedisError::from((ErrorKind::MasterNameNotFoundBySentinel, reason))
}

/// The client takes its cryptography from the process's default, and panics where there is none to choose.
fn provide_tls() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error means that another thread has just set one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}
