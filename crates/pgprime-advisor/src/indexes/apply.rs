//! Creating what is advised, measured before and after, and leaving nothing behind where that fails.
//!
//! `steps` reads a suggestion's statements, `build` executes them and undoes what came of it when one fails, `measure`
//! explains the statements that are to gain, and `gain` judges. `run` does it for one suggestion after the other.

mod applied;
mod build;
mod clean;
mod failure;
mod gain;
mod measure;
mod options;
mod run;
mod session;
mod steps;

pub use applied::{Applied, ApplyOutcome, MeasuredBy, Measurement};
pub use options::ApplyOptions;
pub use run::{apply, clean_up};
