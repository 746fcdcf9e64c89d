"""Compares the list of crates in an image with what cargo says the binary is made of and with.

    sbom.py CYCLONEDX TARGET      exits 1, and prints the difference, if they are not the same
"""

import json
import subprocess
import sys

# Optional crates that no feature turns on. cargo metadata, which cargo-auditable reads, counts `crate?/feature` of
# config, x509-cert and others as if it did (cargo issue 10801): a scanner may warn of one that is not in the binary.
ONLY_LISTED = {
    *("base64ct", "ron", "serde_spanned", "time-macros", "tls_codec", "tls_codec_derive", "toml"),
    *("toml_datetime", "toml_parser", "toml_writer", "typeid", "zeroize_derive"),
}


def main(file, target):
    listed, expected = crates_of(file), crates_of_cargo(target)
    for crate in sorted(expected - listed):
        print(f"{file}: {crate} is in the binary and not listed", file=sys.stderr)
    listed = {crate for crate in listed if crate.partition("@")[0] not in ONLY_LISTED}
    for crate in sorted(listed - expected):
        print(f"{file}: {crate} is listed and not in the binary", file=sys.stderr)
    print(f"{len(listed)} crates are listed for {target}")
    return 1 if listed != expected or not listed else 0


def crates_of(file):
    with open(file, encoding="utf-8") as text:
        components = json.load(text)["components"]
    return {component["purl"].partition("?")[0].removeprefix("pkg:cargo/") for component in components}


def crates_of_cargo(target):
    tree = ["cargo", "tree", "--locked", "--edges", "normal,build", "--target", target, "--prefix", "none", "--format", "{p}"]
    lines = subprocess.run(tree, check=True, capture_output=True, text=True).stdout.splitlines()
    crates = (line.split() for line in lines if line)
    return {f"{name}@{version.removeprefix('v')}" for name, version, *_ in crates} - {own(lines)}


def own(lines):
    name, version, *_ = lines[0].split()
    return f"{name}@{version.removeprefix('v')}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
