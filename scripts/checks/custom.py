"""Validates custom resources by the schemas in crds/, and refuses fields that these do not name.

    custom.py FILE          prints every fault and exits 1 if there is one
    custom.py --core FILE   prints the file's other resources, as YAML
"""

import json
import sys
from pathlib import Path

import jsonschema
import yaml

CRDS = Path(__file__).parent / "crds"
# Groups of Kubernetes itself have no dot, or end in this.
CORE = ".k8s.io"
VERSIONS = {
    "HTTPRoute": "gateway.networking.k8s.io/v1",
    "PodMonitor": "monitoring.coreos.com/v1",
    "PrometheusRule": "monitoring.coreos.com/v1",
    "ServiceMonitor": "monitoring.coreos.com/v1",
}


def main(arguments):
    file = arguments[-1]
    with open(file, encoding="utf-8") as text:
        documents = [document for document in yaml.safe_load_all(text) if document]
    if arguments[0] == "--core":
        yaml.safe_dump_all([d for d in documents if not is_custom(d)], sys.stdout)
        return 0
    faults = [fault for document in documents if is_custom(document) for fault in faults_of(document)]
    for fault in faults:
        print(f"{file}: {fault}", file=sys.stderr)
    return 1 if faults else 0


def is_custom(document):
    group = document["apiVersion"].rpartition("/")[0]
    return "." in group and (not group.endswith(CORE) or group.startswith("gateway."))


def faults_of(document):
    kind, name = document["kind"], document["metadata"]["name"]
    if VERSIONS.get(kind) != document["apiVersion"]:
        yield f"{kind} {name}: no schema of {document['apiVersion']} in {CRDS}"
        return
    schema = closed(json.loads((CRDS / f"{kind}.json").read_text(encoding="utf-8")))
    for error in jsonschema.Draft7Validator(schema).iter_errors(document):
        yield f"{kind} {name}: {error.json_path}: {error.message}"


def closed(schema):
    """The schema with every object limited to the properties that it names."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: closed(value) for key, value in schema.items()}
    # Not the lists of alternatives, which name some of the properties again.
    if schema.get("type") == "object" and "properties" in schema:
        schema.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        schema.pop("type", None)
    if schema.pop("nullable", False) and "type" in schema:
        schema["type"] = [schema["type"], "null"]
    return schema


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
