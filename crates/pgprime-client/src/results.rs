//! Results that are kept, and what statements have to do with them: one for all pools of a database.

mod definitions;
mod encoding;
mod hearing;
mod refusals;
mod texts;

use std::fmt;
use std::sync::Arc;

use pgprime_cache::Cache;
use pgprime_footprint::Footprint;
use serde::Serialize;
use tokio::task::AbortHandle;

use crate::config::{DatabaseConfig, WhileDeaf};
use crate::error::Error;
use crate::statements::Configured;
use definitions::{Catalogs, Definitions};
use hearing::Hearing;
pub(crate) use hearing::Sources;
use refusals::Refusals;

pub use encoding::CachedColumn;
pub(crate) use encoding::{Body, Described, NotKept, cell};
pub use hearing::HearingReport;
pub use refusals::{RefusalReport, RefusedReason};
pub(crate) use texts::{Known, NotLearnt, Verdict};

/// The cache, and what is known of the database's definitions.
pub(crate) struct Results {
    cache: Cache,
    definitions: Arc<Definitions>,
    statements: Configured,
    refusals: Refusals,
    hearing: Hearing,
    /// Whether nothing is served while nobody is heard.
    has_to_hear: bool,
    /// The task that reads the catalogs.
    upkeep: AbortHandle,
}

/// The cached reads of a database at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct ResultCacheReport {
    /// The store: hits, misses and bytes, in all and for each query.
    pub store: pgprime_cache::Report,
    /// Statements that were run although the cache was asked for, those with the most first.
    pub refusals: Vec<RefusalReport>,
    /// How old what is known of the definitions is.
    pub schema_age_ms: u64,
    /// How often the catalogs have been read.
    pub schema_loads_total: u64,
    /// How often they could not be read.
    pub schema_load_errors_total: u64,
    /// The session that listens to writers outside.
    pub hearing: HearingReport,
}

impl Results {
    /// The cache of this configuration, if it has one; the catalogs have been read then.
    ///
    /// # Errors
    /// [`Error::Usage`] for settings that cannot be used, [`Error::Down`] and [`Error::Query`] when the catalogs cannot be
    /// read.
    pub(crate) async fn open(config: &DatabaseConfig) -> Result<Option<Arc<Self>>, Error> {
        let Some(settings) = &config.cache else { return Ok(None) };
        let timeouts = [config.statement_timeout, config.admin.statement_timeout];
        let (store, note) = settings.store_for(config.redis_url.as_deref(), &timeouts);
        if let Some(note) = note {
            tracing::info!("{note}");
        }
        let labels_max = store.labels_max;
        let catalogs = Catalogs::new(config)?;
        let definitions = Definitions::read(catalogs, settings.schema_refresh).await?;
        let cache = Cache::connect(store).await;
        let cache = cache.map_err(|error| Error::Usage(format!("the result cache: {error}")))?;
        let upkeep = tokio::spawn(definitions::keep_up(Arc::clone(&definitions))).abort_handle();
        Ok(Some(Arc::new(Self {
            cache,
            definitions,
            statements: Configured::new(config.statements.clone()),
            refusals: Refusals::new(labels_max),
            hearing: Hearing::new(),
            has_to_hear: settings.listen_url.is_some() && settings.while_deaf == WhileDeaf::Bypass,
            upkeep,
        })))
    }

    /// Where results are kept.
    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The statements of the configuration.
    pub(crate) fn statements(&self) -> &Configured {
        &self.statements
    }

    /// What a text reads and writes, by what is known of the definitions; without waiting for anything. While these have
    /// changed and are being read again, it may write anything.
    pub(crate) fn footprint(&self, sql: &str) -> Arc<Footprint> {
        self.definitions.footprint(sql)
    }

    /// As [`Results::footprint`], where the search path or the role is not the usual one.
    pub(crate) fn footprint_by_any_path(&self, sql: &str) -> Arc<Footprint> {
        self.definitions.footprint_by_any_path(sql)
    }

    /// Changes with the settings that new sessions find; those that were opened before have others.
    pub(crate) fn era(&self) -> u64 {
        self.definitions.era()
    }

    /// Whether a transaction that says nothing of its isolation sees one moment with all its statements.
    pub(crate) fn sees_one_moment(&self) -> bool {
        self.definitions.sees_one_moment()
    }

    /// What is known of a text, for a cached read: as new as the last change of definitions here.
    ///
    /// # Errors
    /// Why nothing can be said of it now.
    pub(crate) async fn known(&self, sql: &str) -> Result<Arc<Known>, Arc<str>> {
        if self.has_to_hear && !self.hearing.hears() {
            return Err("writers outside are not heard at this moment".into());
        }
        self.definitions.known(sql).await
    }

    /// Whether writers outside are heard.
    pub(crate) fn hearing(&self) -> &Hearing {
        &self.hearing
    }

    /// A statement that changes definitions has been committed: what is known is read again before it is used for the next
    /// cached read.
    pub(crate) fn schema_changed(&self) {
        self.definitions.changed();
    }

    /// Counts a statement that is run without the cache.
    pub(crate) fn refused(&self, label: &str, reason: &Arc<str>) {
        self.refusals.count(label, reason);
    }

    pub(crate) fn report(&self) -> ResultCacheReport {
        let (age, loads, errors) = self.definitions.state();
        ResultCacheReport {
            store: self.cache.snapshot(),
            refusals: self.refusals.report(),
            schema_age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            schema_loads_total: loads,
            schema_load_errors_total: errors,
            hearing: self.hearing.report(),
        }
    }
}

impl Drop for Results {
    fn drop(&mut self) {
        self.upkeep.abort();
    }
}

impl fmt::Debug for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Results").finish_non_exhaustive()
    }
}
