//! Predicted beside measured, for people and as JSON.

use std::fmt;

use pgprime_capacity::Waiting;
use serde::Serialize;

use super::estimate::Estimate;
use crate::generator::Errors;
use crate::machine::Machine;
use crate::text::{grouped, table};

/// Requests that are sent later than this, one in a hundred, tell of a machine with too much to do.
const LATE_MS_MAX: f64 = 1.0;
/// A coarser resolution than this is worth a remark.
const NOISE_MS_MAX: f64 = 1.0;

/// The result of a verification.
#[derive(Clone, Debug, Serialize)]
pub struct VerifyReport {
    /// Requests per second asked for.
    pub rate: f64,
    /// Mean service time asked for, in milliseconds.
    pub service_mean_ms: f64,
    /// Squared coefficient of variation of the service times asked for.
    pub service_scv: f64,
    /// Seconds measured at each size.
    pub seconds: u32,
    /// Seed of arrivals and service times.
    pub seed: u64,
    /// Each size, in the order asked for.
    pub sizes: Vec<VerifiedSize>,
    /// Where it ran.
    pub machine: Machine,
    /// The PostgreSQL release.
    pub postgresql: String,
    /// What the pooler says it is.
    pub pooler: String,
}

/// Predicted and measured at one pool size.
#[derive(Clone, Debug, Serialize)]
pub struct VerifiedSize {
    /// Server connections of the pool.
    pub size: u32,
    /// Client connections of the load.
    pub clients: u32,
    /// Seconds at the beginning that do not count.
    pub warm_up_seconds: f64,
    /// Seconds from which on the intervals hold; in a shorter run they are too narrow.
    pub seconds_needed: u32,
    /// Requests that were sent, with those of the warm-up.
    pub requests_sent: u64,
    /// Of those, answered correctly.
    pub requests_answered: u64,
    /// Of those, arrived in the seconds that count.
    pub requests_measured: u64,
    /// Refused requests, wrong answers, lost connections.
    pub errors: Errors,
    /// Most arrivals at one time that found no idle client. Above 0, the clients were the bottleneck, and what was
    /// measured is not the pool.
    pub arrivals_without_client_max: usize,
    /// Most server connections at one time, as the pooler's console counts them.
    pub servers_max: u64,
    /// Most sessions at one time, as PostgreSQL counts them.
    pub sessions_max: u64,
    /// Sessions left in PostgreSQL after the pooler had ended.
    pub sessions_left: u64,
    /// What a request takes without waiting, beyond its sleep; taken off each response time, in milliseconds.
    pub fixed_ms: f64,
    /// What that differs by between requests (95th percentile less median), in milliseconds: no wait is known better.
    pub resolution_ms: f64,
    /// The part of it that holds the server; taken off each sleep, so that a server is held for the time asked for.
    pub held_ms: f64,
    /// 99th percentile of how late the generator sent requests, in milliseconds. It counts as waiting.
    pub late_ms_p99: f64,
    /// The prediction.
    pub predicted: Waiting,
    /// What the random choices of the run came to.
    pub load: ActualLoad,
    /// The same requests in an ideal queue.
    pub replayed: WaitReplayed,
    /// What was measured.
    pub measured: WaitMeasured,
    /// What the pooler itself says.
    pub pooler: PoolerSays,
}

/// The load that a run had.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ActualLoad {
    /// Requests per second.
    pub rate: f64,
    /// Mean time for which a request holds a server, in milliseconds.
    pub service_mean_ms: f64,
    /// Squared coefficient of variation of that time.
    pub service_scv: f64,
}

/// The waits of the very requests of a run in an ideal queue, where nothing but the servers takes time. What differs
/// between this and the prediction is chance; what differs between this and the measurement is due to pooler and
/// machine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WaitReplayed {
    /// The fraction of requests that waited longer than [`VerifiedSize::resolution_ms`].
    pub share_waiting: f64,
    /// Mean wait over all requests, in milliseconds.
    pub wait_ms_mean: f64,
    /// Median wait, in milliseconds.
    pub wait_ms_p50: f64,
    /// 95th percentile of the wait, in milliseconds.
    pub wait_ms_p95: f64,
    /// 99th percentile of the wait, in milliseconds.
    pub wait_ms_p99: f64,
}

/// Measured waiting, from the planned arrival on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WaitMeasured {
    /// The fraction of the time a server is busy, as the pooler's console shows it at the moments looked at; where it
    /// does not, what the service times add up to.
    pub utilisation: f64,
    /// The fraction of requests that waited longer than [`VerifiedSize::resolution_ms`].
    pub share_waiting: Estimate,
    /// Mean wait over all requests, in milliseconds.
    pub wait_ms_mean: Estimate,
    /// Median wait, in milliseconds.
    pub wait_ms_p50: Estimate,
    /// 95th percentile of the wait, in milliseconds.
    pub wait_ms_p95: Estimate,
    /// 99th percentile of the wait, in milliseconds.
    pub wait_ms_p99: Estimate,
}

/// What the pooler's console says of the seconds that count; `None` where it says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PoolerSays {
    /// Mean wait for a server (`total_wait_time`), in milliseconds.
    pub wait_ms_mean: Option<f64>,
    /// Mean time of a transaction (`total_xact_time`), in milliseconds; some poolers count waiting as part of it.
    pub transaction_ms_mean: Option<f64>,
    /// Busy servers (`sv_active`) on average over the moments looked at.
    pub busy_servers_mean: Option<f64>,
}

impl VerifyReport {
    /// Whether prediction and measurement agree at every size.
    pub fn agrees(&self) -> bool {
        !self.sizes.is_empty() && self.sizes.iter().all(VerifiedSize::agrees)
    }
}

impl VerifiedSize {
    /// Whether every request was answered, and no arrival found all clients busy.
    pub fn is_clean(&self) -> bool {
        self.errors.count == 0
            && self.arrivals_without_client_max == 0
            && self.requests_sent == self.requests_answered
            && self.requests_measured > 0
    }

    /// Whether the run is clean, and the predicted mean and 99th percentile lie within the measured intervals, give or
    /// take the resolution.
    pub fn agrees(&self) -> bool {
        let (predicted, measured) = (&self.predicted, &self.measured);
        self.is_clean()
            && measured.wait_ms_mean.contains(predicted.wait_ms_mean, self.resolution_ms)
            && measured.wait_ms_p99.contains(predicted.wait_ms_p99, self.resolution_ms)
    }

    fn table(&self) -> String {
        let (predicted, replayed, measured) = (&self.predicted, &self.replayed, &self.measured);
        let above = format!("waited more than {}", ms(self.resolution_ms));
        let mut rows = vec![
            vec![
                "busy".to_owned(),
                percent(predicted.utilisation),
                percent(self.load.busy_servers() / f64::from(self.size)),
                percent(measured.utilisation),
            ],
            vec![
                above,
                percent(share_waiting(predicted, self.resolution_ms)),
                percent(replayed.share_waiting),
                percent(measured.share_waiting.value),
                interval(&measured.share_waiting, percent),
            ],
        ];
        for (name, predicted, replayed, measured) in [
            ("wait, mean", predicted.wait_ms_mean, replayed.wait_ms_mean, measured.wait_ms_mean),
            ("wait, p50", predicted.wait_ms_p50, replayed.wait_ms_p50, measured.wait_ms_p50),
            ("wait, p95", predicted.wait_ms_p95, replayed.wait_ms_p95, measured.wait_ms_p95),
            ("wait, p99", predicted.wait_ms_p99, replayed.wait_ms_p99, measured.wait_ms_p99),
        ] {
            let is_within = measured.contains(predicted, self.resolution_ms);
            let mut row = vec![name.to_owned(), ms(predicted), ms(replayed), ms(measured.value)];
            row.extend([interval(&measured, ms), if is_within { "yes" } else { "no" }.to_owned()]);
            rows.push(row);
        }
        if let Some(wait_ms) = self.pooler.wait_ms_mean {
            let name = "wait, mean, by the pooler";
            rows.push([name, "", "", &ms(wait_ms)].map(str::to_owned).to_vec());
        }
        let title = format!("{} servers", self.size);
        table(&[&title, "predicted", "ideal queue", "measured", "99 % interval", "within"], 1, &rows)
    }

    fn facts(&self) -> String {
        format!(
            "{} of {} requests counted, {} answered; on average {:.1}/s of {:.2} ms, scv {:.2}\n\
             {} clients, at most {} servers and {} sessions, {} left; {} but for waiting, {} late\n",
            grouped(self.requests_measured),
            grouped(self.requests_sent),
            grouped(self.requests_answered),
            self.load.rate,
            self.load.service_mean_ms,
            self.load.service_scv,
            grouped(self.clients.into()),
            self.servers_max,
            self.sessions_max,
            self.sessions_left,
            ms(self.fixed_ms),
            ms(self.late_ms_p99),
        )
    }

    /// What takes from the worth of the measurement.
    fn remarks(&self, seconds: u32) -> Vec<String> {
        let mut remarks = Vec::new();
        if seconds < self.seconds_needed {
            let needed = self.seconds_needed;
            remarks.push(format!(
                "{seconds} s are short for this utilisation: intervals hold from {needed} s on"
            ));
        }
        if self.late_ms_p99 > LATE_MS_MAX {
            remarks.push(format!(
                "requests were sent up to {} late: this machine was busy with other work",
                ms(self.late_ms_p99)
            ));
        }
        if self.resolution_ms > NOISE_MS_MAX {
            let noise = ms(self.resolution_ms);
            remarks.push(format!("waits below {noise} cannot be told from the noise of this machine"));
        }
        if self.arrivals_without_client_max > 0 {
            remarks.push(format!(
                "{} arrivals at once found no idle client: the clients were the bottleneck, not the pool",
                self.arrivals_without_client_max
            ));
        }
        if self.errors.count > 0 {
            remarks.push(format!(
                "{} errors, such as: {}",
                self.errors.count,
                self.errors.samples.join("; ")
            ));
        }
        remarks
    }
}

impl ActualLoad {
    /// Servers that it keeps busy on average.
    pub fn busy_servers(&self) -> f64 {
        self.rate * self.service_mean_ms / 1000.0
    }
}

/// The fraction of requests predicted to wait longer than `above_ms`: the waits of those that wait are exponentially
/// distributed, which is exact for exponential service times.
fn share_waiting(waiting: &Waiting, above_ms: f64) -> f64 {
    if waiting.wait_ms_mean_of_waiting <= 0.0 {
        return 0.0;
    }
    waiting.wait_probability * (-above_ms / waiting.wait_ms_mean_of_waiting).exp()
}

fn ms(value: f64) -> String {
    format!("{value:.2} ms")
}

fn interval(estimate: &Estimate, text: fn(f64) -> String) -> String {
    format!("{} – {}", text(estimate.low.max(0.0).min(estimate.high)), text(estimate.high))
}

fn percent(value: f64) -> String {
    format!("{:.1} %", value * 100.0)
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{} requests/s of {} ms (scv {}), {} s at each size\nPostgreSQL {}, {}\n",
            self.rate, self.service_mean_ms, self.service_scv, self.seconds, self.postgresql, self.pooler
        )?;
        for size in &self.sizes {
            out.write_str(&size.table())?;
            out.write_str(&size.facts())?;
            for remark in size.remarks(self.seconds) {
                writeln!(out, "! {remark}")?;
            }
            writeln!(out)?;
        }
        let verdict = if self.agrees() { "agree" } else { "do not agree" };
        write!(out, "prediction and measurement {verdict} (mean and p99 of the wait at each size)")?;
        if self.sizes.iter().any(|size| !size.remarks(self.seconds).is_empty()) {
            out.write_str("; mind the remarks above")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size() -> VerifiedSize {
        let around = |value: f64| Estimate { value, low: value * 0.8, high: value * 1.2 };
        VerifiedSize {
            size: 25,
            clients: 300,
            warm_up_seconds: 2.4,
            seconds_needed: 4,
            requests_sent: 32_400,
            requests_answered: 32_400,
            requests_measured: 30_012,
            errors: Errors::default(),
            arrivals_without_client_max: 0,
            servers_max: 25,
            sessions_max: 25,
            sessions_left: 0,
            fixed_ms: 0.26,
            resolution_ms: 0.2,
            held_ms: 0.19,
            late_ms_p99: 0.15,
            predicted: Waiting {
                utilisation: 0.8,
                wait_probability: 0.209,
                wait_ms_mean: 0.84,
                wait_ms_p50: 0.0,
                wait_ms_p95: 5.72,
                wait_ms_p99: 12.16,
                wait_ms_mean_of_waiting: 4.0,
            },
            load: ActualLoad { rate: 1000.4, service_mean_ms: 19.98, service_scv: 0.99 },
            replayed: WaitReplayed {
                share_waiting: 0.2,
                wait_ms_mean: 0.82,
                wait_ms_p50: 0.0,
                wait_ms_p95: 5.5,
                wait_ms_p99: 11.9,
            },
            measured: WaitMeasured {
                utilisation: 0.803,
                share_waiting: around(0.21),
                wait_ms_mean: around(0.9),
                wait_ms_p50: around(0.1),
                wait_ms_p95: around(5.8),
                wait_ms_p99: around(12.4),
            },
            pooler: PoolerSays {
                wait_ms_mean: Some(0.83),
                transaction_ms_mean: Some(20.1),
                busy_servers_mean: Some(20.1),
            },
        }
    }

    fn report(sizes: Vec<VerifiedSize>) -> VerifyReport {
        VerifyReport {
            rate: 1000.0,
            service_mean_ms: 20.0,
            service_scv: 1.0,
            seconds: 30,
            seed: 1,
            sizes,
            machine: Machine { cpu: "c".into(), cores: 2, kernel: "k".into() },
            postgresql: "15.4".into(),
            pooler: "a pooler".into(),
        }
    }

    #[test]
    fn predicted_stands_beside_measured() {
        let expected = "\
1000 requests/s of 20 ms (scv 1), 30 s at each size
PostgreSQL 15.4, a pooler

25 servers                 predicted  ideal queue  measured       99 % interval  within
busy                          80.0 %       80.0 %    80.3 %
waited more than 0.20 ms      19.9 %       20.0 %    21.0 %     16.8 % – 25.2 %
wait, mean                   0.84 ms      0.82 ms   0.90 ms   0.72 ms – 1.08 ms     yes
wait, p50                    0.00 ms      0.00 ms   0.10 ms   0.08 ms – 0.12 ms     yes
wait, p95                    5.72 ms      5.50 ms   5.80 ms   4.64 ms – 6.96 ms     yes
wait, p99                   12.16 ms     11.90 ms  12.40 ms  9.92 ms – 14.88 ms     yes
wait, mean, by the pooler                           0.83 ms
30,012 of 32,400 requests counted, 32,400 answered; on average 1000.4/s of 19.98 ms, scv 0.99
300 clients, at most 25 servers and 25 sessions, 0 left; 0.26 ms but for waiting, 0.15 ms late

prediction and measurement agree (mean and p99 of the wait at each size)";
        assert_eq!(report(vec![size()]).to_string(), expected);
        assert!(expected.lines().all(|line| line.chars().count() <= 100));
    }

    #[test]
    fn a_prediction_outside_the_interval_disagrees() {
        let too_long = |ms: f64| Estimate { value: ms, low: ms - 1.0, high: ms + 1.0 };
        let mut measured = size();
        measured.measured.wait_ms_p99 = too_long(14.0);
        assert!(!measured.agrees() && report(vec![size(), measured]).to_string().contains("do not agree"));
        let mut measured = size();
        measured.measured.wait_ms_mean = too_long(2.0);
        assert!(measured.agrees(), "0.84 ms lies within 1 – 3 ms, give or take 0.2 ms");
        measured.measured.wait_ms_mean = too_long(2.1);
        assert!(!measured.agrees());
        assert!(!report(Vec::new()).agrees());
    }

    #[test]
    fn a_measurement_that_is_worth_nothing_does_not_agree() {
        let spoilt = |spoil: &dyn Fn(&mut VerifiedSize), remark: &str| {
            let mut size = size();
            spoil(&mut size);
            let agrees = size.agrees();
            let text = report(vec![size]).to_string();
            assert!(text.contains(remark), "{text}");
            agrees
        };
        assert!(!spoilt(
            &|size| size.arrivals_without_client_max = 7,
            "! 7 arrivals at once found no idle client"
        ));
        assert!(!spoilt(&|size| size.errors.add("refused"), "! 1 errors, such as: refused"));
        assert!(!spoilt(&|size| size.requests_answered -= 1, "32,399 answered"));
        assert!(spoilt(&|size| size.late_ms_p99 = 1.5, "! requests were sent up to 1.50 ms late"));
        assert!(spoilt(&|size| size.resolution_ms = 1.2, "! waits below 1.20 ms cannot be told"));
        assert!(spoilt(&|size| size.seconds_needed = 31, "! 30 s are short"));
    }

    #[test]
    fn json_has_every_figure() {
        let json = serde_json::to_value(report(vec![size()])).unwrap();
        let size = &json["sizes"][0];
        assert_eq!(size["predicted"]["wait_ms_p99"], 12.16);
        assert_eq!(
            (&size["measured"]["wait_ms_p99"]["value"], &size["replayed"]["wait_ms_p99"]),
            (&12.4.into(), &11.9.into())
        );
    }
}
