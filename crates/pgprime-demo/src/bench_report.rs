//! What a benchmark found, for people and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::generator::Errors;
use crate::machine::Machine;
use crate::select::Protocol;
use crate::text::{grouped, memory, milliseconds, table};

/// The name of the runs that connect to PostgreSQL itself.
pub(crate) const DIRECT: &str = "direct";
/// The name of the runs through pgprime's own pooler.
pub(crate) const OWN: &str = "pgprime";

/// One run: one pooler, one number of clients, one protocol.
#[derive(Clone, Debug, Serialize)]
pub struct BenchRun {
    /// `direct`, a peer's name, or `pgprime`.
    pub target: String,
    /// Clients asked for.
    pub clients: u32,
    /// Connections made: fewer than clients for `direct`, which cannot have more than PostgreSQL admits.
    pub connections: u32,
    /// How the statement was sent.
    pub protocol: Protocol,
    /// Which repetition this is, from 1.
    pub round: u32,
    /// Requests answered correctly.
    pub requests: u64,
    /// Requests per second.
    pub requests_per_second: f64,
    /// Median latency, in microseconds.
    pub p50_us: u64,
    /// 99th percentile, in microseconds.
    pub p99_us: u64,
    /// Longest latency, in microseconds.
    pub max_us: u64,
    /// 99th percentile over median: 1 is perfectly fair to all clients.
    pub p99_over_p50: f64,
    /// The pooler's CPU time per request, in microseconds.
    pub cpu_us_per_request: Option<f64>,
    /// The load generator's own CPU time per request, in microseconds: what it takes away from a shared machine.
    pub generator_cpu_us_per_request: Option<f64>,
    /// The pooler's resident memory with all clients connected and working, in KiB.
    pub memory_kib: Option<u64>,
    /// Growth of that memory per client, in bytes.
    pub memory_per_client_bytes: Option<u64>,
    /// Seconds until all clients were logged in.
    pub login_seconds: f64,
    /// The pooler's CPU time per login, in microseconds.
    pub login_cpu_us: Option<f64>,
    /// Errors; a run with errors cannot be compared.
    pub errors: Errors,
}

/// Many logins at once, without any request.
#[derive(Clone, Debug, Serialize)]
pub struct LoginRun {
    /// A peer's name, or `pgprime`.
    pub target: String,
    /// `trust` or `scram-sha-256`.
    pub auth: String,
    /// Clients that logged in.
    pub logins: u32,
    /// Seconds until the last was logged in.
    pub seconds: f64,
    /// The pooler's CPU time per login, in microseconds.
    pub cpu_us_per_login: f64,
    /// Growth of its memory per client, in bytes.
    pub memory_per_client_bytes: u64,
    /// Why there is no result.
    pub error: Option<String>,
}

/// A pooler of the benchmark.
#[derive(Clone, Debug, Serialize)]
pub struct BenchTarget {
    /// The name in the runs.
    pub name: String,
    /// What SHOW VERSION tells.
    pub version: String,
}

/// The result of a benchmark.
#[derive(Clone, Debug, Serialize)]
pub struct BenchReport {
    /// Where it ran.
    pub machine: Machine,
    /// The PostgreSQL release.
    pub postgresql: String,
    /// Server connections each pooler may open.
    pub pool_size: u32,
    /// How clients log in for the runs.
    pub auth: String,
    /// The poolers, peers first.
    pub targets: Vec<BenchTarget>,
    /// Every run.
    pub runs: Vec<BenchRun>,
    /// Logins without requests.
    pub logins: Vec<LoginRun>,
}

impl BenchReport {
    /// Whether neither pgprime nor PostgreSQL itself had an error. What a peer cannot do is in its runs.
    pub fn is_clean(&self) -> bool {
        let is_ours = |target: &str| target == OWN || target == DIRECT;
        let runs = self.runs.iter().filter(|run| is_ours(&run.target));
        let logins = self.logins.iter().filter(|run| is_ours(&run.target));
        runs.map(|run| run.errors.count).sum::<u64>() == 0
            && logins.filter(|run| run.error.is_some()).count() == 0
    }

    /// Of each target, number of clients and protocol, the round with the median throughput.
    pub fn medians(&self) -> Vec<&BenchRun> {
        let mut medians: Vec<&BenchRun> = Vec::new();
        for run in self.runs.iter().filter(|run| run.round == 1) {
            let mut rounds: Vec<&BenchRun> = self.runs.iter().filter(|other| other.same_as(run)).collect();
            rounds.sort_by(|a, b| a.requests_per_second.total_cmp(&b.requests_per_second));
            medians.extend(rounds.get(rounds.len() / 2).copied());
        }
        medians.sort_by_key(|run| (run.clients, run.protocol as u8, self.position(&run.target)));
        medians
    }

    fn position(&self, target: &str) -> usize {
        match target {
            DIRECT => 0,
            _ => 1 + self.targets.iter().position(|known| known.name == target).unwrap_or(usize::MAX - 1),
        }
    }

    /// The report as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let machine = &self.machine;
        let _ = writeln!(
            text,
            "{}, {} cores, {}; PostgreSQL {}; pool size {}; login {}",
            machine.cpu, machine.cores, machine.kernel, self.postgresql, self.pool_size, self.auth
        );
        for target in &self.targets {
            let _ = writeln!(text, "  {}: {}", target.name, target.version);
        }
        text.push('\n');
        text.push_str(&self.runs_text());
        text.push_str(&self.logins_text());
        text.push_str(&self.ratios_text());
        text
    }

    fn runs_text(&self) -> String {
        let heads = [
            "clients",
            "protocol",
            "target",
            "requests/s",
            "p50 ms",
            "p99 ms",
            "max ms",
            "p99/p50",
            "CPU µs/req",
            "memory",
            "login s",
            "errors",
        ];
        let rows: Vec<Vec<String>> = self.medians().into_iter().map(BenchRun::row).collect();
        let mut text = table(&heads, 3, &rows);
        for run in self.medians() {
            if run.connections < run.clients {
                let (clients, connections) = (grouped(run.clients.into()), run.connections);
                let protocol = run.protocol.name();
                let _ =
                    writeln!(text, "direct at {clients} clients, {protocol}: {connections} connections only");
            }
            for sample in &run.errors.samples {
                let (target, protocol) = (&run.target, run.protocol.name());
                let _ =
                    writeln!(text, "{target}, {} clients, {protocol}: {sample}", grouped(run.clients.into()));
            }
        }
        text
    }

    fn logins_text(&self) -> String {
        if self.logins.is_empty() {
            return String::new();
        }
        let rows: Vec<Vec<String>> = self.logins.iter().map(LoginRun::row).collect();
        let heads = ["logins", "method", "target", "seconds", "logins/s", "CPU µs/login", "memory/client"];
        let mut text = format!("\n{}", table(&heads, 3, &rows));
        for run in &self.logins {
            if let Some(error) = &run.error {
                let _ = writeln!(text, "{}, {}: {error}", run.target, run.auth);
            }
        }
        text
    }

    fn ratios_text(&self) -> String {
        let Some(peer) = self.targets.iter().find(|target| target.name != OWN) else { return String::new() };
        let medians = self.medians();
        let mut rows = Vec::new();
        for run in medians.iter().filter(|run| run.target != peer.name && run.target != DIRECT) {
            let same = |other: &&&BenchRun| {
                other.target == peer.name && (other.clients, other.protocol) == (run.clients, run.protocol)
            };
            if let Some(base) = medians.iter().find(same) {
                rows.push(run.ratio_row(base));
            }
        }
        if rows.is_empty() {
            return String::new();
        }
        let heads = ["clients", "protocol", "target", "requests/s", "p99", "CPU", "memory"];
        format!("\nrelative to {}:\n{}", peer.name, table(&heads, 3, &rows))
    }
}

impl BenchRun {
    fn same_as(&self, other: &Self) -> bool {
        (&self.target, self.clients, self.protocol) == (&other.target, other.clients, other.protocol)
    }

    fn row(&self) -> Vec<String> {
        vec![
            grouped(self.clients.into()),
            self.protocol.name().to_owned(),
            self.target.clone(),
            grouped(self.requests_per_second.round() as u64),
            milliseconds(self.p50_us),
            milliseconds(self.p99_us),
            milliseconds(self.max_us),
            format!("{:.1}", self.p99_over_p50),
            self.cpu_us_per_request.map_or_else(String::new, |cpu_us| format!("{cpu_us:.1}")),
            self.memory_kib.map_or_else(String::new, |kib| memory(kib as f64)),
            format!("{:.2}", self.login_seconds),
            grouped(self.errors.count),
        ]
    }

    fn ratio_row(&self, base: &Self) -> Vec<String> {
        let ratio = |own: Option<f64>, other: Option<f64>| match (own, other) {
            (Some(own), Some(other)) if other > 0.0 && self.errors.count + base.errors.count == 0 => {
                format!("{:.2}", own / other)
            }
            _ => "-".to_owned(),
        };
        let memory = |run: &Self| run.memory_kib.map(|kib| kib as f64);
        vec![
            grouped(self.clients.into()),
            self.protocol.name().to_owned(),
            self.target.clone(),
            ratio(Some(self.requests_per_second), Some(base.requests_per_second)),
            ratio(Some(self.p99_us as f64), Some(base.p99_us as f64)),
            ratio(self.cpu_us_per_request, base.cpu_us_per_request),
            ratio(memory(self), memory(base)),
        ]
    }
}

impl LoginRun {
    fn row(&self) -> Vec<String> {
        let per_second = if self.seconds > 0.0 { f64::from(self.logins) / self.seconds } else { 0.0 };
        vec![
            grouped(self.logins.into()),
            self.auth.clone(),
            self.target.clone(),
            format!("{:.2}", self.seconds),
            grouped(per_second.round() as u64),
            format!("{:.0}", self.cpu_us_per_login),
            memory(self.memory_per_client_bytes as f64 / 1024.0),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(target: &str, round: u32, requests_per_second: f64) -> BenchRun {
        let pooled = target != DIRECT;
        BenchRun {
            target: target.into(),
            clients: 1000,
            connections: if pooled { 1000 } else { 25 },
            protocol: Protocol::Simple,
            round,
            requests: 1000,
            requests_per_second,
            p50_us: 1000,
            p99_us: 2500,
            max_us: 40_000,
            p99_over_p50: 2.5,
            generator_cpu_us_per_request: Some(5.0),
            cpu_us_per_request: pooled.then_some(24.4),
            memory_kib: pooled.then_some(20_480),
            memory_per_client_bytes: pooled.then_some(2048),
            login_seconds: 0.25,
            login_cpu_us: pooled.then_some(50.0),
            errors: Errors::default(),
        }
    }

    fn report(runs: Vec<BenchRun>) -> BenchReport {
        let target = |name: &str| BenchTarget { name: name.into(), version: format!("{name} 1") };
        BenchReport {
            machine: Machine { cpu: "cpu".into(), cores: 2, kernel: "kernel".into() },
            postgresql: "15.4".into(),
            pool_size: 25,
            auth: "trust".into(),
            targets: vec![target("peer"), target(OWN)],
            runs,
            logins: vec![LoginRun {
                target: OWN.into(),
                auth: "trust".into(),
                logins: 10_000,
                seconds: 2.0,
                cpu_us_per_login: 60.4,
                memory_per_client_bytes: 1536,
                error: None,
            }],
        }
    }

    #[test]
    fn the_text_compares_with_the_first_peer() {
        let runs = vec![run(OWN, 1, 39_000.0), run("peer", 1, 26_000.0), run(DIRECT, 1, 45_000.0)];
        let expected = "\
cpu, 2 cores, kernel; PostgreSQL 15.4; pool size 25; login trust
  peer: peer 1
  pgprime: pgprime 1

clients  protocol  target   requests/s  p50 ms  p99 ms  max ms  p99/p50  CPU µs/req    memory  login s  errors
1,000    simple    direct       45,000    1.00    2.50    40.0      2.5                           0.25       0
1,000    simple    peer         26,000    1.00    2.50    40.0      2.5        24.4  20.0 MiB     0.25       0
1,000    simple    pgprime      39,000    1.00    2.50    40.0      2.5        24.4  20.0 MiB     0.25       0
direct at 1,000 clients, simple: 25 connections only

logins  method  target   seconds  logins/s  CPU µs/login  memory/client
10,000  trust   pgprime     2.00     5,000            60        1.5 KiB

relative to peer:
clients  protocol  target   requests/s   p99   CPU  memory
1,000    simple    pgprime        1.50  1.00  1.00    1.00
";
        assert_eq!(report(runs).text(), expected);
    }

    #[test]
    fn the_median_round_counts() {
        let rounds = [30.0, 10.0, 20.0].into_iter().zip(1..).map(|(rate, round)| run("peer", round, rate));
        let report = report(rounds.collect());
        let medians = report.medians();
        assert_eq!(medians.len(), 1);
        assert!((medians[0].requests_per_second - 20.0).abs() < 0.01);
    }

    #[test]
    fn runs_with_errors_are_not_compared() {
        let mut own = run(OWN, 1, 39_000.0);
        own.errors.add("wrong answer");
        assert!(!report(vec![own]).is_clean());
        let mut failed = run("peer", 1, 26_000.0);
        failed.errors.add("prepared statement does not exist");
        let report = report(vec![failed, run(OWN, 1, 39_000.0)]);
        let text = report.text();
        assert!(report.is_clean(), "a peer's errors are its own");
        assert!(text.contains("peer, 1,000 clients, simple: prepared statement does not exist"), "{text}");
        assert!(text.trim_end().ends_with("pgprime           -    -    -       -"), "{text}");
    }
}
