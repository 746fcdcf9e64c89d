"""Asks a Prometheus everything that dashboards would ask.

    queries.py ADDRESS DASHBOARD…   exits 1 unless each query is answered with data within a minute

Annotations are asked too, and may be answered with nothing: nothing may have happened.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

CHOSEN = {
    "$cluster": ".*",
    "$namespace": ".*",
    "$job": ".*",
    "$instance": ".*",
    "$split": "survey",
    "$__rate_interval": "10s",
    "$__range": os.environ.get("RANGE", "1m"),
}
PATIENCE_SECONDS = int(os.environ.get("PATIENCE_SECONDS", "60"))


def main(address, *dashboards):
    open_queries = {query for file in dashboards for query in queries_of(file)}
    total, until, answers = len(open_queries), time.monotonic() + PATIENCE_SECONDS, {}
    while open_queries and time.monotonic() < until:
        answers = {query: ask(address, query) for query in open_queries}
        open_queries = {query for query, answer in answers.items() if answer != "data"}
        if open_queries:
            time.sleep(1)
    for query in sorted(open_queries):
        print(f"{answers[query]}: {query}", file=sys.stderr)
    refused = 0
    for query in (query for file in dashboards for query in annotations_of(file)):
        answer = ask(address, query)
        if answer not in ("data", "no data"):
            print(f"{answer}: {query}", file=sys.stderr)
            refused += 1
    print(f"{total - len(open_queries)} of {total} queries are answered with data")
    return 1 if open_queries or refused or not total else 0


def queries_of(file):
    with open(file, encoding="utf-8") as text:
        panels = json.load(text)["panels"]
    for panel in panels + [inner for row in panels for inner in row.get("panels", [])]:
        for target in panel.get("targets", []):
            yield chosen(target["expr"])


def annotations_of(file):
    with open(file, encoding="utf-8") as text:
        for annotation in json.load(text)["annotations"]["list"]:
            yield chosen(annotation["target"]["expr"])


def chosen(query):
    for variable, value in CHOSEN.items():
        query = query.replace(variable, value)
    return query


def ask(address, query):
    url = f"{address}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return "data" if json.load(reply)["data"]["result"] else "no data"
    except urllib.error.HTTPError as refusal:
        return json.load(refusal).get("error", "refused")
    except OSError as failure:
        return str(failure)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
