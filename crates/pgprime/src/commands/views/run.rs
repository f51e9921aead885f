//! From options to a report and an exit code.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use pgprime_advisor::aggregates::{self, ViewOptions};
use pgprime_advisor::indexes::Workload;
use pgprime_advisor::slow;
use pgprime_advisor::sql::Statement;
use pgprime_api::AdminDocument;
use pgprime_client::Connected;
use pgprime_client::cache::{Cache, CacheConfig, RedisConfig};
use pgprime_views::{
    AdminMetrics, Applied, ApplyOptions, Declarations, Figures, MetricsOptions, Policy, Reason,
    RefreshOutcome, Scheduler, ViewName, ViewsError, adopt, adoptable, apply, apply_with_cache, history,
    metrics_text, plan, refresh, refresh_with_cache, status,
};
use serde::Serialize;

use super::options::{Arguments, What};
use super::text;
use crate::config::Configuration;
use crate::database::{self, Unreachable};
use crate::exit;
use crate::output::{print, print_json};
use crate::workload::{self, Found};

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let is_well = database::block_on(work(arguments))?;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(exit::FINDING) })
}

async fn work(arguments: &Arguments) -> anyhow::Result<bool> {
    let Read { url, declared, figures } = read(arguments)?;
    let connected = database::connect(url.as_deref()).await?;
    let cache = match (&arguments.what, arguments.redis_url()) {
        (What::Apply | What::Refresh { .. }, Some(url)) => Some(shared_cache(url).await?),
        _ => None,
    };
    let job = Job { arguments, url, declared, figures, connected: &connected, cache };
    match job.work().await {
        Ok(is_well) => Ok(is_well),
        // Nothing is wrong with what was asked for; another is just at it.
        Err(error) if matches!(error.downcast_ref(), Some(ViewsError::Busy)) => {
            eprintln!("pgprime: {}", exit::describe(&error));
            Ok(false)
        }
        Err(error) => Err(explained(error, &connected)),
    }
}

/// What the configuration says.
struct Read {
    url: Option<String>,
    declared: Declarations,
    figures: Figures,
}

/// A mistake in the file is said before anybody is asked for anything.
fn read(arguments: &Arguments) -> anyhow::Result<Read> {
    let named = arguments.database_url();
    let needs_declarations = arguments.what.needs_declarations();
    // What is wrong with a file that is not needed is nobody's business here.
    if named.is_some() && !needs_declarations && !matches!(arguments.what, What::Refresh { .. }) {
        let (declared, figures) = (Declarations::default(), Figures::default());
        return Ok(Read { url: named.map(str::to_owned), declared, figures });
    }
    let configuration = Configuration::load(arguments.config.as_deref())?;
    let url = configuration.database_url(named).map(str::to_owned);
    let Some(path) = &configuration.path else {
        if needs_declarations {
            anyhow::bail!(
                "there is no configuration with views: name it with --config; it is looked for as pgprime.toml, \
                 config/pgprime.toml and /etc/pgprime/pgprime.toml"
            );
        }
        return Ok(Read { url, declared: Declarations::default(), figures: Figures::default() });
    };
    let declared =
        Declarations::read(path).map_err(|error| configuration.placed(&["views", "view_policy"], error))?;
    let declared = declared.behind(configuration.servers(url.as_deref()));
    let figures = match arguments.what {
        What::Metrics => {
            Figures::read(path).map_err(|error| configuration.placed(&["figures", "cache"], error))?
        }
        _ => Figures::default(),
    };
    Ok(Read { url, declared, figures })
}

/// What an admin dashboard shows, as a service with pools of its own would show it.
async fn metrics(
    arguments: &Arguments,
    url: Option<&str>,
    declarations: Declarations,
    figures: Figures,
) -> anyhow::Result<bool> {
    let database = database::pools(url, arguments.redis_url()).await?;
    let options = MetricsOptions { declarations, figures, ..MetricsOptions::default() };
    let found = AdminMetrics::read(&database, &options).await;
    // Nobody waits any more for figures that take longer: they are cancelled.
    drop(options);
    let (is_well, text) = (found.is_well(), metrics_text(&found));
    let document = AdminDocument::new(found, database.report().cache);
    show(arguments, &document, || text)?;
    database.close().await;
    Ok(is_well)
}

/// The results that instances share: no instance serves any from before a change.
async fn shared_cache(url: &str) -> anyhow::Result<Cache> {
    let config =
        CacheConfig { redis: Some(RedisConfig::new(url)), memory_bytes_max: 0, ..CacheConfig::default() };
    Cache::connect(config).await.context("--redis-url or REDIS_URL")
}

fn show(
    arguments: &Arguments,
    document: &impl Serialize,
    text: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    if arguments.json { print_json(document) } else { print(&text()) }.context("the report")
}

/// A connection that was lost has an exit code of its own.
fn explained(error: anyhow::Error, connected: &Connected) -> anyhow::Error {
    match error.downcast_ref::<ViewsError>() {
        Some(views) if views.is_connection_lost() => Unreachable::lost(connected, views).into(),
        _ => error.context(format!("the views of the database at {}", database::address(connected))),
    }
}

struct Job<'a> {
    arguments: &'a Arguments,
    url: Option<String>,
    declared: Declarations,
    figures: Figures,
    connected: &'a Connected,
    cache: Option<Cache>,
}

impl Job<'_> {
    async fn work(&self) -> anyhow::Result<bool> {
        let (client, policy) = (&self.connected.client, self.declared.policy().clone());
        match &self.arguments.what {
            What::Plan => {
                let plan = plan(client, &self.declared).await?;
                self.show(&plan, || text::plan(&plan))?;
                Ok(plan.is_done())
            }
            What::Apply => {
                let applied = self.apply().await?;
                self.show(&applied, || text::applied(&applied))?;
                Ok(applied.iter().all(|applied| applied.error.is_none()))
            }
            What::Metrics => {
                let (declared, figures) = (self.declared.clone(), self.figures.clone());
                metrics(self.arguments, self.url.as_deref(), declared, figures).await
            }
            What::Status => {
                let status = status(client, &self.declared, &policy).await?;
                self.show(&status, || text::status(&status))?;
                Ok(status.is_well())
            }
            What::Refresh { names } => {
                let outcomes = self.refresh(names, &policy).await?;
                self.show(&outcomes, || text::outcomes(&outcomes))?;
                Ok(!outcomes.iter().any(|outcome| matches!(outcome, RefreshOutcome::Failed { .. })))
            }
            What::History { name, limit } => {
                let entries = history(client, name.as_ref(), *limit).await?;
                self.show(&entries, || text::history(&entries))?;
                Ok(true)
            }
            What::Suggest { since, history, statements, threshold_ms } => {
                let mut workload = self.workload(since.as_deref(), history.as_deref()).await?;
                put_constants_back(&mut workload, statements)?;
                self.suggest(&workload, f64::from(*threshold_ms)).await
            }
            What::Adopt { name: Some(name) } => {
                let block = adopt(client, name).await?;
                self.show(&block, || block.clone())?;
                Ok(true)
            }
            What::Adopt { name: None } => {
                let names = adoptable(client).await?;
                self.show(&names, || text::names(&names))?;
                Ok(true)
            }
        }
    }

    async fn apply(&self) -> Result<Vec<Applied>, ViewsError> {
        let client = &self.connected.client;
        let options =
            ApplyOptions { history_max: self.declared.policy().history_max, ..ApplyOptions::default() };
        match &self.cache {
            Some(cache) => apply_with_cache(client, &self.declared, &options, cache).await,
            None => apply(client, &self.declared, &options).await,
        }
    }

    /// Those that are named, those first that others read as far as they are declared; or what is due.
    async fn refresh(&self, names: &[ViewName], policy: &Policy) -> anyhow::Result<Vec<RefreshOutcome>> {
        let client = &self.connected.client;
        if names.is_empty() {
            let mut scheduler = Scheduler::new(self.declared.clone(), policy.clone());
            if let Some(cache) = &self.cache {
                scheduler = scheduler.with_cache(cache.clone());
            }
            return Ok(scheduler.round(client).await?.outcomes);
        }
        let mut open: BTreeSet<&ViewName> = names.iter().collect();
        let mut ordered = Vec::new();
        if names.len() > 1 && !self.declared.views().is_empty() {
            let views = status(client, &self.declared, policy).await?.views;
            ordered.extend(views.iter().filter_map(|view| open.take(&view.view)));
        }
        ordered.extend(open);
        let mut outcomes = Vec::new();
        for name in ordered {
            let declaration = self.declared.find(name);
            let reason = Reason::Asked;
            outcomes.push(match &self.cache {
                Some(cache) => refresh_with_cache(client, name, declaration, reason, policy, cache).await?,
                None => refresh(client, name, declaration, reason, policy).await?,
            });
        }
        Ok(outcomes)
    }

    async fn workload(&self, since: Option<&str>, history: Option<&Path>) -> anyhow::Result<Workload> {
        match workload::of_database(self.connected, since, history).await? {
            Found::Workload { workload, note } => {
                note.into_iter().for_each(|note| eprintln!("pgprime: {note}"));
                Ok(workload)
            }
            Found::Missing(missing) => {
                anyhow::bail!("statements are not measured\n{}", slow::missing_text(&missing))
            }
        }
    }

    async fn suggest(&self, workload: &Workload, mean_ms_min: f64) -> anyhow::Result<bool> {
        let options = ViewOptions { mean_ms_min, ..ViewOptions::default() };
        let found = aggregates::suggest(&self.connected.client, workload, &options).await;
        let found = found.map_err(|error| Unreachable::lost(self.connected, &error))?;
        self.show(&found, || aggregates::text(&found) + &text::declarations(&found))?;
        Ok(found.suggestions.is_empty())
    }

    fn show(&self, document: &impl Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        show(self.arguments, document, text)
    }
}

/// Each statement takes the place of the one that was counted for it, which differs from it in constants only.
fn put_constants_back(workload: &mut Workload, statements: &[String]) -> anyhow::Result<()> {
    for text in statements {
        let statement = Statement::parse(text).context("--statement")?;
        let is_same = |counted: &str| {
            Statement::parse(counted).is_ok_and(|counted| counted.fingerprint() == statement.fingerprint())
        };
        let counted = workload.queries.iter_mut().find(|query| is_same(&query.text));
        counted.with_context(|| format!("pg_stat_statements has not counted this one: {text}"))?.text =
            text.clone();
    }
    Ok(())
}
