//! Writers: what is said around a COMMIT.

use std::sync::Arc;

use tokio::time::Instant;

use crate::epochs::WriterId;
use crate::inner::Inner;
use crate::shared::{Change, Reach};
use crate::stats::add;
use crate::tables::Tables;

/// A writer that is about to commit. Dropped without a word it counts as committed at once, since it may have; so it does when
/// `write_lease` is over. Where the COMMIT may still be under way, [`Intent::unknown`] is right.
///
/// ```text
/// let intent = cache.begin_write(&tables).await;
/// match transaction.commit().await {
///     Ok(()) => intent.committed().await,        // from here on nobody is served what is older
///     Err(error) if error.is_rollback() => intent.rolled_back().await,
///     Err(unknown) => intent.unknown(),           // it may have committed, or may yet
/// }
/// ```
#[must_use = "dropped at once, it counts as committed before the COMMIT was sent"]
pub struct Intent {
    inner: Arc<Inner>,
    tables: Tables,
    writer: WriterId,
    reach: Reach,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Open,
    Ended,
}

impl Intent {
    pub(crate) async fn begin(inner: Arc<Inner>, tables: Tables) -> Intent {
        let writer = inner.epochs.next_writer();
        let lease = inner.config.write_lease;
        let now = Instant::now();
        let until = now + lease;
        // Before anything is waited for: a caller that is dropped meanwhile drops the intent as well.
        let mut intent = Intent { inner, tables, writer, reach: Reach::Here, state: State::Open };
        intent.inner.epochs.begin(&intent.tables, writer, now, until);
        intent.reach = match &intent.inner.shared {
            Some(shared) => shared.begin(&intent.tables, writer, lease).await,
            None => Reach::Everywhere,
        };
        intent
    }

    /// How far the announcement got. With [`Reach::Here`] other instances may serve what is older until they are told of the
    /// commit; a writer that must not allow that does not commit.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// The COMMIT succeeded. Once this returns [`Reach::Everywhere`], no call that begins later is served what is older, on
    /// any instance that reaches Redis. Dropped half way it is carried out all the same.
    pub async fn committed(mut self) -> Reach {
        self.state = State::Ended;
        change(&self.inner, &self.tables, Some(self.writer)).await
    }

    /// The transaction changed nothing: what was served before is served again.
    pub async fn rolled_back(mut self) {
        self.state = State::Ended;
        self.inner.epochs.roll_back(&self.tables, self.writer);
        if let Some(shared) = &self.inner.shared {
            shared.roll_back(&self.tables, self.writer).await;
        }
    }

    /// Nobody knows how the COMMIT ended, nor whether it is still under way: nothing made from the tables is served or stored
    /// until `write_lease` is over, counted from now; from then on it counts as committed.
    pub fn unknown(mut self) {
        self.state = State::Ended;
        add(&self.inner.stats.invalidations, 1);
        let now = Instant::now();
        let until = now + self.inner.config.write_lease;
        // The mark of the announcement may have ended by now, and what it stood for not.
        self.inner.epochs.change(&self.tables, Some(self.writer));
        self.inner.epochs.begin(&self.tables, self.writer, now, until);
        // In this process the mark ends by itself. Redis may not have been told of it, or may have lost it since.
        if let Some(shared) = &self.inner.shared {
            let change = |writer| Change::Tables { tables: self.tables.clone(), writer };
            shared.change_later(change(None));
            shared.change_at(until, change(Some(self.writer)));
        }
    }
}

impl Drop for Intent {
    fn drop(&mut self) {
        if self.state == State::Ended {
            return;
        }
        self.inner.epochs.change(&self.tables, Some(self.writer));
        add(&self.inner.stats.invalidations, 1);
        if let Some(shared) = &self.inner.shared {
            shared.change_later(Change::Tables { tables: self.tables.clone(), writer: Some(self.writer) });
        }
    }
}

/// `tables` have changed, by `writer` or by somebody who did not announce it.
pub(crate) async fn change(inner: &Inner, tables: &Tables, writer: Option<WriterId>) -> Reach {
    inner.epochs.change(tables, writer);
    add(&inner.stats.invalidations, 1);
    match &inner.shared {
        Some(shared) => shared.change(Change::Tables { tables: tables.clone(), writer }).await,
        None => Reach::Everywhere,
    }
}
