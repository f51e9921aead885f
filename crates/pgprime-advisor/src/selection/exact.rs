//! The exact solver: branch and bound.
//!
//! A node is a set of decisions about candidates. Its Lagrangian bound either shows that nothing better than the best known
//! selection is below it, or decides further candidates by their surplus, or one candidate is tried both ways. The likelier way
//! is followed down to its end; then comes the node with the highest bound, so that what is not searched in the end is
//! known to save as little as possible.

use std::cmp::Ordering;
use std::rc::Rc;

use super::bound::{Bound, Decision, Effort, Patience, Prices, Relaxation};
use super::grow::{Criterion, drop_useless};
use super::improve::{improve, refill};
use super::problem::Problem;
use super::state::{Standing, State};

/// Steps for the prices at the first node, where they begin from nothing.
const FIRST: Patience = Patience { iterations: 5_000, idle_max: 30 };
/// Steps for the prices at other nodes, which begin where their parent ended.
const LATER: Patience = Patience { iterations: 40, idle_max: 8 };
/// Nodes that are looked into though they hold nothing that saves more, in search of something smaller that saves as much.
const TIES_MAX: u32 = 300;
/// Steps for the improvement of a new best selection.
const IMPROVEMENT_STEPS: u64 = 1_000_000;

/// What the solver found out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proof {
    /// No selection saves more than this.
    pub(super) net_max: f64,
    /// Whether the selection is shown to be the best.
    pub(super) is_complete: bool,
    /// Steps taken.
    pub(super) steps: u64,
}

struct Node {
    decisions: Vec<Decision>,
    bound: f64,
    prices: Rc<Prices>,
}

struct Solver<'s, 'p> {
    problem: &'p Problem,
    state: &'s mut State<'p>,
    relaxation: Relaxation<'p>,
    best: Vec<u32>,
    standing: Standing,
    open: Vec<Node>,
    ties_left: u32,
    steps_end: u64,
}

/// Searches for a better selection than the one in `state`, leaves the best one there and says how good it is.
pub(super) fn solve(state: &mut State<'_>, steps_max: u64) -> Proof {
    let problem = state.problem;
    let relaxation = Relaxation::new(problem);
    let mut solver = Solver {
        problem,
        best: state.chosen(),
        standing: state.standing(),
        open: Vec::new(),
        ties_left: TIES_MAX,
        steps_end: state.steps.saturating_add(steps_max),
        relaxation,
        state,
    };
    solver.open.push(Node {
        decisions: vec![Decision::Open; problem.candidates.len()],
        bound: f64::INFINITY,
        prices: Rc::new(solver.relaxation.prices.clone()),
    });
    let begin = solver.state.steps;
    let mut proof = solver.run();
    proof.steps = solver.state.steps - begin + solver.relaxation.steps;
    let best = std::mem::take(&mut solver.best);
    state.choose(&best);
    proof
}

impl Solver<'_, '_> {
    fn run(&mut self) -> Proof {
        let mut patience = FIRST;
        let mut is_at_end = false;
        while let Some(mut node) = self.next(is_at_end) {
            if self.state.steps + self.relaxation.steps >= self.steps_end {
                self.open.push(node);
                break;
            }
            let open_before = self.open.len();
            if !self.is_hopeless(&node) && self.tighten(&mut node, patience) {
                self.try_relaxed(&node);
                self.branch(node);
            }
            is_at_end = self.open.len() == open_before;
            patience = LATER;
        }
        let net_max = self.open.iter().map(|node| node.bound).fold(self.standing.net, f64::max);
        Proof { net_max, is_complete: self.open.is_empty(), steps: 0 }
    }

    /// The node added last; at the end of a way, the one with the highest bound.
    fn next(&mut self, is_at_end: bool) -> Option<Node> {
        let by_bound = |&a: &usize, &b: &usize| self.open[a].bound.total_cmp(&self.open[b].bound);
        match (0..self.open.len()).max_by(by_bound) {
            Some(highest) if is_at_end => Some(self.open.swap_remove(highest)),
            _ => self.open.pop(),
        }
    }

    /// Whether a node holds nothing better than the best selection known.
    fn is_hopeless(&mut self, node: &Node) -> bool {
        let tolerance = self.problem.tolerance;
        if node.bound > self.standing.net + tolerance {
            return false;
        }
        if node.bound < self.standing.net - tolerance || self.ties_left == 0 {
            return true;
        }
        let chosen = chosen(&node.decisions);
        let is_larger = self.problem.size_of(&chosen) > self.standing.size_bytes;
        if !is_larger {
            self.ties_left -= 1;
        }
        is_larger
    }

    /// Below this, a bound shows that there is nothing better.
    fn cutoff(&self) -> f64 {
        let tolerance = self.problem.tolerance;
        if self.ties_left > 0 { self.standing.net - tolerance } else { self.standing.net + tolerance }
    }

    /// Bounds a node and decides what the bound decides. False when there is nothing better below it.
    fn tighten(&mut self, node: &mut Node, mut patience: Patience) -> bool {
        self.relaxation.prices.clone_from(&node.prices);
        loop {
            if !self.propagate(&mut node.decisions) {
                return false;
            }
            let effort = Effort { patience, enough: self.cutoff(), target: self.standing.net };
            let bound = self.relaxation.improve(&node.decisions, effort);
            node.bound = node.bound.min(bound.value);
            if self.is_hopeless(node) {
                return false;
            }
            let open_before = open(&node.decisions);
            self.decide(&mut node.decisions, &bound);
            let decided = open_before - open(&node.decisions);
            node.prices = Rc::new(bound.prices);
            if decided == 0 || (decided * 10 < open_before && patience == LATER) {
                return self.propagate(&mut node.decisions);
            }
            patience = LATER;
        }
    }

    /// Decides candidates for which the bound of the other decision is too low.
    fn decide(&self, decisions: &mut [Decision], bound: &Bound) {
        let cutoff = self.cutoff();
        for (decision, &surplus) in decisions.iter_mut().zip(&bound.surplus) {
            if *decision == Decision::Open && bound.value - surplus.abs() < cutoff {
                *decision = if surplus > 0.0 { Decision::In } else { Decision::Out };
            }
        }
    }

    /// Decides against what does not fit any more. False when what is chosen does not fit itself.
    fn propagate(&self, decisions: &mut [Decision]) -> bool {
        let capacity = self.problem.capacity;
        let chosen = chosen(decisions);
        let size = self.problem.size_of(&chosen);
        if size > capacity.size_bytes || chosen.len() > capacity.indexes {
            return false;
        }
        let room = capacity.size_bytes - size;
        for (decision, candidate) in decisions.iter_mut().zip(&self.problem.candidates) {
            let is_possible = candidate.size_bytes <= room && chosen.len() < capacity.indexes;
            if *decision == Decision::Open && !is_possible {
                *decision = Decision::Out;
            }
        }
        true
    }

    /// Makes a selection of what the relaxation chose.
    fn try_relaxed(&mut self, node: &Node) {
        let wanted = |place: usize| match node.decisions[place] {
            Decision::In => true,
            Decision::Out => false,
            Decision::Open => self.relaxation.share_mean[place] > 0.5,
        };
        let mut selection = chosen(&node.decisions);
        let mut others: Vec<u32> = (0_u32..)
            .take(node.decisions.len())
            .filter(|&candidate| {
                wanted(candidate as usize) && node.decisions[candidate as usize] == Decision::Open
            })
            .collect();
        let share = |candidate: u32| self.relaxation.share_mean[candidate as usize];
        others.sort_by(|&a, &b| share(b).total_cmp(&share(a)));
        let capacity = self.problem.capacity;
        let mut size = self.problem.size_of(&selection);
        for candidate in others {
            let more = self.problem.size_of(&[candidate]);
            if size + more <= capacity.size_bytes && selection.len() < capacity.indexes {
                selection.push(candidate);
                size += more;
            }
        }
        self.consider(&selection);
    }

    /// Keeps a selection if it is the best so far.
    fn consider(&mut self, selection: &[u32]) {
        self.state.choose(selection);
        drop_useless(self.state);
        refill(self.state, None, Criterion::PerByte);
        let tolerance = self.problem.tolerance;
        if self.state.standing().net > self.standing.net + tolerance {
            let steps_end = self.state.steps + IMPROVEMENT_STEPS;
            improve(self.state, steps_end);
        }
        let is_better = match self.state.standing().compare(&self.standing, tolerance) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal => self.state.chosen() < self.best,
        };
        if is_better {
            self.standing = self.state.standing();
            self.best = self.state.chosen();
        }
    }

    /// Tries an open candidate both ways, the likelier way first. Without an open one the node is done.
    fn branch(&mut self, node: Node) {
        let mean = &self.relaxation.share_mean;
        let doubt = |place: usize| {
            let undecided = mean[place].min(1.0 - mean[place]) + 0.01;
            undecided * self.relaxation.stake(place)
        };
        let open = (0..node.decisions.len()).filter(|&place| node.decisions[place] == Decision::Open);
        let Some(place) = open.max_by(|&a, &b| doubt(a).total_cmp(&doubt(b)).then(b.cmp(&a))) else { return };
        let likelier = if mean[place] >= 0.5 { Decision::In } else { Decision::Out };
        let other = if likelier == Decision::In { Decision::Out } else { Decision::In };
        for decision in [other, likelier] {
            let mut decisions = node.decisions.clone();
            decisions[place] = decision;
            self.open.push(Node { decisions, bound: node.bound, prices: Rc::clone(&node.prices) });
        }
    }
}

fn chosen(decisions: &[Decision]) -> Vec<u32> {
    let numbered = (0_u32..).zip(decisions);
    numbered.filter(|(_, decision)| **decision == Decision::In).map(|(candidate, _)| candidate).collect()
}

fn open(decisions: &[Decision]) -> usize {
    decisions.iter().filter(|decision| **decision == Decision::Open).count()
}
