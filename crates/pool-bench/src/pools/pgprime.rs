//! pgprime-client.

use std::time::Duration;

use pgprime_client::{Database, DatabaseConfig, Error, PooledConnection};

use super::WAIT_MAX;
use crate::arguments::Settings;
use crate::contender::{Contender, SIZE};
use crate::place::Place;

/// The main pool of a database.
pub(crate) struct Pgprime(Database);

impl Pgprime {
    pub(crate) async fn open(place: &Place, settings: Settings) -> anyhow::Result<Self> {
        let mut config = DatabaseConfig::new(place.keywords());
        (config.pool_min, config.pool_max) = (Some(SIZE), Some(SIZE));
        // Not measured; it is there in any case.
        config.admin.size = Some(1);
        if settings == Settings::Alike {
            config.timeout = WAIT_MAX;
            config.check_after_idle = Duration::ZERO;
        }
        Ok(Self(Database::connect(config).await?))
    }
}

impl Contender for Pgprime {
    type Held<'a> = PooledConnection;
    type Error = Error;

    async fn check_out(&self) -> Result<PooledConnection, Error> {
        self.0.main().acquire().await
    }

    async fn select(held: &mut Self::Held<'_>) -> anyhow::Result<()> {
        held.query("SELECT 1", &[]).await?;
        Ok(())
    }
}
