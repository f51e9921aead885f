#!/usr/bin/env bash
# The dashboard's tests: what is pure in Node.js, and journeys through all pages in a headless Chromium, where there is one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../crates/pgprime-api/dashboard"

node --test dev/test/*.test.mjs
if command -v "${CHROMIUM:-chromium}" >/dev/null 2>&1; then
    node dev/journeys.mjs
else
    echo "dashboard: no Chromium here, so its journeys are left out (set CHROMIUM to the program)"
fi
