//! Alerts: telling people when checks stay bad, once.
//!
//! [`Alerts`] decides, purely: a check has to be bad for a while before it is an alert, and well for a while, by a
//! margin, before it is none. [`AlertCenter`] puts it to work: it logs what changes, keeps it over restarts, and tells
//! the [`Channels`] that the configuration names, in groups, with repeats and resolutions, until they have heard it.
//! Rounds never wait for any of that. [`AlertSettings`] reads the configuration.

mod alert;
mod center;
mod channel;
mod delivery;
mod format;
mod http;
mod machine;
mod message;
mod notifier;
mod outbox;
mod rule;
mod secret;
mod settings;
mod store;
#[cfg(test)]
mod tests;

pub use alert::{Alert, AlertState, Change, ChangeKind, Severity};
pub use center::{AlertCenter, AlertSink, AlertsView, ChannelView};
pub use channel::{Channel, ChannelKind, Channels, Sender};
pub use delivery::{Delivery, test_delivery};
pub use machine::{Alerts, SavedAlerts};
pub use rule::{Rule, default_rules};
pub use secret::Secret;
pub use settings::{AlertSettings, AlertSettingsError};
