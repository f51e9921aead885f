//! The dashboard's queries, asked while the load goes on.

use std::time::Duration;

use anyhow::Context as _;

use super::compare::Asked;
use super::office::Desk;
use super::slices::{Side, Slices};
use crate::generator::{Generator, Workload};

/// The load goes on for as long at a time, until all queries have been asked.
const STEP: Duration = Duration::from_secs(1);

/// Asks the dashboard's queries in every way and lets the load go on meanwhile. `None` when it was interrupted.
pub(crate) fn asked_beside_load<W: Workload>(
    generator: &mut Generator<'_, W>,
    desk: &Desk<'_>,
    slices: Slices,
) -> anyhow::Result<Option<Asked>> {
    let asking = desk.ask();
    let mut meanwhile = Side::default();
    let mut number = 0;
    while !asking.is_finished() {
        let outcome = generator.run(&slices.step(STEP, number), &mut |_| {})?;
        if outcome.interrupted {
            asking.abort();
            return Ok(None);
        }
        meanwhile.add(outcome);
        number += 1;
    }
    let timed = desk.runtime().block_on(asking).context("asking the dashboard's queries")?;
    let timed = timed.context("asking the dashboard's queries")?;
    Ok(Some(Asked { timed, meanwhile: meanwhile.report("meanwhile") }))
}
