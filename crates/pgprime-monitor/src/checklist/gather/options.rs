//! What is known beforehand.

use std::time::Duration;

use pgprime_planner::hardware::Hardware;
use tokio_postgres::Client;

use crate::checklist::evidence::Running;
use crate::health::Place;
use crate::pooler::PoolerReport;

/// What is known beforehand, and how long gathering may take.
#[derive(Clone)]
pub struct GatherOptions<'a> {
    /// The server's machine, as far as somebody has stated it; this wins over what is found out.
    pub machine: Hardware,
    /// Where the server is: of this machine, what is not stated is found out.
    pub place: Place,
    /// A new connection to the same database, opened without options: it has the settings that an application's connections
    /// have, where the one that gathers is of a pool with settings of its own. Default: the one that gathers.
    pub fresh: Option<&'a Client>,
    /// The console of the pooler in front.
    pub console: Option<&'a Client>,
    /// What is known of that pooler already, where its console is not at hand.
    pub pooler: Option<PoolerReport>,
    /// What only the running monitor knows.
    pub running: Option<Running>,
    /// After this no further part is begun. Default 30 s; each statement has limits of its own.
    pub time_max: Duration,
}

impl Default for GatherOptions<'_> {
    fn default() -> Self {
        Self {
            machine: Hardware::default(),
            place: Place::Elsewhere,
            fresh: None,
            console: None,
            pooler: None,
            running: None,
            time_max: Duration::from_secs(30),
        }
    }
}
