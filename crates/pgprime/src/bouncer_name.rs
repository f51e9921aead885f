//! Under the name `pgbouncer`: PgBouncer's command line, so that scripts and service files work unchanged.

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::commands::pooler;
use crate::exit;

const USAGE: &str = "\
Usage: pgbouncer [OPTION]... CONFIG_FILE

Options:
  -d, --daemon         run in background (as a daemon)
  -q, --quiet          run quietly
  -R, --reboot         accepted and ignored: use so_reuseport for a rolling restart
  -u, --user=USERNAME  assume identity of USERNAME
  -v, --verbose        increase verbosity
  -V, --version        show version, then exit
  -h, --help           show this help, then exit

This is pgprime under the name of pgbouncer; `pgprime --help` shows the rest of it.
";

/// PgBouncer's code for every failure.
const EXIT_FAILURE: u8 = 1;

/// Whether the program was called by that name.
pub(crate) fn is_in_use() -> bool {
    let name = env::args_os().next().map(PathBuf::from);
    name.as_deref().and_then(Path::file_name).is_some_and(|name| name == "pgbouncer")
}

pub(crate) fn run() -> ExitCode {
    let arguments: Vec<String> =
        env::args_os().skip(1).map(|argument| argument.to_string_lossy().into()).collect();
    let outcome = match read(&arguments) {
        Ok(Request::Run(arguments)) => pooler::run(&arguments),
        Ok(Request::Version) => {
            println!("PgBouncer 1.25.0 (pgprime {})", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Ok(Request::Help) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("pgbouncer: {problem}\nTry \"pgbouncer --help\" for more information.");
            return ExitCode::from(EXIT_FAILURE);
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("pgbouncer: {}", exit::describe(&error));
        ExitCode::from(EXIT_FAILURE)
    })
}

#[derive(Debug)]
enum Request {
    Run(Box<pooler::Arguments>),
    Version,
    Help,
}

fn read(arguments: &[String]) -> Result<Request, String> {
    let mut read = pooler::Arguments {
        config: PathBuf::new(),
        workers: env::var("PGPRIME_WORKERS").ok().and_then(|workers| workers.parse().ok()),
        quiet: false,
        verbose: 0,
        daemon: false,
        user: None,
        statement_statistics: pooler::Switch::from_environment(),
        capture_parameters_ms: 0,
        redact_parameters: false,
    };
    let mut files = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "-V" | "--version" => return Ok(Request::Version),
            "-h" | "--help" => return Ok(Request::Help),
            "-u" | "--user" => read.user = Some(rest.next().ok_or("option -u needs a user")?.clone()),
            long if long.starts_with("--user=") => read.user = long.strip_prefix("--user=").map(String::from),
            "--quiet" => read.quiet = true,
            "--verbose" => read.verbose += 1,
            "--daemon" => read.daemon = true,
            "--reboot" => {}
            short if short.len() > 1 && short.starts_with('-') && !short.starts_with("--") => {
                read_short(short, &mut read)?;
            }
            long if long.starts_with("--") => return Err(format!("unrecognized option '{long}'")),
            file => files.push(file),
        }
    }
    match files.as_slice() {
        [file] => read.config = PathBuf::from(file),
        _ => return Err("expected one configuration file".into()),
    }
    Ok(Request::Run(Box::new(read)))
}

/// Short options may stand together, and a user may follow at once: `-dqupostgres`.
fn read_short(options: &str, read: &mut pooler::Arguments) -> Result<(), String> {
    let mut letters = options.trim_start_matches('-').chars();
    while let Some(letter) = letters.next() {
        match letter {
            'q' => read.quiet = true,
            'v' => read.verbose += 1,
            'd' => read.daemon = true,
            'R' => {}
            'u' => {
                read.user = Some(letters.as_str().to_string());
                return Ok(());
            }
            other => return Err(format!("invalid option -- '{other}'")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str) -> Result<Request, String> {
        let words: Vec<String> = line.split_whitespace().map(String::from).collect();
        read(&words)
    }

    #[test]
    fn options_are_read_as_pgbouncer_does() {
        let Ok(Request::Run(read)) = check("-qv -u postgres a.ini") else { panic!("a run") };
        assert_eq!(
            (read.quiet, read.verbose, read.user.as_deref(), read.config.to_str()),
            (true, 1, Some("postgres"), Some("a.ini"))
        );
        let Ok(Request::Run(read)) = check("a.ini -dunobody") else { panic!("a run") };
        assert_eq!((read.daemon, read.user.as_deref()), (true, Some("nobody")));
        assert!(matches!(check("--version"), Ok(Request::Version)));
        assert!(matches!(check("-h x"), Ok(Request::Help)));
        for line in ["", "a b", "--nonsense a", "-x a", "-u"] {
            assert!(check(line).is_err(), "{line}");
        }
    }
}
