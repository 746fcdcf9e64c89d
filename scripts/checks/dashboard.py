"""A dashboard must survive the way through Grafana's own types, and lead to chapters that exist.

    dashboard.py RUNBOOK FILE…    prints every key and value that gets lost, every link to no chapter of
                                  the runbook; exits 1 if there is one

The typed kit drops what it does not know, so a misspelt key, in a query too, comes back missing.
It also gives what was left out its default, which is no one's fault. What the data source Prometheus
reads of an annotation it does not know: the compiler reads that (dashboard.ts).
"""

import json
import re
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


OF_PROMETHEUS = ("target", "titleFormat", "textFormat")


def main(runbook, *files):
    register_default_plugins()
    with open(runbook, encoding="utf-8") as text:
        chapters = {anchor_of(heading) for heading in re.findall(r"^#+ (.*)$", text.read(), re.MULTILINE)}
    faults = [f"{file}: {fault}" for file in files for fault in faults_of(file, chapters)]
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def faults_of(file, chapters):
    with open(file, encoding="utf-8") as text:
        written = json.load(text)
    links = re.findall(r"\$\{runbook\}(#[^\"]*)", json.dumps(written))
    if not links:
        yield "no panel links to the runbook"
    for link in sorted(set(links)):
        if link.removeprefix("#") not in chapters:
            yield f"{link}: the runbook has no such chapter"
    for annotation in written["annotations"]["list"]:
        for key in OF_PROMETHEUS:
            annotation.pop(key, None)
    understood = json.loads(JSONEncoder().encode(Dashboard.from_json(written)))
    yield from lost(written, understood, "")


def anchor_of(heading):
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


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
    sys.exit(main(*sys.argv[1:]))
