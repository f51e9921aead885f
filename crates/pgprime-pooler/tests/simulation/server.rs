//! A fake server's connection.

use std::collections::VecDeque;

use pgprime_pooler::core::ServerId;

use crate::backend::Backend;

#[derive(Debug)]
pub(crate) struct FakeServer {
    pub(crate) id: ServerId,
    pub(crate) worker: usize,
    pub(crate) pool: usize,
    pub(crate) process_id: u32,
    pub(crate) secret: Vec<u8>,
    pub(crate) backend: Backend,
    /// Written by the pooler and not yet handled.
    pub(crate) incoming: VecDeque<u8>,
    pub(crate) capacity: usize,
    /// Answered and not yet read by the pooler.
    pub(crate) outgoing: VecDeque<u8>,
    /// The pooler has closed it.
    pub(crate) closed: bool,
    /// On its way to another worker.
    pub(crate) lent: bool,
    pub(crate) read_blocked: bool,
    pub(crate) write_blocked: bool,
    /// The client whose statement was the last one here.
    pub(crate) user: Option<u32>,
}

impl FakeServer {
    /// Takes what was written to it, and answers.
    pub(crate) fn work(&mut self, count: usize) {
        let count = count.min(self.incoming.len());
        let bytes: Vec<u8> = self.incoming.drain(..count).collect();
        self.backend.feed(&bytes);
        while self.backend.step() {}
        self.collect();
    }

    /// What the session says goes on its way.
    pub(crate) fn collect(&mut self) {
        if !self.backend.out.is_empty() {
            self.outgoing.extend(std::mem::take(&mut self.backend.out));
            self.read_blocked = false;
        }
    }

    /// Nothing of it is left to be read but its end.
    pub(crate) fn is_at_end(&self) -> bool {
        self.backend.closed && self.outgoing.is_empty()
    }
}
