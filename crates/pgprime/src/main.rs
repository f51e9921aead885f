//! The binary: command line, wiring and exit codes, nothing else.
//!
//! Exit codes: 0 well, 1 a finding (errors in a load, for example), 2 wrong usage or configuration, 3 the database
//! could not be reached. Under the name `pgbouncer` the binary takes PgBouncer's command line.

mod amount;
mod bouncer_name;
mod commands;
mod config;
mod daemon;
mod database;
mod exit;
mod history_file;
mod logging;
mod output;
mod pooler_console;
mod running;
mod service_manager;
mod toml_text;
mod workload;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use commands::{
    alerts, analyze, bench, bloat, cache, checklist, completions, demo, health, indexes, init, man, plan,
    pooler, reference, run, slow_queries, token, views,
};

/// Keeps a PostgreSQL service fast for 10,000 concurrent users.
#[derive(Debug, Parser)]
#[command(name = "pgprime", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything: the pooler, watching, scheduling, REST and dashboard
    Run(Box<run::Arguments>),
    /// Write a complete configuration for a database that is there, with sizes and the reason for each
    Init(Box<init::Arguments>),
    /// Run the connection pooler with a pgbouncer.ini
    Pooler(pooler::Arguments),
    /// Bring up a private PostgreSQL with sample data and a pooler, and let clients work on it
    Demo(demo::Arguments),
    /// Calculate every size from load and limits: pools, waiting times, PostgreSQL's settings
    Plan(Box<plan::Arguments>),
    /// Tell how well the database is: what is bad first, with what to do
    Health(health::Arguments),
    /// Check the tuning checklist with evidence: what is met, what is not, and what to do
    Checklist(checklist::Arguments),
    /// Tell which statements take the time, since when, and whether they became slower
    SlowQueries(Box<slow_queries::Arguments>),
    /// Explain a statement safely: its plan as a tree, and the problems in it
    Analyze(Box<analyze::Arguments>),
    /// Tell which indexes the workload lacks and which cost more than they give, with the statements that help
    Indexes(Box<indexes::Arguments>),
    /// Tell what takes space, what of it is waste and what runs out, with the statements that help
    Bloat(bloat::Arguments),
    /// Create materialized views as declared, refresh them when it is worth it, tell how fresh they are
    Views(Box<views::Arguments>),
    /// Let the result cache hear of changes that other programs make
    Cache(cache::Arguments),
    /// Try out where alerts go, and list the rules by which checks become alerts
    Alerts(alerts::Arguments),
    /// Make a token for the REST interface and the dashboard
    Token(token::Arguments),
    /// Measure poolers beside one another on the same private PostgreSQL
    Bench(bench::Arguments),
    /// Print the reference of settings and checks as Markdown
    Reference(reference::Arguments),
    /// Print what a shell needs to complete this command line
    Completions(completions::Arguments),
    /// Make manual pages of this command line
    Man(man::Arguments),
}

fn main() -> ExitCode {
    if bouncer_name::is_in_use() {
        return bouncer_name::run();
    }
    let outcome = match Arguments::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Init(arguments) => init::run(&arguments),
        Command::Pooler(arguments) => pooler::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Health(arguments) => health::run(&arguments),
        Command::Checklist(arguments) => checklist::run(&arguments),
        Command::SlowQueries(arguments) => slow_queries::run(&arguments),
        Command::Analyze(arguments) => analyze::run(&arguments),
        Command::Indexes(arguments) => indexes::run(&arguments),
        Command::Bloat(arguments) => bloat::run(&arguments),
        Command::Views(arguments) => views::run(&arguments),
        Command::Cache(arguments) => cache::run(&arguments),
        Command::Alerts(arguments) => alerts::run(&arguments),
        Command::Token(arguments) => token::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Reference(arguments) => reference::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments, Arguments::command()),
        Command::Man(arguments) => man::run(&arguments, Arguments::command()),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("pgprime: {}", exit::describe(&error));
            let is_out_of_reach = error.is::<database::Unreachable>();
            ExitCode::from(if is_out_of_reach { exit::UNREACHABLE } else { exit::USAGE })
        }
    }
}
