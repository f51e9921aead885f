//! Brings the sample data into a database.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;

use crate::console_client::ConsoleClient;
use crate::data::Table;
use crate::data::dataset::Dataset;
use crate::server::Server;

const TABLES_SQL: &str = include_str!("../sql/tables.sql");
const KEYS_SQL: &str = include_str!("../sql/keys.sql");
const ACCOUNTS_SQL: &str = include_str!("../sql/accounts.sql");
/// Rows between two reports of progress.
const REPORT_ROWS: u64 = 10_000;

/// Seconds since 1970, the end of the sample data's history.
pub fn now_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Creates the insurance schema in an empty database and loads the sample data: rows first, then keys and indexes,
/// then statistics. `observe` is told the table at work and the rows loaded so far, over all tables;
/// its error ends the loading.
///
/// # Errors
/// The server cannot be reached, or refuses a statement: the database is not empty, or the user may not create
/// tables.
pub fn load_sample_data(
    server: &Server,
    data: &Dataset,
    observe: &mut dyn FnMut(&str, u64) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut client = ConsoleClient::connect(server, None)?;
    client.query(TABLES_SQL).context("creating the tables")?;
    let mut loaded = 0;
    for table in Table::ALL {
        let (mut id, rows) = (0, table.rows(data));
        client.copy_in(table.name(), |out| {
            let last = (id + REPORT_ROWS).min(rows);
            while id < last {
                id += 1;
                table.write_row(data, id, out);
            }
            observe(table.name(), loaded + id)?;
            Ok(id < rows)
        })?;
        loaded += rows;
    }
    observe("keys and indexes", loaded)?;
    client.query(KEYS_SQL).context("creating keys and indexes")?;
    observe("statistics", loaded)?;
    // What a session has changed is counted when it ends: were it this one, the rows would count as changed since ANALYZE.
    drop(client);
    let mut client = ConsoleClient::connect(server, None)?;
    client.query("VACUUM ANALYZE").context("collecting statistics")?;
    Ok(())
}

/// Rows in the benchmark's table.
pub(crate) const ACCOUNTS: u64 = 100_000;

/// What the benchmark's table holds for a key.
pub(crate) fn account_balance(id: u64) -> u64 {
    id * 7 + 3
}

/// Creates the benchmark's table.
pub(crate) fn load_accounts(server: &Server) -> anyhow::Result<()> {
    let mut client = ConsoleClient::connect(server, None)?;
    client.query(ACCOUNTS_SQL).context("creating the benchmark's table")?;
    client.query("VACUUM ANALYZE accounts").context("collecting statistics")?;
    Ok(())
}
