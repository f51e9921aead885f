//! `pgprime init`: a complete configuration for a database that is there.

mod address;
mod load;
mod look;
mod options;
mod pooler;
mod run;
mod sections;

pub(crate) use options::Arguments;
pub(crate) use run::run;
