//! A primary with its replicas.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::ClusterError;
use crate::home::Home;
use crate::installation::Installation;
use crate::node::Node;
use crate::port::free_port;
use crate::settings::{self, NodeSettings};

/// How many ports are tried for a node when others take them first.
const PORT_TRIES: usize = 8;

/// What a cluster is to be.
#[derive(Debug, Clone, Default)]
pub struct ClusterOptions {
    /// Streaming replicas. Default 0.
    pub replicas: usize,
    /// Settings of every node, as names and values of postgresql.conf; they win over the cluster's own defaults,
    /// except for the port and the like.
    pub settings: Vec<(String, String)>,
    /// The lines of pg_hba.conf. Default: everyone on this machine is let in without a password. The user `postgres`
    /// always is, over the Unix socket.
    pub hba: Option<Vec<String>>,
    /// Default: [`Installation::find`].
    pub installation: Option<Installation>,
}

impl ClusterOptions {
    /// With this many streaming replicas.
    #[must_use]
    pub fn with_replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// With this setting of postgresql.conf on every node.
    #[must_use]
    pub fn with_setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// With these lines of pg_hba.conf on every node.
    #[must_use]
    pub fn with_hba<L: Into<String>>(mut self, lines: impl IntoIterator<Item = L>) -> Self {
        self.hba = Some(lines.into_iter().map(Into::into).collect());
        self
    }

    /// With the programs of this installation.
    #[must_use]
    pub fn with_installation(mut self, installation: Installation) -> Self {
        self.installation = Some(installation);
        self
    }
}

/// A running primary and its replicas. They end, and their folder is removed, when this is dropped or the process
/// that holds it ends, however that happens.
#[derive(Debug)]
pub struct Cluster {
    // Dropped in this order: the nodes stop before the folder goes.
    replicas: Vec<Node>,
    primary: Node,
    home: Arc<Home>,
    databases: AtomicU32,
}

impl Cluster {
    /// Creates the primary and its replicas; returns when all accept connections. Takes a second or two.
    ///
    /// # Errors
    /// Every [`ClusterError`] but those of statements; nothing is left behind.
    pub fn start(options: &ClusterOptions) -> Result<Self, ClusterError> {
        let installation = match &options.installation {
            Some(installation) => installation.clone(),
            None => Installation::find()?,
        };
        let home = Arc::new(Home::new()?);
        let plan = Plan { options, installation: &installation, home: &home };
        let primary = plan.start_primary(free_ports())?;
        let replica = |index| plan.start_replica(&primary, index, free_ports());
        let replicas = (1..=options.replicas).map(replica).collect::<Result<_, _>>()?;
        Ok(Self { replicas, primary, home, databases: AtomicU32::new(0) })
    }

    /// The node that takes writes, until a replica is promoted.
    #[must_use]
    pub fn primary(&self) -> &Node {
        &self.primary
    }

    /// The nodes that follow the primary.
    #[must_use]
    pub fn replicas(&self) -> &[Node] {
        &self.replicas
    }

    /// The cluster's folder, which is removed at the end with everything in it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.home.dir()
    }

    /// Waits until every replica has replayed what was committed on the primary before this call.
    ///
    /// # Errors
    /// Those of [`Node::wait_for_replay`].
    pub fn wait_for_replay(&self) -> Result<(), ClusterError> {
        self.replicas.iter().try_for_each(|replica| replica.wait_for_replay(&self.primary))
    }

    /// Creates a database for one test and returns its name: the prefix and a number.
    ///
    /// # Errors
    /// [`ClusterError::Sql`].
    pub fn test_database(&self, prefix: &str) -> Result<String, ClusterError> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("{prefix}_{number}");
        self.primary.create_database(&name)?;
        Ok(name)
    }
}

fn free_ports() -> impl Iterator<Item = u16> {
    std::iter::repeat_with(free_port).take(PORT_TRIES)
}

/// What the nodes of a cluster to be have in common.
struct Plan<'a> {
    options: &'a ClusterOptions,
    installation: &'a Installation,
    home: &'a Arc<Home>,
}

impl Plan<'_> {
    fn start_primary(&self, ports: impl Iterator<Item = u16>) -> Result<Node, ClusterError> {
        let node = Node::new(self.home, self.installation, "primary", 0);
        // macOS and old distributions lack the locale C.UTF-8.
        self.init(&node, "C.UTF-8").or_else(|_| self.init(&node, "C"))?;
        let include = "include 'pgprime.conf'\n";
        let configuration = node.data_dir().join("postgresql.conf");
        let text =
            std::fs::read_to_string(&configuration).map_err(ClusterError::io("read postgresql.conf"))?;
        self.home.write(&configuration, &(text + include))?;
        self.home.write(&node.data_dir().join("pg_hba.conf"), &settings::hba(self.options.hba.as_deref()))?;
        self.start_on_one_of(ports, node, None)
    }

    fn start_replica(
        &self,
        primary: &Node,
        index: usize,
        ports: impl Iterator<Item = u16>,
    ) -> Result<Node, ClusterError> {
        let node = Node::new(self.home, self.installation, &format!("replica{index}"), 0);
        let port = primary.port().to_string();
        let args = ["--username=postgres", "--wal-method=stream", "--checkpoint=fast", "--no-sync"];
        let paths = [("--pgdata", node.data_dir()), ("--host", primary.socket_dir())];
        self.run("pg_basebackup", &[&args[..], &["--port", &port]].concat(), &paths)?;
        self.home.write(&node.data_dir().join("standby.signal"), "")?;
        self.start_on_one_of(ports, node, Some(primary.port()))
    }

    fn init(&self, node: &Node, locale: &str) -> Result<(), ClusterError> {
        let locale = format!("--locale={locale}");
        let args = ["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", &locale];
        self.run("initdb", &args, &[("--pgdata", node.data_dir())])
    }

    /// Starts the node on the first of the ports that nobody else takes.
    fn start_on_one_of(
        &self,
        ports: impl Iterator<Item = u16>,
        mut node: Node,
        primary_port: Option<u16>,
    ) -> Result<Node, ClusterError> {
        let mut outcome = Err(ClusterError::PortTaken { node: node.name().to_owned(), port: 0 });
        for port in ports {
            node.set_port(port);
            self.configure(&node, primary_port)?;
            outcome = node.start();
            if !matches!(outcome, Err(ClusterError::PortTaken { .. })) {
                break;
            }
        }
        outcome.map(|()| node)
    }

    fn configure(&self, node: &Node, primary_port: Option<u16>) -> Result<(), ClusterError> {
        let own = NodeSettings {
            cluster_name: node.cluster_name(),
            socket_dir: node.socket_dir(),
            port: node.port(),
            primary_port,
            replicas: self.options.replicas,
        };
        let text = settings::configuration(&own, &self.options.settings);
        self.home.write(&node.data_dir().join("pgprime.conf"), &text)
    }

    fn run(&self, program: &'static str, args: &[&str], paths: &[(&str, &Path)]) -> Result<(), ClusterError> {
        let mut command = self.home.command(program, &self.installation.program(program));
        command.args(args);
        for (name, path) in paths {
            command.arg(name).arg(path);
        }
        let output = command.output().map_err(ClusterError::io(format!("run {program}")))?;
        self.home.ended(program);
        if output.status.success() {
            return Ok(());
        }
        let written = [output.stdout, output.stderr].concat();
        Err(ClusterError::Tool { program, output: String::from_utf8_lossy(&written).trim().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_port_that_is_taken_meanwhile_is_replaced() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = holder.local_addr().unwrap().port();
        let installation = Installation::find().unwrap();
        let home = Arc::new(Home::new().unwrap());
        let plan = Plan { options: &ClusterOptions::default(), installation: &installation, home: &home };

        let primary = plan.start_primary([taken].into_iter().chain(free_ports())).unwrap();
        assert_ne!(primary.port(), taken);
        let replica = plan.start_replica(&primary, 1, [taken].into_iter());
        let error = replica.unwrap_err();
        assert!(matches!(error, ClusterError::PortTaken { port, .. } if port == taken), "{error}");
    }
}
