//! Which pools there are, and what holds for each: the settings of the file, resolved.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pgprime_pool::{Board, Budget, Limit, PoolSettings};
use pgprime_wire::scram::ScramKeys;

use crate::core::{CoreSettings, MeasureSettings, Mode, PoolIndex, PoolProfile, PoolSetup, Tracked};
use crate::mail::{Mail, MailSender};
use crate::settings::{Config, DatabaseConfig, PoolMode, Secret, Settings, UserConfig};
use crate::slots::ClientSlot;
use crate::tls::Tls;

/// The name of the console's database.
pub(crate) const CONSOLE: &str = "pgbouncer";

/// Pools at most: with `*` among the databases, clients could make any number by asking for names.
const POOLS_MAX: usize = 10_000;

/// One pool: a user on a database.
#[derive(Clone, Debug)]
pub(crate) struct PoolEntry {
    pub(crate) index: PoolIndex,
    pub(crate) database: String,
    pub(crate) user: String,
    pub(crate) profile: Arc<PoolProfile>,
    pub(crate) budget: Budget,
    board: Arc<Board>,
}

/// Where and as whom to log in for a pool.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) hosts: Vec<String>,
    pub(crate) port: u16,
    pub(crate) dbname: String,
    pub(crate) user: String,
    pub(crate) secret: Option<Secret>,
    /// Keys seen when a client proved that it knows the password of this user.
    pub(crate) client_key: Option<[u8; 32]>,
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) connect_query: Option<String>,
    pub(crate) lifetime: Duration,
}

#[derive(Debug)]
struct Limits {
    servers: Arc<Limit>,
    clients: Arc<Limit>,
}

#[derive(Debug)]
struct State {
    config: Arc<Config>,
    secrets: Arc<BTreeMap<String, Secret>>,
    tls: Arc<Tls>,
    pools: Vec<PoolEntry>,
    by_key: HashMap<(String, String), PoolIndex>,
    databases: HashMap<String, Limits>,
    users: HashMap<String, Limits>,
    client_keys: HashMap<String, [u8; 32]>,
    derived: HashMap<(String, Vec<u8>, u32), ScramKeys>,
    held: Held,
}

/// Which databases take no requests at present.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub(crate) all_paused: bool,
    pub(crate) paused: BTreeSet<String>,
    pub(crate) disabled: BTreeSet<String>,
}

/// The list of pools, shared by everything on the cold side.
#[derive(Debug)]
pub(crate) struct Directory {
    state: Mutex<State>,
    workers: Vec<MailSender>,
    /// `max_client_conn`.
    pub(crate) clients: Arc<Limit>,
    started: Instant,
}

impl Directory {
    pub(crate) fn new(
        config: Config,
        secrets: BTreeMap<String, Secret>,
        tls: Arc<Tls>,
        workers: Vec<MailSender>,
    ) -> Self {
        let clients = Limit::new(config.settings.max_client_conn.max(1));
        let state = State {
            config: Arc::new(config),
            secrets: Arc::new(secrets),
            tls,
            pools: Vec::new(),
            by_key: HashMap::new(),
            databases: HashMap::new(),
            users: HashMap::new(),
            client_keys: HashMap::new(),
            derived: HashMap::new(),
            held: Held::default(),
        };
        Self { state: Mutex::new(state), workers, clients, started: Instant::now() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.state().config)
    }

    pub(crate) fn secrets(&self) -> Arc<BTreeMap<String, Secret>> {
        Arc::clone(&self.state().secrets)
    }

    /// What new connections use.
    pub(crate) fn tls(&self) -> Arc<Tls> {
        Arc::clone(&self.state().tls)
    }

    pub(crate) fn held(&self) -> Held {
        self.state().held.clone()
    }

    /// The settings of a database, from its own entry or from `*`.
    pub(crate) fn database(&self, name: &str) -> Option<DatabaseConfig> {
        database_of(&self.state().config, name)
    }

    /// The most servers of a user's pool on a database, without its reserve.
    pub(crate) fn pool_size(&self, database: &str, user: &str) -> Option<u32> {
        let state = self.state();
        let entry = database_of(&state.config, database)?;
        Some(pool_size(&state.config, &entry, user))
    }

    /// Whether the configuration names the database, or takes any.
    pub(crate) fn has_database(&self, name: &str) -> bool {
        let config = self.config();
        config.auto_database.is_some() || config.databases.contains_key(name)
    }

    /// The pool of a user on a database; it is made known to the workers when it is new. `None`: no such database.
    pub(crate) fn pool_for(&self, database: &str, user: &str) -> Option<PoolIndex> {
        let mut state = self.state();
        let entry = state.config.databases.get(database).or(state.config.auto_database.as_ref())?;
        let user = entry.user.clone().unwrap_or_else(|| user.to_string());
        let key = (database.to_string(), user.clone());
        if let Some(index) = state.by_key.get(&key) {
            return Some(*index);
        }
        if state.pools.len() >= POOLS_MAX {
            tracing::error!(database, user, "no more pools: there are {POOLS_MAX}");
            return None;
        }
        let settings = database_of(&state.config, database)?;
        let index = PoolIndex(u32::try_from(state.pools.len()).ok()?);
        let profile = Arc::new(profile(&state.config, &settings, &user));
        let budget = Budget {
            pool: Limit::new(pool_size(&state.config, &settings, &user)),
            database: Arc::clone(&state.database_limits(&settings).servers),
            user: Arc::clone(&state.user_limits(&user).servers),
        };
        let board = Arc::new(Board::new(self.workers.len(), self.started));
        let entry = PoolEntry { index, database: key.0.clone(), user, profile, budget, board };
        self.tell_workers(&entry);
        if state.held.all_paused || state.held.paused.contains(database) {
            self.broadcast(|| Mail::Pause(index));
        }
        state.pools.push(entry);
        state.by_key.insert(key, index);
        Some(index)
    }

    /// Takes a client's place under the limits of its database and user, which are known to exist; the name of the
    /// setting that stands in the way otherwise.
    pub(crate) fn take_places(
        &self,
        slot: &mut ClientSlot,
        database: &str,
        user: &str,
    ) -> Result<(), &'static str> {
        let mut state = self.state();
        if !state.databases.contains_key(database)
            && let Some(settings) = database_of(&state.config, database)
        {
            state.database_limits(&settings);
        }
        if state.databases.get(database).is_some_and(|limits| !slot.take(&limits.clients)) {
            return Err("max_db_client_connections");
        }
        if slot.take(&state.user_limits(user).clients) { Ok(()) } else { Err("max_user_client_connections") }
    }

    /// Where to connect for a pool.
    pub(crate) fn target(&self, index: PoolIndex) -> Option<Target> {
        let state = self.state();
        let entry = state.pools.get(index.0 as usize)?;
        let database = database_of(&state.config, &entry.database)?;
        let settings = &state.config.settings;
        let own = [
            ("client_encoding", &database.client_encoding),
            ("datestyle", &database.datestyle),
            ("timezone", &database.timezone),
            ("application_name", &database.application_name),
        ];
        let parameters =
            own.into_iter().filter_map(|(name, value)| Some((name.to_string(), value.clone()?))).collect();
        Some(Target {
            hosts: if database.hosts.is_empty() {
                vec![socket_dir(settings)]
            } else {
                database.hosts.clone()
            },
            port: database.port,
            dbname: database.dbname.clone().unwrap_or_else(|| entry.database.clone()),
            secret: database.password.clone().or_else(|| state.secrets.get(&entry.user).cloned()),
            client_key: state.client_keys.get(&entry.user).copied(),
            user: entry.user.clone(),
            parameters,
            connect_query: database.connect_query.clone(),
            lifetime: database.server_lifetime.unwrap_or(settings.server_lifetime),
        })
    }

    /// Keeps what a client's SCRAM proof has shown, for logging in to servers with the same verifier.
    pub(crate) fn keep_client_key(&self, user: &str, key: [u8; 32]) {
        self.state().client_keys.insert(user.to_string(), key);
    }

    /// Keys derived from a password before.
    pub(crate) fn derived_keys(&self, user: &str, salt: &[u8], iterations: u32) -> Option<ScramKeys> {
        self.state().derived.get(&(user.to_string(), salt.to_vec(), iterations)).cloned()
    }

    pub(crate) fn keep_derived_keys(&self, user: &str, salt: &[u8], iterations: u32, keys: ScramKeys) {
        self.state().derived.insert((user.to_string(), salt.to_vec(), iterations), keys);
    }

    /// Changes settings of the running process, as SET on the console does.
    pub(crate) fn change_settings(&self, settings: Settings, tls: Arc<Tls>) {
        let config = Config { settings, ..Config::clone(&self.config()) };
        let secrets = BTreeMap::clone(&self.secrets());
        self.replace(config, secrets, tls);
    }

    /// Puts another configuration in force. Pools whose database lies elsewhere by now close their servers.
    pub(crate) fn replace(&self, config: Config, secrets: BTreeMap<String, Secret>, tls: Arc<Tls>) {
        let mut state = self.state();
        let before = Arc::clone(&state.config);
        state.derived.clear();
        if *state.secrets != secrets {
            state.client_keys.clear();
        }
        state.config = Arc::new(config);
        state.secrets = Arc::new(secrets);
        state.tls = tls;
        self.clients.set_max(state.config.settings.max_client_conn.max(1));
        state.update_limits();
        let config = Arc::clone(&state.config);
        self.broadcast(|| Mail::Settings(Box::new(core_settings(&config.settings))));
        for entry in &mut state.pools {
            let Some(database) = database_of(&config, &entry.database) else {
                self.broadcast(|| Mail::Kill(entry.index));
                continue;
            };
            entry.profile = Arc::new(profile(&config, &database, &entry.user));
            entry.budget.pool.set_max(pool_size(&config, &database, &entry.user));
            self.tell_workers(entry);
            let moved =
                database_of(&before, &entry.database).is_none_or(|old| lies_elsewhere(&old, &database));
            if moved || is_reached_otherwise(&before.settings, &config.settings) {
                self.broadcast(|| Mail::Reconnect(entry.index));
            }
        }
        drop(state);
        self.open_fixed_pools();
    }

    /// How many clients are logged in under this name, whoever their servers are logged in as.
    pub(crate) fn clients_of_user(&self, name: &str) -> u32 {
        self.state().users.get(name).map_or(0, |limits| limits.clients.used())
    }

    /// Makes the pools of databases that have a fixed user and a minimum size: they need no client to be filled.
    pub(crate) fn open_fixed_pools(&self) {
        let config = self.config();
        let settings = &config.settings;
        for database in config.databases.values().filter(|database| database.user.is_some()) {
            if database.min_pool_size.unwrap_or(settings.min_pool_size) > 0 {
                self.pool_for(&database.name, "");
            }
        }
    }

    /// Changes which databases are held. Pools made later heed it by themselves.
    pub(crate) fn note_held(&self, change: impl FnOnce(&mut Held)) {
        change(&mut self.state().held);
    }

    /// Tells the workers something about each pool of a database, or about every pool.
    pub(crate) fn mail_pools(&self, database: Option<&str>, mail: fn(PoolIndex) -> Mail) {
        let state = self.state();
        for entry in state.pools.iter().filter(|entry| database.is_none_or(|name| entry.database == name)) {
            self.broadcast(|| mail(entry.index));
        }
    }

    fn tell_workers(&self, entry: &PoolEntry) {
        self.broadcast(|| {
            Mail::AddPool(Box::new(PoolSetup {
                index: entry.index,
                profile: Arc::clone(&entry.profile),
                budget: entry.budget.clone(),
                board: Arc::clone(&entry.board),
            }))
        });
    }

    fn broadcast(&self, mail: impl Fn() -> Mail) {
        for worker in &self.workers {
            worker.send(mail());
        }
    }
}

impl State {
    fn database_limits(&mut self, database: &DatabaseConfig) -> &Limits {
        let settings = &self.config.settings;
        let (servers, clients) = database_maxima(settings, database);
        self.databases
            .entry(database.name.clone())
            .or_insert_with(|| Limits { servers: Limit::new(servers), clients: Limit::new(clients) })
    }

    fn user_limits(&mut self, user: &str) -> &Limits {
        let (servers, clients) = user_maxima(&self.config.settings, self.config.users.get(user));
        let new = || Limits { servers: Limit::new(servers), clients: Limit::new(clients) };
        self.users.entry(user.to_string()).or_insert_with(new)
    }

    fn update_limits(&mut self) {
        for (name, limits) in &self.databases {
            if let Some(database) = database_of(&self.config, name) {
                let (servers, clients) = database_maxima(&self.config.settings, &database);
                limits.servers.set_max(servers);
                limits.clients.set_max(clients);
            }
        }
        for (name, limits) in &self.users {
            let (servers, clients) = user_maxima(&self.config.settings, self.config.users.get(name));
            limits.servers.set_max(servers);
            limits.clients.set_max(clients);
        }
    }
}

/// The part of the settings that every worker needs.
pub(crate) fn core_settings(settings: &Settings) -> CoreSettings {
    CoreSettings {
        prepared_statements_max: settings.max_prepared_statements as usize,
        message_bytes_max: settings.max_packet_size as usize,
        buffer_bytes: settings.pkt_buf as usize,
        wait_notify: settings.query_wait_notify,
        log_disconnections: settings.log_disconnections,
        tracked: Tracked::new(&settings.track_extra_parameters),
        // A reload leaves it as it was given at the start.
        measure: MeasureSettings::default(),
    }
}

fn database_of(config: &Config, name: &str) -> Option<DatabaseConfig> {
    let own = config.databases.get(name).cloned();
    own.or_else(|| config.auto_database.clone().map(|auto| DatabaseConfig { name: name.to_string(), ..auto }))
}

fn database_maxima(settings: &Settings, database: &DatabaseConfig) -> (u32, u32) {
    (
        database.max_db_connections.unwrap_or(settings.max_db_connections),
        database.max_db_client_connections.unwrap_or(settings.max_db_client_connections),
    )
}

fn user_maxima(settings: &Settings, user: Option<&UserConfig>) -> (u32, u32) {
    let own = |value: fn(&UserConfig) -> Option<u32>| user.and_then(value);
    (
        own(|user| user.max_user_connections).unwrap_or(settings.max_user_connections),
        own(|user| user.max_user_client_connections).unwrap_or(settings.max_user_client_connections),
    )
}

fn pool_size(config: &Config, database: &DatabaseConfig, user: &str) -> u32 {
    let own = config.users.get(user).and_then(|user| user.pool_size);
    own.or(database.pool_size).unwrap_or(config.settings.default_pool_size)
}

fn profile(config: &Config, database: &DatabaseConfig, user_name: &str) -> PoolProfile {
    let settings = &config.settings;
    let user = config.users.get(user_name);
    let mode = user.and_then(|user| user.pool_mode).or(database.pool_mode).unwrap_or(settings.pool_mode);
    let time = |own: fn(&UserConfig) -> Option<Duration>, otherwise| user.and_then(own).unwrap_or(otherwise);
    let reserve = user.and_then(|user| user.reserve_pool_size).or(database.reserve_pool_size);
    let wait_timeout = database.query_wait_timeout.unwrap_or(settings.query_wait_timeout);
    // Without a time to wait for, the reserve is off, as in PgBouncer.
    let reserve_size = if settings.reserve_pool_timeout.is_zero() {
        0
    } else {
        reserve.unwrap_or(settings.reserve_pool_size)
    };
    PoolProfile {
        database: database.name.clone(),
        user: user_name.to_string(),
        mode: match mode {
            PoolMode::Session => Mode::Session,
            PoolMode::Transaction => Mode::Transaction,
            PoolMode::Statement => Mode::Statement,
        },
        pool: PoolSettings {
            size_min: database.min_pool_size.unwrap_or(settings.min_pool_size),
            reserve_size,
            reserve_timeout: settings.reserve_pool_timeout,
            idle_timeout: settings.server_idle_timeout,
            wait_timeout: time(|user| user.query_wait_timeout, wait_timeout),
            login_retry: settings.server_login_retry,
            round_robin: settings.server_round_robin,
        },
        query_timeout: time(|user| user.query_timeout, settings.query_timeout),
        idle_transaction_timeout: time(
            |user| user.idle_transaction_timeout,
            settings.idle_transaction_timeout,
        ),
        transaction_timeout: time(|user| user.transaction_timeout, settings.transaction_timeout),
        client_idle_timeout: time(|user| user.client_idle_timeout, settings.client_idle_timeout),
        reset_query: settings.server_reset_query.clone(),
        reset_always: settings.server_reset_query_always,
        connect_query: database.connect_query.clone(),
        check_query: settings.server_check_query.clone(),
        check_delay: settings.server_check_delay,
        always_warm: database.user.is_some(),
    }
}

fn lies_elsewhere(old: &DatabaseConfig, new: &DatabaseConfig) -> bool {
    old.hosts != new.hosts
        || old.port != new.port
        || old.dbname != new.dbname
        || old.user != new.user
        || old.password != new.password
        || old.connect_query != new.connect_query
}

/// Whether servers are spoken to with other TLS than before.
fn is_reached_otherwise(old: &Settings, new: &Settings) -> bool {
    old.server_tls_sslmode != new.server_tls_sslmode
        || old.server_tls_ca_file != new.server_tls_ca_file
        || old.server_tls_cert_file != new.server_tls_cert_file
        || old.server_tls_key_file != new.server_tls_key_file
        || old.server_tls_protocols != new.server_tls_protocols
}

fn socket_dir(settings: &Settings) -> String {
    let default = || PathBuf::from("/tmp");
    settings.unix_socket_dir.clone().unwrap_or_else(default).to_string_lossy().into_owned()
}
