//! `pgprime indexes`

mod apply;
mod options;
mod report;
mod run;

pub(crate) use options::Arguments;
pub(crate) use run::run;
