#!/usr/bin/env bash
# Pictures of the dashboard for README and docs/images, of the demo while it works: `make screenshots`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

program=${PGPRIME:-target/release/pgprime}
folder=docs/images
clients=${CLIENTS:-2000}

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$browser" ]; then
    echo "screenshots: install chromium first (apt-get install chromium)" >&2
    exit 2
fi

log=$(mktemp)
profile=$(mktemp -d)
"$program" demo --clients "$clients" --seconds 60 --rate 1000 --keep >"$log" 2>&1 &
demo=$!
trap 'kill -INT "$demo" 2>/dev/null || true; wait "$demo" 2>/dev/null || true; rm -rf "$log" "$profile"' EXIT

address=
for _ in $(seq 600); do
    address=$(sed -n 's/^dashboard at \(http[^ ]*\).*/\1/p' "$log" | head -n 1)
    [ -n "$address" ] && break
    kill -0 "$demo" || { cat "$log" >&2; exit 1; }
    sleep 0.2
done
[ -n "$address" ] || { echo "screenshots: the demo does not come up" >&2; exit 1; }
# The charts need something to show.
sleep 55

# NAME PAGE WIDTH HEIGHT [MORE]
shot() {
    "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$profile" "${@:5}" \
        --window-size="$3,$4" --virtual-time-budget=10000 --screenshot="$folder/$1.png" "$address/$2" >/dev/null 2>&1
    echo "$folder/$1.png"
}
dark=--blink-settings=preferredColorScheme=0
shot dashboard "#/?range=15m" 1280 1000
shot dashboard-dark "#/?range=15m" 1280 1000 "$dark"
shot dashboard-queries "#/queries" 1280 900
shot dashboard-analyze "#/analyze?sql=SELECT%20p.id%2C%20q.premium%20FROM%20policies%20p%20JOIN%20quotes%20q%20ON%20q.id%20%3D%20p.quote_id%20WHERE%20p.status%20%3D%20%27active%27%20ORDER%20BY%20q.premium%20DESC%20LIMIT%2010" 1280 900
shot dashboard-checklist "#/checklist" 1280 1000
shot dashboard-capacity "#/capacity?rps=1000&service_ms=20&db_max_connections=100&instances=5&users=10000" 1280 900
shot dashboard-phone "#/" 390 844
