//! What the tests are made of: a cluster, poolers, raw clients and servers that do not behave.

mod fake;
mod pooler;
mod raw;
pub(crate) mod tls;

pub(crate) use fake::{FakeServer, Gate, Step, login_reply, row_reply, ssl_request};
pub(crate) use pooler::{Setup, TestPooler, cluster};
pub(crate) use raw::{Message, Raw, Reply, start_packet};

use std::time::{Duration, Instant};

/// Nothing that is expected takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Asks again and again until the answer is yes.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
