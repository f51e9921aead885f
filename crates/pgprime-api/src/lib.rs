//! REST, OpenAPI, metrics for Prometheus, live events, and the dashboard.
//!
//! It translates what others know into HTTP, and decides nothing but who may ask: [`ApiConfig`] says where it listens and
//! who has which [`Role`]; [`Services`] is what it asks; [`Api::bind`] and [`Api::serve`] run it.
//!
//! It never answers anybody beyond this machine without a token, never shows a secret, never lets one request wait for
//! ever, and never answers with a bare 500: every error is `application/problem+json` and says what to do.

mod app;
mod assets;
mod config;
mod extract;
mod freshness;
mod lazy;
mod limits;
mod live;
mod look;
mod looks;
mod memo;
mod openapi;
mod planning;
mod poolers;
mod problem;
mod routes;
mod security;
mod server;
mod values;

pub use app::Services;
pub use config::{ApiConfig, ApiConfigError, LoopbackRole, TlsFiles, TokenEntry};
pub use lazy::LazyDatabase;
pub use routes::{AdminDocument, document};
pub use security::{NewToken, Role};
pub use server::{Api, ApiError};
