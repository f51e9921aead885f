//! From options to deliveries or rules, and an exit code.

use std::process::ExitCode;

use anyhow::bail;
use pgprime_monitor::alerts::{AlertSettings, test_delivery};
use serde::Serialize;

use super::options::{Action, Arguments, Options};
use super::text;
use crate::config::Configuration;
use crate::database::block_on;
use crate::exit;
use crate::output::{print, print_json};

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.action {
        Action::Test(options) => test(options),
        Action::Rules(options) => rules(options),
    }
}

fn test(options: &Options) -> anyhow::Result<ExitCode> {
    let (settings, origin) = read(options)?;
    if settings.channels.channels.is_empty() {
        bail!("there is no [[alerts.channels]] {origin}: nobody would be told of an alert");
    }
    let deliveries = block_on(async { Ok(test_delivery(&settings.channels).await) })?;
    if options.json {
        print_json(&Deliveries { deliveries: &deliveries })?;
    } else {
        print(&text::deliveries(&deliveries))?;
    }
    let is_well = deliveries.iter().all(|delivery| delivery.ok);
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(exit::FINDING) })
}

/// As the REST interface answers.
#[derive(Serialize)]
struct Deliveries<'a, T> {
    deliveries: &'a [T],
}

fn rules(options: &Options) -> anyhow::Result<ExitCode> {
    let (settings, _) = read(options)?;
    if options.json {
        print_json(&settings.rules)?;
    } else {
        print(&text::rules(&settings.rules))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The settings, and where they are from in words.
fn read(options: &Options) -> anyhow::Result<(AlertSettings, String)> {
    let configuration = Configuration::load(options.config.as_deref())?;
    let origin = match &configuration.path {
        Some(path) => format!("in {}", path.display()),
        None => "as there is no pgprime.toml (--config)".to_owned(),
    };
    let settings = AlertSettings::from_toml_in(&configuration.text, configuration.folder())
        .map_err(|error| configuration.placed(&["alerts"], error))?;
    Ok((settings, origin))
}
