//! From options to a report and an exit code.

use std::process::ExitCode;

use anyhow::Context as _;
use pgprime_advisor::plan::PlanReport;

use super::options::Arguments;
use super::report::Report;
use super::source;
use crate::exit;
use crate::output::{print, print_json};

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let report = report(arguments)?;
    if arguments.json {
        print_json(&report)?;
    } else {
        print(&report.text())?;
    }
    Ok(if report.is_well() { ExitCode::SUCCESS } else { ExitCode::from(exit::FINDING) })
}

fn report(arguments: &Arguments) -> anyhow::Result<Report> {
    if let Some(path) = &arguments.plan {
        let plan = PlanReport::of(&source::read(path)?);
        let plan = plan.with_context(|| format!("{} holds no plan", path.display()))?;
        return Ok(Report::new(None, plan, None));
    }
    let (explained, indexes) = source::ask(arguments)?;
    let plan = PlanReport::of(&explained.document).context("the server's plan cannot be read")?;
    Ok(Report::new(Some(explained), plan, indexes))
}
