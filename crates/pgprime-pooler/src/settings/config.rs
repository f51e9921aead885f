//! The whole file: sections, included files, and what they add up to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::database::DatabaseConfig;
use super::error::{ConfigError, Location, hint, shown};
use super::file::read_text;
use super::ini::{Line, parse_line};
use super::nearest::nearest;
use super::secret::Secret;
use super::table::Settings;
use super::user::UserConfig;

/// Files within files, counted from the first; PgBouncer stops there too.
const INCLUDE_DEPTH_MAX: usize = 10;
/// Files in all, so that a few lines cannot read the same files for ever.
const INCLUDES_MAX: usize = 1000;
/// The name of the console's database.
const CONSOLE_DATABASE: &str = "pgbouncer";

/// A configuration as its file says it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `[pgbouncer]`.
    pub settings: Settings,
    /// `[databases]` by the name that clients connect to.
    pub databases: BTreeMap<String, DatabaseConfig>,
    /// The entry `*` of `[databases]`, which stands in for every database not named.
    pub auto_database: Option<DatabaseConfig>,
    /// `[users]` by name.
    pub users: BTreeMap<String, UserConfig>,
    /// What is accepted without having an effect, each with file and line.
    pub warnings: Vec<String>,
    /// The file, where it was one.
    pub path: Option<PathBuf>,
    /// Users and their secrets besides those of `auth_file`, whose own entries count more.
    pub secrets: BTreeMap<String, Secret>,
}

/// The entries of a configuration that is written in another syntax, as name and value, with PgBouncer's names.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    /// `[pgbouncer]`.
    pub settings: Vec<(String, String)>,
    /// `[databases]`: the value is a connection string.
    pub databases: Vec<(String, String)>,
    /// `[users]`.
    pub users: Vec<(String, String)>,
}

impl Config {
    /// Reads a file and those it includes.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let text = read_text(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let mut config = Config::parse(&text, path)?;
        config.path = Some(path.to_owned());
        config.settings.conffile.get_or_insert_with(|| path.to_owned());
        Ok(config)
    }

    /// Takes entries that were read elsewhere; `origin` says where in messages.
    ///
    /// # Errors
    /// As [`Config::parse`].
    pub fn from_entries(entries: &Entries, origin: &Path) -> Result<Config, ConfigError> {
        let mut loader = Loader::default();
        let parts = [
            (Section::Pgbouncer, &entries.settings),
            (Section::Databases, &entries.databases),
            (Section::Users, &entries.users),
        ];
        for (section, list) in parts {
            loader.section = Some(section);
            for (key, value) in list {
                loader.lines += 1;
                loader.entry(key, value, Location { path: origin.to_owned(), line: 0 })?;
            }
        }
        Ok(loader.finish())
    }

    /// Reads a text; `origin` names it in messages. Only `%include` touches the file system: a relative path there
    /// is relative to the working directory, as in PgBouncer.
    pub fn parse(text: &str, origin: &Path) -> Result<Config, ConfigError> {
        let mut loader = Loader::default();
        loader.text(text, origin)?;
        Ok(loader.finish())
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Section {
    Databases,
    Users,
    Pgbouncer,
    Peers,
}

impl Section {
    const ALL: [(&'static str, Section); 4] = [
        ("databases", Section::Databases),
        ("users", Section::Users),
        ("pgbouncer", Section::Pgbouncer),
        ("peers", Section::Peers),
    ];
}

#[derive(Default)]
struct Loader {
    config: Config,
    /// What the lines at hand belong to. An included file may change it for the lines behind the directive.
    section: Option<Section>,
    /// By what they are about, so that a later line about the same replaces the warning; with the number of lines
    /// read before, which is their order.
    warnings: BTreeMap<String, (usize, String)>,
    lines: usize,
    /// The files being read, outermost first.
    open: Vec<PathBuf>,
    includes: usize,
}

impl Loader {
    fn finish(self) -> Config {
        let mut warnings: Vec<(usize, String)> = self.warnings.into_values().collect();
        warnings.sort_unstable();
        Config { warnings: warnings.into_iter().map(|(_, warning)| warning).collect(), ..self.config }
    }

    fn text(&mut self, text: &str, path: &Path) -> Result<(), ConfigError> {
        for (index, line) in text.lines().enumerate() {
            let at = Location { path: path.to_owned(), line: index + 1 };
            self.lines += 1;
            self.line(line, at)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str, at: Location) -> Result<(), ConfigError> {
        match parse_line(line).map_err(|expected| syntax(&at, expected))? {
            Line::Blank => Ok(()),
            Line::Section(name) => {
                self.section = Some(section_named(name, &at)?);
                Ok(())
            }
            Line::Include(path) => self.include(Path::new(path), at),
            Line::Entry { key, value } => self.entry(&key, value, at),
        }
    }

    fn include(&mut self, path: &Path, at: Location) -> Result<(), ConfigError> {
        self.includes += 1;
        if self.open.len() >= INCLUDE_DEPTH_MAX {
            return Err(syntax(&at, format!("files are included more than {INCLUDE_DEPTH_MAX} deep")));
        }
        if self.includes > INCLUDES_MAX {
            return Err(syntax(&at, format!("more than {INCLUDES_MAX} files are included")));
        }
        let failed = |source| ConfigError::Include { at: at.clone(), path: path.to_owned(), source };
        let identity = path.canonicalize().map_err(failed)?;
        if self.open.contains(&identity) {
            return Err(syntax(&at, format!("{} includes itself", path.display())));
        }
        let text = read_text(path).map_err(failed)?;
        self.open.push(identity);
        let result = self.text(&text, path);
        self.open.pop();
        result
    }

    fn entry(&mut self, key: &str, value: &str, at: Location) -> Result<(), ConfigError> {
        match self.section {
            None => Err(syntax(&at, "a section such as [pgbouncer] must begin before the first entry")),
            Some(Section::Pgbouncer) => self.setting(key, value, at),
            Some(Section::Databases) => self.database(key, value, at),
            Some(Section::Users) => self.user(key, value, at),
            Some(Section::Peers) => {
                let warning = "[peers] is not supported yet; cancel requests are not passed on to peers";
                self.warn("peers".to_owned(), Some(warning.to_owned()), &at);
                Ok(())
            }
        }
    }

    fn setting(&mut self, key: &str, value: &str, at: Location) -> Result<(), ConfigError> {
        let settings = &mut self.config.settings;
        settings.set(key, value).map_err(|source| ConfigError::Setting { at: at.clone(), source })?;
        let warning = settings.warning(key);
        self.warn(format!("setting {key}"), warning, &at);
        Ok(())
    }

    fn database(&mut self, name: &str, value: &str, at: Location) -> Result<(), ConfigError> {
        let failed = |reason: String| ConfigError::Entry {
            at: at.clone(),
            entry: format!("database {}", shown(name)),
            reason,
        };
        if name == CONSOLE_DATABASE {
            return Err(failed("this name belongs to the console; choose another".to_owned()));
        }
        let (database, without_effect) = DatabaseConfig::parse(name, value).map_err(failed)?;
        let warning = (!without_effect.is_empty()).then(|| {
            let keys = without_effect.join(", ");
            format!("database {}: not supported yet and without effect: {keys}", shown(name))
        });
        self.warn(format!("database {name}"), warning, &at);
        if name == "*" {
            self.config.auto_database = Some(database);
        } else {
            self.config.databases.insert(name.to_owned(), database);
        }
        Ok(())
    }

    fn user(&mut self, name: &str, value: &str, at: Location) -> Result<(), ConfigError> {
        let user = UserConfig::parse(name, value).map_err(|reason| ConfigError::Entry {
            at,
            entry: format!("user {}", shown(name)),
            reason,
        })?;
        self.config.users.insert(name.to_owned(), user);
        Ok(())
    }

    fn warn(&mut self, about: String, warning: Option<String>, at: &Location) {
        match warning {
            Some(warning) => self.warnings.insert(about, (self.lines, format!("{at}: {warning}"))),
            None => self.warnings.remove(&about),
        };
    }
}

fn section_named(name: &str, at: &Location) -> Result<Section, ConfigError> {
    let found = Section::ALL.into_iter().find(|(known, _)| *known == name);
    found.map(|(_, section)| section).ok_or_else(|| {
        let near = nearest(name, Section::ALL.into_iter().map(|(known, _)| known));
        let known = "; sections are [databases], [users], [pgbouncer] and [peers]";
        let hint = if near.is_some() { hint(near) } else { known.to_owned() };
        syntax(at, format!("there is no section {}{hint}", shown(name)))
    })
}

fn syntax(at: &Location, expected: impl Into<std::borrow::Cow<'static, str>>) -> ConfigError {
    ConfigError::Syntax { at: at.clone(), expected: expected.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{AuthType, PoolMode};
    use std::time::Duration;

    #[track_caller]
    fn parse(text: &str) -> Config {
        match Config::parse(text, Path::new("test.ini")) {
            Ok(config) => config,
            Err(error) => panic!("{error}"),
        }
    }

    /// Fails with a message that begins as expected.
    #[track_caller]
    fn check(text: &str, expected: &str) {
        match Config::parse(text, Path::new("test.ini")) {
            Ok(config) => panic!("{text:?} was read as {config:?}"),
            Err(error) => {
                let error = error.to_string();
                assert!(error.starts_with(expected), "{error:?} does not begin with {expected:?}");
            }
        }
    }

    const REALISTIC: &str = "
;; production pooler
[databases]
shop = host=10.0.0.5 port=5432 dbname=shop_production pool_size=40 reserve_pool=5
shop_ro = host=10.0.0.6,10.0.0.7 dbname=shop_production pool_mode=session ; load_balance_hosts
\"orders-2024 \"\"old\"\"\" = host=/var/run/postgresql user=app password='p@ss ;#''word'
* = host=10.0.0.9 auth_user=lookup

[users]
batch = pool_mode=session max_user_connections=4 query_timeout=600
\"Web App\" = pool_size=30

[pgbouncer]
logfile = /var/log/pgbouncer/pgbouncer.log
pidfile = /var/run/pgbouncer/pgbouncer.pid
listen_addr = 127.0.0.1, ::1
listen_port = 6433
unix_socket_dir = /var/run/postgresql
auth_type = scram-sha-256
auth_file = /etc/pgbouncer/userlist.txt
admin_users = postgres, ops
stats_users = stats
pool_mode = transaction
max_client_conn = 10000
default_pool_size = 25
ignore_startup_parameters = extra_float_digits,options
server_idle_timeout = 30.5
server_check_query = select 1; -- it's fine # really
log_connections = 0
syslog = 1
peer_id = 1
client_tls_sslmode = require
client_tls_sslmode = disable

# cancel requests
[peers]
1 = host=/tmp/one
2 = host=/tmp/two
";

    #[test]
    fn a_realistic_file_is_read() {
        let text = REALISTIC.replace(" ; load_balance_hosts", "");
        let config = parse(&text);
        assert_eq!(
            config.settings,
            Settings {
                logfile: Some("/var/log/pgbouncer/pgbouncer.log".into()),
                pidfile: Some("/var/run/pgbouncer/pgbouncer.pid".into()),
                listen_addr: vec!["127.0.0.1".to_owned(), "::1".to_owned()],
                listen_port: 6433,
                unix_socket_dir: Some("/var/run/postgresql".into()),
                auth_type: AuthType::ScramSha256,
                auth_file: Some("/etc/pgbouncer/userlist.txt".into()),
                admin_users: vec!["postgres".to_owned(), "ops".to_owned()],
                stats_users: vec!["stats".to_owned()],
                pool_mode: PoolMode::Transaction,
                max_client_conn: 10_000,
                default_pool_size: 25,
                ignore_startup_parameters: vec!["extra_float_digits".to_owned(), "options".to_owned()],
                server_idle_timeout: Duration::from_millis(30_500),
                server_check_query: "select 1; -- it's fine # really".to_owned(),
                log_connections: false,
                syslog: true,
                peer_id: 1,
                ..Settings::default()
            }
        );
        let names: Vec<&str> = config.databases.keys().map(String::as_str).collect();
        assert_eq!(names, ["orders-2024 \"old\"", "shop", "shop_ro"]);
        assert_eq!(config.databases["shop_ro"].hosts, ["10.0.0.6", "10.0.0.7"]);
        let password = config.databases["orders-2024 \"old\""].password.clone();
        assert_eq!(password.unwrap().expose(), "p@ss ;#'word");
        assert_eq!(config.auto_database.unwrap().hosts, ["10.0.0.9"]);
        assert_eq!(config.users["Web App"].pool_size, Some(30));
        assert_eq!(config.users["batch"].query_timeout, Some(Duration::from_secs(600)));
        let warnings = [
            "test.ini:7: database \"*\": not supported yet and without effect: auth_user",
            "test.ini:30: syslog: this value is not supported yet and has no effect",
            "test.ini:31: peer_id: this value is not supported yet and has no effect",
            "test.ini:38: [peers] is not supported yet; cancel requests are not passed on to peers",
        ];
        assert_eq!(config.warnings, warnings);
        check(REALISTIC, "test.ini:5: database \"shop_ro\": expected key=value pairs");
    }

    #[test]
    fn every_setting_is_accepted_in_a_file() {
        let rows = Settings::default().show();
        let lines: Vec<String> = rows
            .iter()
            .map(|row| format!("{} = {}", row.key, row.default.as_deref().unwrap_or("")))
            .collect();
        let config = parse(&format!("[pgbouncer]\n{}\nservice_name = pgbouncer\n", lines.join("\n")));
        assert_eq!(config.settings, Settings::default());
        assert_eq!(config.warnings, [""; 0]);
    }

    #[test]
    fn the_last_of_several_lines_wins() {
        let config = parse(
            "[databases]\na = host=x auth_user=u port=1\na = host=y\n[pgbouncer]\npool_mode=session\npool_mode=statement\n",
        );
        assert_eq!(
            config.databases["a"],
            DatabaseConfig { hosts: vec!["y".to_owned()], ..DatabaseConfig::new("a") }
        );
        assert_eq!(config.settings.pool_mode, PoolMode::Statement);
        assert_eq!(config.warnings, [""; 0]);
    }

    #[test]
    fn a_text_without_entries_is_a_configuration_of_defaults() {
        for text in ["", "\r\n;\r\n", "[databases]\n[pgbouncer]\n[databases]"] {
            assert_eq!(parse(text), Config::default());
        }
    }

    #[test]
    fn mistakes_are_named_with_file_and_line() {
        check("\n\nfoo = 1", "test.ini:3: a section such as [pgbouncer] must begin");
        check("[database]", "test.ini:1: there is no section \"database\"; did you mean databases?");
        check("[x]", "test.ini:1: there is no section \"x\"; sections are [databases], [users]");
        check("[PgBouncer]", "test.ini:1: there is no section \"PgBouncer\"; did you mean pgbouncer?");
        check(
            "[pgbouncer]\nmax_client_con=1",
            "test.ini:2: there is no setting \"max_client_con\"; did you mean",
        );
        check("[pgbouncer]\nmax_client_conn=many", "test.ini:2: max_client_conn: expected a whole number");
        check("[pgbouncer]\nauth_type=hba", "test.ini:2: auth_type: expected any, trust, plain, md5 or");
        check("[pgbouncer]\npool_mode", "test.ini:2: expected: key = value");
        check("[databases]\npgbouncer = host=h", "test.ini:2: database \"pgbouncer\": this name belongs to");
        check("[databases]\n\"pgbouncer\" =", "test.ini:2: database \"pgbouncer\": this name belongs to");
        check(
            "[databases]\na = hots=h",
            "test.ini:2: database \"a\": there is no key \"hots\"; did you mean host?",
        );
        check("[users]\nu = pool_size=x", "test.ini:2: user \"u\": pool_size: expected a whole number");
        check(
            "[databases]\n%include /nonexistent/x",
            "test.ini:2: cannot include /nonexistent/x: No such file",
        );
        let missing = Config::load(Path::new("/nonexistent/y")).unwrap_err().to_string();
        assert!(missing.starts_with("cannot read /nonexistent/y: No such file"), "{missing}");
    }

    #[test]
    fn hostile_text_is_refused_without_repeating_it() {
        check("[databases]\na = password='secret", "test.ini:2: database \"a\": a closing quote is missing");
        check("[databases]\n\"a = x", "test.ini:2: the closing double quote of the name is missing");
        check("[databases]\na\0 = x", "test.ini:2: the line contains a zero byte");
        check("\u{1}\u{7f}\u{fffd}", "test.ini:1: expected: key = value");
        let huge = "x".repeat(10_000_000);
        for text in [
            format!("[pgbouncer]\n{huge} = 1"),
            format!("[pgbouncer]\npool_mode = {huge}"),
            format!("[databases]\n{huge} = {huge}"),
            format!("[databases]\na = {huge}=1"),
            format!("[{huge}]"),
        ] {
            let error = Config::parse(&text, Path::new("test.ini")).unwrap_err().to_string();
            assert!(error.len() < 1000, "{} bytes", error.len());
        }
        let long = parse(&format!("[databases]\na = connect_query='{huge}'"));
        assert_eq!(long.databases["a"].connect_query.as_deref(), Some(&*huge));
    }

    #[test]
    fn a_file_cut_short_anywhere_is_read_or_refused() {
        for (cut, _) in REALISTIC.char_indices() {
            for junk in ["", "\"", "'", "=", "[", "é\u{7}"] {
                let text = format!("{}{junk}", &REALISTIC[..cut]);
                if let Err(error) = Config::parse(&text, Path::new("test.ini")) {
                    assert!(error.to_string().starts_with("test.ini:"), "{error}");
                }
            }
        }
    }

    #[test]
    fn no_message_and_no_debug_output_contains_a_password() {
        for rest in ["", " x", " x=y", " port=x", "'", " 'x'", " pool_mode="] {
            let text = format!("[databases]\na = user=u password=hunter2{rest}");
            let shown = match Config::parse(&text, Path::new("test.ini")) {
                Ok(config) => format!("{config:?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    mod includes {
        use super::*;

        fn write(folder: &Path, name: &str, text: &str) -> String {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        }

        #[test]
        fn an_included_file_stands_in_the_place_of_the_line() {
            let folder = tempfile::tempdir().unwrap();
            let users = write(folder.path(), "users.ini", "[users]\nu = pool_size=1");
            let databases = write(folder.path(), "databases.ini", "a = host=x\n[databases]\nb =\n");
            let main = format!("[databases]\n%include {databases}\nc =\n%include {users}\nv = pool_size=2\n");
            let main = write(folder.path(), "main.ini", &main);
            let config = Config::load(Path::new(&main)).unwrap();
            assert_eq!(config.databases.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
            assert_eq!(config.users.keys().collect::<Vec<_>>(), ["u", "v"]);
            assert_eq!(config.path.as_deref(), Some(Path::new(&main)));
            assert_eq!(config.settings.conffile, config.path);
        }

        #[test]
        fn a_mistake_is_reported_in_the_file_that_holds_it() {
            let folder = tempfile::tempdir().unwrap();
            let inner = write(folder.path(), "inner.ini", "\nfoo\n");
            check(&format!("[users]\n%include {inner}"), &format!("{inner}:2: expected: key = value"));
        }

        #[test]
        fn files_that_include_themselves_are_refused() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.ini").to_str().unwrap().to_owned();
            write(folder.path(), "b.ini", &format!("%include {path}\n"));
            write(folder.path(), "a.ini", &format!("%include {}/b.ini\n", folder.path().display()));
            let error = Config::load(Path::new(&path)).unwrap_err().to_string();
            assert!(error.ends_with("includes itself"), "{error}");
        }

        #[test]
        fn the_depth_is_limited() {
            let folder = tempfile::tempdir().unwrap();
            let file = |depth: usize| folder.path().join(depth.to_string()).to_str().unwrap().to_owned();
            for depth in 1..=INCLUDE_DEPTH_MAX {
                write(folder.path(), &depth.to_string(), &format!("%include {}", file(depth + 1)));
            }
            write(folder.path(), &(INCLUDE_DEPTH_MAX + 1).to_string(), "");
            parse(&format!("%include {}", file(2)));
            let error =
                Config::parse(&format!("%include {}", file(1)), Path::new("x")).unwrap_err().to_string();
            assert!(error.ends_with("files are included more than 10 deep"), "{error}");
        }

        #[test]
        fn the_number_of_files_is_limited() {
            let folder = tempfile::tempdir().unwrap();
            let empty = write(folder.path(), "empty", "");
            let line = format!("%include {empty}\n");
            parse(&line.repeat(INCLUDES_MAX));
            check(&line.repeat(INCLUDES_MAX + 1), "test.ini:1001: more than 1000 files are included");
        }
    }
}
