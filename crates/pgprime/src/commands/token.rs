//! `pgprime token`: a token for the REST interface.

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, ValueEnum};
use pgprime_api::{NewToken, Role};

use crate::output::print;
use crate::toml_text::quoted;

/// Options of making a token.
#[derive(Debug, Args)]
#[command(after_help = "Example: pgprime token grafana --role read\n\
    The token is printed once and kept nowhere: the configuration gets its hash only.\n\
    Exit codes: 0 well, 2 wrong usage")]
pub(crate) struct Arguments {
    /// Who is to have it: the audit log says this name
    name: String,
    /// What it may do
    #[arg(long, value_name = "ROLE", value_enum, default_value_t = Permission::Read)]
    role: Permission,
}

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Permission {
    /// See figures, and texts without constants.
    Read,
    /// See running statements too, and have statements explained.
    Analyze,
    /// Cancel statements, refresh views and test alerts too.
    Admin,
}

impl From<Permission> for Role {
    fn from(permission: Permission) -> Self {
        match permission {
            Permission::Read => Self::Read,
            Permission::Analyze => Self::Analyze,
            Permission::Admin => Self::Admin,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let name = arguments.name.trim();
    if name.is_empty() || name.chars().any(char::is_control) {
        bail!("give the token a name, such as grafana");
    }
    let token =
        NewToken::random().map_err(|error| anyhow::anyhow!("the system gives no random numbers: {error}"))?;
    print(&format!(
        "{}\n\n# The token is above, and shown this once: programs send it as `Authorization: Bearer TOKEN`.\n\
         # What follows belongs into pgprime.toml.\n\
         [[api.tokens]]\nname = {}\nrole = \"{}\"\nsha256 = \"{}\"\n",
        token.text,
        quoted(name),
        Role::from(arguments.role).name(),
        token.sha256
    ))?;
    Ok(ExitCode::SUCCESS)
}
