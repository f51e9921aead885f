//! How much a selection can save at most: the Lagrangian bound.
//!
//! The problem as an integer program: a query uses at most one entry, and an entry only if all its members are chosen, for
//! each of which the query and candidate have a pair. The rule "used only if chosen" is given up for all pairs; instead, a
//! query pays a price for each member it uses, and a candidate earns the prices of its pairs. Then every query is
//! solved for itself, choosing the entry with the largest gain less prices, and so are the candidates, which are a knapsack of
//! profits and sizes (solved with a fraction of one item). The sum is an upper bound whatever the prices; subgradient steps
//! make it smaller, at best as small as the bound of linear programming.

use super::problem::Problem;

/// The length of the first steps: with 1, a step would reach the target if the bound were a plane.
const LENGTH_FIRST: f64 = 2.0;
/// What steps without progress are shortened by.
const LENGTH_FACTOR: f64 = 0.75;
/// Shorter steps, as parts of the full one, change nothing any more.
const LENGTH_MIN: f64 = 1e-3;

/// What has been decided about a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing yet.
    Open,
    /// It is chosen.
    In,
    /// It is not.
    Out,
}

/// Prices of all pairs, and of a place where the number of indexes is limited.
#[derive(Clone, Debug)]
pub(super) struct Prices {
    of_pair: Vec<f64>,
    of_place: f64,
}

/// The relaxed problem and its last solution.
pub(super) struct Relaxation<'p> {
    problem: &'p Problem,
    /// The prices that are being improved.
    pub(super) prices: Prices,
    /// The largest gain of an entry of each pair: a higher price changes nothing.
    price_max: Vec<f64>,
    /// Per query, the length of its steps: prices move in proportion to what is at stake.
    scale: Vec<f64>,
    /// The candidates by profit per byte; kept, as it changes little from step to step.
    order: Vec<u32>,
    is_used: Vec<bool>,
    /// Of each candidate, the largest gains of its pairs.
    stake: Vec<f64>,
    /// Of each candidate, what it earns beyond its upkeep and the prices of space and place.
    surplus: Vec<f64>,
    /// Of each candidate, how much of it is chosen.
    share: Vec<f64>,
    /// Of each candidate, how much of it was chosen in the last steps.
    pub(super) share_mean: Vec<f64>,
    /// Entries and pairs looked at so far.
    pub(super) steps: u64,
}

/// The best bound of some steps.
pub(super) struct Bound {
    /// No selection with these decisions saves more.
    pub(super) value: f64,
    /// The prices that show it.
    pub(super) prices: Prices,
    /// Of each candidate, by how much the bound falls at least when it is decided otherwise than the relaxation does: positive
    /// for one that the relaxation chooses, negative for another.
    pub(super) surplus: Vec<f64>,
}

/// How many steps to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patience {
    /// Steps at most.
    pub(super) iterations: u32,
    /// Steps without progress after which they become shorter.
    pub(super) idle_max: u32,
}

/// How many steps to take, and when to be content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// How many steps.
    pub(super) patience: Patience,
    /// A bound below this is good enough.
    pub(super) enough: f64,
    /// What the best selection known saves: the bound cannot fall below it.
    pub(super) target: f64,
}

impl<'p> Relaxation<'p> {
    /// Begins with prices that share each query's gains among the members.
    pub(super) fn new(problem: &'p Problem) -> Self {
        let mut price_max = vec![0.0_f64; problem.pairs.len()];
        let mut of_pair = vec![0.0_f64; problem.pairs.len()];
        for (place, entry) in problem.entries.iter().enumerate() {
            let members = problem.members_of(place);
            for member in members {
                let pair = member.pair as usize;
                price_max[pair] = price_max[pair].max(entry.gain);
                of_pair[pair] = of_pair[pair].max(entry.gain / members.len() as f64 / 2.0);
            }
        }
        let count = problem.candidates.len();
        let mut stake = vec![0.0; count];
        for (pair, &candidate) in problem.pairs.iter().enumerate() {
            stake[candidate as usize] += price_max[pair];
        }
        Self {
            stake,
            problem,
            prices: Prices { of_pair, of_place: 0.0 },
            price_max,
            scale: problem.queries.iter().map(|query| problem.entries[query.entries.start].gain).collect(),
            order: (0_u32..).take(count).collect(),
            is_used: vec![false; problem.pairs.len()],
            surplus: vec![0.0; count],
            share: vec![0.0; count],
            share_mean: vec![0.5; count],
            steps: 0,
        }
    }

    /// Improves the bound for selections with these decisions, beginning with the present prices.
    pub(super) fn improve(&mut self, decisions: &[Decision], effort: Effort) -> Bound {
        self.free_chosen(decisions);
        let value = self.evaluate(decisions);
        let mut best = Bound { value, prices: self.prices.clone(), surplus: self.surplus.clone() };
        let mut length = LENGTH_FIRST;
        let mut idle = 0;
        for _ in 1..effort.patience.iterations {
            if best.value < effort.enough || !self.step(decisions, best.value, effort.target, length) {
                break;
            }
            let value = self.evaluate(decisions);
            // Tiny improvements do not show that the steps have the right length.
            let is_progress = best.value - value > 1e-4 * (best.value - effort.target);
            idle = if is_progress { 0 } else { idle + 1 };
            if value < best.value {
                best.value = value;
                best.prices.clone_from(&self.prices);
                best.surplus.clone_from(&self.surplus);
            }
            if idle >= effort.patience.idle_max {
                idle = 0;
                length *= LENGTH_FACTOR;
            }
            if length < LENGTH_MIN {
                break;
            }
        }
        best
    }

    /// What the queries save with a candidate at most.
    pub(super) fn stake(&self, candidate: usize) -> f64 {
        self.stake[candidate]
    }

    /// A candidate that is chosen anyway has nothing to earn.
    fn free_chosen(&mut self, decisions: &[Decision]) {
        for (pair, &candidate) in self.problem.pairs.iter().enumerate() {
            if decisions[candidate as usize] == Decision::In {
                self.prices.of_pair[pair] = 0.0;
            }
        }
    }

    /// The bound with the present prices.
    fn evaluate(&mut self, decisions: &[Decision]) -> f64 {
        let queries = self.evaluate_queries(decisions);
        let problem = self.problem;
        for (surplus, candidate) in self.surplus.iter_mut().zip(&problem.candidates) {
            *surplus = -candidate.upkeep;
        }
        for (pair, &candidate) in problem.pairs.iter().enumerate() {
            self.surplus[candidate as usize] += self.prices.of_pair[pair];
        }
        self.steps += (problem.pairs.len() + problem.candidates.len()) as u64;
        queries + self.evaluate_candidates(decisions)
    }

    /// What the queries save less what they pay.
    fn evaluate_queries(&mut self, decisions: &[Decision]) -> f64 {
        let problem = self.problem;
        self.is_used.fill(false);
        let mut sum = 0.0;
        for query in &problem.queries {
            let mut best = None;
            let mut best_value = 0.0;
            for entry in query.entries.clone() {
                let gain = problem.entries[entry].gain;
                self.steps += 1;
                if gain <= best_value {
                    break;
                }
                let members = problem.members_of(entry);
                let paid: f64 = members.iter().map(|member| self.prices.of_pair[member.pair as usize]).sum();
                let is_out = |decision: Decision| decision == Decision::Out;
                if gain - paid > best_value
                    && !members.iter().any(|member| is_out(decisions[member.candidate as usize]))
                {
                    best_value = gain - paid;
                    best = Some(entry);
                }
            }
            for member in best.map_or(&[][..], |entry| problem.members_of(entry)) {
                self.is_used[member.pair as usize] = true;
            }
            sum += best_value;
        }
        sum
    }

    /// What the candidates earn: those decided on, and of the others as much as there is room for.
    fn evaluate_candidates(&mut self, decisions: &[Decision]) -> f64 {
        let capacity = self.problem.capacity;
        let mut room = capacity.size_bytes;
        let mut places = capacity.indexes;
        let mut value = 0.0;
        for (place, decision) in decisions.iter().enumerate() {
            self.share[place] = 0.0;
            if *decision == Decision::In {
                self.share[place] = 1.0;
                value += self.surplus[place];
                room -= self.problem.candidates[place].size_bytes;
                places -= 1;
            }
        }
        if capacity.indexes < decisions.len() {
            value += self.prices.of_place * places as f64;
            self.surplus.iter_mut().for_each(|surplus| *surplus -= self.prices.of_place);
        }
        value += self.fill(decisions, room);
        for (mean, share) in self.share_mean.iter_mut().zip(&self.share) {
            *mean += 0.1 * (share - *mean);
        }
        value
    }

    /// Fills the room with open candidates by profit per byte, and takes the price of space off the surpluses.
    fn fill(&mut self, decisions: &[Decision], room: u64) -> f64 {
        let problem = self.problem;
        let ratios: Vec<f64> = self
            .surplus
            .iter()
            .zip(&problem.candidates)
            .map(|(&surplus, candidate)| per_byte(surplus, candidate.size_bytes))
            .collect();
        self.order.sort_by(|&a, &b| ratios[b as usize].total_cmp(&ratios[a as usize]).then(a.cmp(&b)));
        let mut left = room;
        let mut value = 0.0;
        let mut price = 0.0;
        for &candidate in &self.order {
            let place = candidate as usize;
            if self.surplus[place] <= 0.0 || decisions[place] != Decision::Open {
                continue;
            }
            let size = problem.candidates[place].size_bytes;
            let share = if size <= left { 1.0 } else { left as f64 / size as f64 };
            self.share[place] = share;
            value += self.surplus[place] * share;
            left = left.saturating_sub(size);
            if share < 1.0 {
                price = ratios[place];
                break;
            }
        }
        for (surplus, candidate) in self.surplus.iter_mut().zip(&problem.candidates) {
            *surplus -= price * candidate.size_bytes as f64;
        }
        value
    }

    /// Moves the prices against the violations of "used only if chosen". False when there are none.
    fn step(&mut self, decisions: &[Decision], best: f64, target: f64, length: f64) -> bool {
        let problem = self.problem;
        let (excess, place_scale) = self.excess_of_places(decisions);
        let mut norm = excess * excess * place_scale;
        for (query, &scale) in problem.queries.iter().zip(&self.scale) {
            for pair in query.pairs.clone() {
                let violation = self.violation(pair, decisions);
                norm += violation * violation * scale;
            }
        }
        if norm <= 0.0 {
            return false;
        }
        // A little beyond the target: it is seldom reached exactly, and steps must not become too short.
        let step = length * (best - target).max(best.abs() * 1e-6) / norm;
        for (query, &scale) in problem.queries.iter().zip(&self.scale) {
            for pair in query.pairs.clone() {
                let violation = self.violation(pair, decisions);
                if violation != 0.0 {
                    let price = self.prices.of_pair[pair] + step * scale * violation;
                    self.prices.of_pair[pair] = price.clamp(0.0, self.price_max[pair]);
                }
            }
        }
        self.prices.of_place = (self.prices.of_place + step * place_scale * excess).max(0.0);
        true
    }

    /// How much more a pair is used than its candidate is chosen.
    fn violation(&self, pair: usize, decisions: &[Decision]) -> f64 {
        let candidate = self.problem.pairs[pair] as usize;
        if decisions[candidate] != Decision::Open {
            return 0.0;
        }
        let used = if self.is_used[pair] { 1.0 } else { 0.0 };
        let violation = used - self.share[candidate];
        // A price of zero cannot fall.
        if violation < 0.0 && self.prices.of_pair[pair] <= 0.0 { 0.0 } else { violation }
    }

    /// How many more candidates are chosen than may be, and the length of that price's steps.
    fn excess_of_places(&self, decisions: &[Decision]) -> (f64, f64) {
        if self.problem.capacity.indexes >= decisions.len() {
            return (0.0, 0.0);
        }
        let chosen: f64 = self.share.iter().sum();
        let excess = chosen - self.problem.capacity.indexes as f64;
        let scale = self.scale.iter().sum::<f64>() / self.scale.len().max(1) as f64;
        (if excess < 0.0 && self.prices.of_place <= 0.0 { 0.0 } else { excess }, scale)
    }
}

/// What takes no space comes first, whatever it earns.
fn per_byte(surplus: f64, size_bytes: u64) -> f64 {
    match size_bytes {
        0 if surplus > 0.0 => f64::INFINITY,
        0 => f64::NEG_INFINITY,
        size => surplus / size as f64,
    }
}
