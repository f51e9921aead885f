//! An instance's connections divided over its pools.

use crate::inputs::{Inputs, Shares};
use crate::plan::{PoolKind, PoolShare, ServerKind};

/// Main, read and admin of one instance that has from `min_connections` to `max_connections` on each server.
///
/// On one server the three divide the maximum. With a replica the read pool counts there, where it is alone, and main
/// and admin divide the maximum on the primary in the proportion of their shares.
pub(crate) fn pools(inputs: &Inputs, min_connections: u32, max_connections: u32) -> Vec<PoolShare> {
    let Shares { main, read, admin } = inputs.shares;
    let on_replica = inputs.has_replica && read > 0.0;
    let shares =
        if on_replica { [main / (main + admin), 0.0, admin / (main + admin)] } else { [main, read, admin] };
    let mut maxima = divide(max_connections, shares);
    let minima = divide(min_connections, [main, read, admin]);
    if on_replica {
        maxima[1] = max_connections;
    }
    let read_server = if inputs.has_replica { ServerKind::Replica } else { ServerKind::Primary };
    let kinds = [
        (PoolKind::Main, ServerKind::Primary, shares[0]),
        (PoolKind::Read, read_server, if on_replica { 1.0 } else { shares[1] }),
        (PoolKind::Admin, ServerKind::Primary, shares[2]),
    ];
    let pool = |(index, (pool, server, share)): (usize, (PoolKind, ServerKind, f64))| PoolShare {
        pool,
        server,
        share,
        min_connections: minima[index].min(maxima[index]),
        max_connections: maxima[index],
    };
    kinds.into_iter().enumerate().map(pool).collect()
}

/// `total` divided by `shares`: one for each share above zero, in order, as far as they go; then each further one to
/// the share that is furthest behind.
fn divide(total: u32, shares: [f64; 3]) -> [u32; 3] {
    let mut parts = [0; 3];
    let mut left = total;
    for (part, _) in parts.iter_mut().zip(shares).filter(|(_, share)| *share > 0.0) {
        *part = u32::from(left > 0);
        left = left.saturating_sub(1);
    }
    let behind = |parts: &[u32; 3], index: usize| shares[index] * f64::from(total) - f64::from(parts[index]);
    for _ in 0..left {
        let furthest = (0..3).max_by(|&a, &b| behind(&parts, a).total_cmp(&behind(&parts, b)));
        parts[furthest.expect("there are three shares")] += 1;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service_time::ServiceTime;

    fn inputs(has_replica: bool, shares: Shares) -> Inputs {
        let service = ServiceTime::exponential(20.0).expect("valid");
        Inputs { has_replica, shares, ..Inputs::new(1000.0, service, 5, 100) }
    }

    /// Each pool's minimum and maximum: main, read, admin.
    fn sizes(has_replica: bool, shares: Shares, min: u32, max: u32) -> Vec<(u32, u32)> {
        let pools = pools(&inputs(has_replica, shares), min, max);
        pools.iter().map(|pool| (pool.min_connections, pool.max_connections)).collect()
    }

    #[test]
    fn connections_are_divided() {
        let cases = [
            (4, 16, [(2, 11), (1, 3), (1, 2)]),
            (20, 80, [(14, 56), (4, 16), (2, 8)]),
            (3, 3, [(1, 1), (1, 1), (1, 1)]),
            (2, 2, [(1, 1), (1, 1), (0, 0)]),
            (1, 1, [(1, 1), (0, 0), (0, 0)]),
            (0, 0, [(0, 0), (0, 0), (0, 0)]),
            (0, 10, [(0, 7), (0, 2), (0, 1)]),
        ];
        for (min, max, expected) in cases {
            assert_eq!(sizes(false, Shares::default(), min, max), expected, "{min} to {max}");
        }
    }

    #[test]
    fn a_replica_has_the_read_pool_to_itself() {
        assert_eq!(sizes(true, Shares::default(), 4, 16), [(2, 14), (1, 16), (1, 2)]);
        let without_reads = Shares { main: 0.9, read: 0.0, admin: 0.1 };
        assert_eq!(sizes(true, without_reads, 4, 16), [(3, 14), (0, 0), (1, 2)]);
        let pools = pools(&inputs(true, Shares::default()), 4, 16);
        assert_eq!(pools[1].server, ServerKind::Replica);
        assert_eq!(pools[2].server, ServerKind::Primary);
    }

    #[test]
    fn a_share_of_zero_gets_nothing() {
        let main_only = Shares { main: 1.0, read: 0.0, admin: 0.0 };
        assert_eq!(sizes(false, main_only, 4, 16), [(4, 16), (0, 0), (0, 0)]);
    }
}
