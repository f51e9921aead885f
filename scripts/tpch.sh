#!/usr/bin/env bash
# Takes index advice for the 22 queries of TPC-H on a private PostgreSQL, follows it, and prints each query's time and cost
# before and after: with HypoPG, and with the estimate that stands in for it. PGPRIME_TPCH_SCALE is the gigabytes of raw
# data (0.1), PGPRIME_TPCH_RUNS how often each query runs (3; the fastest counts), PGPRIME_TPCH_LIMIT_S when one is stopped
# (120 s). `scripts/tpch.sh answers` compares the answers at scale 1 with the published ones instead.
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-bench}" in
    bench) test=tpch::bench ;;
    answers) test=tpch::the_answers_at_scale_one_are_the_published_ones ;;
    *)
        echo "usage: $0 [bench|answers]" >&2
        exit 2
        ;;
esac
exec cargo test --quiet --release --package pgprime --test e2e -- --exact "$test" --ignored --nocapture
