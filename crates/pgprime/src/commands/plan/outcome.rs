//! From options to a report, files and an exit code.

use std::env;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use pgprime_capacity::postgres::{Comparison, Recommendation, SettingsRequest, compare, recommend};
use pgprime_capacity::{CurvePoint, Plan, curve, plan};
use pgprime_demo::{PoolerCommand, VerifyOptions, VerifyReport};
use pgprime_planner::files::{self, Existing, FileInputs, PlannedFile};
use pgprime_planner::observe::Observation;
use pgprime_planner::plot::{WaitPlot, svg};
use pgprime_planner::report::{self, Colour, Document, Report};
use serde::Serialize;

use super::given::{self, Given};
use super::live::{self, Live, Users};
use super::options::Arguments;
use super::steps::next_steps;
use crate::exit;
use crate::output::print;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let users = if arguments.write.is_some() { Users::Wanted } else { Users::Unwanted };
    let live = arguments.database_url().map(|url| live::read(url, users)).transpose()?;
    let outcome = Outcome::new(arguments, live)?;
    let written = outcome.write(arguments)?;
    let mut is_well = outcome.plan.is_feasible();
    if arguments.verify && !is_well {
        eprintln!(
            "pgprime: not verified: more load than the database can carry has no waiting time to measure"
        );
    }
    let verifies = arguments.verify && is_well;
    if arguments.json {
        let verified = verifies.then(|| verify(&outcome.plan, arguments.verify_seconds)).transpose()?;
        is_well &= verified.as_ref().is_none_or(VerifyReport::agrees);
        print(&outcome.document(&written, verified.as_ref())?)?;
    } else {
        print(&outcome.report(arguments, &written))?;
        if verifies {
            let verified = verify(&outcome.plan, arguments.verify_seconds)?;
            is_well &= verified.agrees();
            print(&format!("\nVerified\n{verified}\n"))?;
        }
    }
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(exit::FINDING) })
}

/// The plan's own load and size, held against reality.
fn verify(plan: &Plan, seconds: u32) -> anyhow::Result<VerifyReport> {
    let program = env::current_exe().context("cannot find our own program")?;
    let service = plan.inputs.service;
    pgprime_demo::verify(&VerifyOptions {
        rate: plan.requests_per_s_peak,
        service_mean_ms: service.mean_ms(),
        service_scv: service.scv(),
        sizes: vec![plan.pool_size],
        seconds,
        ..VerifyOptions::new(PoolerCommand::Own(program))
    })
    .context("cannot verify this plan")
}

/// The plan, and how it did in reality if that was asked for.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    document: Document<'a, &'a Observation>,
    verified: Option<&'a VerifyReport>,
}

/// Everything that was calculated.
struct Outcome {
    live: Option<Live>,
    plan: Plan,
    curve: Vec<CurvePoint>,
    recommendations: Vec<Recommendation>,
    comparisons: Vec<Comparison>,
    assumptions: Vec<String>,
    settings_for: Option<SettingsRequest>,
}

impl Outcome {
    fn new(arguments: &Arguments, live: Option<Live>) -> anyhow::Result<Self> {
        let given = Given::new(arguments, live.as_ref())?;
        let plan = plan(&given.inputs).map_err(given::in_words)?;
        let recommendations = given.settings.as_ref().map(recommend).transpose()?.unwrap_or_default();
        let live_settings = live.as_ref().map(Live::settings).unwrap_or_default();
        let mut assumptions = given.assumptions;
        assumptions.extend(plan.notes.iter().cloned());
        Ok(Self {
            curve: curve(&plan),
            comparisons: compare(&recommendations, live_settings),
            settings_for: given.settings,
            recommendations,
            assumptions,
            plan,
            live,
        })
    }

    /// Writes what was asked for, all or nothing.
    fn write(&self, arguments: &Arguments) -> anyhow::Result<Vec<PathBuf>> {
        let mut planned = Vec::new();
        if arguments.write.is_some() {
            planned.extend(self.files(arguments));
        }
        // Here is not worth a `./` before every path.
        let folder =
            arguments.write.as_deref().filter(|folder| *folder != Path::new(".")).unwrap_or(Path::new(""));
        if let Some(path) = &arguments.svg {
            // Relative to where the command runs, not to the folder of the files.
            let path = env::current_dir().context("cannot find the current folder")?.join(path);
            let text = svg(&WaitPlot::new(&self.plan, &self.curve));
            planned.push(PlannedFile { path, text, is_secret: false });
        }
        let existing = if arguments.force { Existing::Replace } else { Existing::Keep };
        Ok(files::write(folder, &planned, existing)?)
    }

    fn files(&self, arguments: &Arguments) -> Vec<PlannedFile> {
        let database = self.live.as_ref().map(|live| live.database.clone()).unwrap_or_default();
        files::files(&FileInputs {
            plan: &self.plan,
            command: &given::command(arguments),
            database: &database,
            settings: &self.recommendations,
            hardware: &self.settings_for.as_ref().map(given::hardware).unwrap_or_default(),
            users: self.live.as_ref().and_then(|live| live.users.as_deref()),
        })
    }

    fn document(&self, written: &[PathBuf], verified: Option<&VerifyReport>) -> anyhow::Result<String> {
        let document = Document {
            plan: &self.plan,
            curve: &self.curve,
            settings: &self.comparisons,
            machine: self.settings_for.as_ref().map(|request| request.machine),
            assumptions: &self.assumptions,
            observed: self.live.as_ref().map(|live| &live.observation),
            files: written.iter().map(|path| path.display().to_string()).collect(),
        };
        Ok(serde_json::to_string_pretty(&Whole { document, verified })? + "\n")
    }

    fn report(&self, arguments: &Arguments, written: &[PathBuf]) -> String {
        let report = Report {
            plan: &self.plan,
            curve: &self.curve,
            settings: &self.comparisons,
            observed: self.live.as_ref().map(|live| live.sentences.as_slice()),
            assumptions: &self.assumptions,
            written,
            next_steps: &next_steps(arguments, written),
        };
        report::text(&report, colour())
    }
}

/// Colour for a terminal, unless the person wants none (no-color.org).
fn colour() -> Colour {
    let is_refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    if io::stdout().is_terminal() && !is_refused && !is_dumb { Colour::Always } else { Colour::Never }
}
