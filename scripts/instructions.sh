#!/usr/bin/env bash
# Counts the instructions that the pooler's state machine spends on one request, for each protocol. Needs valgrind.
# The same figures come out each time, whatever else the machine does; docs/benchmarks.md has the latest.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v valgrind >/dev/null || {
    echo "valgrind is missing: apt-get install valgrind" >&2
    exit 1
}
cargo build --quiet --release --package pgprime-pooler --bench hot_path
program=$(find target/release/deps -maxdepth 1 -name 'hot_path-*' -type f -executable -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2)

count() { # protocol requests
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1 >/dev/null |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

for protocol in simple extended prepared; do
    few=$(count "$protocol" 1000)
    many=$(count "$protocol" 11000)
    echo "$protocol $(((many - few) / 10000)) instructions per request"
done
