# shellcheck shell=bash
# The running demo, for the checks that speak to it. Sourced by the scripts beside it, from the
# repository's root, after install.sh.

work=$(mktemp -d)
started=()
stop() {
    kill "${started[@]}" 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap stop EXIT

# start_demo [DAYS]: its admin listener is at $admin from here on; it begins with the calls of so many days before.
start_demo() {
    local days=${1:-0}
    local metrics=''
    cargo build --locked
    # Before the shell in the background does, which may be later than the first look.
    : >"$work/demo"
    TMPDIR=$work target/debug/postcall demo --days "$days" >"$work/demo" 2>&1 &
    started+=($!)
    for _ in {1..120}; do
        metrics=$(sed -n 's/^ *metrics  *\(http:.*\/metrics\) *$/\1/p' "$work/demo" | head -n 1)
        if [ -n "$metrics" ] || ! kill -0 "${started[0]}" 2>/dev/null; then break; fi
        sleep 0.5
    done
    if [ -z "$metrics" ]; then
        echo "the demo did not say where its metrics are:" >&2
        cat "$work/demo" >&2
        exit 1
    fi
    admin=${metrics%/metrics}
}
