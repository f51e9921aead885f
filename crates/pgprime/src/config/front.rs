//! What a command that looks once takes from `pgprime.toml`: the database, and the console of the pooler in front of it.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use pgprime_client::Target;
use pgprime_pooler::settings::{AuthType, Config, Secret};
use pgprime_pooler::userlist;

use super::{Configuration, servers};

/// The console's own database, and who may use it over the Unix socket without a password: the pooler's own user.
const CONSOLE: &str = "pgbouncer";
/// Where the built-in pooler listens unless it is told otherwise.
const POOLER_PORT: u16 = 6432;

/// The pooler in front of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    /// None that anybody named.
    Nothing,
    /// Its console answers here.
    Console(String),
    /// There is one that cannot be asked, and why.
    Unseen(String),
}

impl Configuration {
    /// The database: the one that was named, else the file's.
    pub(crate) fn database_url<'a>(&'a self, named: Option<&'a str>) -> Option<&'a str> {
        named.or(self.file.database.url.as_deref())
    }

    /// Whether the file is about this database; one without a database takes whichever it is given.
    pub(crate) fn is_about(&self, url: &str) -> bool {
        self.stated_url.as_deref().is_none_or(|stated| is_same(stated, url))
    }

    /// Whether the file itself names its database.
    pub(crate) fn names_database(&self) -> bool {
        self.stated_url.is_some()
    }

    /// The pooler in front of the database at `url`: what the file says of another one does not count.
    pub(crate) fn front(&self, url: &str) -> Front {
        if !self.is_about(url) {
            return Front::Nothing;
        }
        if let Some(section) = &self.file.pgbouncer {
            return Front::Console(section.url.clone());
        }
        let Some(path) = self.path.as_deref().filter(|_| self.has_pooler()) else { return Front::Nothing };
        let console = self.file.pooler.config(path, Some(url)).map_err(|error| format!("{error:#}"));
        match console.and_then(|config| console_of(&config, url)) {
            Ok(console) => Front::Console(console),
            Err(why) => Front::Unseen(format!(
                "the built-in pooler of {} is not looked at: {why}; or name its console with --pooler-url",
                path.display()
            )),
        }
    }

    /// Servers of the built-in pooler in front of the database at `url`, where the file has one.
    pub(crate) fn servers(&self, url: Option<&str>) -> Option<u32> {
        let path = self.path.as_deref().filter(|_| self.has_pooler() && self.file.pgbouncer.is_none())?;
        url.filter(|url| self.is_about(url))?;
        self.file.pooler.config(path, url).ok().as_ref().map(servers)
    }

    /// Whether the file says something of the built-in pooler, and wants it.
    fn has_pooler(&self) -> bool {
        let table: Option<toml::Table> = self.text.parse().ok();
        table.is_some_and(|table| table.contains_key("pooler")) && self.file.pooler.enabled.unwrap_or(true)
    }
}

/// The same server's database, whoever asks, and however it is written.
fn is_same(one: &str, other: &str) -> bool {
    let place = |url: &str| {
        let target = Target::parse(url).ok()?;
        Some((target.hosts, target.database.or(target.user)))
    };
    one == other || place(one).is_some_and(|one| Some(one) == place(other))
}

/// Where the console answers this user, by the settings alone.
fn console_of(config: &Config, url: &str) -> Result<String, String> {
    let settings = &config.settings;
    let port = if settings.listen_port == 0 { POOLER_PORT } else { settings.listen_port };
    if let Some(folder) = settings.unix_socket_dir.as_deref().filter(|folder| is_own(folder, port)) {
        return Ok(address(&folder.display().to_string(), port, CONSOLE, None));
    }
    let (user, password) = login(config, url)?;
    let host = settings.listen_addr.first().map_or("127.0.0.1", String::as_str);
    let host = match host {
        "*" | "0.0.0.0" => "127.0.0.1",
        "::" => "::1",
        host => host,
    };
    Ok(address(host, port, &user, password.as_deref()))
}

/// Whether this user's pooler listens there: it lets us in without a password.
fn is_own(folder: &Path, port: u16) -> bool {
    let socket: PathBuf = folder.join(format!(".s.PGSQL.{port}"));
    socket.metadata().is_ok_and(|socket| socket.uid() == nix::unistd::geteuid().as_raw())
}

/// Who may look, with the password where one is asked for and known.
fn login(config: &Config, url: &str) -> Result<(String, Option<String>), String> {
    let settings = &config.settings;
    let allowed: Vec<&String> = settings.stats_users.iter().chain(&settings.admin_users).collect();
    let Some(first) = allowed.first() else {
        return Err("nobody may use its console: name who may look in [pooler] stats_users".to_owned());
    };
    if matches!(settings.auth_type, AuthType::Any | AuthType::Trust) {
        return Ok(((*first).clone(), None));
    }
    let own = Target::parse(url).ok().and_then(|target| target.user.zip(target.password));
    if let Some((user, password)) = own.filter(|(user, _)| allowed.contains(&user)) {
        return Ok((user, Some(password)));
    }
    // A file for the pooler's eyes only tells nobody else.
    let listed = settings.auth_file.as_deref().and_then(|path| userlist::load(path).ok()).unwrap_or_default();
    let plain = |user: &String| match listed.get(user).or_else(|| config.secrets.get(user))? {
        Secret::Plain(password) => Some((user.clone(), Some(password.clone()))),
        _ => None,
    };
    allowed.iter().find_map(|user| plain(user)).ok_or_else(|| {
        format!("the password of {first}, who may look, is not known: put DATABASE_URL's user into [pooler] stats_users")
    })
}

/// In keywords, which take a folder, too.
fn address(host: &str, port: u16, user: &str, password: Option<&str>) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    let password = password.map_or_else(String::new, |password| format!(" password={}", quoted(password)));
    format!("host={} port={port} user={}{password} dbname={CONSOLE}", quoted(host), quoted(user))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(text: &str) -> Configuration {
        Configuration {
            file: toml::from_str(text).unwrap(),
            path: Some("/etc/pgprime.toml".into()),
            text: text.to_owned(),
            stated_url: text.parse::<toml::Table>().unwrap().get("database").map(|_| OWN.to_owned()),
        }
    }

    const OWN: &str = "postgresql://app:secret@db:5432/insurance";
    const ABOUT: &str = "[database]\nurl = 'postgresql://app@db/insurance'\n[pooler]\nunix_socket_dir = ''\n";

    #[test]
    fn the_pooler_of_this_database_and_of_no_other() {
        let stats = format!("{ABOUT}stats_users = 'app'");
        let bouncer = "[pgbouncer]\nurl = 'postgresql://s@h:6432/pgbouncer'";
        for (text, url, expected) in [
            ("", OWN, Front::Nothing),
            ("[[views]]\nname = 'v'", OWN, Front::Nothing),
            ("[pooler]\nenabled = false", OWN, Front::Nothing),
            (bouncer, OWN, Front::Console("postgresql://s@h:6432/pgbouncer".to_owned())),
            (&stats, "postgresql://app:secret@other/insurance", Front::Nothing),
            (
                &stats,
                OWN,
                Front::Console(
                    "host='127.0.0.1' port=6432 user='app' password='secret' dbname=pgbouncer".to_owned(),
                ),
            ),
        ] {
            assert_eq!(configuration(text).front(url), expected, "{text} {url}");
        }
    }

    #[test]
    fn what_cannot_be_asked_says_why() {
        let said = |more: &str| match configuration(&format!("{ABOUT}{more}")).front(OWN) {
            Front::Unseen(why) => why,
            other => panic!("{more}: {other:?}"),
        };
        assert!(said("").contains("stats_users"));
        let unknown = said("admin_users = 'boss'");
        assert!(unknown.contains("boss") && unknown.contains("--pooler-url"), "{unknown}");
        assert!(!unknown.contains("secret"));
        assert!(said("default_pol_size = 1").contains("default_pool_size"));
    }

    #[test]
    fn who_may_look() {
        let console = |more: &str| configuration(&format!("{ABOUT}{more}")).front(OWN);
        let open = "host='10.0.0.1' port=7000 user='it\\'s' dbname=pgbouncer";
        let settings =
            "listen_addr = '10.0.0.1'\nlisten_port = 7000\nauth_type = 'any'\nadmin_users = [\"it's\"]";
        assert_eq!(console(settings), Front::Console(open.to_owned()));
        let any = "listen_addr = '0.0.0.0'\nauth_type = 'any'\nstats_users = 's'\nadmin_users = 'a'";
        let here = "host='127.0.0.1' port=6432 user='s' dbname=pgbouncer";
        assert_eq!(console(any), Front::Console(here.to_owned()));
    }

    #[test]
    fn the_same_database() {
        for (one, other, expected) in [
            ("postgres://h/d", "postgresql://u:p@h:5432/d?sslmode=require", true),
            ("postgres://h/d", "host=h dbname=d user=u", true),
            ("postgres://h/d", "postgres://h:5433/d", false),
            ("postgres://h/d", "postgres://h2/d", false),
            ("postgres://h/d", "postgres://h/e", false),
            ("nonsense", "nonsense", true),
        ] {
            assert_eq!(is_same(one, other), expected, "{one} {other}");
        }
    }
}
