//! How many connections a load needs: the rule behind every calculated size.

use crate::queue::{Blocking, Waiting};
use crate::rounding::ceil_u32;
use crate::service_time::ServiceTime;

/// The utilisation at the peak that a calculated size keeps to.
///
/// Waits grow with 1 ÷ (1 − utilisation): 10 % more load than planned adds two thirds to them at 80 %, and at 90 %
/// multiplies them by ten.
pub const UTILISATION_MAX: f64 = 0.8;

/// A load, and the waiting it puts up with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    pub(crate) requests_per_s: f64,
    pub(crate) service: ServiceTime,
    /// Without it: one mean service time, so that no more than half of the time is spent on waiting.
    pub(crate) wait_ms_p99_target: Option<f64>,
}

impl Workload {
    /// Connections busy on average, by Little's law: L = λ·S.
    ///
    /// J. D. C. Little, "A proof for the queuing formula L = λW", Operations Research 9(3), 1961.
    /// Example: 1,000 requests/s of 20 ms keep 20 connections busy.
    pub(crate) fn demand(&self) -> f64 {
        self.requests_per_s * self.service.mean_ms() / 1000.0
    }

    pub(crate) fn wait_ms_p99_target(&self) -> f64 {
        self.wait_ms_p99_target.unwrap_or(self.service.mean_ms())
    }

    /// The smallest size that keeps utilisation to [`UTILISATION_MAX`] and the p99 wait to the target; `limit` when
    /// that many would not do.
    pub(crate) fn smallest_size(&self, limit: u32) -> u32 {
        let demand = self.demand();
        let by_utilisation = ceil_u32(demand / UTILISATION_MAX).max(1);
        if by_utilisation >= limit {
            return limit;
        }
        let target = self.wait_ms_p99_target();
        let mut blocking = Blocking::at(by_utilisation, demand);
        while blocking.servers < limit {
            let waiting = Waiting::from_blocking(&blocking, &self.service);
            if waiting.is_some_and(|waiting| waiting.wait_ms_p99 <= target) {
                break;
            }
            blocking.add_server();
        }
        blocking.servers
    }

    /// Whether `connections` keep utilisation and wait.
    pub(crate) fn is_met_by(&self, connections: u32) -> bool {
        self.smallest_size(connections.saturating_add(1)) <= connections
    }

    /// The same load times `factor`.
    pub(crate) fn with_rate_times(self, factor: f64) -> Self {
        Workload { requests_per_s: self.requests_per_s * factor, ..self }
    }

    /// The same requests, each taking `factor` of the time.
    pub(crate) fn with_service_times(self, factor: f64) -> Self {
        Workload { service: self.service.with_mean_ms(self.service.mean_ms() * factor), ..self }
    }
}
