//! `pgprime reference`: all settings and checks as Markdown, made from what the code knows of them.

mod checks;
mod fields;
mod pooler;
mod run;
mod settings;

pub(crate) use run::{Arguments, run};
