"""Asks a Prometheus everything that dashboards would ask.

    queries.py ADDRESS DASHBOARD…   exits 1 unless each query is answered with data within a minute
"""

import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

CHOSEN = {"$namespace": ".*", "$job": ".*", "$__rate_interval": "10s", "$__range": "1m"}
PATIENCE_SECONDS = 60


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
    print(f"{total - len(open_queries)} of {total} queries are answered with data")
    return 1 if open_queries or not total else 0


def queries_of(file):
    with open(file, encoding="utf-8") as text:
        panels = json.load(text)["panels"]
    for panel in panels + [inner for row in panels for inner in row.get("panels", [])]:
        for target in panel.get("targets", []):
            query = target["expr"]
            for variable, value in CHOSEN.items():
                query = query.replace(variable, value)
            yield query


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
