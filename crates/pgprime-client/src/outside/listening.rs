//! One session that listens: what it hears, and whether it hears everything in time.
//!
//! Every few seconds the session with LISTEN is asked how far the database has got. What the publication says must have come
//! as far soon after: it may lag behind a large transaction, or be dead. Until it has come so far, nothing is served.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Weak;
use std::time::Duration;

use pgprime_cache::Tables;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout_at};
use tokio_postgres::{Client, Notification};

use super::message::{self, Changed};
use super::replication::{APPLICATION_NAME, Batch, Changes, Touched};
use crate::connect::cell;
use crate::results::{Results, Sources};

/// How often the connection is asked whether it lives, and how long it has for the answer: a dead one is noticed within
/// 10 s.
const ASK_EVERY: Duration = Duration::from_secs(5);
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// When the publication has not come as far as it should by then, the rest of a page may wait to be written.
const NUDGE_AFTER: Duration = Duration::from_millis(2_500);
/// A transaction of its own, however empty, makes the server write what it has.
const NUDGE: &str = "SELECT /* pgprime */ pg_catalog.pg_current_xact_id()";
/// The server may be busy with a large transaction, and silent meanwhile; for longer than this, the connection is dead.
const SILENT_MAX: Duration = Duration::from_secs(30);

/// How one session ended.
pub(super) enum End {
    /// It could not be opened.
    NotBegun(String),
    /// It was lost.
    Lost(String),
    /// The publication is another one, or there is none any more, or now there is one.
    Changed,
    /// Nobody has the cache any more.
    Over,
}

/// A session that listens.
pub(super) struct Listening {
    client: Client,
    notifications: mpsc::Receiver<Notification>,
    changes: Option<Changes>,
    publication: Option<String>,
    watched: String,
    /// Up to this position, what the publication said has been dealt with.
    heard: u64,
    due: Option<Due>,
    is_behind: bool,
}

/// How far the publication must come.
#[derive(Clone, Copy)]
struct Due {
    target: u64,
    asked: Instant,
    is_nudged: bool,
}

enum Event {
    Notification(Option<Notification>),
    News,
    Late,
    Tick,
}

/// What the session with LISTEN sees of the server.
pub(super) struct Look {
    /// How much of the WAL is written.
    flushed: u64,
    /// What tells this publication from another of the same name.
    pub(super) publication: Option<String>,
    /// Changes with the tables that are watched.
    watched: String,
    /// Whether commits would wait for us, as for a standby.
    pub(super) takes_us_for_standby: bool,
}

impl Look {
    /// Why nobody is heard then.
    pub(super) const STANDBY: &str = "synchronous_standby_names takes whoever hears the publication for a standby, and \
                                      commits would count on it: name the standbys there, without *";
    const SQL: &str = include_str!("sql/look.sql");
    /// Not asked for where nobody needs it: there are services that refuse it.
    const FLUSHED: &str = "SELECT /* pgprime */ \
                           (pg_catalog.pg_current_wal_flush_lsn() OPERATOR(pg_catalog.-) '0/0'::pg_catalog.pg_lsn)::text";

    pub(super) async fn take(client: &Client) -> Result<Self, tokio_postgres::Error> {
        let rows = client.simple_query(Self::SQL).await?;
        let column = |index| rows.iter().find_map(|row| cell(row, index));
        let publication = column(0).map(str::to_owned);
        let watched = column(1).unwrap_or_default().to_owned();
        let takes_us_for_standby = is_standby(column(2).unwrap_or_default());
        let flushed = match publication {
            Some(_) => client.simple_query(Self::FLUSHED).await?,
            None => Vec::new(),
        };
        let flushed = flushed.iter().find_map(|row| cell(row, 0)).and_then(|text| text.parse().ok());
        Ok(Self { flushed: flushed.unwrap_or_default(), publication, watched, takes_us_for_standby })
    }
}

/// Whether these names of standbys may be ours.
fn is_standby(names: &str) -> bool {
    names.contains('*') || names.to_ascii_lowercase().contains(APPLICATION_NAME)
}

impl Listening {
    pub(super) fn new(
        client: Client,
        notifications: mpsc::Receiver<Notification>,
        changes: Option<Changes>,
        look: Look,
    ) -> Self {
        let Look { publication, watched, .. } = look;
        Self { client, notifications, changes, publication, watched, heard: 0, due: None, is_behind: false }
    }

    /// What is heard.
    pub(super) fn sources(&self) -> Sources {
        Sources { publication: self.changes.is_some() }
    }

    /// Hears until the session ends.
    pub(super) async fn hear(mut self, results: &Weak<Results>) -> End {
        let mut ticks = interval(ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                biased;
                notification = self.notifications.recv() => Event::Notification(notification),
                () = news(self.changes.as_ref()) => Event::News,
                () = late(self.due, self.is_behind, self.changes.as_ref()) => Event::Late,
                _ = ticks.tick() => Event::Tick,
            };
            let Some(results) = results.upgrade() else { return End::Over };
            if let Err(end) = self.handle(event, &results, &mut ticks).await {
                return end;
            }
        }
    }

    async fn handle(&mut self, event: Event, results: &Results, ticks: &mut Interval) -> Result<(), End> {
        match event {
            Event::Notification(None) => Err(End::Lost("the session with LISTEN was lost".to_owned())),
            Event::Notification(Some(first)) => {
                self.take_in(first, results).await;
                Ok(())
            }
            Event::Tick => {
                self.look(results).await?;
                self.compare(results, ticks);
                Ok(())
            }
            Event::News => {
                let end = self.take_in_changes(results).await;
                self.compare(results, ticks);
                end.map_or(Ok(()), |reason| Err(End::Lost(format!("replication: {reason}"))))
            }
            Event::Late => self.too_late(results).await,
        }
    }

    /// Gives up what was made from the tables that this notification, and those that came with it, are about.
    async fn take_in(&mut self, first: Notification, results: &Results) {
        let mut changed = Changed::Tables(BTreeSet::new());
        let mut next = Some(first);
        while let Some(notification) = next {
            match message::read(notification.payload(), results) {
                None => results.hearing().ignored(),
                Some(one) => {
                    results.hearing().heard();
                    changed.add(one);
                }
            }
            next = self.notifications.try_recv().ok();
        }
        give_up(changed, results).await;
    }

    /// Gives up what was made from the tables that were committed; why replication ended, if it did.
    async fn take_in_changes(&mut self, results: &Results) -> Option<String> {
        let Batch { touched, commits, position, end } = self.changes.as_ref()?.take();
        let changed = match touched {
            Touched::Anything => Changed::Anything,
            Touched::Tables(tables) => {
                let mut changed = Changed::Tables(BTreeSet::new());
                for (schema, name) in &tables {
                    changed.add(message::of_table(schema, name, results));
                }
                changed
            }
        };
        results.hearing().committed(commits);
        give_up(changed, results).await;
        self.heard = position;
        end
    }

    /// Asks the server whether it is there, and how far it is.
    async fn look(&mut self, results: &Results) -> Result<(), End> {
        let asked = Instant::now();
        // Answers come behind notifications, and these are taken in meanwhile by the connection's own task.
        let answer = timeout_at(asked + ANSWER_MAX, Look::take(&self.client)).await;
        let Ok(Ok(look)) = answer else {
            return Err(End::Lost("the session with LISTEN does not answer".to_owned()));
        };
        if look.publication != self.publication {
            return Err(End::Changed);
        }
        if look.watched != self.watched {
            // Before, nobody heard of some of these tables.
            self.watched = look.watched;
            give_up(Changed::Anything, results).await;
        }
        let Some(changes) = &self.changes else { return Ok(()) };
        if look.takes_us_for_standby {
            return Err(End::Lost(Look::STANDBY.to_owned()));
        }
        changes.ask();
        if self.due.is_none() {
            self.due = Some(Due { target: look.flushed, asked, is_nudged: false });
        }
        Ok(())
    }

    /// Whether the publication has come as far as it must.
    fn compare(&mut self, results: &Results, ticks: &mut Interval) {
        let Some(due) = self.due.filter(|due| self.heard >= due.target) else { return };
        self.due = None;
        if due.asked.elapsed() > ANSWER_MAX {
            // The server has gone on meanwhile.
            ticks.reset_immediately();
        } else if std::mem::take(&mut self.is_behind) {
            results.hearing().caught_up();
            tracing::info!("what the publication says has caught up: writers outside are heard again");
        }
    }

    async fn too_late(&mut self, results: &Results) -> Result<(), End> {
        let Some(due) = &mut self.due else { return Ok(()) };
        let deadline = due.asked + ANSWER_MAX;
        if !due.is_nudged {
            due.is_nudged = true;
            // Whether the session lives is found out with the next look.
            let _ = timeout_at(deadline, self.client.batch_execute(NUDGE)).await;
        } else if !self.is_behind {
            self.is_behind = true;
            let reason =
                "what the publication says lags behind by more than 5 s, as after a large transaction";
            results.hearing().behind(reason);
            tracing::warn!(reason, "writers outside are not heard in time");
        } else if self.changes.as_ref().is_some_and(|changes| changes.said_at().elapsed() >= SILENT_MAX) {
            return Err(End::Lost("replication: the server has said nothing for 30 s".to_owned()));
        }
        Ok(())
    }
}

async fn news(changes: Option<&Changes>) {
    match changes {
        Some(changes) => changes.news().await,
        None => pending().await,
    }
}

/// Waits until something has to be done about a publication that lags behind.
async fn late(due: Option<Due>, is_behind: bool, changes: Option<&Changes>) {
    let (Some(due), Some(changes)) = (due, changes) else { return pending().await };
    sleep_until(match (due.is_nudged, is_behind) {
        (false, _) => due.asked + NUDGE_AFTER,
        (true, false) => due.asked + ANSWER_MAX,
        (true, true) => changes.said_at() + SILENT_MAX,
    })
    .await;
}

async fn give_up(changed: Changed, results: &Results) {
    let _ = match changed {
        Changed::Anything => results.cache().invalidate_all().await,
        Changed::Tables(tables) if tables.is_empty() => return,
        Changed::Tables(tables) => results.cache().invalidate(&Tables::new(&tables)).await,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_standbys_that_may_be_ours() {
        for (names, expected) in [
            ("", false),
            ("ANY 1 (a, b)", false),
            ("*", true),
            ("FIRST 2 (a, *)", true),
            ("a, PgPrime_Changes", true),
        ] {
            assert_eq!(is_standby(names), expected, "{names}");
        }
    }
}
