//! Clients and servers of a pooler, from its console.

use jiff::civil::DateTime;
use jiff::{Timestamp, Unit};
use tokio_postgres::{Client, SimpleQueryRow};

use super::console::{CONSOLE, ConsoleError, each_row, number, word};
use super::report::PoolerKind;

/// A connection of the pooler: to a client or to a server.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolerSession {
    /// As the console names it, and as `link` of another names it.
    pub id: String,
    /// Database as clients ask for it.
    pub database: String,
    /// User.
    pub user: String,
    /// What it calls itself; empty where the console does not tell.
    pub application: String,
    /// Address and port; `unix` for a Unix socket.
    pub address: String,
    /// `active`, `waiting`, `idle` and others, as the console has them. A client of PgBouncer without a server is idle.
    pub state: String,
    /// How long it is there, in whole seconds; `None` where the pooler's clock cannot be read.
    pub connected_s: Option<f64>,
    /// Since when its last request began, in whole seconds.
    pub request_s: Option<f64>,
    /// How long a waiting client has waited, in seconds.
    pub wait_s: f64,
    /// The other end: a client's server, a server's client.
    pub link: Option<String>,
}

/// Who is connected to a pooler, and to whom it is connected.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PoolerSessions {
    /// Clients, those that wait first; no more than were asked for.
    pub clients: Vec<PoolerSession>,
    /// How many there are.
    pub clients_total: usize,
    /// Servers, no more than were asked for.
    pub servers: Vec<PoolerSession>,
    /// How many there are.
    pub servers_total: usize,
}

/// Clients and servers by the console of a pooler of this kind, at most `listed_max` of each, without the console's own.
///
/// # Errors
/// [`ConsoleError`]
pub async fn read_sessions(
    console: &Client,
    kind: PoolerKind,
    listed_max: usize,
) -> Result<PoolerSessions, ConsoleError> {
    let mut clock = Clock::default();
    let (mut clients, mut servers) = (Listed::new(listed_max), Listed::new(listed_max));
    each_row(console, "SHOW CLIENTS", |row| match word(&row, "database") {
        // We are among them, and have just asked: the pooler's own time.
        CONSOLE => clock.see(&row),
        _ => clients.push(Seen::of_client(&row, kind)),
    })
    .await?;
    each_row(console, "SHOW SERVERS", |row| servers.push(Seen::of(&row))).await?;
    Ok(PoolerSessions {
        clients_total: clients.total,
        clients: clients.listed(&clock),
        servers_total: servers.total,
        servers: servers.listed(&clock),
    })
}

/// One connection with its times as they are written.
struct Seen {
    session: PoolerSession,
    connected: String,
    request: String,
}

impl Seen {
    fn of(row: &SimpleQueryRow) -> Self {
        let text = |column: &str| word(row, column).to_owned();
        let session = PoolerSession {
            id: text("ptr"),
            database: text("database"),
            user: text("user"),
            application: text("application_name"),
            address: address(word(row, "addr"), number(row, "port")),
            state: text("state"),
            connected_s: None,
            request_s: None,
            wait_s: 0.0,
            link: Some(text("link")).filter(|link| !link.is_empty()),
        };
        Self { session, connected: text("connect_time"), request: text("request_time") }
    }

    fn of_client(row: &SimpleQueryRow, kind: PoolerKind) -> Self {
        let mut seen = Self::of(row);
        let session = &mut seen.session;
        if session.state.starts_with("waiting") {
            // The column is more than a wait for those who do not wait.
            let wait_us = number(row, "wait_us").unwrap_or(0);
            session.wait_s = number(row, "wait").unwrap_or(0) as f64 + wait_us as f64 / 1e6;
        }
        if kind == PoolerKind::Pgbouncer && session.state == "active" && session.link.is_none() {
            "idle".clone_into(&mut session.state);
        }
        seen
    }
}

fn address(host: &str, port: Option<u64>) -> String {
    match port {
        Some(port) if port > 0 && host.contains(':') => format!("[{host}]:{port}"),
        Some(port) if port > 0 && host != "unix" => format!("{host}:{port}"),
        _ => host.to_owned(),
    }
}

/// What is kept of a list: the first ones, and whoever waits before all others.
struct Listed {
    waiting: Vec<Seen>,
    others: Vec<Seen>,
    max: usize,
    total: usize,
}

impl Listed {
    fn new(max: usize) -> Self {
        Self { waiting: Vec::new(), others: Vec::new(), max, total: 0 }
    }

    fn push(&mut self, seen: Seen) {
        self.total += 1;
        let list =
            if seen.session.state.starts_with("waiting") { &mut self.waiting } else { &mut self.others };
        if list.len() < self.max {
            list.push(seen);
        }
    }

    fn listed(self, clock: &Clock) -> Vec<PoolerSession> {
        let aged = |seen: Seen| PoolerSession {
            connected_s: clock.age_s(&seen.connected),
            request_s: clock.age_s(&seen.request),
            ..seen.session
        };
        self.waiting.into_iter().chain(self.others).take(self.max).map(aged).collect()
    }
}

/// The pooler's time. PgBouncer writes local times with the abbreviation of their zone, which says little to others.
#[derive(Debug, Default)]
struct Clock(Option<(DateTime, String)>);

impl Clock {
    /// Takes the time from a connection to the console: the latest request is ours.
    fn see(&mut self, row: &SimpleQueryRow) {
        self.take(word(row, "request_time"));
    }

    fn take(&mut self, text: &str) {
        let Some((time, zone)) = parsed(text) else { return };
        if self.0.as_ref().is_none_or(|(latest, _)| time > *latest) {
            self.0 = Some((time, zone.to_owned()));
        }
    }

    /// How long ago it was; `None` for a time of another zone, such as one before the clock was put forward.
    fn age_s(&self, text: &str) -> Option<f64> {
        let (time, zone) = parsed(text)?;
        let now = match &self.0 {
            Some((now, of)) if of == zone => *now,
            None if zone == "UTC" => Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).datetime(),
            _ => return None,
        };
        let age = now.since((Unit::Second, time)).ok()?;
        Some(age.get_seconds().max(0) as f64)
    }
}

/// `2026-11-24 00:04:31 IST`
fn parsed(text: &str) -> Option<(DateTime, &str)> {
    let (time, zone) = text.rsplit_once(' ')?;
    Some((time.parse().ok()?, zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(id: usize, state: &str) -> Seen {
        let session = PoolerSession {
            id: id.to_string(),
            database: String::new(),
            user: String::new(),
            application: String::new(),
            address: String::new(),
            state: state.to_owned(),
            connected_s: None,
            request_s: None,
            wait_s: 0.0,
            link: None,
        };
        Seen { session, connected: String::new(), request: String::new() }
    }

    #[test]
    fn ages_are_told_by_the_poolers_own_clock() {
        let mut clock = Clock::default();
        clock.take("2026-11-24 00:04:28 IST");
        clock.take("2026-11-24 00:04:31 IST");
        clock.take("2026-11-24 00:04:30 IST");
        for (text, age_s) in [
            ("2026-11-23 00:04:30 IST", Some(86_401.0)),
            ("2026-11-24 00:04:32 IST", Some(0.0)),
            ("2026-11-24 00:04:30 UTC", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(clock.age_s(text), age_s, "{text}");
        }
        assert_eq!(Clock::default().age_s("2026-11-24 00:04:30 IST"), None);
        assert!(Clock::default().age_s("2026-01-01 00:00:00 UTC").is_some(), "pgprime writes UTC");
    }

    #[test]
    fn a_long_list_is_cut_and_whoever_waits_is_in_it() {
        let mut listed = Listed::new(3);
        (0..10).for_each(|id| listed.push(seen(id, if id >= 8 { "waiting" } else { "idle" })));
        assert_eq!(listed.total, 10);
        let ids: Vec<String> = listed.listed(&Clock::default()).into_iter().map(|row| row.id).collect();
        assert_eq!(ids, ["8", "9", "0"]);
    }

    #[test]
    fn addresses_have_their_port() {
        for (host, port, text) in [
            ("10.0.0.1", Some(5432), "10.0.0.1:5432"),
            ("::1", Some(5432), "[::1]:5432"),
            ("unix", Some(6432), "unix"),
            ("unix", None, "unix"),
            ("", None, ""),
        ] {
            assert_eq!(address(host, port), text);
        }
    }
}
