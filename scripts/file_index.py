#!/usr/bin/env python3
"""Write what each file is for, from its docstring, into docs/architecture.md.

python scripts/file_index.py            write it anew
python scripts/file_index.py --check    fail when the page says something else
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE, PAGE = ROOT / "understudy", ROOT / "docs" / "architecture.md"
# The last section of the page.
HEADING = "## Every file\n\n"
FOLDERS = ("", "core", "nets", "io", "parts", "stages")


def main(words: list[str]) -> int:
    """Write or check the index; the exit code."""
    page = PAGE.read_text(encoding="utf-8")
    wanted = page[: page.index(HEADING)] + HEADING + index()
    if words == ["--check"]:
        if page != wanted:
            print("docs/architecture.md: run python scripts/file_index.py", file=sys.stderr)
        return int(page != wanted)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


def index() -> str:
    """Every folder with what it holds, and every file with what it is for, as Markdown."""
    folders = {path.parent for path in PACKAGE.rglob("*.py")}

    def order(folder: Path) -> tuple[int, Path]:
        parts = folder.relative_to(PACKAGE).parts
        return FOLDERS.index(parts[0] if parts else ""), folder

    lines = []
    for folder in sorted(folders, key=order):
        name = folder.relative_to(ROOT).as_posix()
        lines.append(f"- **`{name}/`** {summary(folder / '__init__.py')}")
        files = (path for path in sorted(folder.glob("*.py")) if not path.stem.startswith("__"))
        lines += [f"    - `{path.stem}`: {summary(path)}" for path in files]
    return "\n".join(lines) + "\n"


def summary(path: Path) -> str:
    """The first line of a module's docstring."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not docstring:
        sys.exit(f"{path}: no docstring. Say in one line what the file is for.")
    return docstring.splitlines()[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
