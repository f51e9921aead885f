//! `pgprime slow-queries`

mod options;
mod place;
mod run;

pub(crate) use options::Arguments;
pub(crate) use run::run;
