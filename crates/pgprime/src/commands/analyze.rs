//! `pgprime analyze`

mod options;
mod report;
mod run;
mod source;

pub(crate) use options::Arguments;
pub(crate) use run::run;
