//! `pgprime completions`: what a shell needs to complete options and commands.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Command, ValueEnum};
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
pub(crate) fn run(arguments: &Arguments, mut command: Command) -> anyhow::Result<ExitCode> {
    let shell = match arguments.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    generate(shell, &mut command, name, &mut script);
    print(&String::from_utf8(script).context("the script is not text")?)?;
    Ok(ExitCode::SUCCESS)
}
