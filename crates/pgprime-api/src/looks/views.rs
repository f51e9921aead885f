//! Materialized views: how fresh they are, and what their refreshes came to.

use pgprime_advisor::Missing;
use pgprime_views::{Declarations, HistoryEntry, PoolerWait, SETUP_SQL, ViewStatus, ViewsError};
use serde::Serialize;
use tokio_postgres::Client;

use crate::problem::Problem;
use crate::security::Role;
use crate::values;

/// Refreshes that are listed.
const HISTORY_MAX: u32 = 50;

/// The declared views, and their latest refreshes.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
pub(crate) struct Views {
    /// Those that are declared, those first that others read.
    #[schema(value_type = Vec<Object>)]
    views: Vec<ViewStatus>,
    /// The newest 50 refreshes, the newest first.
    #[schema(value_type = Vec<Object>)]
    history: Vec<HistoryEntry>,
    #[schema(value_type = Vec<Object>)]
    missing: Vec<Missing>,
}

impl Views {
    /// `waiting`: how long clients of the pooler wait, where that is known; it may hold refreshes back.
    pub(crate) async fn look(
        client: &Client,
        declarations: &Declarations,
        waiting: Option<PoolerWait>,
    ) -> Result<Self, Problem> {
        let mut seen = Self::default();
        let status = pgprime_views::status_behind(client, declarations, declarations.policy(), waiting);
        match Box::pin(status).await {
            Ok(status) => seen.views = status.views,
            Err(error) if error.is_connection_lost() => return Err(lost(&error)),
            Err(error) => seen.missing.push(missing("how fresh the views are", &error)),
        }
        match pgprime_views::history(client, None, HISTORY_MAX).await {
            Ok(history) => seen.history = history,
            Err(error) if error.is_connection_lost() => return Err(lost(&error)),
            Err(error) => seen.missing.push(missing("what their refreshes came to", &error)),
        }
        Ok(seen)
    }

    /// As somebody of this role sees it.
    pub(crate) fn for_role(&self, role: Role) -> Self {
        let mut seen = self.clone();
        seen.views.iter_mut().for_each(|view| values::said(&mut view.error, role));
        seen.history.iter_mut().for_each(|entry| values::said(&mut entry.error, role));
        seen
    }
}

fn lost(error: &ViewsError) -> Problem {
    Problem::unavailable(format!("cannot reach the database: {error}"))
}

fn missing(what: &str, error: &ViewsError) -> Missing {
    let (why, statement) = match error {
        ViewsError::NotSetUp { .. } => (
            "the tables of pgprime are not in this database; run `pgprime views apply`".to_owned(),
            Some(SETUP_SQL.to_owned()),
        ),
        other => (other.to_string(), None),
    };
    Missing { what: what.to_owned(), why, statement }
}
