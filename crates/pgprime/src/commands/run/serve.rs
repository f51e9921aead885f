//! From options to a running system and its end.

use std::process::ExitCode;

use anyhow::Context as _;
use pgprime_pooler::core::MeasureSettings;
use pgprime_pooler::{Handle, Pooler};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use super::interface;
use super::options::Arguments;
use super::parts::Parts;
use super::reload;
use super::system::System;
use crate::commands::pooler::default_workers;
use crate::{exit, logging, service_manager};

/// Threads for everything but the pooler: none of it is on the way of a request.
const THREADS: usize = 2;
/// Reports are deep futures, and statements are parsed in them. Only what is used takes memory.
const STACK_BYTES: usize = 16 << 20;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let parts = Parts::read(arguments)?;
    logging::start(None, arguments.quiet, u32::from(arguments.verbose))?;
    let pooler = parts.pooler.clone().map(|config| {
        config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let workers = parts.workers.unwrap_or_else(default_workers);
        Pooler::bind_measuring(config, workers, MeasureSettings::default())
    });
    let pooler = pooler.transpose()?;
    let runtime = multi_threaded()?;
    let handle = pooler.as_ref().map(Pooler::handle);
    let system = match runtime.block_on(System::start(&parts, handle.clone())) {
        Ok(system) => Some(system),
        // Applications are served whatever becomes of watching.
        Err(error) if pooler.is_some() => {
            tracing::error!("nothing is watched, and there is no dashboard: {}", exit::describe(&error));
            None
        }
        Err(error) => return Err(error),
    };
    runtime.spawn(reload::on_hangup(arguments.clone(), handle.clone()));
    announce(system.as_ref(), handle.as_ref());
    service_manager::tell_ready();
    match pooler {
        // It heeds the signals itself.
        Some(pooler) => pooler.run()?,
        None => runtime.block_on(asked_to_end())?,
    }
    if let Some(system) = system {
        runtime.block_on(system.end());
    }
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    Ok(ExitCode::SUCCESS)
}

/// Threads for everything beside the pooler.
pub(crate) fn multi_threaded() -> anyhow::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(THREADS).thread_stack_size(STACK_BYTES).thread_name("pgprime-watch");
    builder.enable_all().build().context("cannot start")
}

fn announce(system: Option<&System>, pooler: Option<&Handle>) {
    if let Some(address) = system.and_then(System::address) {
        interface::announce(address);
    }
    if let Some(pooler) = pooler {
        tracing::info!(port = pooler.port(), "applications connect to the pooler");
    }
}

async fn asked_to_end() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
