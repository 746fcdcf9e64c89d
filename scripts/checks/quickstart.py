"""Prints the README's quickstart as one shell script, with free ports.

usage: quickstart.py README PUBLIC ADMIN SIMULATOR PIDS

A YAML block is written to the file that its first line names; the shell blocks follow in order.
The ids of what runs in the background are written to PIDS.
"""

import re
import shlex
import sys

readme, public, admin, simulator, pids = sys.argv[1:]
with open(readme, encoding="utf-8") as file:
    section = re.search(r"\n## Quickstart.*?(?=\n## )", file.read(), re.DOTALL)
blocks = re.findall(r"^```(\w+)\n(.*?)^```$", section[0], re.DOTALL | re.MULTILINE) if section else []
languages = [language for language, _ in blocks]
if languages.count("sh") < 4 or "yaml" not in languages:
    sys.exit(f"{readme}: the quickstart has the blocks {languages}, not a file and four steps")

for port, free in (("8080", public), ("9090", admin), ("4010", simulator)):
    blocks = [(language, text.replace(f":{port}", f":{free}")) for language, text in blocks]

for language, text in blocks:
    if language == "yaml":
        name = re.match(r"# (\S+)\n", text)
        if not name:
            sys.exit(f"{readme}: the first line of the quickstart's file does not name it")
        print(f"printf %s {shlex.quote(text)} >{shlex.quote(name[1])}")
    elif language == "sh":
        print(text, end="")
        if re.search(r"&$", text, re.MULTILINE):
            print(f"jobs -p >{shlex.quote(pids)}")
            print(
                f"curl --silent --fail --retry 60 --retry-delay 1 --retry-connrefused"
                f" --output /dev/null http://127.0.0.1:{admin}/readyz"
            )
