//! tokio's semaphore: waiting and nothing else.

use std::future::Future;

use tokio::sync::{AcquireError, SemaphorePermit};

use crate::contender::{Contender, SIZE};

/// As many permits as the pools have connections.
pub(crate) struct Semaphore(tokio::sync::Semaphore);

impl Semaphore {
    pub(crate) fn new() -> Self {
        Self(tokio::sync::Semaphore::new(SIZE as usize))
    }
}

impl Contender for Semaphore {
    type Held<'a> = SemaphorePermit<'a>;
    type Error = AcquireError;

    fn check_out(&self) -> impl Future<Output = Result<Self::Held<'_>, AcquireError>> + Send {
        self.0.acquire()
    }

    async fn select(_: &mut Self::Held<'_>) -> anyhow::Result<()> {
        Ok(())
    }
}
