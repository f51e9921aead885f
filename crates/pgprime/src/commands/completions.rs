//! `pgprime completions`: what a shell needs to complete options and commands.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Arg, Args, Command, ValueEnum, ValueHint};
use clap_complete::generate;

use crate::output::print;

/// Options of completions.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    pgprime completions bash > /etc/bash_completion.d/pgprime\n  \
    pgprime completions zsh > \"${fpath[1]}/_pgprime\"\n  \
    pgprime completions fish > ~/.config/fish/completions/pgprime.fish")]
pub(crate) struct Arguments {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Prints the completions of this command line.
pub(crate) fn run(arguments: &Arguments, command: Command) -> anyhow::Result<ExitCode> {
    print(&script(arguments.shell, command)?)?;
    Ok(ExitCode::SUCCESS)
}

fn script(shell: Shell, command: Command) -> anyhow::Result<String> {
    let generator = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut command = with_hints(command);
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    generate(generator, &mut command, name, &mut script);
    let script = String::from_utf8(script).context("the script is not text")?;
    Ok(if shell == Shell::Fish { script + &fish_positionals(&command) } else { script })
}

/// With files offered where a file is meant, and nowhere else.
fn with_hints(command: Command) -> Command {
    command
        .mut_args(|arg| {
            let hint = hint(&arg);
            // Where all values are known there is nothing to hint at.
            let is_open = arg.get_action().takes_values() && arg.get_possible_values().is_empty();
            if is_open { arg.value_hint(hint) } else { arg }
        })
        .mut_subcommands(with_hints)
}

/// By the type of its value, or else by the name.
fn hint(arg: &Arg) -> ValueHint {
    let name = arg.get_value_names().and_then(<[_]>::first).map_or("", |name| name.as_str());
    match (arg.get_value_hint(), name) {
        (_, "FOLDER" | "DIR") => ValueHint::DirPath,
        (ValueHint::AnyPath, _) | (_, "FILE") => ValueHint::FilePath,
        _ => ValueHint::Other,
    }
}

/// What the generator for fish leaves out: what arguments without an option before them may be.
fn fish_positionals(command: &Command) -> String {
    let name = command.get_name();
    let mut lines = String::new();
    for part in command.get_subcommands().filter(|part| !part.has_subcommands()) {
        let arg = part.get_positionals().next();
        let offered = match arg.map_or(ValueHint::Other, Arg::get_value_hint) {
            ValueHint::FilePath => continue,
            ValueHint::DirPath => "(__fish_complete_directories)".to_owned(),
            _ => arg.map(values).unwrap_or_default().join(" "),
        };
        let condition = format!("__fish_{name}_using_subcommand {}", part.get_name());
        let _ = writeln!(lines, "complete -c {name} -n \"{condition}\" -f -a \"{offered}\"");
    }
    lines
}

fn values(arg: &Arg) -> Vec<String> {
    arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::process::Command as Program;

    use clap::CommandFactory as _;

    use super::*;

    /// What is to be offered after each command: its subcommands, its options, and the values of its first argument.
    fn expected() -> BTreeMap<String, Vec<String>> {
        let mut command = crate::Arguments::command();
        command.build();
        let mut expected = BTreeMap::new();
        collect(&command, "pgprime".to_owned(), &mut expected);
        assert!(expected.len() > 25 && expected.contains_key("pgprime views refresh"), "{expected:?}");
        expected
    }

    fn collect(command: &Command, path: String, expected: &mut BTreeMap<String, Vec<String>>) {
        let mut words = Vec::new();
        for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
            words.extend(arg.get_long().map(|long| format!("--{long}")));
            words.extend(arg.get_short().map(|short| format!("-{short}")));
        }
        for arg in command.get_positionals() {
            words.extend(values(arg));
        }
        for part in command.get_subcommands().filter(|part| !part.is_hide_set() && part.get_name() != "help")
        {
            words.push(part.get_name().to_owned());
            collect(part, format!("{path} {}", part.get_name()), expected);
        }
        expected.insert(path, words);
    }

    /// What a shell prints that ran this text with the script in `$COMPLETIONS`; nothing where it is not installed.
    fn run_in(shell: Shell, program: &str, arguments: &[&str], text: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("completions");
        std::fs::write(&file, script(shell, crate::Arguments::command()).unwrap()).unwrap();
        let mut run = Program::new(program);
        run.args(arguments).arg(text).env("COMPLETIONS", &file).env("HOME", folder.path());
        let output = match run.current_dir(folder.path()).output() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && shell != Shell::Bash => {
                eprintln!("skipped: there is no {program} here");
                return None;
            }
            output => output.unwrap(),
        };
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && errors.is_empty(), "{shell:?}: {errors}");
        Some(String::from_utf8(output.stdout).unwrap())
    }

    /// Holds `PATH|WORD` for each word that is offered against what is to be.
    fn check(shell: Shell, said: &str) {
        let offered: BTreeSet<&str> = said.lines().collect();
        for (path, words) in expected() {
            for word in words {
                assert!(offered.contains(format!("{path}|{word}").as_str()), "{shell:?}: {path} {word}");
            }
        }
    }

    #[test]
    fn bash_offers_every_command_and_option() {
        let mut text = String::from("set -eu; source \"$COMPLETIONS\"; complete -p pgprime >/dev/null\n");
        for path in expected().keys() {
            for typed in ["", "-", "--"] {
                let words = path.split(' ').count();
                let _ = writeln!(
                    text,
                    "COMP_WORDS=({path} '{typed}'); COMP_CWORD={words}; COMPREPLY=()\n\
                     _pgprime pgprime '{typed}' \"${{COMP_WORDS[{words} - 1]}}\"\n\
                     printf '{path}|%s\\n' \"${{COMPREPLY[@]}}\""
                );
            }
        }
        check(Shell::Bash, &run_in(Shell::Bash, "bash", &["--norc", "-c"], &text).unwrap());
    }

    #[test]
    fn fish_offers_every_command_and_option() {
        let mut text = String::from("source $COMPLETIONS\n");
        for path in expected().keys() {
            for typed in ["", "-", "--"] {
                let _ = writeln!(
                    text,
                    "complete -C '{path} {typed}' | string replace -r '\\t.*' '' | string replace -r '^' '{path}|'"
                );
            }
        }
        // The last of them may have had nothing to offer, which string calls a failure.
        text += "true\n";
        if let Some(said) = run_in(Shell::Fish, "fish", &["--no-config", "-c"], &text) {
            check(Shell::Fish, &said);
        }
    }

    /// Completing takes a terminal there, so that only loading is tried.
    #[test]
    fn zsh_loads_the_script() {
        let text = "autoload -U compinit; compinit -u -D; source $COMPLETIONS; print $_comps[pgprime]";
        if let Some(said) = run_in(Shell::Zsh, "zsh", &["-f", "-c"], text) {
            assert_eq!(said, "_pgprime\n");
        }
    }

    #[test]
    fn files_are_offered_where_files_are_meant() {
        let text = script(Shell::Fish, crate::Arguments::command()).unwrap();
        let line = |words: &str| {
            text.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{words}")).to_owned()
        };
        assert!(line("subcommand run\" -l config").ends_with("-r -F"));
        assert!(line("subcommand run\" -l state").ends_with("(__fish_complete_directories)\""));
        assert!(line("subcommand run\" -l pooler-port").ends_with("-r -f"));
        // Of what `pooler` is to read there is nothing to say but that it is a file, as it is without a word.
        assert!(!text.contains("using_subcommand pooler\" -f"));
        assert!(line("subcommand completions\" -f").ends_with("-a \"bash zsh fish\""));
    }
}
