# shellcheck shell=bash
# Shows that a check fails on a fault, before it is believed. Sourced by the scripts beside it.

# fail LINE…
fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# quietly COMMAND…: prints what it says only if it fails.
quietly() {
    local said
    said=$("$@" 2>&1) || {
        printf '%s\n' "$said" >&2
        return 1
    }
}

# must_fail FAULT TEXT COMMAND…: the command, which checks something with the fault, fails and says TEXT.
must_fail() {
    local fault=$1 text=$2 said
    shift 2
    if said=$("$@" 2>&1); then
        fail "no check minds $fault"
    fi
    grep --quiet --fixed-strings -- "$text" <<<"$said" || fail "$fault is refused, but not with \"$text\":" "$said"
}
