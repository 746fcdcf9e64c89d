"""Plays the day of scripts/bad-day.

    bad_day.py POSTCALL [FOLDER]     exits 1 if other alerts notify than the day deserves

Time passes 240 times as fast for the rules and for Alertmanager: each of their durations is divided by
that, and so are the thresholds that are seconds. Postcall itself runs as ever, with short retries.
"""

import contextlib
import http.server
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import yaml

FASTER = 240
HOUR = 3600 / FASTER
SCRAPE = "400ms"
CALLS_A_SECOND = 5
OLD, NEW, FORGED = "the-token-of-this-morning", "the-token-of-this-evening", "a-token-that-someone-tries"
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def main(postcall, folder=""):
    with contextlib.ExitStack() as stack:
        day = Day(stack, postcall, folder)
        try:
            return day.play()
        except Exception:
            for log in sorted(day.work.glob("*.log")):
                print(f"== {log.name}", *log.read_text().splitlines()[-15:], sep="\n", file=sys.stderr)
            raise


class Day:
    def __init__(self, stack, postcall, folder):
        self.stack, self.postcall = stack, postcall
        self.work = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.data = pathlib.Path(folder) if folder else self.work / "data"
        self.ports = {name: free_port() for name in ("webhooks", "admin", "plivo", "prometheus", "alertmanager")}
        self.began = time.monotonic()
        self.token, self.is_over = OLD, threading.Event()
        self.fired, self.notified, self.firing = {}, {}, set()
        self.poison = "a-call-that-plivo-does-not-know"
        self.number = 0

    def play(self):
        self.prepare()
        self.say(f"an ordinary morning: {CALLS_A_SECOND} calls a second, as if {CALLS_A_SECOND * 86400 // FASTER} a day")
        self.wait(25)
        self.expect_nothing()

        self.say("forged signatures")
        for _ in range(60):
            self.send(FORGED)
            time.sleep(0.05)
        self.until_notified("PostcallSignaturesRejected")

        self.say("a call that Plivo does not know, and a survey of it")
        self.control({"unknown_calls": [self.poison]})
        self.send(self.token, self.poison)

        self.say("the sender rotates its token")
        self.token = NEW
        self.until_notified("PostcallWebhooksAllRejected")
        self.say("the new token is listed")
        self.settings(OLD, NEW)
        self.server.send_signal(signal.SIGHUP)

        self.say("Plivo is down for an hour")
        self.plivo.kill()
        self.plivo.wait()
        self.until_notified("PostcallAccountUnreachable", at_least=HOUR)
        self.start_plivo()
        self.control({"unknown_calls": [self.poison]})

        self.say("the disk is full")
        filler = self.disk / "filler"
        with contextlib.suppress(OSError), open(filler, "wb") as file:
            while True:
                file.write(bytes(1 << 20))
        self.until_notified("PostcallStoreNotWritable", "PostcallStoreDiskFull")
        filler.unlink()

        self.until_notified("PostcallSubmissionsDead")
        self.say("an operator discards what is dead")
        self.operator("submissions", "discard", "--state", "dead", "--comment", "no such call")

        self.say("the process is lost")
        self.server.kill()
        self.server.wait()
        self.until_notified("PostcallDown")
        self.start_server()

        self.say("everything is repaired")
        self.until_resolved()
        self.is_over.set()
        return self.verdict()

    # --- the stage

    def prepare(self):
        self.disk = self.work / "disk"
        self.disk.mkdir()
        run("mount", "-t", "tmpfs", "-o", "size=600m", "tmpfs", str(self.disk))
        self.stack.callback(run, "umount", "--lazy", str(self.disk))
        self.settings(OLD)
        self.start_plivo()
        self.start_server()
        self.receive_notifications()
        self.start_prometheus()
        # Prometheus finds its first target after seconds, which are a quarter of an hour today.
        self.until(lambda: (self.prometheus("alerts") or {}).get("alerts") == [] and self.is_scraped(), "no scrape", 60)
        self.start_alertmanager()
        self.thread(self.traffic)
        self.thread(self.watch)

    def is_scraped(self):
        found = self.prometheus("query?query=max_over_time(postcall_build_info[10s])")
        return bool(found and found["result"])

    def settings(self, *tokens):
        self.write("postcall.yaml", {
            "public": {"listen": self.at("webhooks"), "url": "http://127.0.0.1"},
            "admin": {"listen": self.at("admin")},
            "store": {"url": f"sqlite:{self.disk}/postcall.db"},
            "accounts": {"main": {
                "auth_id": "MA0123456789ABCDEFGH",
                "auth_token": {"value": "a-token-made-up-for-the-day"},
                "api": f"http://{self.at('plivo')}",
            }},
            "sources": {"web": {
                "preset": "generic-json", "account": "main", "survey": "quality",
                "signature": {"bearer": [{"value": token} for token in tokens]},
            }},
            "surveys": {"quality": {
                "questions": [{"name": "score", "answers": "1-5"}],
                "rating": {"question": "score"},
            }},
            "delivery": {
                "delay": "0s", "probe_interval": "1s",
                "retry": {"initial_backoff": "100ms", "max_backoff": "1s", "not_found_max_age": "2s"},
            },
        })

    def start_plivo(self):
        self.plivo = self.start("plivo", self.postcall, "simulate", "--listen", self.at("plivo"))
        self.ready("plivo", "/simulator/summary")

    def start_server(self):
        self.server = self.start("postcall", self.postcall, "serve", "--config", str(self.work / "postcall.yaml"))
        self.ready("admin", "/readyz")

    def start_prometheus(self):
        rules = pathlib.Path(os.environ.get("RULES", REPOSITORY / "deploy/prometheus/rules.yml")).read_text()
        (self.work / "rules.yml").write_text(faster(rules))
        self.write("prometheus.yml", {
            "global": {"scrape_interval": SCRAPE, "scrape_timeout": SCRAPE, "evaluation_interval": SCRAPE},
            "rule_files": ["rules.yml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [self.at("alertmanager")]}]}]},
            "scrape_configs": [{"job_name": "postcall", "static_configs": [{"targets": [self.at("admin")]}]}],
        })
        self.start(
            "prometheus", "prometheus", f"--config.file={self.work}/prometheus.yml",
            f"--storage.tsdb.path={self.data}", f"--web.listen-address={self.at('prometheus')}",
            "--rules.alert.resend-delay=1s",
        )
        self.ready("prometheus", "/-/ready")

    def start_alertmanager(self):
        config = yaml.safe_load((REPOSITORY / "deploy/prometheus/alertmanager.yml").read_text())
        config["route"] |= {"group_wait": "500ms", "group_interval": "1s"}
        for receiver in config["receivers"]:
            url = f"http://127.0.0.1:{self.receiver_port}/{receiver['name']}"
            receiver["webhook_configs"] = [{"url": url, "send_resolved": True}]
        self.write("alertmanager.yml", config)
        self.start(
            "alertmanager", "prometheus-alertmanager", f"--config.file={self.work}/alertmanager.yml",
            f"--storage.path={self.work}/alertmanager", "--cluster.listen-address=",
            f"--web.listen-address={self.at('alertmanager')}",
        )
        self.ready("alertmanager", "/-/ready")

    def receive_notifications(self):
        day = self

        class Receiver(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                for alert in body["alerts"]:
                    day.notify(self.path.removeprefix("/"), alert["labels"]["alertname"], alert["status"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        self.receiver_port = server.server_address[1]
        self.stack.callback(server.shutdown)
        self.thread(server.serve_forever)

    # --- what happens by itself

    def traffic(self):
        while not self.is_over.wait(1 / CALLS_A_SECOND):
            self.send(self.token)

    def watch(self):
        while not self.is_over.wait(0.2):
            alerts = self.prometheus("alerts")
            if alerts is None:
                continue
            self.firing = {alert["labels"]["alertname"] for alert in alerts["alerts"] if alert["state"] == "firing"}
            for name in self.firing:
                self.fired.setdefault(name, self.now())

    def notify(self, receiver, alert, status):
        is_new = (alert, status) not in self.notified
        self.notified.setdefault((alert, status), self.now())
        if is_new:
            self.say(f"    {status:8}  {alert} to {receiver}")

    # --- what the day does

    def send(self, token, call=None):
        self.number += 1
        body = {"call_uuid": call or f"call-{self.number}", "answers": {"score": random.choice([1, 2, 4, 4, 5, 5])}}
        request = urllib.request.Request(
            f"http://{self.at('webhooks')}/hooks/web", json.dumps(body).encode(),
            {"authorization": f"Bearer {token}", "content-type": "application/json"},
        )
        with contextlib.suppress(OSError):
            urllib.request.urlopen(request, timeout=2).close()

    def control(self, plan):
        request = urllib.request.Request(
            f"http://{self.at('plivo')}/simulator/faults", json.dumps(plan).encode(),
            {"content-type": "application/json"}, method="PUT",
        )
        urllib.request.urlopen(request, timeout=2).close()

    def operator(self, *arguments):
        os.environ["POSTCALL_CONFIG"] = str(self.work / "postcall.yaml")
        run(self.postcall, *arguments)

    # --- waiting

    def wait(self, seconds):
        time.sleep(seconds)

    def expect_nothing(self):
        if self.fired:
            raise SystemExit(f"on an ordinary morning {sorted(self.fired)} fired")

    def until_notified(self, *alerts, at_least=0.0):
        begun = self.now()
        self.until(
            lambda: all((alert, "firing") in self.notified for alert in alerts) and self.now() - begun >= at_least,
            f"no notification of {alerts}", 8 * HOUR,
        )

    def until_resolved(self):
        def is_resolved():
            firing = {alert for alert, status in self.notified if status == "firing"}
            resolved = {alert for alert, status in self.notified if status == "resolved"}
            return not self.firing and firing <= resolved

        self.until(is_resolved, "not all is resolved", 30 * HOUR)

    def until(self, condition, failure, seconds):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise SystemExit(f"{failure}; firing: {sorted(self.firing)}")
            time.sleep(0.1)

    # --- the verdict

    EXPECTED = {
        "PostcallSignaturesRejected", "PostcallWebhooksAllRejected", "PostcallAccountUnreachable",
        "PostcallSubmissionsDead", "PostcallStoreNotWritable", "PostcallStoreDiskFull", "PostcallDown",
    }
    # Consequences of a full disk, which may be there for a moment after the store can be written again: Postcall
    # delivers what has waited within a second or two, which are minutes today.
    AFTERWARDS = {"PostcallWebhooksUnavailable", "PostcallDeliveryLate"}

    def verdict(self):
        firing = {alert for alert, status in self.notified if status == "firing"}
        print("\nalert                          fired    notified  resolved")
        for alert in sorted(self.fired, key=self.fired.get):
            times = [self.fired.get(alert), self.notified.get((alert, "firing")), self.notified.get((alert, "resolved"))]
            print(f"{alert:30}", *(f"{t:7.1f}s" if t is not None else "       -" for t in times))
        faults = [f"{alert}: no notification" for alert in sorted(self.EXPECTED - firing)]
        faults += [f"{alert}: a notification that the day does not deserve" for alert in sorted(firing - self.EXPECTED - self.AFTERWARDS)]
        if subprocess.run(
            [sys.executable, str(REPOSITORY / "scripts/checks/queries.py"), f"http://{self.at('prometheus')}",
             str(REPOSITORY / "deploy/grafana/postcall.json")],
            check=False, env=os.environ | {"RANGE": "10m"},
        ).returncode:
            faults.append("not every query of the dashboard is answered")
        for fault in faults:
            print(fault, file=sys.stderr)
        return 1 if faults else 0

    # --- tools

    def at(self, name):
        return f"127.0.0.1:{self.ports[name]}"

    def now(self):
        return time.monotonic() - self.began

    def say(self, text):
        hours = self.now() / HOUR
        print(f"{self.now():6.1f}s  {int(hours):02}:{int(hours % 1 * 60):02}  {text}", flush=True)

    def write(self, name, document):
        (self.work / name).write_text(yaml.safe_dump(document, sort_keys=False))

    def thread(self, target):
        threading.Thread(target=target, daemon=True).start()

    def start(self, name, *command):
        log = self.stack.enter_context(open(self.work / f"{name}.log", "a", encoding="utf-8"))
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.work)
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        return process

    def ready(self, name, path):
        def answers():
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://{self.at(name)}{path}", timeout=1).close()
                return True
            return False

        self.until(answers, f"{name} is not ready", 30)

    def prometheus(self, path):
        with contextlib.suppress(OSError, ValueError):
            with urllib.request.urlopen(f"http://{self.at('prometheus')}/api/v1/{path}", timeout=2) as reply:
                return json.load(reply)["data"]
        return None


def faster(rules):
    """The rules with each duration divided, and each threshold that is seconds."""
    def shorter(match):
        return f"{max(1, round(int(match[1]) * UNITS[match[2]] * 1000 / FASTER))}ms"

    def durations(text):
        return re.sub(r"(\d+)(ms|s|m|h|d|w)\b", shorter, text)

    rules = re.sub(r"\[[\w:]+\]", lambda match: durations(match[0]), rules)
    rules = re.sub(r"(for:|offset) \w+", lambda match: durations(match[0]), rules)
    rules = re.sub(r"4 \* 86400", f"4 * 86400 / {FASTER}", rules)
    return re.sub(r"(_age_seconds\{[^}]*\}\)) > (\d+)", rf"\1 > (\2 / {FASTER})", rules)


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
