//! The settings of a pool.

use std::time::Duration;

/// The settings of a pool. The two sizes have no default: `pgprime plan` calculates them from the load and from what the
/// database can bear. A duration of zero switches off what it limits, unless its description says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolOptions {
    /// Connections kept open however small the load.
    pub size_min: u32,
    /// Connections that the pool never exceeds; at least 1.
    pub size_max: u32,
    /// How long a task waits for a connection before it gets [`Error::Exhausted`](crate::Error::Exhausted); zero is not to
    /// wait. Default 10 s: people have given up by then, and a shorter one turns the peaks of an hour into errors.
    pub timeout: Duration,
    /// How long opening a connection may take, from the name's look-up to the end of the login. Default 5 s: a login
    /// takes milliseconds, and a lost first packet is sent again after 1 and 3 s.
    pub connect_timeout: Duration,
    /// A connection that the load does not need is closed after idling for so long. Default 5 min: longer than the pauses
    /// between peaks, so that they do not pay for logins.
    pub idle_timeout: Duration,
    /// A connection is closed after this time, times a random factor between 0.8 and 1 so that connections opened together
    /// do not end together. Default 30 min: what a server process gathers in memory is let go, and a changed name or
    /// balance is followed.
    pub lifetime: Duration,
    /// A connection that nobody has used for so long must answer before it is handed out, and is asked in the background.
    /// Default 30 s: below what routers and firewalls remember of a silent connection.
    pub check_after_idle: Duration,
    /// A connection held for longer is reported as leaked. Default 60 s: longer than requests of a service take; reports
    /// and migrations want more.
    pub leak_after: Duration,
    /// How long tasks wait while the database is out of reach before they are told so at once, and the longest pause
    /// between attempts to connect. Default 5 s: a restart of the database passes as waiting, not as errors.
    pub breaker: Duration,
}

impl PoolOptions {
    /// The given sizes and the defaults. A maximum of 0 becomes 1, a minimum above the maximum the maximum.
    pub fn sized(size_min: u32, size_max: u32) -> Self {
        let options = Self {
            size_min,
            size_max,
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(300),
            lifetime: Duration::from_secs(1_800),
            check_after_idle: Duration::from_secs(30),
            leak_after: Duration::from_secs(60),
            breaker: Duration::from_secs(5),
        };
        options.made_possible()
    }

    /// Sizes that contradict each other made to agree.
    pub(super) fn made_possible(self) -> Self {
        let size_max = self.size_max.max(1);
        Self { size_min: self.size_min.min(size_max), size_max, ..self }
    }

    /// The lifetime of one connection, `luck` being random between 0 and 1; `None` is for ever.
    pub(super) fn lifetime_with(&self, luck: f64) -> Option<Duration> {
        (!self.lifetime.is_zero()).then(|| self.lifetime.mul_f64(0.8 + 0.2 * luck.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_made_possible() {
        for ((min, max), expected) in [((2, 8), (2, 8)), ((9, 4), (4, 4)), ((0, 0), (0, 1)), ((3, 0), (1, 1))]
        {
            let options = PoolOptions::sized(min, max);
            assert_eq!((options.size_min, options.size_max), expected, "{min}..={max}");
        }
    }

    #[test]
    fn lifetimes_lie_between_four_fifths_and_the_whole() {
        let options = PoolOptions { lifetime: Duration::from_secs(100), ..PoolOptions::sized(1, 1) };
        for (luck, seconds) in [(0.0, 80), (0.5, 90), (1.0, 100), (7.0, 100)] {
            let found = options.lifetime_with(luck).map(|lifetime| lifetime.as_secs_f64().round() as u64);
            assert_eq!(found, Some(seconds), "{luck}");
        }
        let endless = PoolOptions { lifetime: Duration::ZERO, ..options };
        assert_eq!(endless.lifetime_with(0.5), None);
    }
}
