//! Who looks at the server before and after the load: the demo knows nothing of advice, it only shows what it is told.

use std::path::PathBuf;

/// The server of a demo with the sample data in it.
#[derive(Clone, Debug)]
pub struct LoadedServer {
    /// The address of the database, for a superuser and not through the pooler.
    pub database_url: String,
    /// The address of the pooler's console.
    pub pooler_url: String,
    /// The file that declares the dashboard's views and figures.
    pub config: PathBuf,
}

/// What was found out after the load.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// For people: whole lines.
    pub text: String,
    /// The same for programs.
    pub json: serde_json::Value,
}

/// Looks at the server of a demo.
pub trait LoadObserver {
    /// The data is in and the pooler runs; the load has not begun.
    ///
    /// # Errors
    /// What ends the demo.
    fn load_begins(&mut self, server: &LoadedServer) -> anyhow::Result<()>;

    /// The load is over; server and pooler still run.
    ///
    /// # Errors
    /// What is said in the place of findings.
    fn load_ended(&mut self, server: &LoadedServer) -> anyhow::Result<Findings>;
}
