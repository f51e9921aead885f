//! `pgprime plan`

mod given;
mod live;
mod options;
mod outcome;
mod sentences;
mod steps;
mod values;

pub(crate) use options::Arguments;
pub(crate) use outcome::run;
