//! What the settings are calculated from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Less than this, and PostgreSQL's defaults are all there is to say.
const MEMORY_BYTES_MIN: u64 = 256 << 20;
/// No machine has more; a larger number is a mistake in the unit.
const MEMORY_BYTES_MAX: u64 = 64 << 40;
const CORES_MAX: u32 = 8_192;
/// One more than what is reserved for superusers.
const MAX_CONNECTIONS_MIN: u32 = 4;
/// PostgreSQL itself ends at 262,143, background workers included.
const MAX_CONNECTIONS_MAX: u32 = 200_000;
/// The oldest version that is supported.
const VERSION_MAJOR_MIN: u32 = 13;

/// The machine, virtual machine or container that PostgreSQL runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Cores that PostgreSQL may use.
    pub cores: u32,
    /// Memory that PostgreSQL may use, the page cache included.
    pub memory_bytes: u64,
    /// What the data is on.
    pub storage: Storage,
}

/// What the data is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// Solid state on PCI Express, in the machine.
    Nvme,
    /// Solid state on SATA or SAS, in the machine.
    Ssd,
    /// Rotating disks.
    Hdd,
    /// Reached over a network: a cloud's block storage, a SAN.
    Network,
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nvme => "nvme",
            Self::Ssd => "ssd",
            Self::Hdd => "hdd",
            Self::Network => "network",
        })
    }
}

impl FromStr for Storage {
    type Err = SettingsError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word.to_ascii_lowercase().as_str() {
            "nvme" => Ok(Self::Nvme),
            "ssd" => Ok(Self::Ssd),
            "hdd" => Ok(Self::Hdd),
            "network" => Ok(Self::Network),
            _other => Err(SettingsError::Storage { given: word.to_owned() }),
        }
    }
}

/// What the database is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Workload {
    /// Many short transactions and nothing else.
    Service,
    /// Many short transactions, and administrators' reports beside them.
    #[default]
    ServiceAndReports,
}

/// What the settings are calculated from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsRequest {
    /// The machine of the database.
    pub machine: Machine,
    /// What it is used for.
    pub workload: Workload,
    /// The planned `max_connections`, reserved ones included.
    pub max_connections: u32,
    /// The major version of the server, as 15.
    pub version_major: u32,
    /// The live `shared_preload_libraries`, which are kept; empty when there is none or it is not known.
    pub preload_libraries: String,
}

impl SettingsRequest {
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        let Machine { cores, memory_bytes, storage: _ } = self.machine;
        if cores == 0 || cores > CORES_MAX {
            return Err(SettingsError::Cores { given: cores });
        }
        if !(MEMORY_BYTES_MIN..=MEMORY_BYTES_MAX).contains(&memory_bytes) {
            return Err(SettingsError::Memory { given_bytes: memory_bytes });
        }
        if !(MAX_CONNECTIONS_MIN..=MAX_CONNECTIONS_MAX).contains(&self.max_connections) {
            return Err(SettingsError::MaxConnections { given: self.max_connections });
        }
        if self.version_major < VERSION_MAJOR_MIN {
            return Err(SettingsError::Version { given: self.version_major });
        }
        Ok(())
    }
}

/// Why there are no settings for a request: the caller's input, so trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not a number of cores.
    #[error("{given} cores: state how many cores PostgreSQL may use, 1 to {CORES_MAX}")]
    Cores {
        /// What was asked for.
        given: u32,
    },
    /// Too little memory to divide, or more than any machine has.
    #[error(
        "{given_bytes} bytes of memory: state the memory of the database's machine in bytes, from 256 MiB \
         ({MEMORY_BYTES_MIN}) to 64 TiB; with less than 256 MiB keep PostgreSQL's defaults"
    )]
    Memory {
        /// What was asked for.
        given_bytes: u64,
    },
    /// Not a possible limit on connections.
    #[error(
        "max_connections of {given}: PostgreSQL keeps 3 for superusers, so state {MAX_CONNECTIONS_MIN} to \
         {MAX_CONNECTIONS_MAX}; a pooler serves thousands of clients with a few dozen"
    )]
    MaxConnections {
        /// What was asked for.
        given: u32,
    },
    /// A version that is not supported.
    #[error("PostgreSQL {given} is too old: settings are known from version {VERSION_MAJOR_MIN} on")]
    Version {
        /// What was asked for.
        given: u32,
    },
    /// Not a kind of storage.
    #[error("storage {given:?} is not known: state nvme, ssd, hdd or network")]
    Storage {
        /// What was asked for.
        given: String,
    },
}
