//! Good selections quickly: Extend from several points of view, each improved, then random parts rebuilt.

use super::grow::{Criterion, Growth, drop_useless};
use super::improve::improve;
use super::limits::Limits;
use super::state::State;

/// The published criterion first; alone, it can be a third off the optimum.
const CRITERIA: [Criterion; 4] =
    [Criterion::PerByte, Criterion::PerRootByte, Criterion::Absolute, Criterion::Regret];

/// Leaves the best selection found in `state`, where nothing is chosen yet.
pub(super) fn search(state: &mut State<'_>, limits: &Limits) {
    let mut starts = Vec::new();
    for criterion in CRITERIA {
        state.choose(&[]);
        Growth::by(criterion).grow(state);
        starts.push(state.chosen());
        if limits.heuristic_steps_max == 0 {
            return;
        }
    }
    let begin = state.steps;
    // Half of the steps for improving each start, the rest for what is best then.
    let mut best = Vec::new();
    for (number, start) in (1..).zip(starts) {
        state.choose(&start);
        improve(state, begin + limits.heuristic_steps_max / 8 * number);
        keep_better(state, &mut best);
    }
    state.choose(&best);
    let end = begin + limits.heuristic_steps_max;
    rebuild(state, end, limits.seed);
    improve(state, end);
}

/// Compares the selection with the best one and keeps the better of them as `best`.
fn keep_better(state: &mut State<'_>, best: &mut Vec<u32>) {
    let found = state.chosen();
    state.choose(best);
    if state.attempt(|state| {
        let all = state.chosen();
        let differing = |list: &[u32], candidate: &u32| list.binary_search(candidate).is_err();
        let leave: Vec<u32> = all.iter().copied().filter(|candidate| differing(&found, candidate)).collect();
        let join: Vec<u32> = found.iter().copied().filter(|candidate| differing(&all, candidate)).collect();
        leave.iter().chain(&join).for_each(|&candidate| state.toggle(candidate));
    }) {
        *best = found;
    }
}

/// Gives up what serves a random query and grows again in another order, as long as that helps now and then.
fn rebuild(state: &mut State<'_>, steps_end: u64, seed: u64) {
    let problem = state.problem;
    if problem.queries.is_empty() {
        return;
    }
    let mut random = Random(seed);
    let idle_rounds_max = 50 + 2 * problem.candidates.len();
    let mut idle_rounds = 0;
    while idle_rounds < idle_rounds_max && state.steps < steps_end {
        state.steps += problem.candidates.len() as u64;
        let noise: Vec<f64> =
            (0..problem.candidates.len()).map(|_| 0.6 + 0.8 * random.next_fraction()).collect();
        let criterion = CRITERIA[random.next_below(3)];
        let ruined = [0; 2].map(|_| random.next_below(problem.queries.len()));
        let ruined = &ruined[..1 + random.next_below(2)];
        let is_better = state.attempt(|state| {
            for &query in ruined {
                let served = problem.pairs[problem.queries[query].pairs.clone()].iter();
                for &candidate in served {
                    if state.is_chosen(candidate) {
                        state.toggle(candidate);
                    }
                }
            }
            Growth { criterion, banned: None, noise: &noise, widens: false }.grow(state);
            drop_useless(state);
        });
        idle_rounds = if is_better { 0 } else { idle_rounds + 1 };
    }
}

/// The generator SplitMix64: the same numbers everywhere, whatever versions a build has.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn next_below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn next_fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
