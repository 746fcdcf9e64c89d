"""What deploy/compose.yaml says, checked without containers.

    compose.py check FILE               fails unless what it mounts exists, and its files name its services
    compose.py command FILE SERVICE     prints the arguments of the service, one a line
    compose.py example FILE             prints the arguments of the last command in its head, one a line
"""

import pathlib
import re
import shlex
import sys

import yaml


def main(command, file, *more):
    path = pathlib.Path(file)
    return {"check": check, "command": arguments, "example": example}[command](path, *more)


def check(file):
    services = services_of(file)
    faults = []
    for name, service in services.items():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith(".") and not (file.parent / source).exists():
                faults.append(f"{name}: there is no {source} to mount")
    for config in sorted((file.parent / "compose").rglob("*.y*ml")):
        text = config.read_text(encoding="utf-8")
        for host in re.findall(r"https?://([a-z-]+):\d+", text) + re.findall(r'"([a-z-]+):\d+"', text):
            if host not in services:
                faults.append(f"{config}: {host} is no service")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def arguments(file, service):
    print("\n".join(services_of(file)[service]["command"]))


def example(file):
    head = file.read_text(encoding="utf-8").split("\nservices:")[0]
    command = re.findall(r"^# +docker compose .* exec postcall /postcall (.*)$", head, re.MULTILINE)[-1]
    print("\n".join(shlex.split(command)))


def services_of(file):
    return yaml.safe_load(file.read_text(encoding="utf-8"))["services"]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
