//! `pgprime cache`

mod done;
mod options;
mod publication;
mod run;
mod triggers;

pub(crate) use options::Arguments;
pub(crate) use run::run;
