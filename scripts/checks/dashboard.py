"""A dashboard must survive the way through Grafana's own types.

    dashboard.py FILE…       prints every key and value that gets lost and exits 1 if one does

The typed kit drops what it does not know, so a misspelt key, in a query too, comes back missing.
It also gives what was left out its default, which is no one's fault.
"""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def main(files):
    register_default_plugins()
    faults = [f"{file}: {fault}" for file in files for fault in faults_of(file)]
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def faults_of(file):
    with open(file, encoding="utf-8") as text:
        written = json.load(text)
    understood = json.loads(JSONEncoder().encode(Dashboard.from_json(written)))
    return lost(written, understood, "")


def lost(written, understood, path):
    if isinstance(written, dict) and isinstance(understood, dict):
        for key, value in written.items():
            if key in understood:
                yield from lost(value, understood[key], f"{path}.{key}")
            elif value is not None:
                yield f"{path}.{key}: is no key that Grafana knows"
    elif isinstance(written, list) and isinstance(understood, list):
        if len(written) != len(understood):
            yield f"{path}: {len(written)} entries became {len(understood)}"
        for index, (value, kept) in enumerate(zip(written, understood)):
            yield from lost(value, kept, f"{path}[{index}]")
    elif written != understood:
        yield f"{path}: {written!r} became {understood!r}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
