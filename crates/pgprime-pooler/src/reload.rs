//! Reading configuration and users again.

use std::collections::BTreeMap;

use crate::context::Context;
use crate::error::PoolerError;
use crate::settings::{Config, Secret, Settings};
use crate::userlist;

/// Reads the configuration file and the file of users, and puts them in force. On an error all stays as it is.
pub(crate) async fn reload(context: &Context) -> Result<(), PoolerError> {
    let Some(path) = context.directory.config().settings.conffile.clone() else { return Ok(()) };
    let mut config = Config::load(&path)?;
    refuse_unencrypted(&config.settings)?;
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

/// Refuses settings that insist on encryption.
pub(crate) fn refuse_unencrypted(settings: &Settings) -> Result<(), PoolerError> {
    let insists = |mode: &str| matches!(mode, "require" | "verify-ca" | "verify-full");
    for (setting, value, instead) in [
        ("client_tls_sslmode", &settings.client_tls_sslmode, "disable"),
        ("server_tls_sslmode", &settings.server_tls_sslmode, "prefer"),
    ] {
        if insists(value) {
            return Err(PoolerError::TlsRequired { setting, value: value.clone(), instead });
        }
    }
    Ok(())
}
