"""Runs a rendered chart's pods as processes: its check, its server, and the pod of `helm test`.

    pods.py BINARY FILE

Files are mounted below a temporary folder, Services are ports of loopback; commands, variables and
settings are those of the manifests. Exits 1 and says which command failed if one does.
"""

import base64
import re
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


def main(binary, file):
    with open(file, encoding="utf-8") as text:
        documents = [document for document in yaml.safe_load_all(text) if document]
    with tempfile.TemporaryDirectory() as root:
        return Cluster(binary, documents, Path(root)).run()


class Cluster:
    def __init__(self, binary, documents, root):
        self.binary, self.documents, self.root = binary, documents, root
        self.ports = {"webhooks": free_port(), "admin": free_port()}
        (root / "data").mkdir()

    def run(self):
        check = self.one("Job")["spec"]["template"]["spec"]
        self.command(check, check["containers"][0])
        spec = self.one("StatefulSet")["spec"]["template"]["spec"]
        serve = {"args": ["serve", "--config", "/etc/postcall/postcall.yaml"], **spec["containers"][0]}
        server = subprocess.Popen(**self.process(spec, serve))
        try:
            self.wait_until_ready(spec["containers"][0]["readinessProbe"]["httpGet"]["path"])
            pod = self.one("Pod")["spec"]
            for container in pod["initContainers"] + pod["containers"]:
                print(self.command(pod, container))
        finally:
            server.send_signal(signal.SIGTERM)
            code = server.wait(timeout=spec["terminationGracePeriodSeconds"])
        if code != 0:
            raise SystemExit(f"serve exited {code} after SIGTERM")

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
        env = {e["name"]: e.get("value", uuid.uuid4().hex) for e in container["env"]}
        # All containers of a pod see the same.
        env["POD_UID"] = str(uuid.uuid5(uuid.NAMESPACE_URL, str(self.root)))
        env = {name: self.at(folder, value) for name, value in env.items()}
        env |= {
            "POSTCALL__PUBLIC__LISTEN": f"127.0.0.1:{self.ports['webhooks']}",
            "POSTCALL__ADMIN__LISTEN": f"127.0.0.1:{self.ports['admin']}",
        }
        arguments = [self.argument(folder, env, argument) for argument in container["args"]]
        return {"args": [self.binary, *arguments], "env": env, "cwd": self.root}

    def argument(self, folder, env, text):
        for name, value in env.items():
            text = text.replace(f"$({name})", value)
        for name, port in self.ports.items():
            text = re.sub(rf"http://[-a-z0-9]+-{name}:[0-9]+", f"http://127.0.0.1:{port}", text)
        return self.at(folder, text)

    def at(self, folder, text):
        """The text with the paths of mounts below the folder, and that of the store below the root."""
        text = text.replace("/run/secrets/", f"{folder}/run/secrets/").replace("/etc/postcall", f"{folder}/etc/postcall")
        return text.replace("/data/", f"{self.root}/data/")

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

    def wait_until_ready(self, path):
        until = time.monotonic() + READY_WITHIN
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['admin']}{path}", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise SystemExit(f"serve is not ready after {READY_WITHIN} s")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
