#!/usr/bin/env python3
"""Write what happens with each kind of footage into docs/footage.md, from the tests that prove it.

A test that does is marked @pytest.mark.footage_kind("what the footage is", "what happens").

python scripts/footage_table.py            write the table anew
python scripts/footage_table.py --check    fail when the page says something else
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "footage.md"
MARK = "footage_kind"
BEGIN, END = "<!-- made by scripts/footage_table.py -->\n\n", "\n<!-- end -->\n"
HEADER = "| footage | what happens |\n| --- | --- |\n"


def main(words: list[str]) -> int:
    """Write or check the table; the exit code."""
    page = PAGE.read_text(encoding="utf-8")
    head, rest = page.split(BEGIN)
    wanted = head + BEGIN + table() + END + rest.split(END)[1]
    if words == ["--check"]:
        if page != wanted:
            print("docs/footage.md: run python scripts/footage_table.py", file=sys.stderr)
        return int(page != wanted)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


def table() -> str:
    """The table as Markdown, in alphabetical order."""
    rows = sorted(
        row for path in sorted((ROOT / "tests").rglob("test_*.py")) for row in marks_in(path)
    )
    twice = {what for what, _ in rows if [each for each, _ in rows].count(what) > 1}
    if twice:
        sys.exit(f"{', '.join(twice)}: marked at more than one test. Keep the one that proves it.")
    return HEADER + "".join(f"| {what} | {happens} |\n" for what, happens in rows)


def marks_in(path: Path) -> Iterator[tuple[str, str]]:
    """What the tests of a file say: what the footage is, what happens."""
    text = path.read_text(encoding="utf-8")
    if MARK not in text:
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == f"pytest.mark.{MARK}":
            what, happens = (ast.literal_eval(word) for word in node.args)
            yield what, happens


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
