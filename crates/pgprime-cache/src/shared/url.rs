//! Where Redis is and how to get in there, from its URL.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use pgprime_tls::{IdentitySettings, SYSTEM, roots};
use redis::{
    ClientTlsConfig, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError,
    TlsCertificates,
};

use crate::config::ConfigError;

const SENTINEL_PORT: &str = "26379";
/// What the driver reads itself.
const OF_THE_DRIVER: [&str; 4] = ["protocol", "db", "user", "pass"];

/// What a URL says. Files are read each time they are needed, so that they can be exchanged while this runs.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) kind: Kind,
    /// One of Redis' servers, or several of a cluster; of a sentinel URL the sentinels, with what is used to get into Redis.
    pub(super) nodes: Vec<ConnectionInfo>,
    files: Files,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// One server; it may say that it is part of a cluster.
    Server,
    Cluster,
    /// Sentinels say which server is the primary of this name; they may want a password of their own.
    Sentinel {
        name: String,
        user: Option<String>,
        password: Option<String>,
    },
}

#[derive(Clone, Default)]
struct Files {
    roots: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    password: Option<PathBuf>,
}

impl Place {
    /// Reads the URL, and the files that it names, to see that they are of use.
    pub(super) fn new(url: &str) -> Result<Place, ConfigError> {
        let (mut kind, urls) = match sentinel_urls(url)? {
            Some((name, urls)) => (Kind::Sentinel { name, user: None, password: None }, urls),
            None => server_urls(url),
        };
        let (mut nodes, mut files) = (Vec::new(), Files::default());
        for url in &urls {
            let mut url = redis::parse_redis_url(url)
                .ok_or_else(|| wrong("it is no URL of Redis; special characters are written %xx"))?;
            if url.fragment().is_some() {
                return Err(wrong(
                    "`#` is not supported: certificates are always verified; `?sslrootcert=FILE` names the one that signed the \
                     server's. In a password `#` is written %23",
                ));
            }
            let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            url.query_pairs_mut().clear();
            for (name, value) in pairs {
                if OF_THE_DRIVER.contains(&name.as_str()) {
                    url.query_pairs_mut().append_pair(&name, &value);
                } else {
                    take(&mut files, &mut kind, &name, value)?;
                }
            }
            nodes.push(url.into_connection_info().map_err(|error| wrong(detail(&error)))?);
        }
        let place = Place { kind, nodes, files };
        place.check()?;
        Ok(place)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let is_tls = self.is_tls();
        let files = [&self.files.roots, &self.files.certificate, &self.files.key];
        if !is_tls && files.iter().any(|file| file.is_some()) {
            return Err(wrong("`sslrootcert`, `sslcert` and `sslkey` are for rediss://"));
        }
        if self.nodes.len() > 1
            && self.nodes.iter().any(|node| matches!(node.addr(), ConnectionAddr::Unix(_)))
        {
            return Err(wrong("a cluster is not reached by Unix sockets"));
        }
        self.password().map_err(wrong)?;
        self.certificates().map_err(wrong)?;
        Ok(())
    }

    pub(super) fn is_tls(&self) -> bool {
        self.nodes.iter().any(|node| matches!(node.addr(), ConnectionAddr::TcpTls { .. }))
    }

    /// The servers, or sentinels, with the password of today.
    pub(super) fn nodes_of_today(&self) -> Result<Vec<ConnectionInfo>, String> {
        let Some(password) = self.password()? else { return Ok(self.nodes.clone()) };
        let with = |node: &ConnectionInfo| {
            let settings = node.redis_settings().clone().set_password(&password);
            node.clone().set_redis_settings(settings)
        };
        Ok(self.nodes.iter().map(with).collect())
    }

    fn password(&self) -> Result<Option<String>, String> {
        let Some(path) = &self.files.password else { return Ok(None) };
        let text = read(path, "password_file")?;
        let text =
            String::from_utf8(text).map_err(|_| format!("password_file: {} is no text", path.display()))?;
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// The certificates to trust and to show; none where those of the system will do.
    pub(super) fn certificates(&self) -> Result<Option<TlsCertificates>, String> {
        let Files { roots: root, certificate, key, .. } = &self.files;
        let identity = IdentitySettings {
            certificate: ("sslcert", certificate.as_deref()),
            key: ("sslkey", key.as_deref()),
        };
        // A key that others may read is their business who gave it; what is of no use is told here, by the file's name.
        identity.read(&mut Vec::new()).map_err(|error| error.to_string())?;
        let root = root.as_deref().filter(|path| *path != Path::new(SYSTEM));
        let root_cert = match root {
            Some(path) => {
                roots("sslrootcert", path).map_err(|error| error.to_string())?;
                Some(read(path, "sslrootcert")?)
            }
            None => None,
        };
        let client_tls = match (certificate, key) {
            (Some(certificate), Some(key)) => {
                let (client_cert, client_key) = (read(certificate, "sslcert")?, read(key, "sslkey")?);
                Some(ClientTlsConfig { client_cert, client_key })
            }
            _ => None,
        };
        let is_own = root_cert.is_some() || client_tls.is_some();
        Ok(is_own.then_some(TlsCertificates { client_tls, root_cert }))
    }
}

fn read(path: &Path, setting: &str) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{setting}: cannot read {}: {error}", path.display()))
}

fn take(files: &mut Files, kind: &mut Kind, name: &str, value: String) -> Result<(), ConfigError> {
    match (name, kind) {
        ("sslrootcert", _) => files.roots = Some(value.into()),
        ("sslcert", _) => files.certificate = Some(value.into()),
        ("sslkey", _) => files.key = Some(value.into()),
        ("password_file", _) => files.password = Some(value.into()),
        ("sentinel_user", Kind::Sentinel { user, .. }) => *user = Some(value),
        ("sentinel_password", Kind::Sentinel { password, .. }) => *password = Some(value),
        _ => {
            return Err(wrong(format!(
                "`{name}` is unknown: there are sslrootcert, sslcert, sslkey, password_file, protocol, for unix:// db, user and \
                 pass, and for redis+sentinel:// sentinel_user and sentinel_password"
            )));
        }
    }
    Ok(())
}

/// One server's URL, or those of a cluster's nodes. A comma in a password is none between two of them.
fn server_urls(url: &str) -> (Kind, Vec<String>) {
    let mut urls: Vec<String> = Vec::new();
    for part in url.split(',') {
        match urls.last_mut() {
            Some(last) if !part.is_empty() && !part.contains("://") => {
                last.push(',');
                last.push_str(part);
            }
            _ => urls.push(part.trim().to_owned()),
        }
    }
    (if urls.len() > 1 { Kind::Cluster } else { Kind::Server }, urls)
}

/// `redis+sentinel://[user:password@]host[:port][,host[:port]]/name[/database]` as the name, and a URL for each sentinel in
/// the form of a server's. None if it is another URL.
fn sentinel_urls(url: &str) -> Result<Option<(String, Vec<String>)>, ConfigError> {
    const FORM: &str =
        "a URL of sentinels is redis+sentinel://[user:password@]host[:port][,host[:port]...]/NAME[/database]";
    let url = url.trim();
    let (scheme, rest) = match url.split_once("://") {
        Some(("redis+sentinel" | "valkey+sentinel" | "redis-sentinel", rest)) => ("redis", rest),
        Some(("rediss+sentinel" | "valkeys+sentinel" | "rediss-sentinel", rest)) => ("rediss", rest),
        _ => return Ok(None),
    };
    let (rest, query) = rest.split_once('?').map_or((rest, ""), |(rest, query)| (rest, query));
    let (authority, path) = rest.split_once('/').ok_or_else(|| wrong(FORM))?;
    let (account, hosts) =
        authority.rsplit_once('@').map_or(("", authority), |(account, hosts)| (account, hosts));
    let (name, database) = path.split_once('/').unwrap_or((path, ""));
    if name.is_empty() || hosts.is_empty() {
        return Err(wrong(FORM));
    }
    let url_of = |host: &str| {
        let host = host.trim();
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        let port = if has_port { Cow::Borrowed("") } else { Cow::Owned(format!(":{SENTINEL_PORT}")) };
        let account = if account.is_empty() { String::new() } else { format!("{account}@") };
        format!("{scheme}://{account}{host}{port}/{database}?{query}")
    };
    Ok(Some((name.to_owned(), hosts.split(',').map(url_of).collect())))
}

fn wrong(what: impl Into<String>) -> ConfigError {
    ConfigError::Url(what.into())
}

/// What is wrong with a URL, without the URL.
fn detail(error: &RedisError) -> String {
    match error.kind() {
        // The words of the driver, which quote no more than a value of `protocol`.
        ErrorKind::InvalidClientConfig => {
            let text = error.to_string();
            text.split(" - ").next().unwrap_or("not a URL").to_owned()
        }
        kind => format!("{kind:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(place: &Place) -> Vec<String> {
        place.nodes.iter().map(|node| node.addr().to_string()).collect()
    }

    #[test]
    fn urls_are_checked_and_not_repeated() {
        for good in [
            "redis://localhost",
            "rediss://:secret@localhost:6380/1",
            "unix:///run/redis.sock?db=1&pass=secret",
            "redis://a, redis://b",
            "valkeys://a?protocol=resp3",
            "redis://user:p%40ss%23@[::1]:7/3",
        ] {
            assert!(Place::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "secret",
            "http://secret@localhost",
            "redis://:secret@localhost/x",
            "redis://a,,redis://b",
            "redis://a?protocol=secret",
            "redis://a?sslrootcrt=secret",
            "redis://:secret@a?sslrootcert=/x",
            "rediss://:secret@a#insecure",
            "rediss://:secret@a?sslcert=/only",
            "rediss://:secret@a?sslrootcert=/there/is/none",
            "redis://:secret@a?password_file=/there/is/none",
            "unix:///secret,unix:///other",
            "redis+sentinel://:secret@a",
            "redis+sentinel://:secret@/name",
            "redis+sentinel://:secret@a/name/x",
            "redis://:secret@a?sentinel_password=x",
        ] {
            let error = Place::new(bad).err().expect(bad).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn accounts_are_read_as_they_are_meant() {
        let place = Place::new("redis://us%2Fer:p%2C%3A%40%23%25@localhost:7/3").unwrap();
        let settings = place.nodes[0].redis_settings();
        let read = (settings.username(), settings.password(), settings.db());
        assert_eq!(read, (Some("us/er"), Some("p,:@#%"), 3));
        let place = Place::new("redis://:a,b@one:1,redis://:a,b@two").unwrap();
        assert_eq!((&place.kind, names(&place)), (&Kind::Cluster, vec!["one:1".into(), "two:6379".into()]));
        assert!(place.nodes.iter().all(|node| node.redis_settings().password() == Some("a,b")));
    }

    #[test]
    fn a_password_is_read_from_its_file_each_time() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "one\n").unwrap();
        let place = Place::new(&format!("redis://user@a?password_file={}", file.path().display())).unwrap();
        let password = || {
            let nodes = place.nodes_of_today().unwrap();
            nodes[0].redis_settings().password().unwrap().to_owned()
        };
        assert_eq!(password(), "one");
        std::fs::write(file.path(), "two").unwrap();
        assert_eq!(password(), "two");
    }

    #[test]
    fn sentinels_are_told_from_servers() {
        let place =
            Place::new("redis+sentinel://user:pw@a,b:7,[::1]:8,[::2]/main/3?sentinel_password=x").unwrap();
        let kind = Kind::Sentinel { name: "main".into(), user: None, password: Some("x".into()) };
        assert_eq!(place.kind, kind);
        assert_eq!(names(&place), ["a:26379", "b:7", "::1:8", "::2:26379"]);
        let settings = place.nodes[1].redis_settings();
        assert_eq!((settings.username(), settings.password(), settings.db()), (Some("user"), Some("pw"), 3));
        assert!(Place::new("rediss+sentinel://a/main").unwrap().is_tls());
    }
}
