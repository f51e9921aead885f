//! `pgprime checklist`

mod options;
mod run;

pub(crate) use options::Arguments;
pub(crate) use run::run;
