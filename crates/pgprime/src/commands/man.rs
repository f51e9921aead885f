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
    let mut command = command.disable_help_subcommand(true);
    command.build();
    match &arguments.folder {
        Some(folder) => {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
            write(folder, &command)?;
            print(&format!("Written to {}: man {0}/pgprime.1\n", folder.display()))?;
        }
        None => print(&page(&command)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn write(folder: &Path, command: &Command) -> anyhow::Result<()> {
    for part in command.get_subcommands().filter(|part| !part.is_hide_set()) {
        write(folder, part)?;
    }
    let path = folder.join(Man::new(command.clone()).get_filename());
    fs::write(&path, page(command)?).with_context(|| format!("cannot write {}", path.display()))
}

fn page(command: &Command) -> anyhow::Result<String> {
    let version = concat!("pgprime ", env!("CARGO_PKG_VERSION"));
    let mut page = Vec::new();
    Man::new(command.clone())
        .source(version)
        .manual("pgprime")
        .render(&mut page)
        .context("cannot make the page")?;
    Ok(with_lines_kept(&String::from_utf8(page).context("the page is not text")?))
}

/// What stands at the end of a command's help is lines, not a paragraph to be filled.
fn with_lines_kept(page: &str) -> String {
    let mut is_end_of_help = false;
    let mut kept = String::new();
    for line in page.lines() {
        if line.starts_with(".SH ") {
            is_end_of_help = line == ".SH EXTRA";
        }
        kept.push_str(if line == ".SH EXTRA" { ".SH NOTES" } else { line });
        kept.push_str(if is_end_of_help && !line.starts_with('.') { "\n.br\n" } else { "\n" });
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_at_the_end_of_help_stay_lines() {
        let page = ".SH NAME\na\n.SH EXTRA\none\ntwo\n.SH VERSION\nv1\n";
        assert_eq!(with_lines_kept(page), ".SH NAME\na\n.SH NOTES\none\n.br\ntwo\n.br\n.SH VERSION\nv1\n");
    }
}
