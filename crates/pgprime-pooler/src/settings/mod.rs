//! What the administrator configures: pgbouncer.ini with PgBouncer's setting names, units, defaults and meanings.
//!
//! [`Config::load`] reads a file and everything it includes; [`Settings::set`] changes one setting and serves the
//! console's `SET` as well as the file; [`Settings::show`] lists them for `SHOW CONFIG`. What cannot be honoured is
//! never passed over in silence: a name that does not exist is an error, a setting that is known but not supported
//! yet is a warning. No message of this module contains a password.
//!
//! The grammar of a line is in `ini`, of a `key=value` list in `entry`, of a single value in `value`; all settings
//! stand in one table in `table`.

mod config;
mod database;
mod entry;
mod error;
mod file;
mod ini;
mod nearest;
mod secret;
mod table;
mod user;
mod value;

pub use config::{Config, Entries};
pub use database::DatabaseConfig;
pub use error::{ConfigError, Location, SettingError};
pub(crate) use file::read_text;
pub(crate) use ini::quoted;
pub use secret::Secret;
pub use table::{SettingRow, Settings};
pub use user::UserConfig;
pub use value::{AuthType, PoolMode};
