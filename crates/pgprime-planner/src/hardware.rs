//! The machine that this runs on: cores, memory and storage, for a database that is on it.
//!
//! Nothing here fails: what cannot be found out is None, to be stated by a person. Linux tells everything; macOS tells
//! cores and memory.

mod host;
mod memory;
mod storage;

use std::path::Path;

use serde::Serialize;

use pgprime_capacity::postgres::{Machine, Storage};

pub use host::is_local;

/// The machine that this runs on, as far as it could be found out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Hardware {
    /// Cores that this process may use: those of its container where it has a limit.
    pub cores: Option<u32>,
    /// Memory that this process may use: that of its container where it has a limit.
    pub memory_bytes: Option<u64>,
    /// What the data is on.
    pub storage: Option<Storage>,
}

impl Hardware {
    /// Looks at this machine. With the database's `data_directory` its own device is judged; without, or where that
    /// cannot be told, all disks have to be of one kind for an answer.
    #[must_use]
    pub fn detect(data_directory: Option<&Path>) -> Self {
        let root = Path::new("/");
        let cores = std::thread::available_parallelism().ok();
        Self {
            cores: cores.and_then(|cores| u32::try_from(cores.get()).ok()),
            memory_bytes: memory::on_linux(root).or_else(memory::on_macos),
            storage: storage::of_directory(root, data_directory).or_else(|| storage::of_all_disks(root)),
        }
    }

    /// The machine, when everything of it is known.
    #[must_use]
    pub fn machine(&self) -> Option<Machine> {
        Some(Machine { cores: self.cores?, memory_bytes: self.memory_bytes?, storage: self.storage? })
    }
}
