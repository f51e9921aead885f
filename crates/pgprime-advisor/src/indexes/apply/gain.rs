//! Whether measured statements have gained. Pure.

use super::applied::{MeasuredBy, Measurement};

/// Times below this tell nothing: starting and ending an execution takes as long.
const MEASURABLE_MS: f64 = 0.1;

/// The share that statements gained: of each the share of its time, or of its cost where there is no time; together
/// weighted by executions and cost. None where nothing is known.
pub(super) fn gained_share(measurements: &[Measurement]) -> Option<f64> {
    let known: Vec<(f64, f64)> = measurements.iter().filter_map(one).collect();
    let weight: f64 = known.iter().map(|(weight, _)| weight).sum();
    (weight > 0.0).then(|| known.iter().map(|(weight, share)| weight * share).sum::<f64>() / weight)
}

/// Whether that is enough, and due to the index.
pub(super) fn has_gained(measurements: &[Measurement], share_min: f64) -> Option<bool> {
    let share = gained_share(measurements)?;
    Some(share >= share_min && measurements.iter().any(|one| one.uses_index))
}

/// Why it is not worth keeping, in words.
pub(super) fn reason(measurements: &[Measurement], share_min: f64) -> String {
    if !measurements.iter().any(|one| one.uses_index) {
        return "no statement that was to gain uses it".to_owned();
    }
    let share = gained_share(measurements).unwrap_or(0.0) * 100.0;
    format!(
        "the statements that were to gain gained {share:.1} %, and {:.1} % was asked for",
        share_min * 100.0
    )
}

/// Weight and share of one.
fn one(measured: &Measurement) -> Option<(f64, f64)> {
    let (before_cost, after_cost) = (measured.before_cost?, measured.after_cost?);
    let weight = measured.weight.max(f64::MIN_POSITIVE) * before_cost.max(1.0);
    let by_time = match (&measured.how, measured.before_ms, measured.after_ms) {
        (MeasuredBy::Executed, Some(before), Some(after)) if before.max(after) >= MEASURABLE_MS => {
            Some(share(before, after))
        }
        _ => None,
    };
    Some((weight, by_time.unwrap_or_else(|| share(before_cost, after_cost))))
}

/// Down to -1, so that a tiny figure that doubled does not outweigh all others.
fn share(before: f64, after: f64) -> f64 {
    if before <= 0.0 { 0.0 } else { (1.0 - after / before).max(-1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(ms: Option<(f64, f64)>, cost: (f64, f64), weight: f64, uses_index: bool) -> Measurement {
        let reason = "it writes".to_owned();
        Measurement {
            query_id: "1".to_owned(),
            weight,
            how: ms.map_or(MeasuredBy::PlannedOnly { reason }, |_| MeasuredBy::Executed),
            before_ms: ms.map(|ms| ms.0),
            after_ms: ms.map(|ms| ms.1),
            before_cost: Some(cost.0),
            after_cost: Some(cost.1),
            uses_index,
        }
    }

    #[test]
    fn gains_are_judged() {
        let cases = [
            (
                "time counts",
                vec![measured(Some((10.0, 5.0)), (100.0, 1.0), 1.0, true)],
                Some(0.5),
                Some(true),
            ),
            ("cost where no time", vec![measured(None, (100.0, 25.0), 1.0, true)], Some(0.75), Some(true)),
            ("not by the index", vec![measured(None, (100.0, 25.0), 1.0, false)], Some(0.75), Some(false)),
            (
                "too short",
                vec![measured(Some((0.02, 0.05)), (100.0, 50.0), 1.0, true)],
                Some(0.5),
                Some(true),
            ),
            (
                "by weight",
                vec![
                    measured(None, (100.0, 0.0), 1.0, true),
                    measured(Some((1.0, 40.0)), (100.0, 99.0), 3.0, true),
                ],
                Some(-0.5),
                Some(false),
            ),
            ("nothing known", Vec::new(), None, None),
        ];
        for (name, measurements, share, gained) in cases {
            assert_eq!(gained_share(&measurements), share, "{name}");
            assert_eq!(has_gained(&measurements, 0.05), gained, "{name}");
        }
    }
}
