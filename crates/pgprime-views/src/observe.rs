//! What is known of all declared views at one moment: what decisions are made from.

use jiff::Timestamp;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::catalog::{self, Relation};
use crate::changes;
use crate::decide::{Changes, ViewState};
use crate::declaration::{Declarations, ViewDeclaration};
use crate::error::ViewsError;
use crate::pressure::{Load, PoolerWait, Pressure, load};
use crate::session::{rows, value};
use crate::store::{self, Stored};

/// All declared views at one moment of the database's clock.
pub(crate) struct Observed<'a> {
    pub(crate) now: Timestamp,
    /// Those first that others read; missing ones at the end.
    pub(crate) views: Vec<ObservedView<'a>>,
    load: Load,
}

/// One of them.
pub(crate) struct ObservedView<'a> {
    pub(crate) declaration: &'a ViewDeclaration,
    /// `None` where there is no such view.
    pub(crate) relation: Option<Relation>,
    pub(crate) stored: Stored,
    pub(crate) state: ViewState,
    /// What it reads that no count shows.
    pub(crate) unseen: Vec<String>,
    /// Whether the server's counts began anew since its last refresh.
    pub(crate) is_reset: bool,
}

impl Observed<'_> {
    /// What speaks against refreshing a view now.
    pub(crate) fn pressure(&self, view: &ObservedView<'_>) -> Pressure {
        self.load.of_view(view.relation.as_ref().map(|view| view.oid))
    }
}

/// Looks at everything that is declared.
pub(crate) async fn observe<'a>(
    client: &Client,
    declarations: &'a Declarations,
    waiting: Option<PoolerWait>,
) -> Result<Observed<'a>, ViewsError> {
    let server = catalog::server(client).await?;
    let mut stored = store::states(client).await?;
    let mut views = Vec::new();
    for declaration in declarations.views() {
        let relation = catalog::relation(client, &declaration.name).await?.filter(Relation::is_view);
        let stored = stored.remove(&declaration.name.to_string()).unwrap_or_default();
        views.push(one(client, declaration, relation, stored).await?);
    }
    let (views, load) = (ordered(client, views).await?, load(client, waiting).await?);
    Ok(Observed { now: server.now, views, load })
}

async fn one<'a>(
    client: &Client,
    declaration: &'a ViewDeclaration,
    relation: Option<Relation>,
    stored: Stored,
) -> Result<ObservedView<'a>, ViewsError> {
    let failures =
        ViewState { failures: stored.failures, failed_at: stored.failed_at, ..ViewState::default() };
    let Some(relation) = relation else {
        let (unseen, is_reset) = (Vec::new(), false);
        return Ok(ObservedView { declaration, relation: None, stored, state: failures, unseen, is_reset });
    };
    let snapshot = changes::snapshot(client, relation.oid).await?;
    let is_known = stored.oid == relation.oid;
    let before = stored.base.as_ref().filter(|_| is_known);
    let state = ViewState {
        is_populated: relation.is_populated,
        // A view that was made anew by hand has an age that nobody knows.
        refreshed_at: stored.refreshed_at.filter(|_| is_known),
        unchanged_at: stored.unchanged_at.filter(|_| is_known),
        duration_last: stored.duration,
        changes: before.map_or(Changes::Unknown, |before| changes::between(before, &snapshot)),
        ..failures
    };
    let is_reset = stored.base.as_ref().is_some_and(|before| changes::began_anew(before, &snapshot));
    let unseen = snapshot.unseen;
    Ok(ObservedView { declaration, relation: Some(relation), stored, state, unseen, is_reset })
}

/// Puts those first that others read.
async fn ordered<'a>(
    client: &Client,
    mut views: Vec<ObservedView<'a>>,
) -> Result<Vec<ObservedView<'a>>, ViewsError> {
    let oids: Vec<u32> =
        views.iter().filter_map(|view| view.relation.as_ref()).map(|view| view.oid).collect();
    let step = "read which view reads which";
    let found = rows(client, step, include_str!("../sql/order.sql"), &[(&oids, Type::OID_ARRAY)]).await?;
    let reads: Vec<(u32, u32)> = found
        .iter()
        .map(|row| Ok((value(row, "root")?, value(row, "base")?)))
        .collect::<Result<_, ViewsError>>()?;
    // What a view reads, it reads to any depth, so that the more it reads, the later it comes.
    let depth = |view: &ObservedView<'_>| match &view.relation {
        Some(relation) => reads.iter().filter(|(root, _)| *root == relation.oid).count(),
        None => usize::MAX,
    };
    views.sort_by_key(depth);
    Ok(views)
}
