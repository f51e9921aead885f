//! `pgprime man`: manual pages, made from the command line itself.

use std::fmt::Write as _;
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
            write(folder, &command, None)?;
            print(&format!("Written to {}: man {0}/pgprime.1\n", folder.display()))?;
        }
        None => print(&page(&command)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A page for each command; all but the first refer to the one above.
fn write(folder: &Path, command: &Command, above: Option<&str>) -> anyhow::Result<()> {
    let file = Man::new(command.clone()).get_filename();
    let name = file.trim_end_matches(".1");
    for part in command.get_subcommands().filter(|part| !part.is_hide_set()) {
        write(folder, part, Some(name))?;
    }
    let path = folder.join(&file);
    let mut page = page(command)?;
    if let Some(above) = above {
        let _ = writeln!(page, ".SH \"SEE ALSO\"\n\\fB{}\\fR(1)", above.replace('-', "\\-"));
    }
    fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))
}

fn page(command: &Command) -> anyhow::Result<String> {
    let version = concat!("pgprime ", env!("CARGO_PKG_VERSION"));
    let mut page = Vec::new();
    Man::new(command.clone())
        .source(version)
        .manual("pgprime")
        // Something has to stand where the date belongs, or the version takes its place.
        .date(" ")
        .render(&mut page)
        .context("cannot make the page")?;
    Ok(as_roff_likes_it(&String::from_utf8(page).context("the page is not text")?))
}

/// What stands at the end of a command's help is lines, not a paragraph to be filled; a letter beyond ASCII has a name
/// in roff, which does not depend on what the reader's system takes the file for.
fn as_roff_likes_it(page: &str) -> String {
    let mut is_end_of_help = false;
    let mut was_text = false;
    let mut kept = String::new();
    for line in page.lines() {
        if line.starts_with(".SH ") {
            is_end_of_help = line == ".SH EXTRA";
        }
        // Blanks at the start of a line break it by themselves.
        let is_text = !line.trim().is_empty() && !line.starts_with('.');
        if is_end_of_help && is_text && was_text && !line.starts_with(' ') {
            kept.push_str(".br\n");
        }
        was_text = is_text;
        for letter in if line == ".SH EXTRA" { ".SH NOTES" } else { line.trim_end() }.chars() {
            match letter {
                letter if letter.is_ascii() => kept.push(letter),
                letter => {
                    let _ = write!(kept, "\\[u{:04X}]", u32::from(letter));
                }
            }
        }
        kept.push('\n');
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::process::Command as Program;

    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn lines_at_the_end_of_help_stay_lines() {
        let page = ".SH NAME\na \nb\n.SH EXTRA\none\n two\nthree…\nfour\n.sp\nfive\n.SH VERSION\nv1\n";
        assert_eq!(
            as_roff_likes_it(page),
            ".SH NAME\na\nb\n.SH NOTES\none\n two\n.br\nthree\\[u2026]\n.br\nfour\n.sp\nfive\n.SH VERSION\nv1\n"
        );
    }

    #[test]
    fn groff_has_nothing_to_say_about_any_page() {
        let folder = tempfile::tempdir().unwrap();
        run(&Arguments { folder: Some(folder.path().to_owned()) }, crate::Arguments::command()).unwrap();
        let pages: Vec<PathBuf> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(pages.len() > 25, "{pages:?}");
        for page in pages {
            let output = match Program::new("groff").args(["-ww", "-man", "-Tutf8"]).arg(&page).output() {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    eprintln!("skipped: there is no groff here");
                    return;
                }
                output => output.unwrap(),
            };
            let (text, errors) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success() && errors.is_empty(), "{}: {errors}", page.display());
            assert!(text.contains(concat!("pgprime ", env!("CARGO_PKG_VERSION"))), "{text}");
        }
    }
}
