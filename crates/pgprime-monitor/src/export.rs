//! What others' tools need: metrics for Prometheus, its alerting rules, and a dashboard for Grafana.
//!
//! All of it is made from the definitions of checks and the default rules, so that it says the same as pgprime itself.
//! `deploy/` holds what [`prometheus_rules`] and [`grafana_dashboard`] give; `UPDATE=1 cargo test -p pgprime-monitor
//! --lib export` writes it anew.

mod grafana;
mod metrics;
mod rules;
#[cfg(test)]
mod tests;

pub use grafana::grafana_dashboard;
pub use metrics::{Exposed, Watching, prometheus_text};
pub use rules::prometheus_rules;
