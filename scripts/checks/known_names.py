"""Prints settings for schemathesis with names that the service knows: known_names.py LISTED ACCOUNTS."""

import json
import sys

listed, accounts = (json.load(open(path)) for path in sys.argv[1:])
print("[parameters]")
print(f'"path.id" = "{listed["submissions"][0]["id"]}"')
print(f'"path.account" = "{accounts["accounts"][0]["account"]}"')
