//! `pgprime alerts`

mod options;
mod run;
mod text;

pub(crate) use options::Arguments;
pub(crate) use run::run;
