//! Waking up at a moment more exact than the milliseconds that epoll knows: at thousands of arrivals per second,
//! rounding to milliseconds would show up as latency.

use std::time::Duration;

#[cfg(target_os = "linux")]
pub(super) use linux::Timer;
#[cfg(not(target_os = "linux"))]
pub(super) use portable::Timer;

/// Longest time the generator sleeps: it looks at the flag that stops it in between.
pub(super) const SLEEP_MAX: Duration = Duration::from_millis(100);

#[cfg(target_os = "linux")]
mod linux {
    use std::io::Result;
    use std::os::fd::{AsFd, AsRawFd};
    use std::time::Duration;

    use mio::unix::SourceFd;
    use mio::{Interest, Registry, Token};
    use nix::sys::time::TimeSpec;
    use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

    use super::SLEEP_MAX;

    /// A timer of the kernel that wakes epoll.
    #[derive(Debug)]
    pub(in crate::generator) struct Timer {
        timer: TimerFd,
    }

    impl Timer {
        pub(in crate::generator) fn new(registry: &Registry, token: Token) -> Result<Self> {
            let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
            let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
            registry.register(&mut SourceFd(&timer.as_fd().as_raw_fd()), token, Interest::READABLE)?;
            Ok(Self { timer })
        }

        /// Sets the timer; gives the time to wait in `poll`, which the timer cuts short.
        pub(in crate::generator) fn arm(&mut self, after: Duration) -> Result<Duration> {
            if after.is_zero() || after >= SLEEP_MAX {
                return Ok(after.min(SLEEP_MAX));
            }
            let expiration = Expiration::OneShot(TimeSpec::from_duration(after));
            self.timer.set(expiration, TimerSetTimeFlags::empty())?;
            Ok(SLEEP_MAX)
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use std::io::Result;
    use std::time::Duration;

    use mio::{Registry, Token};

    use super::SLEEP_MAX;

    /// Nothing but the timeout of `poll`, which kqueue keeps to the nanosecond.
    #[derive(Debug)]
    pub(in crate::generator) struct Timer;

    impl Timer {
        pub(in crate::generator) fn new(_registry: &Registry, _token: Token) -> Result<Self> {
            Ok(Self)
        }

        pub(in crate::generator) fn arm(&mut self, after: Duration) -> Result<Duration> {
            Ok(after.min(SLEEP_MAX))
        }
    }
}
