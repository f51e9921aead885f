//! pgprime-client's pool beside other pools: deadpool-postgres, bb8 and sqlx, in one run on one private PostgreSQL.
//!
//! Run with `cargo run --release -p pool-bench`. It measures the time to check out and return a connection, how long
//! tasks wait and how evenly they are served, and the memory of a waiting task. It is a tool of the workspace, no part
//! of the product, and no test runs it.
//!
//! [`pools`] makes the pools alike to measure, [`slot`] measures one of them for a moment, [`series`] interleaves the
//! slots and summarises them, [`waiting`] measures memory in a process of its own, [`report`] shows everything.

mod arguments;
mod contender;
mod cpu;
mod place;
mod pools;
mod report;
mod series;
mod slot;
mod stats;
mod text;
mod waiting;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use pgprime_cluster::{Cluster, ClusterOptions};

use arguments::Arguments;
use place::Place;
use report::Report;

/// Something could not be measured; clap ends with 2 for wrong usage.
const FAILED: u8 = 1;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pool-bench: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(pool) = arguments.waiting {
        return waiting::measure_here(pool, &Place::from_environment()?);
    }
    if cfg!(debug_assertions) {
        eprintln!(
            "pool-bench: built without optimisation, so the figures mean nothing; use cargo run --release"
        );
    }
    let options = ClusterOptions::default().with_setting("max_connections", "100");
    let cluster = Cluster::start(&options).context("a private PostgreSQL is needed, and did not start")?;
    let report = measure(arguments, &cluster)?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

fn measure(arguments: &Arguments, cluster: &Cluster) -> anyhow::Result<Report> {
    let place = Place::of(cluster.primary());
    let mut report = Report::new(arguments, cluster.primary().psql("postgres", "SHOW server_version")?);
    for &settings in &arguments.settings {
        report.series.push(series::measure(arguments, settings, &place)?);
    }
    if !arguments.without_memory {
        report.memory = waiting::measure_all(&arguments.pools(), &place)?;
    }
    Ok(report)
}
