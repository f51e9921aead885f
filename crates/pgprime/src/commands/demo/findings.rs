//! What the optimizer finds in the load of a demo: slow statements, indexes that it lacks, wasted space.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Context as _;
use pgprime_advisor::indexes::{self, Advice, AdviceOptions, Workload};
use pgprime_advisor::slow::{self, Order, Period, PoolerStatements, ReportOptions, SlowReport, Snapshot};
use pgprime_advisor::space::{self, SpaceOptions};
use pgprime_client::Connected;
use pgprime_demo::{Findings, LoadObserver, LoadedServer, planted_indexes};

use super::findings_text::text;
use super::found::{Found, Planted};
use super::watch::Watch;
use crate::database;
use crate::pooler_console;

/// Statements that are told of.
const STATEMENTS_MAX: usize = 8;
/// What a refresh asks of the table that it makes in passing has this in it: it is no statement of anybody's.
const OF_A_REFRESH: &str = "pg_temp_";
/// How long planning with further candidates may go on.
const ADVICE_TIME_MAX: Duration = Duration::from_secs(20);

/// Whether the demo is watched, with a dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watches {
    Yes,
    No,
}

/// Looks at the counters before the load and at everything after it, and watches meanwhile.
pub(super) struct Optimizer {
    before: Option<Snapshot>,
    watches: Watches,
    watch: Option<Watch>,
}

impl LoadObserver for Optimizer {
    fn load_begins(&mut self, server: &LoadedServer) -> anyhow::Result<()> {
        let taken = database::block_on(async {
            let connected = database::connect(Some(&server.database_url)).await?;
            Ok(slow::snapshot(&connected.client).await?)
        });
        // What is missing is said after the load, once.
        self.before = taken.ok();
        if self.watches == Watches::Yes {
            match Watch::start(server) {
                Ok(watch) => self.watch = Some(watch),
                // The load is worth showing all the same.
                Err(error) => eprintln!("no dashboard: {error:#}"),
            }
        }
        Ok(())
    }

    fn load_ended(&mut self, server: &LoadedServer) -> anyhow::Result<Findings> {
        let found = database::block_on(async {
            let connected = database::connect(Some(&server.database_url)).await?;
            // Poolers of others do not know it.
            let pooler = pooler_console::statements(&server.pooler_url).await.ok();
            Ok(self.look(&connected, pooler.as_ref()).await)
        })?;
        let mut lines = text(&found);
        if let Some(address) = self.watch.as_ref().and_then(Watch::address) {
            lines += &format!("\ndashboard at {address} while the demo is up\n");
        }
        Ok(Findings { text: lines, json: serde_json::to_value(&found)? })
    }
}

impl Optimizer {
    pub(super) fn new(watches: Watches) -> Self {
        Self { before: None, watches, watch: None }
    }

    async fn look(&self, connected: &Connected, pooler: Option<&PoolerStatements>) -> Found {
        let mut found = Found::default();
        match self.period(connected).await {
            Ok((snapshot, period)) => {
                found.slow = Some(slowest(&snapshot, &period, pooler));
                let workload = Workload::from_period(&period, snapshot.server.database_oid);
                let options = AdviceOptions { time_max: ADVICE_TIME_MAX, ..AdviceOptions::default() };
                match indexes::advise(&connected.client, &workload, &options).await {
                    Ok(advice) => {
                        found.planted = planted(&advice);
                        found.advice = Some(advice);
                    }
                    Err(error) => found.not_seen.push(format!("indexes that are lacking: {error}")),
                }
            }
            Err(error) => found.not_seen.push(format!("slow statements: {error:#}")),
        }
        match space::report(&connected.client, &SpaceOptions::default()).await {
            Ok(report) => found.space = report.findings,
            Err(error) => found.not_seen.push(format!("wasted space: {error}")),
        }
        found
    }

    /// What happened since the load began.
    async fn period(&self, connected: &Connected) -> anyhow::Result<(Snapshot, Period)> {
        let before = self.before.as_ref().context("they were not counted when the load began")?;
        let with_text = before.identities.iter().filter(|identity| identity.text.is_some());
        let known: HashSet<_> = with_text.map(|identity| identity.key).collect();
        let after = slow::snapshot_except(&connected.client, &known).await?;
        let period = slow::between(before, &after);
        Ok((after, period))
    }
}

/// In the order of their mean time, whatever that is.
fn slowest(snapshot: &Snapshot, period: &Period, pooler: Option<&PoolerStatements>) -> SlowReport {
    let options = ReportOptions {
        order: Order::Mean,
        threshold_ms: 0.0,
        limit: STATEMENTS_MAX * 2,
        pooler,
        ..ReportOptions::default()
    };
    let mut report = slow::report(snapshot, period, &options);
    let is_of_a_refresh =
        |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains(OF_A_REFRESH));
    report.statements.retain(|statement| !is_of_a_refresh(&statement.text));
    report.statements.truncate(STATEMENTS_MAX);
    report
}

fn planted(advice: &Advice) -> Vec<Planted> {
    let found = planted_indexes().iter().map(|planted| {
        let mut suggestions = advice.suggestions.iter();
        let serves = suggestions.find(|one| planted.is_served_by(&one.table, &one.access_method, &one.keys));
        Planted { name: planted.name, suggestion: serves.map(|one| one.name.clone()) }
    });
    found.collect()
}
