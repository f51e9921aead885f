//! Holds the capacity planner's waiting times against reality: a private PostgreSQL, the pooler in front of it, and
//! an open load whose service times are known, request by request.
//!
//! * [`options`]: what is to be verified, and within which limits.
//! * [`service`], [`sleeps`]: service times are drawn, and spent in `pg_sleep`, which costs next to no CPU.
//! * [`watch`]: what the pooler itself says meanwhile.
//! * [`estimate`]: figures of a run with their confidence intervals.
//! * [`replay`]: the same requests in an ideal queue.
//! * [`size`]: the run at one pool size.
//! * [`report`]: predicted beside measured.

mod estimate;
mod options;
mod replay;
mod report;
mod service;
mod size;
mod sleeps;
mod watch;

pub use estimate::Estimate;
pub use options::VerifyOptions;
pub use report::{ActualLoad, PoolerSays, VerifiedSize, VerifyReport, WaitMeasured, WaitReplayed};

use crate::interrupt::{go_on, stop_flag};
use crate::machine::{Machine, allow_connections};
use crate::private_server::PrivateServer;
use crate::screen::Screen;
use size::Bench;

const DATABASE: &str = "verify";

/// Runs the load at each size; progress goes to standard error. The report shows predicted beside measured, and tells
/// whether they [agree](VerifyReport::agrees).
///
/// # Errors
/// Wrong options; the limit of open files is too low for the clients; PostgreSQL or the pooler cannot be started; a
/// client cannot log in; the process was interrupted. Requests that fail are part of the report.
pub fn verify(options: &VerifyOptions) -> anyhow::Result<VerifyReport> {
    options.check()?;
    let clients_max = options.sizes.iter().map(|size| options.clients(*size)).max().unwrap_or_default();
    allow_connections(u64::from(clients_max) + u64::from(options.sizes.iter().sum::<u32>()))?;
    let stop = stop_flag()?;
    let mut screen = Screen::new();
    screen.line("starting a private PostgreSQL");
    let server = PrivateServer::start(DATABASE)?;
    let postgresql = server.version()?;

    let bench = Bench { options, server: &server, database: DATABASE, stop: &stop };
    let (mut pooler, mut sizes) = (String::new(), Vec::new());
    for &size in &options.sizes {
        go_on(&stop)?;
        let (version, verified) = bench.run(size, &mut screen)?;
        pooler = version;
        sizes.push(verified);
    }
    Ok(VerifyReport {
        rate: options.rate,
        service_mean_ms: options.service_mean_ms,
        service_scv: options.service_scv,
        seconds: options.seconds,
        seed: options.seed,
        sizes,
        machine: Machine::this(),
        postgresql,
        pooler,
    })
}
