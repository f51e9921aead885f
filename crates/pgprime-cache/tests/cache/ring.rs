//! A cluster of Redis servers of the test's own.

use pgprime_cache::{Cache, CacheConfig, RedisConfig};

use crate::support::{Redis, until};

/// A master that is gone is taken for failed after this, and a replica is elected at once.
const OPTIONS: [&str; 6] =
    ["--cluster-enabled", "yes", "--cluster-node-timeout", "600", "--cluster-allow-replica-migration", "no"];

/// Three masters with a third of the slots each, and replicas of them.
pub(crate) struct Ring {
    pub(crate) nodes: Vec<Redis>,
}

impl Ring {
    /// `replicas`: of which masters there is one, by their numbers.
    pub(crate) async fn start(replicas: &[usize]) -> Ring {
        let nodes: Vec<Redis> = (0..3 + replicas.len()).map(|_| Redis::on_a_port(&OPTIONS)).collect();
        let ring = Ring { nodes };
        for (number, node) in ring.nodes.iter().enumerate() {
            node.query::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
            node.query::<()>(&["CLUSTER", "MEET", "127.0.0.1", &ring.nodes[0].port().to_string()]);
        }
        for (third, master) in ring.nodes[..3].iter().enumerate() {
            let slots: Vec<String> = (0..16384)
                .filter(|slot| slot * 3 / 16384 == third)
                .map(|slot: usize| slot.to_string())
                .collect();
            let words: Vec<&str> =
                ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect();
            master.query::<()>(&words);
        }
        let count = format!("cluster_known_nodes:{}", ring.nodes.len());
        until("all nodes know each other", || {
            ring.nodes.iter().all(|node| {
                let info = node.query::<String>(&["CLUSTER", "INFO"]);
                info.contains(&count) && info.contains("cluster_state:ok")
            })
        })
        .await;
        for (replica, master) in ring.nodes[3..].iter().zip(replicas) {
            let id: String = ring.nodes[*master].query(&["CLUSTER", "MYID"]);
            replica.query::<()>(&["CLUSTER", "REPLICATE", &id]);
        }
        ring.until_replicas_follow(replicas.len()).await;
        ring
    }

    /// Waits until so many nodes follow another.
    pub(crate) async fn until_replicas_follow(&self, count: usize) {
        until("replicas follow", || {
            let follows = |node: &&Redis| {
                node.try_query::<String>(&["INFO", "replication"])
                    .is_some_and(|info| info.contains("master_link_status:up"))
            };
            self.nodes.iter().filter(follows).count() >= count
        })
        .await;
    }

    /// Waits until all who run say that the cluster is whole, or that it is not.
    pub(crate) async fn until_state(&self, state: &str) {
        let wanted = format!("cluster_state:{state}");
        until("the state of the cluster", || {
            self.nodes.iter().all(|node| {
                node.try_query::<String>(&["CLUSTER", "INFO"]).is_none_or(|info| info.contains(&wanted))
            })
        })
        .await;
    }

    /// The master that has the epochs of caches in the namespace.
    pub(crate) fn home(&self) -> usize {
        let is_home = |node: &Redis| {
            node.try_query::<Vec<String>>(&["KEYS", "{pgprime}:*"]).is_some_and(|keys| !keys.is_empty())
        };
        let is_master = |node: &Redis| {
            node.try_query::<String>(&["INFO", "replication"])
                .is_some_and(|info| info.contains("role:master"))
        };
        self.nodes.iter().position(|node| is_master(node) && is_home(node)).unwrap()
    }

    /// Another master than that one.
    pub(crate) fn other_master(&self, than: usize) -> usize {
        (0..self.nodes.len()).find(|&node| node != than && self.is_master(node)).unwrap()
    }

    /// How many masters the cluster has that do not count as failed, by what those say who answer.
    pub(crate) fn masters(&self) -> usize {
        let count = |nodes: String| {
            let is_well = |line: &&str| line.contains("master") && !line.contains("fail");
            nodes.lines().filter(is_well).count()
        };
        self.nodes
            .iter()
            .filter_map(|node| node.try_query(&["CLUSTER", "NODES"]).map(count))
            .min()
            .unwrap_or(0)
    }

    pub(crate) fn is_master(&self, node: usize) -> bool {
        self.nodes[node]
            .try_query::<String>(&["INFO", "replication"])
            .is_some_and(|info| info.contains("role:master"))
    }

    /// The node that follows this master.
    pub(crate) fn replica_of(&self, master: usize) -> usize {
        let port = format!("master_port:{}\r", self.nodes[master].port());
        let follows = |node: &Redis| {
            node.try_query::<String>(&["INFO", "replication"]).is_some_and(|info| info.contains(&port))
        };
        self.nodes.iter().position(follows).unwrap()
    }

    /// Moves the slot of the epochs from one master to another, key by key, as redis-cli does it.
    pub(crate) async fn migrate_epochs(&self, from: usize, to: usize) {
        let (source, target) = (&self.nodes[from], &self.nodes[to]);
        let slot = source.query::<i64>(&["CLUSTER", "KEYSLOT", "{pgprime}:generation"]).to_string();
        let (source_id, target_id): (String, String) =
            (source.query(&["CLUSTER", "MYID"]), target.query(&["CLUSTER", "MYID"]));
        target.query::<()>(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id]);
        source.query::<()>(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id]);
        let port = target.port().to_string();
        loop {
            let keys: Vec<String> = source.query(&["CLUSTER", "GETKEYSINSLOT", &slot, "1"]);
            let Some(key) = keys.first() else { break };
            source.query::<redis::Value>(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]);
            // Readers and writers meet a slot that is half here, half there.
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        for node in [target, source] {
            node.query::<()>(&["CLUSTER", "SETSLOT", &slot, "NODE", &target_id]);
        }
    }

    pub(crate) fn config(&self) -> RedisConfig {
        let urls: Vec<String> =
            self.nodes.iter().map(|node| format!("redis://127.0.0.1:{}", node.port())).collect();
        RedisConfig { url: urls.join(","), ..self.nodes[0].config() }
    }

    pub(crate) async fn cache(&self, memory_bytes_max: usize) -> Cache {
        let config = CacheConfig { memory_bytes_max, redis: Some(self.config()), ..CacheConfig::default() };
        Cache::connect(config).await.unwrap()
    }
}
