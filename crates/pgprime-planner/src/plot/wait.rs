//! What is drawn: the curve, and what is marked in it.

use pgprime_capacity::{CurvePoint, Plan};

use crate::format::{milliseconds, number};

/// A curve and what is marked in it.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitPlot {
    /// The load it is for, such as `1,000 requests/s × 20 ms`.
    load: String,
    /// The sizes that carry the load, ascending.
    pub(super) points: Vec<WaitPoint>,
    /// The least and the most connections to show.
    pub(super) range: (u32, u32),
    /// The size to mark.
    pub(super) chosen: u32,
    /// The wait at the 99th percentile to stay below.
    pub(super) target_ms: f64,
    /// Connections that are busy on average: with fewer the queue grows without end.
    pub(super) demand: f64,
}

/// What requests wait for a connection at one size that carries the load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct WaitPoint {
    pub(super) connections: u32,
    pub(super) mean_ms: f64,
    pub(super) p95_ms: f64,
    pub(super) p99_ms: f64,
}

impl WaitPlot {
    /// The curve of a plan.
    #[must_use]
    pub fn new(plan: &Plan, curve: &[CurvePoint]) -> Self {
        let least = curve.iter().map(|point| point.connections).min().unwrap_or(0);
        let most = curve.iter().map(|point| point.connections).max().unwrap_or(1);
        Self {
            load: format!(
                "{} requests/s × {}",
                number(plan.requests_per_s_peak),
                milliseconds(plan.inputs.service.mean_ms())
            ),
            points: curve.iter().filter_map(WaitPoint::new).collect(),
            range: (least, most),
            chosen: plan.pool_size,
            target_ms: plan.wait_ms_p99_target,
            demand: plan.demand_connections_peak,
        }
    }

    /// The load it is for, such as `1,000 requests/s × 20 ms`.
    #[must_use]
    pub fn load(&self) -> &str {
        &self.load
    }

    pub(super) fn chosen_point(&self) -> Option<&WaitPoint> {
        self.points.iter().find(|point| point.connections == self.chosen)
    }

    pub(super) fn waits(&self) -> impl Iterator<Item = f64> {
        let of_point = |point: &WaitPoint| [point.p99_ms, point.mean_ms];
        self.points.iter().flat_map(of_point).chain([self.target_ms])
    }
}

impl WaitPoint {
    fn new(point: &CurvePoint) -> Option<Self> {
        Some(Self {
            connections: point.connections,
            mean_ms: point.wait_ms_mean?,
            p95_ms: point.wait_ms_p95?,
            p99_ms: point.wait_ms_p99?,
        })
    }
}
