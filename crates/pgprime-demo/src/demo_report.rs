//! What a demo found, for people and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::back_office::BackOfficeReport;
use crate::dashboard::DashboardReport;
use crate::generator::Latency;
use crate::machine::Machine;
use crate::text::{grouped, memory, milliseconds, table};
use crate::traffic::TrafficReport;

/// The result of a demo.
#[derive(Clone, Debug, Serialize)]
pub struct DemoReport {
    /// Client connections.
    pub clients: u32,
    /// Server connections the pooler may open.
    pub pool_size: u32,
    /// Arrivals per second that were asked for.
    pub rate: f64,
    /// Rows of sample data.
    pub rows: u64,
    /// Seconds it took to load them.
    pub load_seconds: f64,
    /// Seconds until all clients were logged in.
    pub login_seconds: f64,
    /// Throughput, latencies and errors.
    pub traffic: TrafficReport,
    /// The slow statements beside the load.
    pub back_office: BackOfficeReport,
    /// Most server connections at one time, as the pooler's console counts them.
    pub servers_max: u64,
    /// Most sessions at one time, as PostgreSQL counts them.
    pub sessions_max: u64,
    /// Most clients that waited for a server connection at one time, of the moments looked at.
    pub clients_waiting_max: u64,
    /// Longest wait seen for a server connection, of the moments looked at, in microseconds.
    pub wait_us_max: u64,
    /// The pooler's resident memory before the clients came, in KiB.
    pub memory_before_kib: u64,
    /// The same at full load.
    pub memory_loaded_kib: u64,
    /// What one client costs, in bytes.
    pub memory_per_client_bytes: u64,
    /// The pooler's CPU time per request, in microseconds.
    pub cpu_us_per_request: f64,
    /// Where it ran.
    pub machine: Machine,
    /// The PostgreSQL release.
    pub postgresql: String,
    /// What the pooler says it is.
    pub pooler: String,
    /// The admin dashboard; `None` when the load was interrupted, or something went wrong.
    pub dashboard: Option<DashboardReport>,
    /// Why the dashboard could not be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dashboard_error: Option<String>,
    /// What was found in the load afterwards, where somebody looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<serde_json::Value>,
}

impl DemoReport {
    /// Whether every request was answered correctly.
    pub fn is_clean(&self) -> bool {
        let errors = self.traffic.errors.count + self.back_office.errors.count;
        errors == 0
            && self.traffic.requests > 0
            && self.dashboard_error.is_none()
            && self.dashboard.as_ref().is_none_or(DashboardReport::is_clean)
    }

    /// The report as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{} clients, {:.0} requests/s asked for, {} rows, PostgreSQL {}, {}\n",
            grouped(self.clients.into()),
            self.rate,
            grouped(self.rows),
            self.postgresql,
            self.pooler,
        );
        let kinds = self.traffic.kinds.iter().chain([&self.traffic.latency]);
        let rows: Vec<Vec<String>> = kinds.map(latency_row).collect();
        text.push_str(&table(&["latency, ms", "requests", "p50", "p95", "p99", "max"], 1, &rows));
        text.push('\n');
        for (name, value) in self.facts() {
            let _ = writeln!(text, "{name:<20}{value}");
        }
        for sample in self.traffic.errors.samples.iter().chain(&self.back_office.errors.samples) {
            let _ = writeln!(text, "{:<20}{sample}", "");
        }
        if let Some(dashboard) = &self.dashboard {
            text.push('\n');
            text += &dashboard.text();
        }
        if let Some(error) = &self.dashboard_error {
            let _ = writeln!(text, "\nthe dashboard could not be shown: {error}");
        }
        if self.traffic.interrupted {
            text.push_str("stopped before its time\n");
        }
        text
    }

    fn facts(&self) -> [(&'static str, String); 8] {
        let (traffic, back_office) = (&self.traffic, &self.back_office);
        let per_client_kib = self.memory_per_client_bytes as f64 / 1024.0;
        let (before, loaded) = (memory(self.memory_before_kib as f64), memory(self.memory_loaded_kib as f64));
        [
            ("throughput", format!("{} requests/s", grouped(traffic.requests_per_second.round() as u64))),
            ("logins", format!("{} in {:.1} s", grouped(self.clients.into()), self.login_seconds)),
            (
                "server connections",
                format!(
                    "{} of {} used; {} in PostgreSQL",
                    self.servers_max, self.pool_size, self.sessions_max
                ),
            ),
            (
                "waits",
                format!(
                    "{} clients at most, {} ms at most; {} arrivals without an idle client",
                    self.clients_waiting_max,
                    milliseconds(self.wait_us_max),
                    traffic.backlog_max
                ),
            ),
            (
                "memory per client",
                format!("{} (pooler {before} before, {loaded} loaded)", memory(per_client_kib)),
            ),
            ("pooler CPU", format!("{:.1} µs per request", self.cpu_us_per_request)),
            (
                "back office",
                format!(
                    "{} slow statements, {} ms in the median, {} ms at most",
                    grouped(back_office.requests),
                    milliseconds(back_office.p50_us),
                    milliseconds(back_office.max_us)
                ),
            ),
            ("errors", grouped(traffic.errors.count + back_office.errors.count)),
        ]
    }
}

fn latency_row(latency: &Latency) -> Vec<String> {
    let mut row = vec![latency.name.clone(), grouped(latency.count)];
    row.extend([latency.p50_us, latency.p95_us, latency.p99_us, latency.max_us].map(milliseconds));
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Errors;

    fn report(errors: Errors) -> DemoReport {
        let latency = Latency {
            name: "all".into(),
            count: 40_000,
            p50_us: 410,
            p95_us: 1_900,
            p99_us: 12_340,
            max_us: 150_000,
        };
        let kinds = vec![Latency { name: "find quote".into(), ..latency.clone() }];
        DemoReport {
            clients: 10_000,
            pool_size: 25,
            rate: 2000.0,
            rows: 1_000_050,
            load_seconds: 9.0,
            login_seconds: 2.04,
            traffic: TrafficReport {
                requests: 40_000,
                requests_per_second: 1999.6,
                latency,
                kinds,
                errors,
                backlog_max: 0,
                interrupted: false,
            },
            back_office: BackOfficeReport {
                requests: 40,
                p50_us: 31_000,
                max_us: 92_000,
                ..BackOfficeReport::default()
            },
            servers_max: 21,
            sessions_max: 22,
            clients_waiting_max: 3,
            wait_us_max: 800,
            memory_before_kib: 8192,
            memory_loaded_kib: 28_192,
            memory_per_client_bytes: 2048,
            cpu_us_per_request: 31.04,
            machine: Machine { cpu: "c".into(), cores: 2, kernel: "k".into() },
            postgresql: "15.4".into(),
            pooler: "a pooler".into(),
            dashboard: None,
            dashboard_error: None,
            findings: None,
        }
    }

    #[test]
    fn the_text_says_everything() {
        let expected = "\
10,000 clients, 2000 requests/s asked for, 1,000,050 rows, PostgreSQL 15.4, a pooler

latency, ms  requests   p50   p95   p99  max
find quote     40,000  0.41  1.90  12.3  150
all            40,000  0.41  1.90  12.3  150

throughput          2,000 requests/s
logins              10,000 in 2.0 s
server connections  21 of 25 used; 22 in PostgreSQL
waits               3 clients at most, 0.80 ms at most; 0 arrivals without an idle client
memory per client   2.0 KiB (pooler 8.0 MiB before, 27.5 MiB loaded)
pooler CPU          31.0 µs per request
back office         40 slow statements, 31.0 ms in the median, 92.0 ms at most
errors              0
";
        assert_eq!(report(Errors::default()).text(), expected);
    }

    #[test]
    fn an_error_is_shown_and_is_not_clean() {
        let mut errors = Errors::default();
        errors.add("the answer is another quote than the one asked for");
        let report = report(errors);
        assert!(!report.is_clean());
        assert!(report.text().ends_with(
            "errors              1\n                    the answer is another quote than the one asked for\n"
        ));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["traffic"]["errors"]["count"], 1);
    }

    #[test]
    fn a_load_without_its_dashboard_is_reported_and_is_not_clean() {
        let mut report = report(Errors::default());
        assert!(report.is_clean());
        report.dashboard_error = Some("gone".into());
        assert!(!report.is_clean());
        assert!(report.text().ends_with("errors              0\n\nthe dashboard could not be shown: gone\n"));
    }
}
