//! Extend: a selection grows by the step that gains most for the space it takes.

use super::problem::Problem;
use super::state::State;

/// Sets of candidates that are tried out in each step; the others promise less.
const BUNDLES_TRIED_MAX: usize = 8;
/// Wider candidates that are tried out in each step.
const WIDENINGS_TRIED_MAX: usize = 8;

/// What makes one step better than another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Criterion {
    /// What it gains per byte, as published.
    PerByte,
    /// What it gains per square root of its bytes.
    PerRootByte,
    /// What it gains, whatever its size.
    Absolute,
    /// What is lost when the second best candidate of a query has to do, per byte.
    Regret,
}

/// A step: candidates to add, and one that they make superfluous.
#[derive(Clone, Debug)]
struct Step {
    add: Vec<u32>,
    drop: Option<u32>,
    score: f64,
    size_bytes: u64,
}

/// Grows a selection step by step.
pub(super) struct Growth<'g> {
    /// Which step is best.
    pub(super) criterion: Criterion,
    /// A candidate that is not to be added.
    pub(super) banned: Option<u32>,
    /// A factor for each candidate's benefit, to try other orders; empty: none.
    pub(super) noise: &'g [f64],
    /// Whether a chosen candidate may be widened, as published. Improvement has other means for that.
    pub(super) widens: bool,
}

impl Growth<'_> {
    /// The plain way by a criterion.
    pub(super) fn by(criterion: Criterion) -> Self {
        Self { criterion, banned: None, noise: &[], widens: true }
    }

    /// Grows until no step gains anything.
    pub(super) fn grow(&self, state: &mut State<'_>) {
        while let Some(step) = self.best_step(state) {
            step.drop.iter().chain(&step.add).for_each(|&candidate| state.toggle(candidate));
            drop_useless(state);
        }
    }

    fn best_step(&self, state: &mut State<'_>) -> Option<Step> {
        let mut best = None;
        self.try_singles(state, &mut best);
        if self.widens {
            self.try_widening(state, &mut best);
        }
        self.try_bundles(state, &mut best);
        best
    }

    fn try_singles(&self, state: &mut State<'_>, best: &mut Option<Step>) {
        let problem = state.problem;
        let regrets = (self.criterion == Criterion::Regret).then(|| regrets(state));
        state.steps += problem.candidates.len() as u64;
        for candidate in (0_u32..).take(problem.candidates.len()) {
            let size_bytes = problem.candidates[candidate as usize].size_bytes;
            let benefit = state.net_worth(candidate);
            if benefit <= problem.tolerance || state.is_chosen(candidate) || self.banned == Some(candidate) {
                continue;
            }
            let counted = regrets.as_ref().map_or(benefit, |all| all[candidate as usize].max(benefit * 0.01));
            let score = self.score(counted, size_bytes, &[candidate]);
            if is_better(best.as_ref(), score, size_bytes) && state.has_room(size_bytes, 1) {
                *best = Some(Step { add: vec![candidate], drop: None, score, size_bytes });
            }
        }
    }

    /// Tries the wider candidates that promise most.
    fn try_widening(&self, state: &mut State<'_>, best: &mut Option<Step>) {
        let problem = state.problem;
        let bytes = |candidate: u32| problem.candidates[candidate as usize].size_bytes;
        let mut promising = Vec::new();
        for narrow in state.chosen() {
            let wider = &problem.candidates[narrow as usize].wider;
            state.steps += wider.len() as u64;
            for &wide in wider.iter().filter(|&&wide| !state.is_chosen(wide)) {
                let size_bytes = bytes(wide).saturating_sub(bytes(narrow));
                // Giving up the narrow one saves no more than its upkeep.
                let at_most = state.net_worth(wide) + problem.candidates[narrow as usize].upkeep;
                let score = self.score(at_most, size_bytes, &[wide]);
                if is_better(best.as_ref(), score, size_bytes) && state.has_room(size_bytes, 0) {
                    promising.push((score, size_bytes, narrow, wide));
                }
            }
        }
        promising.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (at_most, size_bytes, narrow, wide) in promising.into_iter().take(WIDENINGS_TRIED_MAX) {
            if !is_better(best.as_ref(), at_most, size_bytes) {
                return;
            }
            let benefit = benefit(state, &[narrow, wide]);
            let score = self.score(benefit, size_bytes, &[wide]);
            if benefit > problem.tolerance && is_better(best.as_ref(), score, size_bytes) {
                *best = Some(Step { add: vec![wide], drop: Some(narrow), score, size_bytes });
            }
        }
    }

    /// Tries the sets of candidates that promise most.
    fn try_bundles(&self, state: &mut State<'_>, best: &mut Option<Step>) {
        let problem = state.problem;
        let mut promising = Vec::new();
        state.steps += problem.bundles.len() as u64;
        for bundle in 0..problem.bundles.len() {
            if state.bundle_worth(bundle) <= problem.tolerance {
                continue;
            }
            let (mut at_most, mut size_bytes, mut count) = (state.bundle_worth(bundle), 0, 0);
            for &member in problem.bundles[bundle].iter().filter(|&&member| !state.is_chosen(member)) {
                at_most += state.net_worth(member);
                size_bytes += problem.candidates[member as usize].size_bytes;
                count += 1;
            }
            let score = self.score(at_most, size_bytes, &problem.bundles[bundle]);
            if is_better(best.as_ref(), score, size_bytes) && state.has_room(size_bytes, count) {
                promising.push((score, size_bytes, bundle));
            }
        }
        promising.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let add = promising.into_iter().map(|(_, size_bytes, bundle)| (size_bytes, missing(state, bundle)));
        let add: Vec<_> = add
            .filter(|(_, add)| self.banned.is_none_or(|banned| !add.contains(&banned)))
            .take(BUNDLES_TRIED_MAX)
            .collect();
        for (size_bytes, add) in add {
            let benefit = benefit(state, &add);
            let score = self.score(benefit, size_bytes, &add);
            if benefit > problem.tolerance && is_better(best.as_ref(), score, size_bytes) {
                *best = Some(Step { add, drop: None, score, size_bytes });
            }
        }
    }

    fn score(&self, benefit: f64, size_bytes: u64, add: &[u32]) -> f64 {
        let bytes = size_bytes.max(1) as f64;
        let noise = self.noise.get(add[0] as usize).copied().unwrap_or(1.0);
        noise
            * match self.criterion {
                Criterion::PerByte | Criterion::Regret => benefit / bytes,
                Criterion::PerRootByte => benefit / bytes.sqrt(),
                Criterion::Absolute => benefit,
            }
    }
}

/// Gives up candidates whose upkeep is no less than what they save, the most wasteful first.
pub(super) fn drop_useless(state: &mut State<'_>) {
    let tolerance = state.problem.tolerance;
    loop {
        state.steps += state.problem.candidates.len() as u64;
        let worst = state
            .chosen()
            .into_iter()
            .filter(|&candidate| state.net_worth(candidate) <= tolerance)
            // The later ones first, so that of two equal candidates the lower id stays.
            .rev()
            .min_by(|&a, &b| {
                let size = |candidate: u32| state.problem.candidates[candidate as usize].size_bytes;
                state.net_worth(a).total_cmp(&state.net_worth(b)).then(size(b).cmp(&size(a)))
            });
        match worst {
            Some(candidate) => state.toggle(candidate),
            None => return,
        }
    }
}

/// The members of a set that are not chosen.
pub(super) fn missing(state: &State<'_>, bundle: usize) -> Vec<u32> {
    state.problem.bundles[bundle].iter().copied().filter(|&member| !state.is_chosen(member)).collect()
}

fn is_better(best: Option<&Step>, score: f64, size_bytes: u64) -> bool {
    best.is_none_or(|best| score > best.score || (score == best.score && size_bytes < best.size_bytes))
}

/// What is gained when these candidates change sides.
fn benefit(state: &mut State<'_>, toggled: &[u32]) -> f64 {
    let before = state.standing().net;
    let mark = state.mark();
    toggled.iter().for_each(|&candidate| state.toggle(candidate));
    let benefit = state.standing().net - before;
    state.undo_to(mark);
    benefit
}

/// For each candidate that is not chosen, by how much it is better than the second best one of its queries.
fn regrets(state: &mut State<'_>) -> Vec<f64> {
    let problem: &Problem = state.problem;
    state.steps += problem.pairs.len() as u64;
    let mut regrets = vec![0.0; problem.candidates.len()];
    for query in &problem.queries {
        let (mut first, mut second, mut of) = (0.0, 0.0, None);
        for pair in query.pairs.clone() {
            let worth = state.pair_worth(pair);
            if state.is_chosen(problem.pairs[pair]) || worth <= second {
                continue;
            }
            if worth > first {
                (second, first, of) = (first, worth, Some(problem.pairs[pair]));
            } else {
                second = worth;
            }
        }
        if let Some(of) = of {
            regrets[of as usize] += first - second;
        }
    }
    regrets
}
