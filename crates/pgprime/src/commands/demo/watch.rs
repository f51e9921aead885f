//! The monitor, REST and the dashboard beside the demo.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use pgprime_demo::LoadedServer;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::commands::run::{Parts, System, multi_threaded};

/// Where people expect it; a free port where that is taken.
const LISTEN: [&str; 2] = ["127.0.0.1:8000", "127.0.0.1:0"];
const END_MAX: Duration = Duration::from_secs(1);

/// Watches the demo until it is dropped. Its histories go with it.
pub(super) struct Watch {
    runtime: Option<Runtime>,
    system: Option<System>,
    _state: TempDir,
}

impl Watch {
    pub(super) fn start(server: &LoadedServer) -> anyhow::Result<Self> {
        let state = tempfile::Builder::new().prefix("pgprime-").tempdir().context("cannot make a folder")?;
        let runtime = multi_threaded()?;
        let is_free = |listen: &&&str| std::net::TcpListener::bind(**listen).is_ok();
        let listen: SocketAddr = LISTEN.iter().find(is_free).unwrap_or(&LISTEN[1]).parse()?;
        let start = || -> anyhow::Result<System> {
            let parts = Parts::watching(
                &server.database_url,
                &server.pooler_url,
                &server.config,
                state.path(),
                listen,
            )?;
            runtime.block_on(System::start(&parts, None))
        };
        let system = start()?;
        if let Some(address) = system.address() {
            eprintln!("dashboard at {address}");
        }
        Ok(Self { runtime: Some(runtime), system: Some(system), _state: state })
    }

    /// Where it is, where it could listen.
    pub(super) fn address(&self) -> Option<&str> {
        self.system.as_ref().and_then(System::address)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let (Some(runtime), Some(system)) = (self.runtime.take(), self.system.take()) else { return };
        runtime.block_on(system.end());
        runtime.shutdown_timeout(END_MAX);
    }
}
