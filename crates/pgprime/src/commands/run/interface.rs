//! REST and dashboard beside everything else: where they cannot be had, everything else goes on, and they are tried again.

use std::time::Duration;

use pgprime_api::{Api, ApiConfig, ApiError, Services};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::service_manager;

/// Between two attempts: whoever has the address now may be about to end.
const RETRY: Duration = Duration::from_secs(5);
/// Attempts after which the same reason is said once more: ten minutes.
const SAID_EVERY: u32 = 120;

/// REST and dashboard, listening or about to.
pub(super) struct Interface {
    serving: JoinHandle<()>,
    end: oneshot::Sender<()>,
    /// Where they are; `None` where that could not be at first.
    pub(super) address: Option<String>,
}

impl Interface {
    /// Listens, or goes on trying to.
    pub(super) async fn start(config: ApiConfig, services: Services) -> Self {
        let (end, ended) = oneshot::channel();
        match Api::bind(config.clone(), services.clone()).await {
            Ok(api) => {
                let address = Some(address(&config, &api));
                Self { serving: tokio::spawn(api.serve(async { drop(ended.await) })), end, address }
            }
            Err(error) => {
                let serving = tokio::spawn(serve_later(config, services, error, ended));
                Self { serving, end, address: None }
            }
        }
    }

    /// Asks it to end; the task does when what is being answered is answered.
    pub(super) fn end(self) -> JoinHandle<()> {
        drop(self.end);
        self.serving
    }
}

/// Tries again until it listens, and serves then.
async fn serve_later(
    config: ApiConfig,
    services: Services,
    mut error: ApiError,
    mut ended: oneshot::Receiver<()>,
) {
    let mut said = String::new();
    for attempt in 0_u32.. {
        say(&error, &mut said, attempt);
        tokio::select! {
            _ = &mut ended => return,
            () = tokio::time::sleep(RETRY) => {}
        }
        match Api::bind(config.clone(), services.clone()).await {
            Ok(api) => {
                announce(&address(&config, &api));
                service_manager::tell_status("");
                return api.serve(async { drop(ended.await) }).await;
            }
            Err(now) => error = now,
        }
    }
}

/// At once when the reason is another, else now and then.
fn say(error: &ApiError, said: &mut String, attempt: u32) {
    let reason = error.to_string();
    if *said != reason || attempt.is_multiple_of(SAID_EVERY) {
        tracing::error!(
            reason,
            "there are no REST and dashboard, which is tried again; watching, alerts and all else go on"
        );
        service_manager::tell_status(&format!("without REST and dashboard: {reason}"));
        *said = reason;
    }
}

/// Says where people look.
pub(super) fn announce(address: &str) {
    tracing::info!(dashboard = address, api = format!("{address}/api/docs"), "watching");
}

fn address(config: &ApiConfig, api: &Api) -> String {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{}", api.address())
}
