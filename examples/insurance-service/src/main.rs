//! The service as a program: its arguments, its log, and the signals that end it.
//!
//! What it serves is in the library beside it, so that tests run the very same service.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "usage: insurance-service [--listen ADDRESS:PORT] [--migrate] [--verbose]
The database is told by DATABASE_URL, DATABASE_READ_URL, DATABASE_POOL_MIN, DATABASE_POOL_MAX, DATABASE_POOL_TIMEOUT
and DATABASE_MAX_CONNECTIONS.";

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let level = if arguments.is_verbose { tracing::Level::DEBUG } else { tracing::Level::INFO };
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    listen: SocketAddr,
    migrates: bool,
    is_verbose: bool,
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut arguments =
            Self { listen: SocketAddr::from(([127, 0, 0, 1], 8080)), migrates: false, is_verbose: false };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--listen" => {
                    let address =
                        words.next().context("--listen needs an address, such as 127.0.0.1:8080")?;
                    let parsed = address.parse();
                    arguments.listen =
                        parsed.with_context(|| format!("`{address}` is not an address with a port"))?;
                }
                "--migrate" => arguments.migrates = true,
                "--verbose" => arguments.is_verbose = true,
                _ => bail!("`{word}` is not an argument"),
            }
        }
        Ok(arguments)
    }
}

#[tokio::main]
async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let config = insurance_service::config::read(|name| std::env::var(name).ok())?;
    // Before anything else: who is told to stop during the start stops.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    if arguments.migrates {
        insurance_service::migrate(&config).await?;
    }
    let listener = TcpListener::bind(arguments.listen).await;
    let listener = listener.with_context(|| format!("listening on {}", arguments.listen))?;
    insurance_service::serve(config, listener, stop).await
}
