//! Thousands of small matrices, compared with the best of all selections; larger ones for what must always hold.

use pgprime_advisor::selection::{CostMatrix, Limits, Selection, select};

use super::random::{Random, Shape, budget, by_trying_all, matrix};

fn ids(selection: &Selection) -> Vec<String> {
    selection.chosen.iter().map(|index| index.id.clone()).collect()
}

/// A matrix with at most ten candidates, and limits.
fn small(seed: u64) -> (CostMatrix, Limits) {
    let mut random = Random(seed ^ 0xABCD);
    let shape = Shape {
        queries: 1 + random.below(12),
        candidates: 1 + random.below(9),
        entries_per_query: 1 + random.below(7),
        whole_max: [None, Some(3), Some(20)][random.below(3)],
    };
    let matrix = matrix(seed, shape);
    let limits = Limits {
        budget_bytes: [None, Some(0), Some(1), Some(2), Some(3), Some(4)][random.below(6)]
            .map(|part| budget(&matrix, part as f64 * 0.2)),
        indexes_max: [None, None, None, Some(0), Some(1), Some(3)][random.below(6)],
        heuristic_steps_max: 20_000,
        exact_steps_max: 5_000_000,
        seed: 1,
    };
    (matrix, limits)
}

#[test]
fn the_exact_solver_finds_the_best_of_all_selections() {
    let (count, mut other_of_equals) = (3_000, 0);
    for seed in 0..count {
        let (matrix, limits) = small(seed);
        let (total, chosen) = by_trying_all(&matrix, &limits);
        // Half of the time without the help of a good start.
        let heuristic_steps_max = if seed % 2 == 0 { 0 } else { limits.heuristic_steps_max };
        let selection = select(&matrix, &Limits { heuristic_steps_max, ..limits }).unwrap();
        assert!(selection.is_proven_optimal, "seed {seed}: gap {:?}", selection.gap_max);
        assert!(
            (selection.total_cost - total).abs() <= 1e-9 * total.max(1.0),
            "seed {seed}: {} instead of {total}",
            selection.total_cost
        );
        other_of_equals += usize::from(ids(&selection) != chosen);
    }
    // Which of several equally good selections is preferred is searched for a bounded time only.
    assert!(other_of_equals * 500 <= count as usize, "{other_of_equals} of {count}");
}

#[test]
fn heuristics_are_close_to_the_best_of_all_selections() {
    let (mut sum, mut worst, mut worst_seed, mut optimal) = (0.0, 0.0_f64, 0, 0);
    let count = 3_000;
    for seed in 0..count {
        let (matrix, limits) = small(seed);
        let (total, _) = by_trying_all(&matrix, &limits);
        let selection = select(&matrix, &Limits { exact_steps_max: 0, ..limits }).unwrap();
        assert_eq!((selection.is_proven_optimal, selection.gap_max), (false, None));
        let excess = (selection.total_cost - total) / total.max(1e-9);
        assert!(excess > -1e-9, "seed {seed}: better than the best of all");
        sum += excess;
        if excess <= 1e-9 {
            optimal += 1;
        }
        if excess > worst {
            (worst, worst_seed) = (excess, seed);
        }
    }
    println!(
        "{optimal} of {count} optimal, mean excess {:.6}, worst {worst:.4} (seed {worst_seed})",
        sum / count as f64
    );
    assert!(sum / (count as f64) < 0.001, "mean excess {}", sum / count as f64);
    assert!(worst < 0.2, "seed {worst_seed}: {worst}");
    assert!(optimal * 100 >= count * 98, "only {optimal} of {count} are optimal");
}

#[test]
fn a_larger_budget_never_costs_more() {
    for seed in 0..60 {
        let shape = Shape { queries: 15, candidates: 12, entries_per_query: 6, whole_max: None };
        let matrix = matrix(seed, shape);
        let mut last = f64::INFINITY;
        for share in 0..=10 {
            let limits = Limits {
                heuristic_steps_max: 20_000,
                ..Limits::with_budget(budget(&matrix, f64::from(share) / 10.0))
            };
            let selection = select(&matrix, &limits).unwrap();
            assert!(selection.is_proven_optimal, "seed {seed}, {share}/10");
            assert!(selection.total_cost <= last * (1.0 + 1e-9), "seed {seed}, {share}/10");
            last = selection.total_cost;
        }
    }
}

/// What must hold of every selection.
fn check(matrix: &CostMatrix, limits: &Limits, selection: &Selection) {
    assert!(limits.budget_bytes.is_none_or(|budget| selection.size_bytes <= budget));
    assert!(limits.indexes_max.is_none_or(|max| selection.chosen.len() <= max));
    let near = |a: f64, b: f64| assert!((a - b).abs() <= 1e-9 * a.abs().max(1.0), "{a} is not {b}");
    let chosen = ids(selection);
    let by_id = |id: &String| matrix.candidates.iter().find(|index| &index.id == id).unwrap();
    assert_eq!(selection.size_bytes, chosen.iter().map(|id| by_id(id).size_bytes).sum::<u64>());
    near(selection.maintenance_cost, chosen.iter().map(|id| by_id(id).maintenance_cost).sum());
    near(selection.penalty_cost, chosen.iter().map(|id| by_id(id).penalty_cost).sum());
    near(selection.cost_before, selection.queries.iter().map(|q| q.weight * q.cost_before).sum());
    near(selection.cost_after, selection.queries.iter().map(|q| q.weight * q.cost_after).sum());
    near(selection.total_cost, selection.cost_after + selection.maintenance_cost + selection.penalty_cost);
    for index in &selection.chosen {
        assert!(index.saved_cost > by_id(&index.id).maintenance_cost, "{} gains nothing", index.id);
    }
    for query in &selection.queries {
        assert!(query.candidates.iter().all(|id| chosen.contains(id)));
        assert_eq!(query.candidates.is_empty(), query.cost_after == query.cost_before);
        let mut used = query.candidates.clone();
        used.sort();
        let is_used = |entry: &&pgprime_advisor::selection::CostEntry| {
            let mut members = entry.candidates.clone();
            members.sort();
            entry.query == query.id && members == used
        };
        assert!(used.is_empty() || matrix.costs.iter().find(is_used).unwrap().cost == query.cost_after);
    }
    if let (Some(min), Some(gap)) = (selection.total_cost_min, selection.gap_max) {
        assert!(min <= selection.total_cost && gap >= 0.0);
        near(selection.total_cost, min * (1.0 + gap));
    }
}

#[test]
fn every_selection_adds_up_and_keeps_to_its_limits() {
    for seed in 0..150 {
        let mut random = Random(seed);
        let shape = Shape {
            queries: 20 + random.below(40),
            candidates: 10 + random.below(40),
            entries_per_query: 2 + random.below(10),
            whole_max: [None, Some(9)][random.below(2)],
        };
        let matrix = matrix(seed, shape);
        let limits = Limits {
            budget_bytes: Some(budget(&matrix, random.fraction())),
            indexes_max: [None, Some(1 + random.below(10))][random.below(2)],
            heuristic_steps_max: [0, 50_000][random.below(2)],
            exact_steps_max: [0, 200_000][random.below(2)],
            seed,
        };
        let selection = select(&matrix, &limits).unwrap();
        check(&matrix, &limits, &selection);
        assert_eq!(selection, select(&matrix, &limits).unwrap(), "seed {seed}: not the same twice");
    }
}

#[test]
fn the_order_of_the_matrix_does_not_matter() {
    for seed in 0..200 {
        let (matrix, limits) = small(seed);
        let mut turned = matrix.clone();
        turned.queries.reverse();
        turned.candidates.reverse();
        turned.costs.reverse();
        turned.costs.iter_mut().for_each(|entry| entry.candidates.reverse());
        let (a, b) = (select(&matrix, &limits).unwrap(), select(&turned, &limits).unwrap());
        assert_eq!(ids(&a), ids(&b), "seed {seed}");
    }
}

#[test]
fn forty_candidates_are_solved_to_the_end() {
    let shape = Shape { queries: 200, candidates: 40, entries_per_query: 6, whole_max: None };
    for (seed, share) in [(1, 0.1), (2, 0.3), (3, 0.6)] {
        let matrix = matrix(seed, shape);
        let limits = Limits { heuristic_steps_max: 300_000, ..Limits::with_budget(budget(&matrix, share)) };
        let selection = select(&matrix, &limits).unwrap();
        check(&matrix, &limits, &selection);
        assert!(selection.is_proven_optimal, "seed {seed}: gap {:?}", selection.gap_max);
        assert!(selection.steps < 60_000_000, "seed {seed}: {} steps", selection.steps);
    }
}

#[test]
fn a_thousand_queries_and_candidates_stay_within_their_steps() {
    let shape = Shape { queries: 1_000, candidates: 1_000, entries_per_query: 20, whole_max: None };
    let matrix = matrix(5, shape);
    let extend =
        Limits { heuristic_steps_max: 0, exact_steps_max: 0, ..Limits::with_budget(budget(&matrix, 0.1)) };
    let alone = select(&matrix, &extend).unwrap();
    assert!(alone.steps < 60_000_000, "Extend took {} steps", alone.steps);
    let limits = Limits { heuristic_steps_max: 2_000_000, exact_steps_max: 10_000_000, ..extend };
    let selection = select(&matrix, &limits).unwrap();
    check(&matrix, &limits, &selection);
    // Extend by each of four criteria is not limited, and a limit is noticed a little late.
    assert!(selection.steps < 280_000_000, "{} steps", selection.steps);
    assert!(selection.total_cost <= alone.total_cost);
    assert!(selection.gap_max.unwrap() < 0.5, "gap {:?}", selection.gap_max);
}
