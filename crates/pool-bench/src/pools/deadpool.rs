//! deadpool-postgres.

use std::future::Future;

use deadpool_postgres::{Client, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime};
use tokio_postgres::NoTls;

use super::WAIT_MAX;
use crate::arguments::Settings;
use crate::contender::{Contender, SIZE};
use crate::place::Place;

/// A pool of deadpool-postgres.
pub(crate) struct Deadpool(Pool);

impl Deadpool {
    pub(crate) fn open(place: &Place, settings: Settings) -> anyhow::Result<Self> {
        let manager = match settings {
            Settings::Alike => {
                let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
                Manager::from_config(place.driver(), NoTls, config)
            }
            Settings::Own => Manager::new(place.driver(), NoTls),
        };
        let mut builder = Pool::builder(manager).max_size(SIZE as usize).runtime(Runtime::Tokio1);
        if settings == Settings::Alike {
            builder = builder.wait_timeout(Some(WAIT_MAX));
        }
        Ok(Self(builder.build()?))
    }
}

impl Contender for Deadpool {
    type Held<'a> = Client;
    type Error = PoolError;

    fn check_out(&self) -> impl Future<Output = Result<Client, PoolError>> + Send {
        self.0.get()
    }

    async fn select(held: &mut Self::Held<'_>) -> anyhow::Result<()> {
        let statement = held.prepare_cached("SELECT 1").await?;
        held.query(&statement, &[]).await?;
        Ok(())
    }
}
