//! The users of the pooler.

use super::inputs::{FileInputs, User};
use super::template::fill;

const TEMPLATE: &str = include_str!("templates/pgbouncer_userlist.txt.example");

/// The file with real verifiers.
pub(super) fn text(users: &[User]) -> String {
    let mut text = String::from(
        "; The users of the pooler with the verifiers that PostgreSQL keeps. Keep this file as secret as a password.\n\
         ; A password that changes in PostgreSQL has to change here: calculate the files again.\n",
    );
    let (expressible, others): (Vec<&User>, Vec<&User>) = users.iter().partition(|user| is_expressible(user));
    for user in expressible {
        text.push_str(&format!("{} {}\n", quoted(&user.name), quoted(&user.verifier)));
    }
    for user in others {
        text.push_str(&format!("; left out, as the name cannot stand in this file: {:?}\n", user.name));
    }
    text
}

/// A file has one line for each user.
fn is_expressible(user: &User) -> bool {
    let is_whole = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
    is_whole(&user.name) && is_whole(&user.verifier)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// The file to copy and fill in.
pub(super) fn example(inputs: &FileInputs<'_>) -> String {
    let line = |user: &str| format!("\n;{} \"SCRAM-SHA-256$4096:...\"", quoted(user));
    let user = &inputs.database.user;
    let user = if user.chars().any(char::is_control) { "app_user" } else { user.as_str() };
    let mut users = vec![user];
    if inputs.plan.inputs.has_replica {
        users.push("app_readonly");
    }
    users.extend(["pgbouncer_admin", "pgbouncer_stats"]);
    fill(TEMPLATE, &[("lines", users.into_iter().map(line).collect())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        let user =
            |name: &str| User { name: name.to_owned(), verifier: "SCRAM-SHA-256$4096:s$k:v".to_owned() };
        let text = text(&[user("app"), user("o\"brien"), user("two\nlines"), user(";semi colon")]);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "\"app\" \"SCRAM-SHA-256$4096:s$k:v\"",
                "\"o\"\"brien\" \"SCRAM-SHA-256$4096:s$k:v\"",
                "\";semi colon\" \"SCRAM-SHA-256$4096:s$k:v\"",
                "; left out, as the name cannot stand in this file: \"two\\nlines\"",
            ]
        );
        assert!(!format!("{:?}", user("app")).contains("SCRAM"));
    }
}
