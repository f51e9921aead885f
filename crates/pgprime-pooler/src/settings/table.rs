//! All settings of `[pgbouncer]` in one table: a line each with type, way of writing, default and when it applies.
//!
//! The table makes [`Settings`], its defaults, and what is needed to set and show a setting by its name. Names,
//! units, defaults and meanings are PgBouncer's, so that a configuration means the same to both.

use std::path::PathBuf;
use std::time::Duration;

use super::error::SettingError;
use super::nearest::nearest;
use super::value::{
    AuthType, Count, Expected, FileMode, Flag, Kind, List, OptionalPath, OptionalText, Period, PoolMode,
    Port, Seconds, Support, Text, TlsMode, Whole,
};

/// What the table says of one setting besides its field.
struct Definition {
    name: &'static str,
    /// What it is, with its unit: the words beside its line.
    about: &'static str,
    /// Whether a change applies to the running process; otherwise it waits for a restart.
    changeable: bool,
    support: Support,
    parse: fn(&mut Settings, &str) -> Result<(), Expected>,
    show: fn(&Settings) -> Option<String>,
    copy: fn(&mut Settings, &Settings),
}

/// Other names under which PgBouncer takes a setting.
const ALIASES: [(&str, &str); 1] = [("service_name", "job_name")];

/// One row of `SHOW CONFIG`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingRow {
    /// The setting's name.
    pub key: &'static str,
    /// What it is, with its unit, in whole sentences; `code` is in backquotes. No column of `SHOW CONFIG`.
    pub about: &'static str,
    /// Its value as text, times in seconds; `None` (NULL) where nothing is set.
    pub value: Option<String>,
    /// The value it has when the configuration does not mention it.
    pub default: Option<String>,
    /// Whether a change applies without a restart.
    pub changeable: bool,
}

macro_rules! settings {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident: $type:ty = $kind:ident($default:tt), $when:ident $(, unsupported $(except $values:tt)?)?;
    )+) => {
        /// The settings of `[pgbouncer]`. Those marked "not supported yet" are read, checked and shown, but a value
        /// other than the default has no effect and is warned about.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Settings {
            $(
                $(#[doc = $doc])+
                #[doc = ""]
                #[doc = concat!(
                    "Default: ", settings!(@default $default), ".",
                    settings!(@when $when),
                    settings!(@note $(unsupported $(except $values)?)?)
                )]
                pub $name: $type,
            )+
        }

        impl Default for Settings {
            fn default() -> Settings {
                Settings { $($name: default_of::<$kind>($default),)+ }
            }
        }

        static TABLE: &[Definition] = &[$(Definition {
            name: stringify!($name),
            // Each line of a comment begins with its blank.
            about: concat!($($doc),+).trim_ascii_start(),
            changeable: settings!(@changeable $when),
            support: settings!(@support $default $(unsupported $(except $values)?)?),
            parse: |settings, text| {
                settings.$name = <$kind as Kind>::parse(text)?;
                Ok(())
            },
            show: |settings| <$kind as Kind>::show(&settings.$name),
            copy: |settings, from| settings.$name = from.$name.clone(),
        },)+];
    };
    (@default "") => { "none" };
    (@default $default:literal) => { concat!("`", $default, "`") };
    (@when live) => { "" };
    (@when restart) => { " A change waits for a restart." };
    (@changeable live) => { true };
    (@changeable restart) => { false };
    (@note) => { "" };
    (@note unsupported) => { " Not supported yet." };
    (@note unsupported except [$($value:literal),+]) => {
        concat!(" Not supported yet, except" $(, " `", $value, "`")+, ".")
    };
    (@support $default:tt) => { Support::Full };
    (@support $default:tt unsupported) => { Support::Only(&[$default]) };
    (@support $default:tt unsupported except [$($value:literal),+]) => { Support::Only(&[$($value),+]) };
}

fn default_of<K: Kind>(text: &'static str) -> K::Value {
    K::parse(text).expect("a test reads every default of the table")
}

/// A setting that names a size for a buffer: large enough for a message's header, small enough to have thousands.
type BufferSize = Whole<64, 16_777_216>;
/// Peers are numbered in 14 bits.
type PeerNumber = Whole<0, 16_383>;
/// The levels of -v.
type Verbosity = Whole<0, 3>;
type ListenPort = Port<0>;

settings! {
    // Where clients connect

    /// TCP addresses or host names to listen on; `*` is all. None: Unix sockets only, the safe choice where nobody
    /// said otherwise.
    listen_addr: Vec<String> = List(""), restart;
    /// Port of the TCP and the Unix sockets; 0 lets the system choose. 6432 is one off PostgreSQL's, so both can run
    /// on one machine.
    listen_port: u16 = ListenPort("6432"), restart;
    /// Connections that may wait to be accepted. The system's limit (`net.core.somaxconn`) caps it.
    listen_backlog: u32 = Count("128"), restart;
    /// Folder of the Unix socket, for clients as well as for servers without a host; none: no Unix socket. The
    /// default is where libpq looks.
    unix_socket_dir: Option<PathBuf> = OptionalPath("/tmp"), restart;
    /// Permissions of the Unix socket. Open to all, as authentication is what guards it.
    unix_socket_mode: u32 = FileMode("0777"), restart;
    /// Group that owns the Unix socket; empty: the process's own.
    unix_socket_group: String = Text(""), restart;
    /// Lets several processes listen on the same port, between which the system divides the clients. Off, as a port
    /// taken twice is otherwise a mistake.
    so_reuseport: bool = Flag("0"), restart;

    // The process

    /// The file to log to.
    logfile: Option<PathBuf> = OptionalPath(""), restart;
    /// The file to write the process id to.
    pidfile: Option<PathBuf> = OptionalPath(""), restart;
    /// The system user to become after start as root.
    user: Option<String> = OptionalText(""), restart;
    /// How much more than usual to log, 0 to 3.
    verbose: u32 = Verbosity("0"), restart;
    /// The configuration file in use; the next RELOAD reads this one.
    conffile: Option<PathBuf> = OptionalPath(""), live;
    /// Name of the service; `service_name` is the same. Only shown.
    job_name: String = Text("pgbouncer"), restart;
    /// This process's number in a group of peers that pass cancel requests on; 0: no peers.
    peer_id: u32 = PeerNumber("0"), restart, unsupported;

    // Pools

    /// How long a client keeps its server connection. A session by default: it changes nothing that an application
    /// could notice.
    pool_mode: PoolMode = PoolMode("session"), live;
    /// Client connections at most.
    max_client_conn: u32 = Count("100"), live;
    /// Server connections at most for each pair of user and database.
    default_pool_size: u32 = Count("20"), live;
    /// Server connections to keep ready in each pool in use; 0: none are opened before they are needed.
    min_pool_size: u32 = Count("0"), live;
    /// Further server connections for clients that waited `reserve_pool_timeout`; 0: none.
    reserve_pool_size: u32 = Count("0"), live;
    /// Seconds a client waits before it may use the reserve; 0: the reserve is not used.
    reserve_pool_timeout: Duration = Seconds("5"), live;
    /// Server connections at most for each database, whoever the user; 0: no limit.
    max_db_connections: u32 = Count("0"), live;
    /// Client connections at most for each database; 0: no limit.
    max_db_client_connections: u32 = Count("0"), live;
    /// Server connections at most for each user, whatever the database; 0: no limit.
    max_user_connections: u32 = Count("0"), live;
    /// Client connections at most for each user; 0: no limit.
    max_user_client_connections: u32 = Count("0"), live;
    /// Use idle server connections in turn instead of the last used first. Off: few warm connections serve a single
    /// server best; on, where several servers hide behind one address.
    server_round_robin: bool = Flag("0"), live;
    /// Named prepared statements to keep on each server connection in transaction and statement mode; 0: named
    /// statements are passed on as they are. Each costs memory on the server.
    max_prepared_statements: u32 = Count("200"), live;

    // What clients may send

    /// Startup parameters to accept and ignore, besides those that are tracked. None, as an ignored parameter may
    /// change results.
    ignore_startup_parameters: Vec<String> = List(""), live;
    /// Parameters to follow per client and restore on its server, besides client_encoding, datestyle, timezone,
    /// standard_conforming_strings and application_name. The server must report them.
    track_extra_parameters: Vec<String> = List("IntervalStyle"), live;
    /// Refuse the simple query protocol, and with it several statements in one message.
    disable_pqexec: bool = Flag("0"), restart, unsupported;
    /// Append the client's address and port to its application_name at the start.
    application_name_add_host: bool = Flag("0"), live;
    /// The largest message passed on, in bytes. The default is what the protocol can express.
    max_packet_size: u32 = Count("2147483647"), live;
    /// Text of a notice sent to each client after login.
    login_notify_message: String = Text(""), live, unsupported;

    // Who may connect

    /// How clients prove who they are.
    auth_type: AuthType = AuthType("md5"), live;
    /// The file with user names and secrets.
    auth_file: Option<PathBuf> = OptionalPath(""), live;
    /// The file with a method for each address, database and user.
    auth_hba_file: Option<PathBuf> = OptionalPath(""), live, unsupported;
    /// The file that maps system users to database users.
    auth_ident_file: Option<PathBuf> = OptionalPath(""), live, unsupported;
    /// The user as which to look up the secrets of users that `auth_file` lacks.
    auth_user: Option<String> = OptionalText(""), live, unsupported;
    /// The query that looks up a secret.
    auth_query: String = Text("SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END FROM pg_authid WHERE rolname=$1 AND rolcanlogin"), live, unsupported;
    /// The database in which to look up secrets; none: the one that the client asked for.
    auth_dbname: Option<String> = OptionalText(""), live, unsupported;
    /// How to reach the LDAP server.
    auth_ldap_options: Option<String> = OptionalText(""), live, unsupported;
    /// Rounds of hashing when a SCRAM secret is made from a plain password. PostgreSQL's own default.
    scram_iterations: u32 = Count("4096"), live, unsupported;
    /// Users who may run every command of the console.
    admin_users: Vec<String> = List(""), live;
    /// Users who may run the console's SHOW commands.
    stats_users: Vec<String> = List(""), live;

    // Server connections

    /// SQL to run when a client leaves its server in session mode; empty: none. The default clears all that a
    /// session can hold.
    server_reset_query: String = Text("DISCARD ALL"), live;
    /// Run `server_reset_query` in transaction and statement mode too.
    server_reset_query_always: bool = Flag("0"), live;
    /// Seconds for which a released connection is used again without `server_check_query`; 0: it is always checked.
    server_check_delay: Duration = Seconds("30"), live;
    /// SQL that shows whether a server connection is alive; `<empty>` is the empty query, the cheapest there is; an
    /// empty text turns the check off.
    server_check_query: String = Text("<empty>"), live;
    /// After RECONNECT, close servers in session mode when their transaction ends, not their session.
    server_fast_close: bool = Flag("0"), live, unsupported;
    /// Seconds after which an unused server connection is closed for its age, so that memory and plans on the server
    /// do not grow for ever; 0: after one use.
    server_lifetime: Duration = Seconds("3600"), live;
    /// Seconds after which an unused server connection is closed for being idle; 0: never.
    server_idle_timeout: Duration = Seconds("600"), live;
    /// Seconds for connecting and logging in to a server.
    server_connect_timeout: Duration = Seconds("15"), live;
    /// Seconds to wait after a failed login to a server. Meanwhile new clients get the error at once.
    server_login_retry: Duration = Seconds("15"), live;
    /// Seconds after which an unused database made from `*` is forgotten with its statistics.
    autodb_idle_timeout: Duration = Seconds("3600"), live, unsupported;
    /// Seconds after which an empty pool is forgotten with its statistics; 0: never.
    pool_idle_timeout: Duration = Seconds("0"), live, unsupported;

    // Time limits for clients

    /// Seconds in which a client must have logged in.
    client_login_timeout: Duration = Seconds("60"), live;
    /// Seconds without a request after which a client is disconnected; 0: never.
    client_idle_timeout: Duration = Seconds("0"), live;
    /// Seconds a query may run before client and server are disconnected; 0: no limit. `statement_timeout` on the
    /// server is the better tool.
    query_timeout: Duration = Seconds("0"), live;
    /// Seconds a query may wait for a server before its client is disconnected; 0: no limit. Two minutes: longer
    /// waits help nobody.
    query_wait_timeout: Duration = Seconds("120"), live;
    /// Seconds after which a waiting client is told by a notice that it waits; 0: never.
    query_wait_notify: Duration = Seconds("5"), live;
    /// Seconds a cancel request may wait for a server connection; 0: no limit.
    cancel_wait_timeout: Duration = Seconds("10"), live;
    /// Seconds a client may do nothing inside a transaction; 0: no limit.
    idle_transaction_timeout: Duration = Seconds("0"), live;
    /// Seconds a transaction may last; 0: no limit.
    transaction_timeout: Duration = Seconds("0"), live;
    /// Seconds that SUSPEND waits for buffers to empty.
    suspend_timeout: Duration = Seconds("10"), live, unsupported;

    // Log and statistics

    /// Log successful logins.
    log_connections: bool = Flag("1"), live;
    /// Log disconnections with their reason.
    log_disconnections: bool = Flag("1"), live;
    /// Log the errors that the pooler itself sends to clients.
    log_pooler_errors: bool = Flag("1"), live;
    /// Log statistics every `stats_period`.
    log_stats: bool = Flag("1"), live;
    /// Seconds over which the averages of SHOW STATS are taken.
    stats_period: Duration = Period("60"), live;
    /// Log to syslog.
    syslog: bool = Flag("0"), live, unsupported;
    /// Name in syslog.
    syslog_ident: String = Text("pgbouncer"), live, unsupported;
    /// Facility in syslog.
    syslog_facility: String = Text("daemon"), live, unsupported;

    // Network

    /// Bytes of the buffer through which a connection's messages pass. Larger ones save system calls on large
    /// results and cost memory.
    pkt_buf: u32 = BufferSize("4096"), restart;
    /// Buffers to pass for one connection before the others have their turn; 0: no limit.
    sbuf_loopcnt: u32 = Count("5"), live, unsupported;
    /// Wake up for a new client only when its first bytes are there.
    tcp_defer_accept: bool = Flag("1"), live, unsupported;
    /// Bytes of the socket buffers in the kernel; 0: the system's choice.
    tcp_socket_buffer: u32 = Count("0"), live;
    /// Probe idle TCP connections, so that dead peers are noticed.
    tcp_keepalive: bool = Flag("1"), live;
    /// Lost probes after which a connection is dead; 0: the system's choice.
    tcp_keepcnt: u32 = Count("0"), live;
    /// Seconds of silence before the first probe; 0: the system's choice.
    tcp_keepidle: u32 = Count("0"), live;
    /// Seconds between probes; 0: the system's choice.
    tcp_keepintvl: u32 = Count("0"), live;
    /// Milliseconds for which sent data may stay unacknowledged; 0: the system's choice.
    tcp_user_timeout: u32 = Count("0"), live;
    /// Seconds for which a looked-up address is kept.
    dns_max_ttl: Duration = Seconds("15"), live, unsupported;
    /// Seconds for which a failed look-up is kept.
    dns_nxdomain_ttl: Duration = Seconds("15"), live, unsupported;
    /// Seconds between looks at a zone's serial number; 0: never.
    dns_zone_check_period: Duration = Seconds("0"), live, unsupported;
    /// A resolv.conf other than the system's.
    resolv_conf: Option<PathBuf> = OptionalPath(""), restart, unsupported;

    // TLS

    /// TLS with clients over TCP: `disable` declines it; `allow` and `prefer` leave it to the client; `require` turns
    /// away who comes without; `verify-ca` and `verify-full` also want a certificate that descends from
    /// `client_tls_ca_file`. Unix sockets never have it. Off, as there is no certificate that nobody has made.
    client_tls_sslmode: String = TlsMode("disable"), live;
    /// Private key to show to clients, in PEM and without a passphrase. RELOAD reads it again.
    client_tls_key_file: Option<PathBuf> = OptionalPath(""), live;
    /// Certificate to show to clients, in PEM, with those between it and its root. RELOAD reads it again.
    client_tls_cert_file: Option<PathBuf> = OptionalPath(""), live;
    /// Root certificates that clients' certificates must descend from, in PEM. Your own: everybody gets a certificate from
    /// one of the operating system's.
    client_tls_ca_file: Option<PathBuf> = OptionalPath(""), live;
    /// Versions of TLS with clients: `secure`, or a list of `tlsv1.2` and `tlsv1.3`. Older ones are never spoken.
    client_tls_protocols: String = Text("secure"), live;
    /// Ciphers up to TLS 1.2 with clients: those with forward secrecy and authenticated encryption.
    client_tls_ciphers: String = Text("default"), live, unsupported except ["default", "secure", "fast", "normal"];
    /// Ciphers of TLS 1.3 with clients; empty: all of them.
    client_tls13_ciphers: String = Text(""), live, unsupported except ["", "<empty>"];
    /// Curve for the key exchange with clients: X25519, P-256 or P-384, as the client prefers.
    client_tls_ecdhcurve: String = Text("auto"), live, unsupported;
    /// Finite-field key exchange with clients, of which there is none.
    client_tls_dheparams: String = Text("auto"), live, unsupported except ["auto", "none"];
    /// TLS with servers over TCP: `allow` uses it where the server insists, `prefer` where the server offers it;
    /// `require` and beyond connect with it or not at all. `verify-ca` also checks that the server's certificate descends from
    /// `server_tls_ca_file`, `verify-full` that it is for the host, too. Unix sockets never have it.
    server_tls_sslmode: String = TlsMode("prefer"), live;
    /// Root certificates that servers' certificates must descend from, in PEM; `system`: the operating system's, with
    /// `verify-full` only.
    server_tls_ca_file: Option<PathBuf> = OptionalPath(""), live;
    /// Private key to show to servers, in PEM and without a passphrase. RELOAD reads it again.
    server_tls_key_file: Option<PathBuf> = OptionalPath(""), live;
    /// Certificate to show to servers that ask for one, in PEM. RELOAD reads it again.
    server_tls_cert_file: Option<PathBuf> = OptionalPath(""), live;
    /// Versions of TLS with servers: `secure`, or a list of `tlsv1.2` and `tlsv1.3`. Older ones are never spoken.
    server_tls_protocols: String = Text("secure"), live;
    /// Ciphers up to TLS 1.2 with servers: those with forward secrecy and authenticated encryption.
    server_tls_ciphers: String = Text("default"), live, unsupported except ["default", "secure", "fast", "normal"];
    /// Ciphers of TLS 1.3 with servers; empty: all of them.
    server_tls13_ciphers: String = Text(""), live, unsupported except ["", "<empty>"];
}

impl Settings {
    /// Sets one setting from its text, in the file or by the console's `SET`. Changes nothing when it fails. Does
    /// not ask whether the setting can change while the process runs: see [`Settings::is_changeable`].
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SettingError> {
        let definition = find(name).ok_or_else(|| SettingError::Unknown {
            name: name.to_owned(),
            nearest: nearest(name, TABLE.iter().map(|definition| definition.name)),
        })?;
        (definition.parse)(self, value).map_err(|Expected(expected)| SettingError::Invalid {
            name: definition.name,
            expected,
            found: value.to_owned(),
        })
    }

    /// All settings, supported or not, by name: the rows of `SHOW CONFIG`.
    pub fn show(&self) -> Vec<SettingRow> {
        let defaults = Settings::default();
        let row = |definition: &Definition| SettingRow {
            key: definition.name,
            about: definition.about,
            value: (definition.show)(self),
            default: (definition.show)(&defaults),
            changeable: definition.changeable,
        };
        let mut rows: Vec<SettingRow> = TABLE.iter().map(row).collect();
        rows.sort_by_key(|row| row.key);
        rows
    }

    /// Whether a change of this setting applies without a restart; `None` where there is no such setting.
    pub fn is_changeable(name: &str) -> Option<bool> {
        find(name).map(|definition| definition.changeable)
    }

    /// A warning where the present value of this setting has no effect yet.
    pub fn warning(&self, name: &str) -> Option<String> {
        let definition = find(name)?;
        let value = (definition.show)(self).unwrap_or_default();
        let without_effect = !definition.support.covers(&value);
        without_effect
            .then(|| format!("{}: this value is not supported yet and has no effect", definition.name))
    }

    /// Takes back every change that must wait for a restart, as against the settings of the running process.
    /// Returns the names of those settings.
    pub fn keep_unchangeable(&mut self, running: &Settings) -> Vec<&'static str> {
        let mut kept = Vec::new();
        for definition in TABLE.iter().filter(|definition| !definition.changeable) {
            if (definition.show)(self) != (definition.show)(running) {
                (definition.copy)(self, running);
                kept.push(definition.name);
            }
        }
        kept
    }
}

fn find(name: &str) -> Option<&'static Definition> {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
    let name = alias.map_or(name, |(_, name)| name);
    TABLE.iter().find(|definition| definition.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn shown(settings: &Settings, name: &str) -> (String, bool) {
        let row = settings.show().into_iter().find(|row| row.key == name).unwrap();
        (row.value.unwrap_or("NULL".to_owned()), row.changeable)
    }

    /// Sets a setting to a text and reads it back as `SHOW CONFIG` shows it.
    #[track_caller]
    fn check(name: &str, text: &str, expected: Result<&str, &str>) {
        let mut settings = Settings::default();
        let found = settings.set(name, text).map(|()| shown(&settings, name).0);
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{name}"),
            (Err(found), Err(expected)) => assert_eq!(found.to_string(), expected),
            (found, expected) => panic!("{name} = {text:?} gave {found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn every_default_can_be_set_and_changes_nothing() {
        let defaults = Settings::default();
        for row in defaults.show() {
            let text = row.default.clone().unwrap_or_default();
            let mut settings = Settings::default();
            settings.set(row.key, &text).unwrap();
            assert_eq!(settings, defaults, "{}", row.key);
            assert_eq!(row.value, row.default, "{}", row.key);
            assert_eq!(settings.warning(row.key), None);
        }
    }

    /// The values as PgBouncer documents them. 0 and "" read as "none" or "no limit" there.
    #[test]
    fn defaults_are_the_documented_ones() {
        let documented = "
            admin_users=|application_name_add_host=0|auth_dbname=NULL|auth_file=NULL|auth_hba_file=NULL
            auth_ident_file=NULL|auth_ldap_options=NULL
            auth_query=SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END FROM pg_authid WHERE rolname=$1 AND rolcanlogin
            auth_type=md5|auth_user=NULL|autodb_idle_timeout=3600|cancel_wait_timeout=10|client_idle_timeout=0
            client_login_timeout=60|client_tls13_ciphers=|client_tls_ca_file=NULL|client_tls_cert_file=NULL
            client_tls_ciphers=default|client_tls_dheparams=auto|client_tls_ecdhcurve=auto
            client_tls_key_file=NULL|client_tls_protocols=secure|client_tls_sslmode=disable|conffile=NULL
            default_pool_size=20|disable_pqexec=0|dns_max_ttl=15|dns_nxdomain_ttl=15|dns_zone_check_period=0
            idle_transaction_timeout=0|ignore_startup_parameters=|job_name=pgbouncer|listen_addr=
            listen_backlog=128|listen_port=6432|log_connections=1|log_disconnections=1|log_pooler_errors=1
            log_stats=1|logfile=NULL|login_notify_message=|max_client_conn=100|max_db_client_connections=0
            max_db_connections=0|max_packet_size=2147483647|max_prepared_statements=200
            max_user_client_connections=0|max_user_connections=0|min_pool_size=0|peer_id=0|pidfile=NULL
            pkt_buf=4096|pool_idle_timeout=0|pool_mode=session|query_timeout=0|query_wait_notify=5
            query_wait_timeout=120|reserve_pool_size=0|reserve_pool_timeout=5|resolv_conf=NULL|sbuf_loopcnt=5
            scram_iterations=4096|server_check_delay=30|server_check_query=<empty>|server_connect_timeout=15
            server_fast_close=0|server_idle_timeout=600|server_lifetime=3600|server_login_retry=15
            server_reset_query=DISCARD ALL|server_reset_query_always=0|server_round_robin=0
            server_tls13_ciphers=|server_tls_ca_file=NULL|server_tls_cert_file=NULL|server_tls_ciphers=default
            server_tls_key_file=NULL|server_tls_protocols=secure|server_tls_sslmode=prefer|so_reuseport=0
            stats_period=60|stats_users=|suspend_timeout=10|syslog=0|syslog_facility=daemon
            syslog_ident=pgbouncer|tcp_defer_accept=1|tcp_keepalive=1|tcp_keepcnt=0|tcp_keepidle=0
            tcp_keepintvl=0|tcp_socket_buffer=0|tcp_user_timeout=0|track_extra_parameters=IntervalStyle
            transaction_timeout=0|unix_socket_dir=/tmp|unix_socket_group=|unix_socket_mode=0777|user=NULL
            verbose=0";
        let documented: Vec<&str> = documented.trim().split(['|', '\n']).map(str::trim).collect();
        let ours = Settings::default().show();
        let ours: Vec<String> = ours
            .iter()
            .map(|row| format!("{}={}", row.key, row.value.as_deref().unwrap_or("NULL")))
            .collect();
        assert_eq!(ours, documented);
    }

    #[test]
    fn each_setting_says_what_it_is() {
        let rows = Settings::default().show();
        let about = |key: &str| rows.iter().find(|row| row.key == key).unwrap().about;
        assert_eq!(about("auth_type"), "How clients prove who they are.");
        assert_eq!(
            about("query_timeout"),
            "Seconds a query may run before client and server are disconnected; 0: no limit. `statement_timeout` on \
             the server is the better tool."
        );
        for row in &rows {
            let is_whole = row.about.ends_with('.') && !row.about.contains("  ") && !row.about.contains('|');
            assert!(is_whole, "{}: {}", row.key, row.about);
        }
    }

    #[test]
    fn settings_take_their_values() {
        check("listen_addr", "127.0.0.1, ::1", Ok("127.0.0.1,::1"));
        check("listen_port", "0", Ok("0"));
        check("unix_socket_dir", "", Ok("NULL"));
        check("pool_mode", "Transaction", Ok("transaction"));
        check("query_wait_timeout", "0.5", Ok("0.5"));
        check("auth_type", "scram-sha-256", Ok("scram-sha-256"));
        check("log_stats", "off", Ok("0"));
        check("job_name", "x", Ok("x"));
        check("server_reset_query", "", Ok(""));
        check("verbose", "3", Ok("3"));
    }

    #[test]
    fn what_a_setting_cannot_take_is_named() {
        check("pool_sized", "1", Err("there is no setting \"pool_sized\""));
        check(
            "max_client_con",
            "1",
            Err("there is no setting \"max_client_con\"; did you mean max_client_conn?"),
        );
        check("POOL_MODE", "session", Err("there is no setting \"POOL_MODE\"; did you mean pool_mode?"));
        check(
            "query_timeout",
            "5s",
            Err(
                "query_timeout: expected a number of seconds without a unit, such as 5 or 0.5, and at most 100 \
                 years, found \"5s\"",
            ),
        );
        check("verbose", "4", Err("verbose: expected a whole number from 0 to 3, found \"4\""));
        check(
            "auth_type",
            "pam",
            Err(
                "auth_type: expected any, trust, plain, md5 or scram-sha-256 (pam is not supported yet), found \
                 \"pam\"",
            ),
        );
        check(
            "stats_period",
            "0",
            Err("stats_period: expected a number of seconds, at least 1, found \"0\""),
        );
    }

    #[test]
    fn an_alias_is_the_setting() {
        let mut settings = Settings::default();
        settings.set("service_name", "db").unwrap();
        assert_eq!(settings.job_name, "db");
        assert_eq!(Settings::is_changeable("service_name"), Some(false));
    }

    #[test]
    fn values_without_effect_are_warned_about() {
        let check = |name: &str, text: &str, warned: bool| {
            let mut settings = Settings::default();
            settings.set(name, text).unwrap();
            assert_eq!(settings.warning(name).is_some(), warned, "{name} = {text}");
        };
        check("pool_mode", "transaction", false);
        check("syslog", "off", false);
        check("syslog", "on", true);
        check("dns_max_ttl", "15.0", false);
        check("dns_max_ttl", "30", true);
        check("server_tls_sslmode", "disable", false);
        check("server_tls_sslmode", "require", false);
        check("client_tls_ciphers", "fast", false);
        check("client_tls_ciphers", "AES128-SHA", true);
        check("auth_user", "lookup", true);
        check("auth_user", "", false);
        assert_eq!(Settings::default().warning("nonsense"), None);
    }

    #[test]
    fn a_restart_is_needed_for_what_was_bound_at_the_start() {
        let fixed: Vec<&str> =
            Settings::default().show().iter().filter(|row| !row.changeable).map(|row| row.key).collect();
        let expected = [
            "disable_pqexec",
            "job_name",
            "listen_addr",
            "listen_backlog",
            "listen_port",
            "logfile",
            "peer_id",
            "pidfile",
            "pkt_buf",
            "resolv_conf",
            "so_reuseport",
            "unix_socket_dir",
            "unix_socket_group",
            "unix_socket_mode",
            "user",
            "verbose",
        ];
        assert_eq!(fixed, expected);
        assert_eq!(Settings::is_changeable("listen_port"), Some(false));
        assert_eq!(Settings::is_changeable("pool_mode"), Some(true));
        assert_eq!(Settings::is_changeable("nonsense"), None);

        let running = Settings::default();
        let mut wanted = Settings { listen_port: 7000, max_client_conn: 5, ..Settings::default() };
        assert_eq!(wanted.keep_unchangeable(&running), ["listen_port"]);
        assert_eq!(wanted, Settings { max_client_conn: 5, ..running });
    }
}
