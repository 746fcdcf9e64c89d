"""Asks a Prometheus what the panels of a dashboard show, for panels.jsx to draw.

    data.py ADDRESS DASHBOARD SECONDS     prints JSON; SECONDS is how long it looks back, from the last scrape

A heatmap is left out: Grafana publishes the chart for it in no package.
"""

import json
import sys
import urllib.parse
import urllib.request

WIDTH, UNIT = 1400, 34
BAR_SECONDS = 10
CHOSEN = {
    "$cluster": ".*",
    "$namespace": ".*",
    "$job": ".*",
    "$instance": ".*",
    "$split": "survey",
    "$__rate_interval": f"{BAR_SECONDS}s",
}


def main(address, dashboard, seconds):
    seconds = int(seconds)
    with open(dashboard, encoding="utf-8") as text:
        rows = json.load(text)["panels"]
    last = ask(address, "query", query="max(max_over_time(timestamp(postcall_build_info)[1d:1s]))")
    until = float(last[0]["value"][1])
    panels = [drawn(address, panel, until, seconds) for panel in rows if panel["type"] not in ("row", "heatmap")]
    height = max(panel["top"] + panel["height"] for panel in panels)
    print(json.dumps({
        "width": WIDTH, "height": height, "from": int((until - seconds) * 1000), "to": int(until * 1000),
        "panels": panels, "rows": [row["gridPos"]["y"] * UNIT for row in rows if row["type"] == "row"],
    }))


def drawn(address, panel, until, seconds):
    at = panel["gridPos"]
    series = [line for target in panel["targets"] for line in lines_of(address, panel, target, until, seconds)]
    values = [value for line in series for value in line["values"] if value is not None]
    return {
        **{key: panel[key] for key in ("id", "title", "type", "fieldConfig", "options")},
        "series": series, "max": max(values, default=1),
        "left": at["x"] * WIDTH / 24 + 4, "top": at["y"] * UNIT + 4,
        "width": at["w"] * WIDTH / 24 - 8, "height": at["h"] * UNIT - 8,
    }


def lines_of(address, panel, target, until, seconds):
    query = target["expr"].replace("$__range", f"{seconds}s")
    for variable, value in CHOSEN.items():
        query = query.replace(variable, value)
    if panel["type"] == "timeseries":
        is_bar = panel["fieldConfig"]["defaults"]["custom"]["drawStyle"] == "bars"
        step = BAR_SECONDS if is_bar else max(1, seconds / 120)
        found = ask(address, "query_range", query=query, start=until - seconds, end=until, step=step)
    else:
        found = ask(address, "query", query=query, time=until)
        if target.get("format") == "heatmap":
            found = buckets(found)
    for line in found:
        points = line.get("values") or [line["value"]]
        yield {
            "refId": target["refId"], "name": name_of(target.get("legendFormat", ""), line["metric"]),
            "times": [int(at * 1000) for at, _ in points],
            "values": [None if value in ("NaN", "+Inf") else float(value) for _, value in points],
        }


def buckets(cumulative):
    """As Grafana shows the buckets of a histogram: each without those below it."""
    ordered, below = sorted(cumulative, key=lambda line: float(line["metric"]["le"])), 0.0
    for line in ordered:
        at, value = line["value"]
        line["value"], below = [at, str(float(value) - below)], float(value)
    return ordered


def name_of(legend, labels):
    if legend in ("", "__auto"):
        return next((value for key, value in labels.items() if key != "__name__"), "value")
    for key, value in labels.items():
        legend = legend.replace(f"{{{{{key}}}}}", value)
    return legend


def ask(address, kind, **question):
    with urllib.request.urlopen(f"{address}/api/v1/{kind}?{urllib.parse.urlencode(question)}") as reply:
        return json.load(reply)["data"]["result"]


if __name__ == "__main__":
    main(*sys.argv[1:])
