"""Checks the Markdown of the repository: links to files, anchors, includes and the book's table.

usage: book.py [FILE…]     README.md and docs/ if no file is given
"""

import re
import sys
from pathlib import Path

FENCE = re.compile(r"^ *(```|~~~).*?^ *\1 *$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
INCLUDE = re.compile(r"\{\{#include ([^}:\s]+)")


def prose(path):
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def anchors(path):
    """As GitHub and mdBook make them of headings."""
    found = set()
    for title in re.findall(r"^#+ +(.*?) *$", prose(path), re.MULTILINE):
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()
        anchor = re.sub(r"[^\w\- ]", "", title).replace(" ", "-")
        numbered, times = anchor, 0
        while numbered in found:
            times += 1
            numbered = f"{anchor}-{times}"
        found.add(numbered)
    return found


def errors_of(path):
    for target in LINK.findall(CODE.sub("`code`", prose(path))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        if not file.exists():
            yield f"{path}: {target}: there is no such file"
        elif anchor and file.suffix == ".md" and anchor not in anchors(file):
            yield f"{path}: {target}: there is no such heading"
        elif path.parts[0] == "docs" and not file.resolve().is_relative_to(Path("docs").resolve()):
            yield f"{path}: {target}: it leads out of the book"
    for name in INCLUDE.findall(path.read_text(encoding="utf-8")):
        if not (path.parent / name).is_file():
            yield f"{path}: {name}: there is no such file to include"


def errors_of_summary():
    summary = Path("docs/SUMMARY.md")
    listed = re.findall(r"\]\(([^)]+)\)", summary.read_text(encoding="utf-8"))
    pages = {page.relative_to("docs").as_posix() for page in Path("docs").rglob("*.md")}
    for page in sorted(pages - {*listed, "SUMMARY.md"}):
        yield f"{summary}: it does not list {page}"
    for page in sorted({page for page in listed if listed.count(page) > 1}):
        yield f"{summary}: it lists {page} more than once"


def main():
    files = [Path(file) for file in sys.argv[1:]]
    if not files:
        files = [*sorted(Path().glob("*.md")), *sorted(Path("docs").rglob("*.md"))]
    errors = [error for file in files for error in errors_of(file)]
    if not sys.argv[1:]:
        errors += errors_of_summary()
        lines = len(Path("README.md").read_text(encoding="utf-8").splitlines())
        if lines > 200:
            errors.append(f"README.md: it has {lines} lines; at most 200, the rest belongs to docs/")
    print(*errors, sep="\n", file=sys.stderr, end="\n" if errors else "")
    print(f"{len(files)} files, {len(errors)} errors")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
