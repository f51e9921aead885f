//! `pgprime man`: manual pages, made from the command line itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Command};
use clap_mangen::Man;

use crate::output::print;

/// Options of manual pages.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    pgprime man | man -l -\n  \
    pgprime man /usr/local/share/man/man1")]
pub(crate) struct Arguments {
    /// Where to write a page for each command, pgprime-run.1 and so on; otherwise the first page is printed
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Prints the page of this command line, or writes one for each of its commands.
pub(crate) fn run(arguments: &Arguments, command: Command) -> anyhow::Result<ExitCode> {
    match &arguments.folder {
        Some(folder) => write(folder, command)?,
        None => {
            let mut page = Vec::new();
            Man::new(command).render(&mut page).context("cannot make the page")?;
            print(&String::from_utf8(page).context("the page is not text")?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write(folder: &Path, command: Command) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    clap_mangen::generate_to(command, folder)
        .with_context(|| format!("cannot write the pages to {}", folder.display()))?;
    print(&format!("Written to {}: man {0}/pgprime.1\n", folder.display()))
}
