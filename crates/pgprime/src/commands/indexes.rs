//! `pgprime indexes`

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use pgprime_advisor::index_review::{self, IndexReview, ReviewOptions};
use pgprime_advisor::space::Severity;

use crate::database::{self, Unreachable};
use crate::exit;
use crate::output::{print, print_json};

/// Options of the review of indexes.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example: pgprime indexes --database-url postgresql://user:password@host:5432/database\n\
    Looks at the indexes of the one database that it is connected to, and changes nothing.\n\
    Exit codes: 0 well, 1 a finding of warning or above, 2 wrong usage, 3 the database could not be reached"
)]
pub(crate) struct Arguments {
    /// The database to look at; it is not changed
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Print the review as one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let review = database::block_on(look(arguments))?;
    if arguments.json {
        print_json(&review)?;
    } else {
        print(&index_review::text(&review))?;
    }
    let is_well = review.findings.iter().all(|finding| finding.severity < Severity::Warning);
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(exit::FINDING) })
}

async fn look(arguments: &Arguments) -> anyhow::Result<IndexReview> {
    // A variable that is set to nothing counts as none.
    let url = arguments.database_url.as_deref().filter(|url| !url.trim().is_empty());
    let connected = database::connect(url).await?;
    match index_review::review(&connected.client, &ReviewOptions::default()).await {
        Ok(review) => Ok(review),
        Err(error) if error.is_connection_lost() => Err(Unreachable::lost(&connected, &error).into()),
        Err(error) => {
            Err(error).context(format!("cannot read the database at {}", database::address(&connected)))
        }
    }
}
