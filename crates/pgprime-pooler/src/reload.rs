//! Reading configuration and users again.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::context::Context;
use crate::error::PoolerError;
use crate::settings::{Config, Secret, Settings};
use crate::tls::Tls;
use crate::userlist;

/// Reads the configuration file and the file of users, and puts them in force. On an error all stays as it is.
pub(crate) async fn reload(context: &Context) -> Result<(), PoolerError> {
    let Some(path) = context.directory.config().settings.conffile.clone() else { return Ok(()) };
    replace(context, Config::load(&path)?)
}

/// Puts another configuration in force, and the users of its `auth_file`. On an error all stays as it is.
pub(crate) fn replace(context: &Context, mut config: Config) -> Result<(), PoolerError> {
    let secrets = load_secrets(&config)?;
    // The files are read again whether or not the settings have changed: certificates are renewed in their place.
    let tls = load_tls(&config.settings)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    for name in config.settings.keep_unchangeable(&context.directory.config().settings) {
        tracing::warn!(setting = name, "a changed setting waits for a restart");
    }
    context.forget_verifiers();
    context.directory.replace(config, secrets, tls);
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

/// What the settings say of TLS, with the files they name.
pub(crate) fn load_tls(settings: &Settings) -> Result<Arc<Tls>, PoolerError> {
    let tls = Tls::load(settings)?;
    for warning in &tls.warnings {
        tracing::warn!("{warning}");
    }
    Ok(Arc::new(tls))
}
