//! Local improvement: candidates are given up, exchanged and added again while the selection becomes better.

use super::grow::{Criterion, Growth, drop_useless, missing};
use super::state::State;

/// Sets of candidates that are forced in, in each round; the others promise less.
const BUNDLES_TRIED_MAX: usize = 200;
/// Exchanges of two candidates per chosen one; all pairs of many would take too long.
const PARTNERS_MAX: usize = 12;

const REFILLS: [Criterion; 2] = [Criterion::PerByte, Criterion::Absolute];

/// Improves a selection until no exchange makes it better, or the state has used so many steps.
pub(super) fn improve(state: &mut State<'_>, steps_end: u64) {
    drop_useless(state);
    refill(state, None, REFILLS[0]);
    loop {
        let is_better =
            force_in(state, steps_end) | force_out(state, steps_end) | force_bundles_in(state, steps_end)
                || force_pairs_out(state, steps_end);
        if !is_better || state.steps >= steps_end {
            return;
        }
    }
}

/// Adds what still fits and gains.
pub(super) fn refill(state: &mut State<'_>, banned: Option<u32>, criterion: Criterion) {
    Growth { criterion, banned, noise: &[], widens: false }.grow(state);
}

/// For each candidate: it comes in, whatever is in its way goes, and the room left is filled.
fn force_in(state: &mut State<'_>, steps_end: u64) -> bool {
    let mut is_better = false;
    for candidate in (0_u32..).take(state.problem.candidates.len()) {
        if state.steps >= steps_end {
            break;
        }
        // Without any worth now, it can only help in a set.
        if !state.is_chosen(candidate) && state.worth(candidate) > 0.0 {
            is_better |= exchange_in(state, &[candidate]);
        }
    }
    is_better
}

/// The same for sets that help only together.
fn force_bundles_in(state: &mut State<'_>, steps_end: u64) -> bool {
    let problem = state.problem;
    let worth = |state: &State<'_>, bundle: usize| {
        let size = problem.size_of(&missing(state, bundle)).max(1);
        state.bundle_worth(bundle) / (size as f64).sqrt()
    };
    let mut bundles: Vec<(f64, usize)> = (0..problem.bundles.len())
        .filter(|&bundle| state.bundle_worth(bundle) > problem.tolerance)
        .map(|bundle| (worth(state, bundle), bundle))
        .collect();
    bundles.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut is_better = false;
    for (_, bundle) in bundles.into_iter().take(BUNDLES_TRIED_MAX) {
        if state.steps >= steps_end {
            break;
        }
        let add = missing(state, bundle);
        if add.len() > 1 {
            is_better |= exchange_in(state, &add);
        }
    }
    is_better
}

fn exchange_in(state: &mut State<'_>, add: &[u32]) -> bool {
    REFILLS.into_iter().any(|criterion| {
        state.attempt(|state| {
            add.iter().for_each(|&candidate| state.toggle(candidate));
            make_room(state, add);
            drop_useless(state);
            refill(state, None, criterion);
        })
    })
}

/// Gives up what loses least for its size, until the selection is within the capacity.
fn make_room(state: &mut State<'_>, kept: &[u32]) {
    while !state.is_within_capacity() {
        let is_size_short = state.standing().size_bytes > state.problem.capacity.size_bytes;
        let loss = |state: &State<'_>, candidate: u32| {
            let size = state.problem.candidates[candidate as usize].size_bytes;
            let bytes = if is_size_short { size.max(1) as f64 } else { 1.0 };
            state.net_worth(candidate) / bytes
        };
        state.steps += state.problem.candidates.len() as u64;
        let chosen = state.chosen().into_iter().filter(|candidate| !kept.contains(candidate));
        match chosen.min_by(|&a, &b| loss(state, a).total_cmp(&loss(state, b))) {
            Some(candidate) => state.toggle(candidate),
            None => return,
        }
    }
}

/// For each chosen candidate: it goes and stays out, and the room is filled.
fn force_out(state: &mut State<'_>, steps_end: u64) -> bool {
    let mut is_better = false;
    for candidate in state.chosen() {
        if state.steps >= steps_end {
            break;
        }
        is_better |= REFILLS.into_iter().any(|criterion| {
            state.is_chosen(candidate)
                && state.attempt(|state| {
                    state.toggle(candidate);
                    refill(state, Some(candidate), criterion);
                })
        });
    }
    is_better
}

/// For each chosen candidate: it goes together with one of those that lose least, and the room is filled.
fn force_pairs_out(state: &mut State<'_>, steps_end: u64) -> bool {
    let mut partners = state.chosen();
    partners.sort_by(|&a, &b| state.net_worth(a).total_cmp(&state.net_worth(b)));
    partners.truncate(PARTNERS_MAX);
    let mut is_better = false;
    for first in state.chosen() {
        for &second in &partners {
            if state.steps >= steps_end {
                return is_better;
            }
            if first != second && state.is_chosen(first) && state.is_chosen(second) {
                is_better |= state.attempt(|state| {
                    state.toggle(first);
                    state.toggle(second);
                    refill(state, Some(first), REFILLS[0]);
                });
            }
        }
    }
    is_better
}
