//! Sessions that plan as others' do: those of the admin pool have settings of their own, by which a plan is another.

use pgprime_client::PooledConnection;
use pgprime_monitor::health::Connect as _;

use crate::app::App;
use crate::problem::Problem;

/// What a session has by which the admin pool's plan otherwise, as statements that give it to another.
const PLANS_BY: &str = "SELECT /* pgprime */ pg_catalog.string_agg(pg_catalog.format('SET /* pgprime */ %I = %L', name, \
                        pg_catalog.current_setting(name)), '; ') FROM pg_catalog.pg_settings \
                        WHERE name IN ('work_mem', 'hash_mem_multiplier', 'max_parallel_workers_per_gather')";

/// A connection of the admin pool that plans as a new session of this database and role does. Where there is no way to ask
/// such a session, the second says so.
pub(crate) async fn connection(app: &App) -> Result<(PooledConnection, Option<String>), Problem> {
    let connection = app.connection().await?;
    let Some(direct) = &app.services.direct else { return Ok((connection, None)) };
    let settings = async {
        let plain = direct.connect().await.ok()?;
        let row = plain.connection.client().query_one(PLANS_BY, &[]).await.ok()?;
        row.try_get::<_, Option<String>>(0).ok().flatten()
    };
    let Some(settings) = settings.await else {
        let note = "Planned with work_mem and parallel workers of the admin pool: no new session could be asked for its own.";
        return Ok((connection, Some(note.to_owned())));
    };
    // They are undone before anybody else gets the connection.
    connection.client_unwatched().batch_execute(&settings).await.map_err(|error| {
        Problem::unavailable(format!("the session cannot be made to plan as the service's: {error}"))
    })?;
    Ok((connection, None))
}
