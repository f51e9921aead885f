//! sqlx's pool.

use std::future::Future;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Error, Postgres};

use super::WAIT_MAX;
use crate::arguments::Settings;
use crate::contender::{Contender, SIZE};
use crate::place::Place;

/// A pool of sqlx.
pub(crate) struct Sqlx(PgPool);

impl Sqlx {
    pub(crate) async fn open(place: &Place, settings: Settings) -> anyhow::Result<Self> {
        let server = PgConnectOptions::new_without_pgpass()
            .socket(&place.directory)
            .port(place.port)
            .username(Place::USER)
            .database(Place::DATABASE);
        let mut options = PgPoolOptions::new().max_connections(SIZE);
        if settings == Settings::Alike {
            options = options.acquire_timeout(WAIT_MAX).test_before_acquire(false);
        }
        Ok(Self(options.connect_with(server).await?))
    }
}

impl Contender for Sqlx {
    type Held<'a> = PoolConnection<Postgres>;
    type Error = Error;

    fn check_out(&self) -> impl Future<Output = Result<Self::Held<'_>, Error>> + Send {
        self.0.acquire()
    }

    async fn select(held: &mut Self::Held<'_>) -> anyhow::Result<()> {
        sqlx::query("SELECT 1").fetch_all(&mut **held).await?;
        Ok(())
    }
}
