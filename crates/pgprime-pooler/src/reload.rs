//! Reading configuration and users again.

use std::collections::BTreeMap;

use crate::context::Context;
use crate::error::PoolerError;
use crate::settings::{Config, Secret};
use crate::userlist;

/// Reads the configuration file and the file of users, and puts them in force. On an error all stays as it is.
pub(crate) async fn reload(context: &Context) -> Result<(), PoolerError> {
    let Some(path) = &context.config_path else { return Ok(()) };
    let mut config = Config::load(path)?;
    let secrets = load_secrets(&config)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    for name in config.settings.keep_unchangeable(&context.directory.config().settings) {
        tracing::warn!(setting = name, "a changed setting waits for a restart");
    }
    context.forget_verifiers();
    context.directory.replace(config, secrets);
    tracing::info!("configuration reloaded");
    Ok(())
}

/// The users of `auth_file`; none without one.
pub(crate) fn load_secrets(config: &Config) -> Result<BTreeMap<String, Secret>, PoolerError> {
    match &config.settings.auth_file {
        Some(path) => Ok(userlist::load(path)?),
        None => Ok(BTreeMap::new()),
    }
}
