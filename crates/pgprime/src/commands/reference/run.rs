//! The parts of the reference, and which of them are printed.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::{checks, pooler, settings};
use crate::output::print;

const HEADING: &str = "\
# Reference

Printed by `pgprime reference`, which makes it from the code: change that, not this.

";

/// Options of the reference.
#[derive(Debug, Args)]
#[command(after_help = "Example: pgprime reference checks")]
pub(crate) struct Arguments {
    /// Only this part
    #[arg(value_name = "PART", value_enum)]
    part: Option<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The sections of pgprime.toml.
    Settings,
    /// What is checked, from where on it is bad, and when that becomes an alert.
    Checks,
    /// The settings of the pooler.
    Pooler,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let part = |part| match part {
        Part::Settings => settings::text(),
        Part::Pooler => pooler::text(),
        Part::Checks => checks::text(),
    };
    match arguments.part {
        Some(one) => print(&part(one))?,
        None => {
            let all = [Part::Settings, Part::Pooler, Part::Checks].map(part).join("\n");
            print(&format!("{HEADING}{all}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
