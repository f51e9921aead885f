//! Which server Redis is, and whether it knows what it must.
//!
//! What was told to one server may be lost when another takes over: it was not replicated yet, or that one was cut off and did
//! not know that it had been replaced. Meanwhile other instances may have filled from the new one. So who finds himself on
//! another server gives up everything there, unless all that is valid there is younger than what he told the last one.

use tokio::time::Instant;

#[derive(Default)]
pub(super) struct Home {
    identity: Option<Vec<u8>>,
    /// When the last change was told.
    told_at: Option<Instant>,
}

impl Home {
    /// A change has arrived.
    pub(super) fn told(&mut self, now: Instant) {
        self.told_at = Some(now);
    }

    /// A server of this identity was asked at `asked_at`, and what is valid there is `age_ms` old at most by its own clock.
    /// Whether everything there has to be given up.
    pub(super) fn is_moved_to(&mut self, identity: &[u8], age_ms: u64, asked_at: Instant) -> bool {
        if self.identity.as_deref() == Some(identity) {
            return false;
        }
        let is_first = self.identity.replace(identity.to_vec()).is_none();
        let Some(told_at) = self.told_at.filter(|_| !is_first) else { return false };
        // Both times are cut to milliseconds.
        let told_before_ms = asked_at.saturating_duration_since(told_at).as_millis();
        u128::from(age_ms) + 2 >= told_before_ms
    }
}

/// The age of a generation, which ends in the time and the server it was made by; what cannot be read is as old as can be.
pub(super) fn age_ms(generation: &[u8], server_ms: u64) -> u64 {
    let made_ms = || {
        let text = std::str::from_utf8(generation).ok()?;
        let (_, time) = text.split_once('@')?;
        let (seconds, micros) = time.split(' ').next()?.split_once('.')?;
        let seconds_ms = seconds.parse::<u64>().ok()?.checked_mul(1000)?;
        seconds_ms.checked_add(micros.parse::<u64>().ok()? / 1000)
    };
    made_ms().map_or(u64::MAX, |made_ms| server_ms.saturating_sub(made_ms))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn another_server_matters_to_who_told_the_last_one_something_since_its_oldest_result() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let mut home = Home::default();
        assert!(!home.is_moved_to(b"a", 5000, ms(0)), "the first");
        assert!(!home.is_moved_to(b"b", 5000, ms(1)), "nothing was told");
        home.told(ms(100));
        assert!(!home.is_moved_to(b"b", 5000, ms(200)), "the same");
        assert!(!home.is_moved_to(b"c", 90, ms(200)), "what is valid there was filled after that");
        assert!(home.is_moved_to(b"d", 98, ms(200)));
        home.told(ms(300));
        assert!(home.is_moved_to(b"a", u64::MAX, ms(4000)), "any other, and be it an earlier one");
    }

    #[test]
    fn a_generation_says_when_it_was_made() {
        for (generation, age) in [
            ("0a-7@1700000001.234567 run-repl", 766),
            ("0a-7@1700000009.0 run-repl", 0),
            ("0a-7", u64::MAX),
            ("@x.1 ", u64::MAX),
            ("@99999999999999999999.1", u64::MAX),
            ("@18446744073709551615.1", u64::MAX),
        ] {
            assert_eq!(age_ms(generation.as_bytes(), 1_700_000_002_000), age, "{generation}");
        }
        assert_eq!(age_ms(&[0xff, b'@'], 1), u64::MAX);
    }
}
