"""What Kubernetes would only say when it is too late, and schemas cannot say at all.

    manifest.py FILE…        prints every fault and exits 1 if there is one
    manifest.py --settings FILE   prints the settings in the file's ConfigMap

Selectors find their pods, ports and volumes exist, names fit, quantities and probes are lawful,
pods keep to the restricted standard, and the pod agrees with the settings in its ConfigMap.
"""

import re
import sys

import yaml

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?([numk]|[MGTPE]|[KMGTPE]i|[eE][0-9]+)?")
DURATION = re.compile(r"([0-9]+)(ms|s|m|h|d)")
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
HANDLERS = {"httpGet", "tcpSocket", "exec", "grpc"}
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
SERVING = ("Deployment", "StatefulSet")
# The controller adds a hash or an ordinal to the names of what these make.
NAME_MAX = {"StatefulSet": 52, "CronJob": 52}


def main(arguments):
    if arguments[:1] == ["--settings"]:
        print(next(settings_texts(read(arguments[1]))), end="")
        return 0
    faults = [f"{file}: {fault}" for file in arguments for fault in faults_of(read(file))]
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def read(file):
    with open(file, encoding="utf-8") as text:
        return [document for document in yaml.safe_load_all(text) if document]


def faults_of(documents):
    pods = [(document, pod) for document in documents if (pod := pod_of(document))]
    for document in documents:
        yield from tell(document, name_faults(document))
        if document["kind"] == "Service":
            yield from tell(document, service_faults(document, pods))
        if document["kind"] == "StatefulSet":
            yield from tell(document, stateful_faults(document, documents))
        if document["kind"] == "NetworkPolicy":
            yield from tell(document, policy_faults(document, pods))
        # The selector of a Job is made by its controller.
        if "template" in document.get("spec", {}) and document["kind"] != "Job":
            yield from tell(document, selector_faults(document))
    for document, pod in pods:
        spec = pod["spec"]
        yield from tell(document, volume_faults(document, spec, documents))
        yield from tell(document, security_faults(spec))
        for container in containers_of(spec):
            yield from tell(document, container_faults(container, spec))
        if document["kind"] in SERVING:
            for text in settings_texts(documents):
                yield from tell(document, settings_faults(yaml.safe_load(text), spec))


def tell(document, faults):
    for fault in faults:
        yield f"{document['kind']} {document['metadata']['name']}: {fault}"


def pod_of(document):
    return document if document["kind"] == "Pod" else document.get("spec", {}).get("template")


def containers_of(spec):
    return spec.get("initContainers", []) + spec["containers"]


def name_faults(document):
    name, longest = document["metadata"]["name"], NAME_MAX.get(document["kind"], 63)
    if len(name) > longest or not DNS_LABEL.fullmatch(name):
        yield f"name: not a DNS label of at most {longest} characters"


def selector_faults(document):
    wanted = document["spec"]["selector"]["matchLabels"]
    labels = document["spec"]["template"]["metadata"].get("labels", {})
    if not wanted.items() <= labels.items():
        yield "selector: does not select the labels of its own template"


def service_faults(service, pods):
    selected = [
        pod["spec"]
        for _, pod in pods
        if service["spec"]["selector"].items() <= pod["metadata"].get("labels", {}).items()
    ]
    if not selected:
        yield "selector: selects no pod of these manifests"
    for port in service["spec"]["ports"]:
        yield from port_name_faults(port)
        target = port.get("targetPort", port["port"])
        for spec in selected:
            if not any(has_port(container, target) for container in spec["containers"]):
                yield f"ports: no container has the port {target}"


def policy_faults(policy, pods):
    wanted = policy["spec"]["podSelector"].get("matchLabels", {})
    selected = [p["spec"] for _, p in pods if wanted.items() <= p["metadata"].get("labels", {}).items()]
    if not selected:
        yield "podSelector: selects no pod of these manifests"
    for port in (port for rule in policy["spec"].get("ingress", []) for port in rule.get("ports", [])):
        if not all(any(has_port(c, port["port"]) for c in spec["containers"]) for spec in selected):
            yield f"ports: no container has the port {port['port']}"


def stateful_faults(document, documents):
    governing = document["spec"].get("serviceName")
    services = {d["metadata"]["name"]: d for d in documents if d["kind"] == "Service"}
    if services.get(governing, {}).get("spec", {}).get("clusterIP") != "None":
        yield f"serviceName: {governing} is no headless Service of these manifests"
    for claim in document["spec"].get("volumeClaimTemplates", []):
        if (claim.get("apiVersion"), claim.get("kind")) != ("v1", "PersistentVolumeClaim"):
            yield "volumeClaimTemplates: a GitOps tool sees a difference without apiVersion and kind"
        yield from quantity_faults(claim["spec"]["resources"])


def volume_faults(document, spec, documents):
    volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
    claims = document["spec"].get("volumeClaimTemplates", [])
    there = volumes.keys() | {claim["metadata"]["name"] for claim in claims}
    mounted = {m["name"] for c in containers_of(spec) for m in c.get("volumeMounts", [])}
    for name in sorted(there ^ mounted):
        yield f"volumes: {name} is {'mounted but not there' if name in mounted else 'not mounted'}"
    config_maps = {d["metadata"]["name"] for d in documents if d["kind"] == "ConfigMap"}
    for volume in volumes.values():
        if "configMap" in volume and volume["configMap"]["name"] not in config_maps:
            yield f"volumes: {volume['name']} names no ConfigMap of these manifests"


def container_faults(container, spec):
    for port in container.get("ports", []):
        yield from port_name_faults(port)
    for probe in PROBES:
        if probe in container:
            yield from probe_faults(probe, container[probe], container)
    yield from quantity_faults(container.get("resources", {}))
    yield from container_security_faults(container, spec)
    tag = container["image"].rpartition("/")[2].partition(":")[2]
    if tag in ("", "latest") and "@" not in container["image"]:
        yield f"image: {container['image']} may be another one tomorrow; give it a tag"


def port_name_faults(port):
    name = port.get("name", "p")
    if len(name) > 15 or not DNS_LABEL.fullmatch(name):
        yield f"ports: {name} is not a port name of at most 15 characters"


def has_port(container, wanted):
    ports = container.get("ports", [])
    return any(wanted in (port.get("name"), port["containerPort"]) for port in ports)


def probe_faults(name, probe, container):
    handlers = HANDLERS & probe.keys()
    if len(handlers) != 1:
        yield f"{name}: has {len(handlers)} handlers, not one"
    for handler in handlers & {"httpGet", "tcpSocket"}:
        if not has_port(container, probe[handler]["port"]):
            yield f"{name}: the container has no port {probe[handler]['port']}"
    for key, value in probe.items():
        if isinstance(value, int) and value < (0 if key == "initialDelaySeconds" else 1):
            yield f"{name}: {key} is {value}"


def quantity_faults(resources):
    for kind in ("requests", "limits"):
        for resource, quantity in resources.get(kind, {}).items():
            if not QUANTITY.fullmatch(str(quantity)):
                yield f"resources: {quantity} of {resource} is no quantity"


def security_faults(spec):
    for shared in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(shared):
            yield f"security: {shared}"
    for link in ("automountServiceAccountToken", "enableServiceLinks"):
        if spec.get(link, True):
            yield f"security: {link} is not needed"


def container_security_faults(container, spec):
    of_pod, own = spec.get("securityContext", {}), container.get("securityContext", {})
    either = {**of_pod, **own}
    rules = {
        "is privileged": not own.get("privileged"),
        "may gain privileges": own.get("allowPrivilegeEscalation") is False,
        "may write its root": own.get("readOnlyRootFilesystem"),
        "keeps capabilities": own.get("capabilities", {}).get("drop") == ["ALL"],
        "may run as root": either.get("runAsNonRoot") and either.get("runAsUser", 1) > 0,
        "has no seccomp profile": either.get("seccompProfile", {}).get("type") == "RuntimeDefault",
    }
    for fault in (fault for fault, kept in rules.items() if not kept):
        yield f"security: {container['name']} {fault}"


def settings_texts(documents):
    for document in documents:
        if document["kind"] == "ConfigMap" and "postcall.yaml" in document["data"]:
            yield document["data"]["postcall.yaml"]


def settings_faults(settings, spec):
    drain = sum(seconds(settings["shutdown"][part]) for part in ("drain_delay", "deadline"))
    if spec.get("terminationGracePeriodSeconds", 30) <= drain:
        yield f"terminationGracePeriodSeconds: a drain may take {drain} s"
    (container,) = spec["containers"]
    for probe in (probe for probe in PROBES if probe not in container):
        yield f"{probe}: there is none"
    for listener in ("public", "admin"):
        if not has_port(container, int(settings[listener]["listen"].rpartition(":")[2])):
            yield f"ports: the container lacks the port of {listener}.listen"
    # A command in the pod names no file.
    named = {env["name"]: env.get("value") for env in container.get("env", [])}
    config_maps = {v["name"] for v in spec["volumes"] if "configMap" in v}
    mounts = [m["mountPath"] for m in container["volumeMounts"] if m["name"] in config_maps]
    if named.get("POSTCALL_CONFIG") not in [f"{mount}/postcall.yaml" for mount in mounts]:
        yield "env: POSTCALL_CONFIG does not name the settings"


def seconds(duration):
    number, unit = DURATION.fullmatch(duration).groups()
    return int(number) * SECONDS[unit]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
