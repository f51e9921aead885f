//! Live events, as a stream that goes on until one side has had enough.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use pgprime_monitor::alerts::Change;
use pgprime_monitor::watch::Round;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};

use crate::app::App;
use crate::freshness::Health;
use crate::live::Live;
use crate::problem::Problem;
use crate::security::{Reader, Role};
use crate::values;

/// So that proxies and clients know that the stream is alive.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What one listener hears.
struct Listener {
    live: watch::Receiver<Option<Arc<Live>>>,
    rounds: Option<watch::Receiver<Option<Arc<Round>>>>,
    alerts: Option<broadcast::Receiver<Change>>,
    ending: watch::Receiver<bool>,
    stale_after: Duration,
    role: Role,
    _place: OwnedSemaphorePermit,
}

/// What happens, as it happens
///
/// `live` each two seconds, `health` with each round of watching, `alert` with each change of an alert. The last known state
/// comes first. The stream ends with this process.
#[utoipa::path(get, path = "/api/v1/monitoring/events", tag = "events",
    responses((status = 200, description = "events live, health and alert", body = String, content_type = "text/event-stream"),
        (status = 401, body = Problem), (status = 503, body = Problem, description = "too many listen")))]
pub(crate) async fn events(State(app): State<Arc<App>>, Reader(caller): Reader) -> Result<Response, Problem> {
    let place = Arc::clone(&app.listeners).try_acquire_owned();
    let place =
        place.map_err(|_| Problem::unavailable("too many listen to live events; close some pages"))?;
    let mut rounds = app.services.rounds.clone();
    if let Some(rounds) = &mut rounds {
        // The state as it is comes first.
        rounds.mark_changed();
    }
    let mut live = app.live.subscribe();
    live.mark_changed();
    let listener = Listener {
        live,
        rounds,
        alerts: app.services.alerts.as_ref().map(|alerts| alerts.subscribe()),
        ending: app.ending.subscribe(),
        stale_after: app.services.stale_after,
        role: caller.role,
        _place: place,
    };
    let events = stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    let answer = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT));
    let headers = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Proxies must not gather it.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, answer).into_response())
}

impl Listener {
    /// The next event; `None` when the interface ends.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let event = tokio::select! {
                _ = self.ending.wait_for(|is_ending| *is_ending) => return None,
                changed = self.live.changed() => {
                    changed.ok()?;
                    let now = self.live.borrow_and_update().clone();
                    now.and_then(|live| event("live", &*live))
                }
                round = next_round(&mut self.rounds) => event("health", &Health::of(&round, self.stale_after, self.role)),
                change = next_change(&mut self.alerts) => event("alert", &values::alert(change.alert, self.role)),
            };
            if event.is_some() {
                return event;
            }
        }
    }
}

async fn next_round(rounds: &mut Option<watch::Receiver<Option<Arc<Round>>>>) -> Arc<Round> {
    if let Some(receiver) = rounds {
        while receiver.changed().await.is_ok() {
            if let Some(round) = receiver.borrow_and_update().clone() {
                return round;
            }
        }
    }
    // Nobody watches any longer.
    std::future::pending().await
}

async fn next_change(alerts: &mut Option<broadcast::Receiver<Change>>) -> Change {
    if let Some(receiver) = alerts {
        loop {
            match receiver.recv().await {
                Ok(change) => return change,
                // The list of alerts has what was missed.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => break,
            }
        }
    }
    std::future::pending().await
}

fn event(name: &str, data: &impl Serialize) -> Option<Event> {
    Event::default().event(name).json_data(data).ok()
}
