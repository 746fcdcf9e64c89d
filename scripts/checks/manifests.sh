# shellcheck shell=bash
# The checks of files of manifests. Sourced by the scripts beside it, from the repository's root,
# after install.sh, with the packages of manifests.txt.

oldest=1.32 newest=1.37

# check_manifests FILE…
check_manifests() {
    local version said file failed=0 core
    core=$(mktemp -d)
    # Not yet parsed: a key that is there twice would be lost.
    yamllint --strict --config-file scripts/checks/yamllint.yaml "$@" || failed=1
    for file in "$@"; do
        python scripts/checks/custom.py "$file" 2>&1 || failed=1
        python scripts/checks/custom.py --core "$file" >"$core/$(basename "$file")"
        python scripts/checks/manifest.py "$file" 2>&1 || failed=1
    done
    for version in "$oldest" "$newest"; do
        # Of a kind that was removed, or is misspelt, it only warns: so it must be silent.
        said=$(kubernetes-validate --strict --quiet -k "$version" "$core"/* 2>&1) || failed=1
        if [ -n "$said" ]; then
            echo "$said"
            failed=1
        fi
    done
    rm -r "$core"
    return "$failed"
}
