//! Reading configuration and users again.

use std::collections::BTreeMap;

use crate::context::Context;
use crate::error::PoolerError;
use crate::settings::{Config, Secret, Settings};
use crate::userlist;

/// Reads the configuration file and the file of users, and puts them in force. On an error all stays as it is.
pub(crate) async fn reload(context: &Context) -> Result<(), PoolerError> {
    let Some(path) = context.directory.config().settings.conffile.clone() else { return Ok(()) };
    replace(context, Config::load(&path)?)
}

/// Puts another configuration in force, and the users of its `auth_file`. On an error all stays as it is.
pub(crate) fn replace(context: &Context, mut config: Config) -> Result<(), PoolerError> {
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

/// The users of the configuration and of its `auth_file`.
pub(crate) fn load_secrets(config: &Config) -> Result<BTreeMap<String, Secret>, PoolerError> {
    let mut secrets = config.secrets.clone();
    if let Some(path) = &config.settings.auth_file {
        secrets.extend(userlist::load(path)?);
    }
    Ok(secrets)
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
