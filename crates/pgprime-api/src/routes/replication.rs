//! Replicas, slots, and a replica's own view.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use pgprime_advisor::Missing;
use pgprime_client::Row;
use serde::Serialize;

use crate::app::App;
use crate::look::look;
use crate::problem::Problem;
use crate::security::Reader;

/// How replication stands, as this server sees it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Replication {
    /// Whether this server is a replica.
    in_recovery: bool,
    /// Servers that follow this one, the one that lags most first.
    replicas: Vec<Replica>,
    /// Replication slots, the one that holds back most first.
    slots: Vec<Slot>,
    /// Where this server gets its data from, if it is a replica.
    receiver: Option<Receiver>,
    /// How old the last transaction is that this replica has replayed; 0 when all is replayed that was received, and it still
    /// receives. Null on a primary, and on a replica that has replayed all and receives nothing: then nobody can tell.
    replay_delay_s: Option<f64>,
    /// What could not be seen, and how it can be.
    #[schema(value_type = Vec<Object>)]
    missing: Vec<Missing>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Replica {
    name: Option<String>,
    address: Option<String>,
    state: Option<String>,
    sync_state: Option<String>,
    sent_lag_bytes: Option<i64>,
    write_lag_bytes: Option<i64>,
    flush_lag_bytes: Option<i64>,
    replay_lag_bytes: Option<i64>,
    replay_lag_s: Option<f64>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Slot {
    name: String,
    kind: Option<String>,
    database: Option<String>,
    active: bool,
    wal_status: Option<String>,
    retained_bytes: Option<i64>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Receiver {
    status: Option<String>,
    sender_host: Option<String>,
    sender_port: Option<i32>,
    slot_name: Option<String>,
}

/// Replicas, their lag, and slots
#[utoipa::path(get, path = "/api/v1/monitoring/replication", tag = "replication",
    responses((status = 200, body = Replication), (status = 401, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn replication(
    State(app): State<Arc<App>>,
    _: Reader,
) -> Result<Json<Replication>, Problem> {
    let replicas = look(&app, include_str!("../sql/replicas.sql")).await?;
    let slots = look(&app, include_str!("../sql/slots.sql")).await?;
    let own = look(&app, include_str!("../sql/receiver.sql")).await?;
    let own = own.first().ok_or_else(|| Problem::unavailable("the database said nothing of itself"))?;
    let in_recovery = own.get("in_recovery");
    let receiver = Receiver {
        status: own.get("status"),
        sender_host: own.get("sender_host"),
        sender_port: own.get("sender_port"),
        slot_name: own.get("slot_name"),
    };
    Ok(Json(Replication {
        in_recovery,
        replicas: replicas.iter().map(replica).collect(),
        slots: slots.iter().map(slot).collect(),
        receiver: in_recovery.then_some(receiver),
        replay_delay_s: own.get("replay_delay_s"),
        missing: Vec::from_iter(hidden(own.get("sees_all"), own.get("role"))),
    }))
}

/// What a role without the right sees nothing of.
fn hidden(sees_all: bool, role: String) -> Option<Missing> {
    (!sees_all).then(|| Missing {
        what: "state and lag of replicas".to_owned(),
        why: format!("the role {role} may not see them"),
        statement: Some(format!("GRANT pg_monitor TO \"{}\";", role.replace('"', "\"\""))),
    })
}

fn replica(row: &Row) -> Replica {
    Replica {
        name: row.get("name"),
        address: row.get("address"),
        state: row.get("state"),
        sync_state: row.get("sync_state"),
        sent_lag_bytes: row.get("sent_lag_bytes"),
        write_lag_bytes: row.get("write_lag_bytes"),
        flush_lag_bytes: row.get("flush_lag_bytes"),
        replay_lag_bytes: row.get("replay_lag_bytes"),
        replay_lag_s: row.get("replay_lag_s"),
    }
}

fn slot(row: &Row) -> Slot {
    Slot {
        name: row.get("name"),
        kind: row.get("kind"),
        database: row.get("database"),
        active: row.get("active"),
        wal_status: row.get("wal_status"),
        retained_bytes: row.get("retained_bytes"),
    }
}
