//! What a person does with a plan.

use std::path::PathBuf;

use super::given;
use super::options::Arguments;

/// What for, and the command.
pub(super) fn next_steps(arguments: &Arguments, written: &[PathBuf]) -> Vec<(String, String)> {
    let step = |what_for: &str, command: &str| (what_for.to_owned(), command.to_owned());
    let Some(folder) = arguments.write.as_ref() else {
        let mut steps = vec![(
            "Write the files with these numbers to config/:".to_owned(),
            format!("{} --write", given::command(arguments)),
        )];
        if arguments.database_url().is_none() {
            steps.push(step(
                "Read limits, load, settings and users from the database:",
                "pgprime plan --database-url postgresql://user:password@host:5432/database",
            ));
        }
        return steps;
    };
    let config = folder.join("config");
    let config = config.strip_prefix(".").unwrap_or(&config).display();
    let has_users = written.iter().any(|path| path.ends_with("pgbouncer_userlist.txt"));
    let users = if has_users { "pgbouncer_userlist.txt" } else { "pgbouncer_userlist.txt.example" };
    let mut steps = vec![
        step(
            "A system user for the pooler:",
            "sudo useradd --system --no-create-home --shell /usr/sbin/nologin pgprime",
        ),
        (
            "The pooler's configuration:".to_owned(),
            format!("sudo install -D -m 644 {config}/pgbouncer.ini /etc/pgbouncer/pgbouncer.ini"),
        ),
        (
            match has_users {
                true => "Its users:".to_owned(),
                false => "Its users, to be filled in:".to_owned(),
            },
            format!("sudo install -m 640 -g pgprime {config}/{users} /etc/pgbouncer/userlist.txt"),
        ),
        (
            "The pooler as a service:".to_owned(),
            format!(
                "sudo install -m 644 {config}/pgprime-pooler.service /etc/systemd/system/ && sudo systemctl enable --now \
                 pgprime-pooler"
            ),
        ),
        (
            "Each instance of the application:".to_owned(),
            format!("set the variables of {config}/env.example"),
        ),
    ];
    if written.iter().any(|path| path.ends_with("postgresql.conf")) {
        steps.push((
            "PostgreSQL, on its own machine, then a restart at a quiet hour:".to_owned(),
            format!("include {config}/postgresql.conf at the end of postgresql.conf"),
        ));
    }
    steps
}
