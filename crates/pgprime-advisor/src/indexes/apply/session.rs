//! The connection on which indexes are built: its settings while it is, and what the catalogs say.

use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use super::super::error::IndexesError;
use super::super::session::{column, milliseconds};
use super::steps::Create;

/// A look into the catalogs is a matter of milliseconds.
const LOOK: &str = "BEGIN /* pgprime */ ISOLATION LEVEL READ COMMITTED, READ ONLY, NOT DEFERRABLE; \
                    SET /* pgprime */ LOCAL \"SEARCH_PATH\" = pg_catalog, pg_temp; \
                    SET /* pgprime */ LOCAL \"STATEMENT_TIMEOUT\" = '10s'; \
                    SET /* pgprime */ LOCAL \"LOCK_TIMEOUT\" = '1s'";

/// A session that is ours alone, and the settings that it had before. Its exit is [`Session::restore`].
pub(super) struct Session<'a> {
    pub(super) client: &'a Client,
    process: i32,
    statement_timeout: String,
    lock_timeout: String,
}

/// What has a name.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) oid: u32,
    /// As SQL writes it.
    pub(super) qualified: String,
    pub(super) is_usable: bool,
    /// Whether it is an index and the role may drop it.
    pub(super) is_own: bool,
    pub(super) is_partitioned: bool,
    pub(super) definition: Option<String>,
    pub(super) size_bytes: Option<i64>,
    /// Whether another session is building it.
    pub(super) is_in_work: bool,
}

/// A table that is to get an index.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) is_own: bool,
    pub(super) owner: String,
    pub(super) role: String,
    /// Names, methods and definitions of its valid indexes.
    pub(super) indexes: Vec<(String, String, String)>,
}

impl<'a> Session<'a> {
    pub(super) async fn begin(client: &'a Client) -> Result<Self, IndexesError> {
        const STEP: &str = "ask whether indexes can be created here";
        let mut session =
            Self { client, process: 0, statement_timeout: String::new(), lock_timeout: String::new() };
        let rows = session.look(STEP, include_str!("../../../sql/apply_server.sql"), &[]).await?;
        let row = rows.first().ok_or(IndexesError::Answer { step: STEP, reason: "no row".to_owned() })?;
        if column::<bool>(row, STEP, "in_recovery")? {
            return Err(IndexesError::CannotApply {
                reason: "this server follows another one, where indexes have to be created: connect to the primary"
                    .to_owned(),
            });
        }
        session.process = column(row, STEP, "process")?;
        // Asked for outside of the transaction that has limits of its own.
        let sql = "SELECT /* pgprime */ pg_catalog.current_setting('statement_timeout') AS statement_timeout, \
                   pg_catalog.current_setting('lock_timeout') AS lock_timeout";
        let rows = client.query_typed(sql, &[]).await.map_err(IndexesError::query(STEP))?;
        let row = rows.first().ok_or(IndexesError::Answer { step: STEP, reason: "no row".to_owned() })?;
        session.statement_timeout = column(row, STEP, "statement_timeout")?;
        session.lock_timeout = column(row, STEP, "lock_timeout")?;
        session.check_is_kept().await?;
        Ok(session)
    }

    /// A pooler that gives each transaction another server would leave our limits with somebody else's.
    async fn check_is_kept(&self) -> Result<(), IndexesError> {
        const STEP: &str = "ask whether the session is kept";
        // A limit that nobody else sets.
        let probe = Duration::from_millis(86_399_999);
        self.limit(Some(probe), probe).await?;
        let sql = "SELECT /* pgprime */ pg_catalog.pg_backend_pid() AS process, (SELECT s.setting FROM \
                   pg_catalog.pg_settings s WHERE s.name = 'lock_timeout') AS lock_timeout";
        let rows = self.client.query_typed(sql, &[]).await.map_err(IndexesError::query(STEP))?;
        let row = rows.first().ok_or(IndexesError::Answer { step: STEP, reason: "no row".to_owned() })?;
        let is_kept = column::<i32>(row, STEP, "process")? == self.process
            && column::<Option<String>>(row, STEP, "lock_timeout")?.as_deref()
                == Some(milliseconds(probe).to_string().as_str());
        self.restore().await?;
        if is_kept {
            return Ok(());
        }
        Err(IndexesError::CannotApply {
            reason: "the session is not kept between statements, as behind a pooler in transaction mode: connect to \
                     PostgreSQL directly"
                .to_owned(),
        })
    }

    /// Limits of what follows; None: no limit.
    pub(super) async fn limit(
        &self,
        statement: Option<Duration>,
        lock: Duration,
    ) -> Result<(), IndexesError> {
        let statement = statement.map_or(0, milliseconds);
        let sql = format!("SET statement_timeout = {statement}; SET lock_timeout = {}", milliseconds(lock));
        self.execute("set limits", &sql).await
    }

    /// The settings are as they were.
    pub(super) async fn restore(&self) -> Result<(), IndexesError> {
        let sql = format!(
            "SET statement_timeout = '{}'; SET lock_timeout = '{}'",
            self.statement_timeout, self.lock_timeout
        );
        self.execute("set the limits back", &sql).await
    }

    /// One statement, in no transaction.
    pub(super) async fn execute(&self, step: &'static str, sql: &str) -> Result<(), IndexesError> {
        self.client.batch_execute(sql).await.map_err(IndexesError::query(step))
    }

    async fn look(
        &self,
        step: &'static str,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, IndexesError> {
        self.execute(step, LOOK).await?;
        let rows = self.client.query_typed(sql, parameters).await.map_err(IndexesError::query(step));
        // Nothing was changed, and a rollback would be counted as one of the application's.
        self.execute(step, "COMMIT").await?;
        rows
    }

    pub(super) async fn named(&self, create: &Create) -> Result<Option<Named>, IndexesError> {
        const STEP: &str = "look up an index";
        let names: [(&(dyn ToSql + Sync), Type); 2] =
            [(&create.schema, Type::TEXT), (&create.name, Type::TEXT)];
        let rows = self.look(STEP, include_str!("../../../sql/apply_named.sql"), &names).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Named {
            oid: column(row, STEP, "oid")?,
            qualified: column(row, STEP, "qualified")?,
            is_usable: column(row, STEP, "is_usable")?,
            is_own: column(row, STEP, "is_own")?,
            is_partitioned: column(row, STEP, "is_partitioned")?,
            definition: column(row, STEP, "definition")?,
            size_bytes: column(row, STEP, "size_bytes")?,
            is_in_work: column(row, STEP, "is_in_work")?,
        }))
    }

    /// The present name of an index; None if there is none.
    pub(super) async fn qualified(&self, oid: u32) -> Result<Option<String>, IndexesError> {
        const STEP: &str = "look up an index";
        let sql = include_str!("../../../sql/apply_by_oid.sql");
        let rows = self.look(STEP, sql, &[(&oid, Type::OID)]).await?;
        rows.first().map(|row| column(row, STEP, "qualified")).transpose()
    }

    pub(super) async fn table(&self, create: &Create) -> Result<Option<Table>, IndexesError> {
        const STEP: &str = "look up the table";
        let names: [(&(dyn ToSql + Sync), Type); 2] =
            [(&create.schema, Type::TEXT), (&create.table, Type::TEXT)];
        let rows = self.look(STEP, include_str!("../../../sql/apply_table.sql"), &names).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let mut table = Table {
            is_own: column(first, STEP, "is_own")?,
            owner: column(first, STEP, "owner")?,
            role: column(first, STEP, "role")?,
            indexes: Vec::new(),
        };
        for row in &rows {
            let text = |name: &str| column::<Option<String>>(row, STEP, name);
            if let (Some(name), Some(method), Some(definition)) =
                (text("name")?, text("method")?, text("definition")?)
            {
                table.indexes.push((name, method, definition));
            }
        }
        Ok(Some(table))
    }
}
