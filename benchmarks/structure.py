"""How the code is built, in numbers: modules a folder, lines a function, files that a frame enters.

    python benchmarks/structure.py

A frame of `merge` and a batch of `train` are followed in the small show of tests/data. A file
counts as entered when one of its functions is called at least once for each frame, or iteration, on
any thread of the one process; Python's profile hook counts the calls.
"""

from __future__ import annotations

import ast
import collections
import statistics
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import understudy

PACKAGE = Path(understudy.__file__).parent
SHOW = Path(__file__).resolve().parents[1] / "tests" / "data" / "show-0.1.zip"
FRAMES, ITERATIONS = 10, 12


def main() -> None:
    """Print the figures of the package that is imported."""
    files = sorted(PACKAGE.rglob("*.py"))
    folders = collections.Counter(path.parent for path in files if path.name != "__init__.py")
    print(
        f"modules: {sum(folders.values())} in {len(folders)} folders,"
        f" at most {max(folders.values())} in one"
    )
    lines = sorted(function_lengths(files))
    print(
        f"functions: {len(lines)}, median {statistics.median(lines):g} lines,"
        f" p90 {lines[int(0.9 * len(lines))]}, longest {lines[-1]}"
    )
    print(f"files that name erode: {sum('erode' in names_in(path) for path in files)}")
    for thing, work, count in (("frame", merge, FRAMES), ("batch", train, ITERATIONS)):
        with tempfile.TemporaryDirectory() as folder:
            with zipfile.ZipFile(SHOW) as packed:
                packed.extractall(folder)
            entered = files_entered(work(Path(folder)), count)
        print(f"files that a {thing} enters: {len(entered)}")
        print("  " + " ".join(sorted(entered)))


def merge(show: Path) -> Iterable[Any]:
    """Merge the show with options for which no frame is kept."""
    return understudy.merge(show, model="plain", workers=1, erode=3.5)  # type: ignore[no-any-return]


def train(show: Path) -> Iterable[Any]:
    """Train the show's model on."""
    end = {"iterations": 4 + ITERATIONS, "threads": 1}
    return understudy.train(show, name="plain", model="saehd", **end)  # type: ignore[no-any-return]


def function_lengths(files: Iterable[Path]) -> Iterator[int]:
    """Lines of every function with its signature counted as one, without its docstring."""
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                yield 2 + (node.end_lineno or 0) - body[0].lineno if body else 1


def names_in(path: Path) -> set[str]:
    """Every name, attribute, argument and definition in a file."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    kinds = ("id", "attr", "arg", "name")
    return {str(getattr(node, kind)) for node in nodes for kind in kinds if hasattr(node, kind)}


def files_entered(work: Iterable[Any], count: int) -> set[str]:
    """The files of the package of which a function is called at least `count` times."""
    calls: collections.Counter[CodeType] = collections.Counter()

    def hook(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            calls[frame.f_code] += 1

    hook_threads: Callable[[Any], None] = threading.setprofile
    hook_threads(hook)
    sys.setprofile(hook)
    try:
        for _ in work:
            pass
    finally:
        sys.setprofile(None)
        hook_threads(None)
    return {
        str(Path(code.co_filename).relative_to(PACKAGE))
        for code, times in calls.items()
        if times >= count and code.co_filename.startswith(str(PACKAGE))
    }


if __name__ == "__main__":
    main()
