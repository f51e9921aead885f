//! All of it together: a pooler with a client, watching, alerts, history, views, figures and a cache.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use pgprime_api::{Api, ApiConfig, LazyDatabase, Services};
use pgprime_client::{DatabaseConfig, ResultCacheConfig};
use pgprime_cluster::{Cluster, Node, free_port};
use pgprime_monitor::alerts::{AlertCenter, AlertSettings, AlertSink};
use pgprime_monitor::health::{Direct, PoolerTrouble, Settings};
use pgprime_monitor::history::{HistorySink, Retention, SeriesStore};
use pgprime_monitor::pooler::of_handle;
use pgprime_monitor::watch::{Monitor, MonitorHandle, PoolerReading, PoolerSource, RoundSink, WatchConfig};
use pgprime_pooler::settings::Config;
use pgprime_pooler::{Handle, Pooler};
use pgprime_views::{ApplyOptions, Declarations, Figures};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use super::{Running, cluster, serve};

const VIEWS: &str = "
[[views]]
name = 'daily'
sql = 'SELECT id % 10 AS day, sum(premium) AS premium FROM quotes GROUP BY 1'
unique_key = ['day']
schedule = '15m'
[[views]]
name = 'fragile'
sql = 'SELECT id, premium / divisor AS share, text::int AS number FROM quotes JOIN divisors USING (id)'
unique_key = ['id']
[[figures]]
name = 'days'
title = 'Premium by day'
sql = 'SELECT day, premium FROM daily ORDER BY day'
ttl = '1h'
unit = 'EUR'
labels = ['day']
";

const SCHEMA: &str = "CREATE EXTENSION pg_stat_statements; \
    CREATE TABLE quotes (id bigint PRIMARY KEY, status text, premium numeric); \
    INSERT INTO quotes SELECT n, 'open', n FROM generate_series(1, 1000) n; \
    CREATE TABLE divisors (id bigint PRIMARY KEY, divisor numeric, text text); \
    INSERT INTO divisors VALUES (1, 2, '3'); ANALYZE";

/// The whole system on a database of its own.
pub(crate) struct World {
    pub(crate) api: Running,
    pub(crate) pooler: Handle,
    pub(crate) database: String,
    monitor: MonitorHandle,
    alerts: Arc<AlertCenter>,
    serving: Option<JoinHandle<()>>,
    folder: TempDir,
}

/// The built-in pooler as a source of rounds.
struct Source(Handle);

impl PoolerSource for Source {
    fn name(&self) -> String {
        "pgprime".to_owned()
    }

    fn read(&self) -> PoolerReading<'_> {
        Box::pin(async { Ok::<_, PoolerTrouble>(of_handle(&self.0).await) })
    }
}

impl World {
    /// With these lines in `[api]`.
    pub(crate) async fn start(lines: &str) -> Self {
        Self::on(cluster(), lines).await
    }

    pub(crate) async fn on(cluster: &Cluster, lines: &str) -> Self {
        let database = cluster.test_database("world").unwrap();
        let node = cluster.primary();
        node.psql(&database, SCHEMA).unwrap();
        let url = node.url(&database);
        let declarations = Declarations::from_toml(VIEWS).unwrap();
        for applied in
            pgprime_views::apply(&connect(&url).await, &declarations, &ApplyOptions::default()).await.unwrap()
        {
            assert_eq!(applied.error, None, "{applied:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        let (pooler, serving) = pooler(node, &database, folder.path());
        let (monitor, alerts, series) = watch(&url, &pooler, folder.path());
        let services = Services {
            statement_history: Some(folder.path().join("statements.sqlite")),
            pooler: Some(pooler.clone()),
            rounds: Some(monitor.rounds()),
            alerts: Some(Arc::clone(&alerts)),
            series: Some(series),
            declarations: Some(Arc::new(declarations)),
            figures: Some(Arc::new(Figures::from_toml(VIEWS).unwrap())),
            cached: Some(LazyDatabase::new(config(&url, Some(ResultCacheConfig::default())))),
            ..Services::new(LazyDatabase::new(config(&url, None)), "test")
        };
        let config = ApiConfig::from_toml(&format!("listen = '127.0.0.1:0'\n{lines}")).unwrap();
        let api = serve(Api::bind(config, services).await.unwrap());
        Self { api, pooler, database, monitor, alerts, serving: Some(serving), folder }
    }

    /// A session through the pooler.
    pub(crate) async fn client(&self) -> Client {
        let port = self.pooler.port();
        connect(&format!("postgres://app@127.0.0.1:{port}/{}", self.database)).await
    }

    /// The file of what statements did.
    pub(crate) fn statement_history(&self) -> PathBuf {
        self.folder.path().join("statements.sqlite")
    }

    /// Ends everything in order.
    pub(crate) async fn end(mut self) {
        self.api.end().await;
        self.monitor.stop().await;
        self.alerts.end().await;
        self.pooler.stop();
        let serving = self.serving.take().unwrap();
        tokio::task::spawn_blocking(|| serving.join().unwrap()).await.unwrap();
    }
}

pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn config(url: &str, cache: Option<ResultCacheConfig>) -> DatabaseConfig {
    let mut config = DatabaseConfig::new(url);
    (config.pool_min, config.pool_max, config.admin.size) = (Some(1), Some(2), Some(3));
    config.max_connections = Some(20);
    config.cache = cache;
    config
}

fn pooler(node: &Node, database: &str, folder: &Path) -> (Handle, JoinHandle<()>) {
    std::fs::write(folder.join("users"), "\"app\" \"\"\n").unwrap();
    let (server, users, port) = (node.port(), folder.join("users"), free_port());
    let ini = format!(
        "[databases]\n{database} = host=127.0.0.1 port={server} dbname={database} user=postgres\n[pgbouncer]\n\
         listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\n\
         pool_mode = transaction\ndefault_pool_size = 5\nmax_client_conn = 50\n",
        users.display()
    );
    let pooler = Pooler::bind(Config::parse(&ini, Path::new("test")).unwrap(), 1).unwrap();
    let handle = pooler.handle();
    (handle, std::thread::spawn(|| pooler.run().unwrap()))
}

fn watch(url: &str, pooler: &Handle, folder: &Path) -> (MonitorHandle, Arc<AlertCenter>, Arc<SeriesStore>) {
    let settings = "[health.thresholds]\n\"locks.waiting\" = { warning = 1, critical = 100 }";
    let mut settings = Settings::from_toml(settings).unwrap();
    settings.interval = Duration::from_millis(250);
    let rules = "[[alerts.rules]]\ncheck = 'locks.waiting'\nseverity = 'warning'\nfor = '0s'";
    let rules = AlertSettings::from_toml(rules).unwrap();
    let now = Timestamp::now();
    let alerts = Arc::new(AlertCenter::start(rules, Some(&folder.join("alerts.sqlite")), now).unwrap());
    let series = SeriesStore::open(&folder.join("series.sqlite"), Retention::default(), now).unwrap();
    let series = Arc::new(series);
    let recorder = HistorySink::start(Arc::clone(&series), Box::new(|| None)).unwrap();
    let sinks: Vec<Box<dyn RoundSink>> = vec![Box::new(AlertSink(Arc::clone(&alerts))), Box::new(recorder)];
    let mut config = WatchConfig::new(settings, Arc::new(Direct::new(url, Duration::from_secs(5))));
    config.poolers = vec![Box::new(Source(pooler.clone()))];
    (Monitor::start(config, sinks), alerts, series)
}
