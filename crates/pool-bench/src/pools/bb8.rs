//! bb8 with bb8-postgres.

use std::future::Future;

use bb8_postgres::PostgresConnectionManager;
use bb8_postgres::bb8::{ManageConnection, Pool, PooledConnection, RunError};
use tokio_postgres::{Client, Error, NoTls, Statement};

use super::WAIT_MAX;
use crate::arguments::Settings;
use crate::contender::{Contender, SIZE};
use crate::place::Place;

/// A pool of bb8.
pub(crate) struct Bb8(Pool<Manager>);

/// bb8-postgres keeps no prepared statements, so one is prepared as a connection opens; else it is bb8-postgres's.
pub(crate) struct Manager(PostgresConnectionManager<NoTls>);

/// A connection and its statement.
pub(crate) struct Prepared {
    client: Client,
    select: Statement,
}

impl ManageConnection for Manager {
    type Connection = Prepared;
    type Error = Error;

    async fn connect(&self) -> Result<Prepared, Error> {
        let client = self.0.connect().await?;
        let select = client.prepare("SELECT 1").await?;
        Ok(Prepared { client, select })
    }

    fn is_valid(&self, connection: &mut Prepared) -> impl Future<Output = Result<(), Error>> + Send {
        self.0.is_valid(&mut connection.client)
    }

    fn has_broken(&self, connection: &mut Prepared) -> bool {
        self.0.has_broken(&mut connection.client)
    }
}

impl Bb8 {
    pub(crate) async fn open(place: &Place, settings: Settings) -> anyhow::Result<Self> {
        let mut builder = Pool::builder().max_size(SIZE);
        if settings == Settings::Alike {
            builder = builder.connection_timeout(WAIT_MAX).test_on_check_out(false);
        }
        let manager = Manager(PostgresConnectionManager::new(place.driver(), NoTls));
        Ok(Self(builder.build(manager).await?))
    }
}

impl Contender for Bb8 {
    type Held<'a> = PooledConnection<'a, Manager>;
    type Error = RunError<Error>;

    fn check_out(&self) -> impl Future<Output = Result<Self::Held<'_>, Self::Error>> + Send {
        self.0.get()
    }

    async fn select(held: &mut Self::Held<'_>) -> anyhow::Result<()> {
        held.client.query(&held.select, &[]).await?;
        Ok(())
    }
}
