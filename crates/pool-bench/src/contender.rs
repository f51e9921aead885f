//! What is asked of a pool in order to measure it.

use std::future::Future;

/// The size of every pool.
pub(crate) const SIZE: u32 = 16;

/// A pool. Its methods hand on what the pool's own methods return, so that nothing is added to what is measured.
pub(crate) trait Contender: Send + Sync + 'static {
    /// A connection checked out; dropping it returns it.
    type Held<'a>: Send
    where
        Self: 'a;
    /// Why there is none.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Checks out a connection.
    fn check_out(&self) -> impl Future<Output = Result<Self::Held<'_>, Self::Error>> + Send;

    /// Runs `SELECT 1` as a prepared statement and reads its row.
    fn select(held: &mut Self::Held<'_>) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// Opens every connection of a pool, and prepares the statement on each.
pub(crate) async fn warm_up<C: Contender>(pool: &C) -> anyhow::Result<()> {
    let mut held = Vec::new();
    for _ in 0..SIZE {
        held.push(pool.check_out().await?);
    }
    for connection in &mut held {
        C::select(connection).await?;
    }
    Ok(())
}
