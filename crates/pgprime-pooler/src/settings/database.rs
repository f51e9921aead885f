//! An entry of `[databases]`: where the clients of one database are led.

use std::time::Duration;

use super::entry::{self, Key};
use super::secret::Secret;
use super::value::{Count, Expected, Kind, List, OptionalText, PoolMode, Port, Seconds, unless_unset};

/// The port where PostgreSQL listens unless told otherwise.
const PORT_DEFAULT: u16 = 5432;

/// A database as clients see it, and the server behind it. What is `None` is taken from the general settings.
#[derive(Clone, Debug, PartialEq)]
pub struct DatabaseConfig {
    /// The name that clients connect to; `*` for the entry that stands in for all others.
    pub name: String,
    /// Host names, addresses or folders of Unix sockets (those begin with `/`), used in turn. Empty: the Unix socket
    /// of a server on this machine.
    pub hosts: Vec<String>,
    /// The port at each host.
    pub port: u16,
    /// The database on the server. Default: the name that the client asked for.
    pub dbname: Option<String>,
    /// Log in to the server as this user whoever the client is, so that the database has a single pool.
    pub user: Option<String>,
    /// The password for `user`. Default: its secret in `auth_file`.
    pub password: Option<Secret>,
    /// Overrides the setting `auth_user`. Not supported yet.
    pub auth_user: Option<String>,
    /// Overrides the setting `auth_query`. Not supported yet.
    pub auth_query: Option<String>,
    /// Overrides the setting `auth_dbname`. Not supported yet.
    pub auth_dbname: Option<String>,
    /// Server connections of each pool at most; overrides `default_pool_size`.
    pub pool_size: Option<u32>,
    /// Server connections of each pool at least; overrides `min_pool_size`.
    pub min_pool_size: Option<u32>,
    /// Further connections for clients that wait long; overrides `reserve_pool_size`.
    pub reserve_pool_size: Option<u32>,
    /// SQL to run on each new server connection. Its errors are logged only.
    pub connect_query: Option<String>,
    /// Overrides `pool_mode`.
    pub pool_mode: Option<PoolMode>,
    /// Server connections of all its pools together at most; overrides `max_db_connections`.
    pub max_db_connections: Option<u32>,
    /// Client connections at most; overrides `max_db_client_connections`.
    pub max_db_client_connections: Option<u32>,
    /// Overrides `server_lifetime`.
    pub server_lifetime: Option<Duration>,
    /// Overrides `query_wait_timeout`.
    pub query_wait_timeout: Option<Duration>,
    /// Startup parameter for the server: `client_encoding`.
    pub client_encoding: Option<String>,
    /// Startup parameter for the server: `datestyle`.
    pub datestyle: Option<String>,
    /// Startup parameter for the server: `timezone`.
    pub timezone: Option<String>,
    /// Startup parameter for the server: `application_name`.
    pub application_name: Option<String>,
}

impl DatabaseConfig {
    /// An entry in which nothing is set.
    pub fn new(name: impl Into<String>) -> DatabaseConfig {
        DatabaseConfig {
            name: name.into(),
            hosts: Vec::new(),
            port: PORT_DEFAULT,
            dbname: None,
            user: None,
            password: None,
            auth_user: None,
            auth_query: None,
            auth_dbname: None,
            pool_size: None,
            min_pool_size: None,
            reserve_pool_size: None,
            connect_query: None,
            pool_mode: None,
            max_db_connections: None,
            max_db_client_connections: None,
            server_lifetime: None,
            query_wait_timeout: None,
            client_encoding: None,
            datestyle: None,
            timezone: None,
            application_name: None,
        }
    }

    /// Reads an entry; also returns the keys in it that have no effect yet.
    pub(super) fn parse(name: &str, text: &str) -> Result<(DatabaseConfig, Vec<&'static str>), String> {
        let mut database = DatabaseConfig::new(name);
        let without_effect = entry::fill(text, KEYS, &mut database)?;
        Ok((database, without_effect))
    }
}

/// A key whose text goes to the field of its name.
macro_rules! key {
    ($field:ident : $kind:ty) => {
        Key::new(stringify!($field), |database: &mut DatabaseConfig, text| {
            database.$field = <$kind>::parse(text)?;
            Ok(())
        })
    };
    ($field:ident : $kind:ty, unless -1) => {
        Key::new(stringify!($field), |database: &mut DatabaseConfig, text| {
            database.$field = unless_unset::<$kind>(text)?;
            Ok(())
        })
    };
    ($field:ident : $kind:ty, unsupported) => {
        Key::only(stringify!($field), &[], |database: &mut DatabaseConfig, text| {
            database.$field = <$kind>::parse(text)?;
            Ok(())
        })
    };
}

static KEYS: &[Key<DatabaseConfig>] = &[
    key!(dbname: OptionalText),
    Key::new("host", |database, text| {
        database.hosts = List::parse(text)?;
        Ok(())
    }),
    key!(port: Port<1>),
    key!(user: OptionalText),
    Key::new("password", |database, text| {
        database.password = OptionalText::parse(text)?.as_deref().map(Secret::from_text);
        Ok(())
    }),
    key!(auth_user: OptionalText, unsupported),
    key!(auth_query: OptionalText, unsupported),
    key!(auth_dbname: OptionalText, unsupported),
    key!(pool_size: Count, unless -1),
    key!(min_pool_size: Count, unless -1),
    key!(reserve_pool_size: Count, unless -1),
    // The older name of reserve_pool_size, which PgBouncer still takes.
    Key::new("reserve_pool", |database, text| {
        database.reserve_pool_size = unless_unset::<Count>(text)?;
        Ok(())
    }),
    key!(connect_query: OptionalText),
    Key::new("pool_mode", |database, text| {
        database.pool_mode = Some(PoolMode::parse(text)?);
        Ok(())
    }),
    key!(max_db_connections: Count, unless -1),
    key!(max_db_client_connections: Count, unless -1),
    key!(server_lifetime: Seconds, unless -1),
    key!(query_wait_timeout: Seconds, unless -1),
    key!(client_encoding: OptionalText),
    key!(datestyle: OptionalText),
    key!(timezone: OptionalText),
    key!(application_name: OptionalText),
    Key::only("load_balance_hosts", &["round-robin"], |_, text| {
        one_of(text, &["round-robin", "disable"], "round-robin or disable")
    }),
    Key::only("target_session_attrs", &["any"], |_, text| {
        let known = ["any", "read-write", "read-only", "primary", "standby"];
        one_of(text, &known, "any, read-write, read-only, primary or standby")
    }),
];

fn one_of(text: &str, known: &[&str], expected: &'static str) -> Result<(), Expected> {
    if known.contains(&text) { Ok(()) } else { Err(Expected(expected.into())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read() {
        let text = "host=a,/run/b port=5433 dbname=shop user=app password='it''s' pool_size=50 min_pool_size=2 \
                    reserve_pool_size=3 connect_query='set work_mem to ''8MB''' pool_mode=transaction \
                    max_db_connections=60 max_db_client_connections=600 server_lifetime=1800.5 \
                    query_wait_timeout=30 client_encoding=UTF8 datestyle=ISO timezone=UTC application_name=web \
                    load_balance_hosts=round-robin target_session_attrs=any";
        let (database, without_effect) = DatabaseConfig::parse("shop", text).unwrap();
        let expected = DatabaseConfig {
            name: "shop".to_owned(),
            hosts: vec!["a".to_owned(), "/run/b".to_owned()],
            port: 5433,
            dbname: Some("shop".to_owned()),
            user: Some("app".to_owned()),
            password: Some(Secret::Plain("it's".to_owned())),
            auth_user: None,
            auth_query: None,
            auth_dbname: None,
            pool_size: Some(50),
            min_pool_size: Some(2),
            reserve_pool_size: Some(3),
            connect_query: Some("set work_mem to '8MB'".to_owned()),
            pool_mode: Some(PoolMode::Transaction),
            max_db_connections: Some(60),
            max_db_client_connections: Some(600),
            server_lifetime: Some(Duration::from_millis(1_800_500)),
            query_wait_timeout: Some(Duration::from_secs(30)),
            client_encoding: Some("UTF8".to_owned()),
            datestyle: Some("ISO".to_owned()),
            timezone: Some("UTC".to_owned()),
            application_name: Some("web".to_owned()),
        };
        assert_eq!(database, expected);
        assert_eq!(without_effect, [""; 0]);
        assert!(!format!("{database:?}").contains("it's"));
    }

    #[test]
    fn defaults_leave_everything_to_the_general_settings() {
        let unset = "pool_size=-1 min_pool_size=-1 reserve_pool=-1 max_db_connections=-1 server_lifetime=-1 \
                     password='' user=''";
        for text in ["", unset] {
            assert_eq!(DatabaseConfig::parse("a", text).unwrap().0, DatabaseConfig::new("a"));
        }
        assert_eq!(DatabaseConfig::new("a").port, 5432);
    }

    #[test]
    fn what_has_no_effect_yet_is_told() {
        let text = "auth_user=x auth_query='select 1' auth_dbname=y load_balance_hosts=disable \
                    target_session_attrs=primary";
        let (_, without_effect) = DatabaseConfig::parse("a", text).unwrap();
        let expected =
            ["auth_user", "auth_query", "auth_dbname", "load_balance_hosts", "target_session_attrs"];
        assert_eq!(without_effect, expected);
    }

    #[test]
    fn wrong_values_are_refused() {
        let check = |text: &str, expected: &str| {
            let error = DatabaseConfig::parse("a", text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check("port=0", "port: expected a port number from 1 to 65535");
        check("port=5432,5433", "expected a port number");
        check("pool_mode=foo", "session, transaction or statement, found \"foo\"");
        check("pool_size=-2", "pool_size: expected a whole number");
        check("server_lifetime=5min", "seconds without a unit");
        check("load_balance_hosts=random", "round-robin or disable");
        check("dbnme=x", "did you mean dbname?");
    }
}
