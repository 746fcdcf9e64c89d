"""Runs a rendered chart's pods: its check, its servers, and the pod of `helm test`.

    pods.py BINARY FILE [ARGUMENT…]
    pods.py image:NAME FILE [ARGUMENT…]

The containers are processes of a binary, which find what is mounted below a temporary folder, or containers
of an image, with the user, the root and the capabilities of the manifests; $PODMAN is podman and its options
then. Services are ports of loopback; commands, variables and settings are those of the manifests. With
PostgreSQL there are two servers and a database, with the password of the manifests: webhooks go to the first
server, and are read at the second. Arguments are a command that is run in a server's container then. Exits 1
and says which command failed if one does.
"""

import base64
import contextlib
import glob
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import yaml

READY_WITHIN = 30


# What the manifests leave to the machine, which may have less than podman asks for.
LIMITS = ["--ulimit=nofile=4096:4096", "--ulimit=nproc=1024:1024"]


def main(program, file, *command):
    with open(file, encoding="utf-8") as text:
        documents = [document for document in yaml.safe_load_all(text) if document]
    with tempfile.TemporaryDirectory() as root:
        return Cluster(program, documents, Path(root)).run(command)


class Cluster:
    def __init__(self, program, documents, root):
        self.binary, _, self.image = program.partition("image:")
        self.documents, self.root = documents, root
        self.ports = {"webhooks": free_port(), "admin": free_port()}
        self.database = None

    def run(self, command):
        workload = next(d for d in self.documents if d["kind"] in ("StatefulSet", "Deployment"))
        spec = workload["spec"]["template"]["spec"]
        with contextlib.ExitStack() as stack:
            ports = [self.ports]
            if self.settings()["store"]["url"].startswith("postgres"):
                self.database = stack.enter_context(database(self.root / "database", self.password(spec)))
                ports.append({"webhooks": free_port(), "admin": free_port()})
            check = self.one("Job")["spec"]["template"]["spec"]
            self.command(check, check["containers"][0])
            for self.ports in ports:
                stack.enter_context(self.server(spec))
            # A Service leads to any pod.
            self.ports = {"webhooks": ports[0]["webhooks"], "admin": ports[-1]["admin"]}
            pod = self.one("Pod")["spec"]
            for container in pod["initContainers"] + pod["containers"]:
                print(self.command(pod, container))
            if command:
                print(self.command(spec, {**spec["containers"][0], "args": list(command)}))

    @contextlib.contextmanager
    def server(self, spec):
        """A pod that serves, ready; it has to end as it is asked to."""
        serve = {"args": ["serve", "--config", "/etc/postcall/postcall.yaml"], **spec["containers"][0]}
        server = subprocess.Popen(**self.process(spec, serve))
        try:
            self.wait_until_ready(server, spec["containers"][0]["readinessProbe"]["httpGet"]["path"])
            yield
        finally:
            server.send_signal(signal.SIGTERM)
            code = server.wait(timeout=spec["terminationGracePeriodSeconds"])
        if code != 0:
            raise SystemExit(f"serve exited {code} after SIGTERM")

    def password(self, spec):
        """That of the database, where the settings say that it is."""
        folder, _, key = self.settings()["store"]["password"]["file"].rpartition("/")
        (name,) = (m["name"] for m in spec["containers"][0]["volumeMounts"] if m["mountPath"] == folder)
        (volume,) = (volume for volume in spec["volumes"] if volume["name"] == name)
        return self.content_of(volume)[key]

    def settings(self):
        (text,) = (d["data"]["postcall.yaml"] for d in self.documents
                   if d["kind"] == "ConfigMap" and "helm.sh/hook" not in d["metadata"].get("annotations", {}))
        return yaml.safe_load(text)

    def command(self, pod, container):
        process = self.process(pod, container)
        done = subprocess.run(**process, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        said = done.stdout.decode()
        if done.returncode != 0:
            raise SystemExit(f"{container['name']}: {' '.join(process['args'][1:])}: exit {done.returncode}\n{said}")
        return said

    def process(self, pod, container):
        """What is run, with its variables; the files that it mounts are written."""
        folder = self.root / uuid.uuid4().hex
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        for volume in pod["volumes"]:
            for key, content in self.content_of(volume).items():
                place = folder / mounts[volume["name"]].lstrip("/") / key
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(self.at(folder, content), encoding="utf-8")
        written = {volume["name"] for volume in pod["volumes"]}
        volumes = {mounts[name]: folder / mounts[name].lstrip("/") for name in mounts if name in written}
        # The claim of a StatefulSet is no volume of its template.
        volumes |= {mounts[name]: self.volume(pod) for name in mounts if name not in written}
        env = {e["name"]: e.get("value", uuid.uuid4().hex) for e in container["env"]}
        # All containers of a pod see the same.
        env["POD_UID"] = str(uuid.uuid5(uuid.NAMESPACE_URL, str(self.root)))
        env = {name: self.at(folder, value) for name, value in env.items()}
        env |= {
            "POSTCALL__PUBLIC__LISTEN": f"127.0.0.1:{self.ports['webhooks']}",
            "POSTCALL__ADMIN__LISTEN": f"127.0.0.1:{self.ports['admin']}",
        }
        if self.database:
            env["POSTCALL__STORE__URL"] = self.database
        arguments = [self.argument(folder, env, argument) for argument in container["args"]]
        if self.image:
            options = [*security_options(pod, container), *LIMITS]
            options += [f"--volume={place}:{path}{':ro' if place.is_relative_to(folder) else ''}" for path, place in volumes.items()]
            options += [f"--env={name}={value}" for name, value in env.items()]
            podman = [*shlex.split(os.environ["PODMAN"]), "run", "--rm", "--pull=never", "--network=host", *options, self.image]
            return {"args": [*podman, *arguments]}
        return {"args": [self.binary, *arguments], "env": env, "cwd": self.root}

    def argument(self, folder, env, text):
        for name, value in env.items():
            text = text.replace(f"$({name})", value)
        for name, port in self.ports.items():
            text = re.sub(rf"http://[-a-z0-9]+-{name}:[0-9]+", f"http://127.0.0.1:{port}", text)
        return self.at(folder, text)

    def at(self, folder, text):
        """The text with the paths of mounts below the folder, and that of the pod's volume below the root."""
        if self.image:
            return text
        text = text.replace("/run/secrets/", f"{folder}/run/secrets/").replace("/etc/postcall", f"{folder}/etc/postcall")
        return text.replace("/data/", f"{self.volume({})}/")

    def volume(self, pod):
        """The folder of the pod's claim, which is the group's that the manifest names."""
        volume = self.root / "data" / str(self.ports["webhooks"])
        volume.mkdir(parents=True, exist_ok=True)
        if self.image:
            os.chown(volume, 0, pod["securityContext"]["fsGroup"])
            volume.chmod(0o2775)
        return volume

    def content_of(self, volume):
        if "configMap" in volume:
            return self.one("ConfigMap", volume["configMap"]["name"])["data"]
        secret = self.one("Secret", volume["secret"]["secretName"])
        return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}

    def one(self, kind, name=None):
        for document in self.documents:
            if document["kind"] == kind and name in (None, document["metadata"]["name"]):
                return document
        raise SystemExit(f"there is no {kind} {name or ''}")

    def wait_until_ready(self, server, path):
        until = time.monotonic() + READY_WITHIN
        while time.monotonic() < until:
            if server.poll() is not None:
                raise SystemExit(f"serve exited {server.returncode}, and was not ready")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['admin']}{path}", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise SystemExit(f"serve is not ready after {READY_WITHIN} s")


def security_options(pod, container):
    """Options of podman for what the manifest says of a container's user, root and privileges."""
    pod, container = pod["securityContext"], container["securityContext"]
    yield f"--user={pod['runAsUser']}:{pod['runAsGroup']}"
    yield f"--group-add={pod['fsGroup']}"
    if container["readOnlyRootFilesystem"]:
        # Kubernetes mounts nothing that can be written over it.
        yield from ("--read-only", "--read-only-tmpfs=false")
    if not container["allowPrivilegeEscalation"]:
        yield "--security-opt=no-new-privileges"
    yield from (f"--cap-drop={name}" for name in container["capabilities"]["drop"])


@contextlib.contextmanager
def database(folder, password):
    """The address of a new database, whose user has this password."""
    binaries = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not binaries:
        raise SystemExit("there is no PostgreSQL: run scripts/databases")
    folder.mkdir(mode=0o700)
    secret, port = folder / "password", free_port()
    secret.write_text(password, encoding="utf-8")
    user = {}
    if os.geteuid() == 0:
        # It refuses to run as root, and reaches its folder through no closed one.
        for place in (folder, secret):
            os.chown(place, 65534, 65534)
        folder.parent.chmod(0o711)
        user = {"user": 65534, "group": 65534, "extra_groups": []}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "cwd": "/", **user}
    subprocess.run(
        [f"{binaries[-1]}/initdb", f"--pgdata={folder}/data", "--username=postcall", f"--pwfile={secret}",
         "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync"], check=True, **quiet)
    server = subprocess.Popen(
        [f"{binaries[-1]}/postgres", "-D", f"{folder}/data", "-k", folder, "-p", str(port),
         "-c", "listen_addresses=127.0.0.1"], **quiet)
    try:
        wait_for_port(port)
        yield f"postgres://postcall@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=READY_WITHIN)


def wait_for_port(port):
    until = time.monotonic() + READY_WITHIN
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):
            return
        time.sleep(0.1)
    raise SystemExit(f"PostgreSQL does not listen after {READY_WITHIN} s")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
