//! The statistics of SHOW STATS and its like, under PgBouncer's names, which differ from table to table.

use std::time::Duration;

use super::table::{Cell, Table, Type, row};
use crate::context::Context;
use crate::core::Counters;
use crate::directory::CONSOLE;
use crate::mail::Detail;
use crate::statistics::by_database;

/// Which columns of the statistics.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// SHOW STATS_TOTALS.
    Totals,
    /// SHOW STATS_AVERAGES.
    Averages,
    /// SHOW STATS.
    Both,
}

/// The names of one figure.
struct Figure {
    /// In SHOW STATS_TOTALS and SHOW STATS_AVERAGES.
    name: &'static str,
    /// Total and average in SHOW STATS.
    stats: (&'static str, &'static str),
    /// Total and average in SHOW TOTALS.
    totals: (&'static str, &'static str),
}

macro_rules! figures {
    ($($name:literal $(as $stats:literal, $average:literal; $totals:literal)?),+ $(,)?) => {
        [$(figures!(@one $name $($stats, $average, $totals)?)),+]
    };
    (@one $name:literal) => {
        Figure {
            name: $name,
            stats: (concat!("total_", $name), concat!("avg_", $name)),
            totals: (concat!("total_", $name), concat!("avg_", $name)),
        }
    };
    (@one $name:literal $stats:literal, $average:literal, $totals:literal) => {
        Figure {
            name: $name,
            stats: (concat!("total_", $stats), concat!("avg_", $average)),
            totals: (concat!("total_", $totals), concat!("avg_", $totals)),
        }
    };
}

const FIGURES: [Figure; 11] = figures![
    "server_assignment_count",
    "xact_count",
    "query_count",
    "bytes_received" as "received", "recv"; "client_bytes",
    "bytes_sent" as "sent", "sent"; "server_bytes",
    "xact_time",
    "query_time",
    "wait_time",
    "client_parse_count",
    "server_parse_count",
    "bind_count",
];

fn total_figures(total: &Counters) -> [u64; 11] {
    [
        total.assignments,
        total.transactions,
        total.queries,
        total.received_bytes,
        total.sent_bytes,
        total.transaction_us,
        total.query_us,
        total.wait_us,
        total.client_parses,
        total.server_parses,
        total.binds,
    ]
}

/// Counts become rates a second, times become times an event.
fn average_figures(gained: &Counters, period: Duration) -> [u64; 11] {
    let seconds = period.as_secs().max(1);
    let mut figures = total_figures(gained).map(|figure| figure / seconds);
    figures[5] = gained.transaction_us / gained.transactions.max(1);
    figures[6] = gained.query_us / gained.queries.max(1);
    figures[7] = gained.wait_us / gained.assignments.max(1);
    figures
}

/// A row for each database.
pub(super) async fn stats(context: &Context, shown: Shown) -> Table {
    let mut columns = vec![("database", Type::Text)];
    columns.extend(match shown {
        Shown::Totals | Shown::Averages => FIGURES.map(|figure| (figure.name, Type::Big)).to_vec(),
        Shown::Both => {
            let totals = FIGURES.map(|figure| (figure.stats.0, Type::Big));
            [totals, FIGURES.map(|figure| (figure.stats.1, Type::Big))].concat()
        }
    });
    let mut table = Table::new(&columns);
    let mut totals = by_database(&context.snapshot(Detail::Pools).await);
    totals.insert(CONSOLE.to_string(), Counters::default());
    for (database, total) in totals {
        let mut row: Vec<Cell> = vec![database.as_str().into()];
        if shown != Shown::Averages {
            row.extend(total_figures(&total).map(Cell::from));
        }
        if shown != Shown::Totals {
            let (gained, period) = context.statistics.gained(&database);
            row.extend(average_figures(&gained, period).map(Cell::from));
        }
        table.push(row);
    }
    table
}

/// All databases together, a figure a row.
pub(super) async fn totals(context: &Context) -> Table {
    let mut table = Table::new(&[("name", Type::Text), ("value", Type::Big)]);
    let databases = by_database(&context.snapshot(Detail::Pools).await);
    let total = databases.values().fold(Counters::default(), |sum, counters| sum + *counters);
    for (figure, value) in FIGURES.iter().zip(total_figures(&total)) {
        table.push(row![figure.totals.0, value]);
    }
    let (mut gained, mut period) = (Counters::default(), Duration::ZERO);
    for database in databases.keys() {
        let (of_database, last_period) = context.statistics.gained(database);
        gained = gained + of_database;
        period = last_period;
    }
    for (figure, value) in FIGURES.iter().zip(average_figures(&gained, period)) {
        table.push(row![figure.totals.1, value]);
    }
    table
}
