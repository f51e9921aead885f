//! What is to be verified, and what follows from it for the run.

use anyhow::bail;

use crate::pooler_process::PoolerCommand;
use crate::private_server::SERVER_CONNECTIONS_MAX;

/// More requests per second than this would measure the generator and the machine, not the queue.
const RATE_MAX: f64 = 5000.0;
const SECONDS_MAX: u32 = 600;
/// The private server keeps some of its connections for looking at it.
const SIZE_MAX: u32 = if SERVER_CONNECTIONS_MAX < 210 { SERVER_CONNECTIONS_MAX - 10 } else { 200 };
/// PostgreSQL sleeps whole milliseconds.
const SERVICE_MS_MIN: f64 = 1.0;
/// With the largest variation, a request is still shorter than the patience of pooler and generator.
const SERVICE_MS_MAX: f64 = 500.0;
const SCV_MAX: f64 = 4.0;
/// Fewer have no 99th percentile to speak of.
const REQUESTS_MIN: f64 = 1000.0;
const CLIENTS_MIN: f64 = 300.0;
const CLIENTS_MAX: f64 = 2000.0;
/// How unlikely it is to be that one arrival finds all clients busy.
const CLIENT_SHORTAGE: f64 = 1e-9;
/// Warm-up in memories of the queue; what is left of the empty start is then below a hundredth.
const WARM_UP_MEMORIES: f64 = 5.0;
const WARM_UP_SECONDS_MIN: f64 = 2.0;

/// What is to be verified.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// Requests per second, arriving at random (Poisson). Default 1,000; at most 5,000.
    pub rate: f64,
    /// Mean service time of a request, in milliseconds: how long it holds a server connection. Default 20; 1 to 500.
    pub service_mean_ms: f64,
    /// Squared coefficient of variation of the service times: 0 for all the same, 1 for exponential ones (the
    /// default), gamma for others; at most 4.
    pub service_scv: f64,
    /// Pool sizes to run, one after the other. Default 25; at most 90, what the private server has room for.
    pub sizes: Vec<u32>,
    /// Seconds measured at each size, after a warm-up. Default 30: at high utilisation, waiting times converge
    /// slowly. At most 600.
    pub seconds: u32,
    /// Seed of arrivals and service times, which are the same for every size.
    pub seed: u64,
    /// The pooler to start.
    pub pooler: PoolerCommand,
}

impl VerifyOptions {
    /// The defaults, with the given pooler.
    pub fn new(pooler: PoolerCommand) -> Self {
        Self {
            rate: 1000.0,
            service_mean_ms: 20.0,
            service_scv: 1.0,
            sizes: vec![25],
            seconds: 30,
            seed: 20_240_229,
            pooler,
        }
    }

    pub(super) fn check(&self) -> anyhow::Result<()> {
        if !(self.rate > 0.0 && self.rate <= RATE_MAX) {
            bail!(
                "a verification runs above 0 and at most {RATE_MAX} requests/s, not {}: more would measure this \
                 machine and not the queue; scale rate and service time, which wait alike at the same utilisation",
                self.rate
            );
        }
        if !(SERVICE_MS_MIN..=SERVICE_MS_MAX).contains(&self.service_mean_ms) {
            bail!(
                "a verification runs service times of {SERVICE_MS_MIN} to {SERVICE_MS_MAX} ms on average, not {}: \
                 PostgreSQL sleeps whole milliseconds, and longer requests would need hours",
                self.service_mean_ms
            );
        }
        if !(0.0..=SCV_MAX).contains(&self.service_scv) {
            bail!(
                "a verification runs service times with an scv (variance ÷ mean²) of 0 to {SCV_MAX}, not {}: beyond \
                 it, no run is long enough to measure a mean",
                self.service_scv
            );
        }
        if self.seconds == 0 || self.seconds > SECONDS_MAX {
            bail!("a verification runs 1 to {SECONDS_MAX} seconds at each size, not {}", self.seconds);
        }
        let requests = self.rate * f64::from(self.seconds);
        if requests < REQUESTS_MIN {
            bail!(
                "{requests:.0} requests are too few for a 99th percentile: give at least {:.0} seconds at {} \
                 requests/s",
                (REQUESTS_MIN / self.rate).ceil(),
                self.rate
            );
        }
        self.check_sizes()
    }

    fn check_sizes(&self) -> anyhow::Result<()> {
        if self.sizes.is_empty() {
            bail!("a verification needs at least one pool size");
        }
        for &size in &self.sizes {
            if size == 0 || size > SIZE_MAX {
                bail!(
                    "a verification runs pools of 1 to {SIZE_MAX} servers, not {size}: the private PostgreSQL takes \
                     {SERVER_CONNECTIONS_MAX} connections; scale rate and size down together"
                );
            }
            if self.utilisation(size) >= 1.0 {
                bail!(
                    "{size} servers carry less than {:.0} requests/s of {} ms each, so at {} requests/s the queue \
                     grows without end and there is no waiting time to predict; give at least {:.0} servers",
                    f64::from(size) * 1000.0 / self.service_mean_ms,
                    self.service_mean_ms,
                    self.rate,
                    self.offered_load().floor() + 1.0
                );
            }
        }
        Ok(())
    }

    /// Servers that are busy on average.
    fn offered_load(&self) -> f64 {
        self.rate * self.service_mean_ms / 1000.0
    }

    fn utilisation(&self, size: u32) -> f64 {
        self.offered_load() / f64::from(size)
    }

    /// Clients that are enough: the queue is longer than n with a probability of about e^(−n·2(1−ρ)/(1+scv)), its
    /// form in heavy traffic.
    pub(super) fn clients(&self, size: u32) -> u32 {
        let decay = 2.0 * (1.0 - self.utilisation(size)) / (1.0 + self.service_scv);
        let queued = -CLIENT_SHORTAGE.ln() / decay;
        (1.5 * f64::from(size) + queued).clamp(CLIENTS_MIN, CLIENTS_MAX).ceil() as u32
    }

    /// Seconds after which a queue has forgotten most of how it stood: the relaxation time of M/M/c,
    /// 1/(cμ(1−√ρ)²), times (1+scv)/2 for other service times.
    fn memory_seconds(&self, size: u32) -> f64 {
        let capacity = f64::from(size) * 1000.0 / self.service_mean_ms;
        let distance = 1.0 - self.utilisation(size).sqrt();
        (1.0 + self.service_scv) / 2.0 / (capacity * distance * distance)
    }

    /// Seconds at the beginning that do not count: the queue begins empty.
    pub(super) fn warm_up_seconds(&self, size: u32) -> f64 {
        let asked = WARM_UP_SECONDS_MIN + WARM_UP_MEMORIES * self.memory_seconds(size);
        asked.min(f64::from(self.seconds).max(WARM_UP_SECONDS_MIN))
    }

    /// Seconds from which on `sections` parts of the run can be taken as independent of each other.
    pub(super) fn seconds_needed(&self, size: u32, sections: usize) -> u32 {
        (sections as f64 * WARM_UP_MEMORIES * self.memory_seconds(size)).ceil() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(change: &dyn Fn(&mut VerifyOptions)) -> VerifyOptions {
        let mut options = VerifyOptions::new(PoolerCommand::Own("pgprime".into()));
        change(&mut options);
        options
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        let refused = |change: &dyn Fn(&mut VerifyOptions), reason: &str| {
            let error = changed(change).check().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        };
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 5000.1] {
            refused(&|options| options.rate = rate, "at most 5000 requests/s");
        }
        for mean_ms in [0.0, 0.9, -20.0, f64::NAN, 501.0] {
            refused(&|options| options.service_mean_ms = mean_ms, "1 to 500 ms");
        }
        for scv in [-0.1, f64::NAN, 4.1] {
            refused(&|options| options.service_scv = scv, "an scv");
        }
        for seconds in [0, 601] {
            refused(&|options| options.seconds = seconds, "1 to 600 seconds");
        }
        for size in [0, SIZE_MAX + 1] {
            refused(&|options| options.sizes = vec![25, size], &format!("1 to {SIZE_MAX} servers"));
        }
        refused(&|options| options.sizes.clear(), "at least one pool size");
        refused(&|options| options.sizes = vec![30, 20], "give at least 21 servers");
        refused(&|options| (options.rate, options.seconds) = (10.0, 30), "give at least 100 seconds");
    }

    #[test]
    fn sense_is_accepted() {
        for change in [
            &(|_: &mut VerifyOptions| {}) as &dyn Fn(&mut VerifyOptions),
            &|options| options.sizes = vec![21, 25, SIZE_MAX],
            &|options| (options.service_scv, options.service_mean_ms) = (0.0, 1.0),
            &|options| (options.rate, options.sizes, options.service_mean_ms) = (5000.0, vec![60], 10.0),
        ] {
            changed(change).check().unwrap();
        }
    }

    #[test]
    fn the_higher_the_utilisation_the_more_clients_and_time() {
        let options = changed(&|_| {});
        assert_eq!([30, 25, 22, 21].map(|size| options.clients(size)), [300, 300, 300, 467]);
        // At 22 servers: 1/(1100·(1−√0.909)²) = 0.42 s.
        assert!((options.memory_seconds(22) - 0.42).abs() < 0.005, "{}", options.memory_seconds(22));
        assert!((options.warm_up_seconds(22) - 4.1).abs() < 0.05, "{}", options.warm_up_seconds(22));
        assert_eq!([25, 22].map(|size| options.seconds_needed(size, 10)), [4, 21]);
        let short = changed(&|options| (options.seconds, options.sizes) = (3, vec![21]));
        assert!((short.warm_up_seconds(21) - 3.0).abs() < 1e-9);
    }
}
