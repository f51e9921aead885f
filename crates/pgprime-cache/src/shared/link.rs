//! Connections to one server or to a cluster.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo,
    RedisError, RedisResult, ScriptInvocation,
};

use crate::config::{ConfigError, RedisConfig};

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

/// Where Redis is.
pub(crate) struct Address {
    nodes: Vec<String>,
    connect_timeout: Duration,
}

impl Address {
    pub(crate) fn new(config: &RedisConfig) -> Result<Address, ConfigError> {
        let nodes: Vec<String> = config.url.split(',').map(|url| url.trim().to_owned()).collect();
        for node in &nodes {
            let info =
                node.as_str().into_connection_info().map_err(|error| ConfigError::Url(detail(&error)))?;
            if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
                provide_tls();
            }
        }
        Ok(Address { nodes, connect_timeout: config.connect_timeout })
    }

    /// The caller bounds the time that this takes.
    pub(crate) async fn connect(&self) -> RedisResult<Link> {
        let [node] = self.nodes.as_slice() else { return self.connect_cluster().await };
        // Time limits are the caller's, for each operation as a whole.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let client = Client::open(node.as_str())?;
        let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let link = Link::Single(connection);
        let about: String = link.clone().query(redis::cmd("INFO").arg("cluster")).await?;
        if about.contains("cluster_enabled:1") { self.connect_cluster().await } else { Ok(link) }
    }

    async fn connect_cluster(&self) -> RedisResult<Link> {
        let client = ClusterClient::builder(self.nodes.iter().map(String::as_str))
            .retries(1)
            .connection_timeout(self.connect_timeout)
            .response_timeout(self.connect_timeout)
            .build()?;
        Ok(Link::Cluster(client.get_async_connection().await?))
    }
}

/// The client takes its cryptography from the process's default, and panics where there is none to choose.
fn provide_tls() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error means that another thread has just set one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// What is wrong with a URL, without the URL.
fn detail(error: &RedisError) -> String {
    match error.kind() {
        ErrorKind::InvalidClientConfig => error.detail().map_or_else(|| "not a URL".into(), str::to_owned),
        kind => format!("{kind:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_checked_and_not_repeated() {
        let address = |url: &str| Address::new(&RedisConfig::new(url));
        for good in [
            "redis://localhost",
            "rediss://:secret@localhost:6380/1",
            "unix:///run/redis.sock",
            "redis://a, redis://b",
        ] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in
            ["", "secret", "http://secret@localhost", "redis://:secret@localhost/x", "redis://a,,redis://b"]
        {
            let error = address(bad).err().expect(bad).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
