"""The house keeps its storeys: imports only go down, and each layer keeps to its own tools."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "understudy"
FOUNDATION = {"types", "options", "registry", "errors", "printable", "signals"}
SHELLS = {
    "cli",
    "cli_app",
    "cli_called",
    "cli_crash",
    "cli_help",
    "cli_orders",
    "cli_progress",
    "cli_view",
    "__main__",
    "studio",
}
# What each layer may import of our own, besides itself.
BELOW = {
    "foundation": set(),
    "core": {"foundation"},
    "nets": {"foundation", "core"},
    "io": {"foundation", "core"},
    "parts": {"foundation", "core", "nets", "io"},
    "stages": {"foundation", "core", "nets", "io", "parts"},
    "shell": {"foundation", "core", "nets", "io", "parts", "stages"},
}
# Tools of one layer, or of few: everyone else goes through them.
ONLY_IN = {
    "torch": {"nets", "parts", "stages"},
    "av": {"io"},
    "safetensors": {"io"},
    "c2pa": {"io"},
    "cryptography": {"io"},
    "subprocess": {"io"},
    "zipfile": {"io"},
    "urllib": {"io"},
    "platformdirs": {"io"},
    "pooch": {"io"},
    "socket": {"io"},
    "tomllib": {"io"},
    "rich": {"shell"},
    "cyclopts": {"shell"},
    "pickle": set(),
    "joblib": set(),
    "requests": set(),
}
# Ways to reach a file that the pure layers must not take.
FILE_CALLS = {
    "open",
    "imread",
    "imwrite",
    "read_text",
    "read_bytes",
    "write_text",
    "write_bytes",
    "fromfile",
    "tofile",
    "unlink",
}
# These write or read pickles.
PICKLES = {("torch", "load"), ("torch", "save"), ("np", "save"), ("np", "load")}
# JSON and TOML are parsed within bounds, in one place.
BOUNDED = ("io", "data_files")
PARSERS = {"loads", "load", "JSONDecoder"}
VALIDATORS = {"model_validate_json", "validate_json", "from_json"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def layer(parts: tuple[str, ...]) -> str:
    """The layer of a module, given as its name's parts below the package."""
    if not parts or parts[0] in FOUNDATION:
        return "foundation"
    return "shell" if parts[0] in SHELLS else parts[0]


def own_parts(path: Path) -> tuple[str, ...]:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def imported(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every module that is imported anywhere in the file, in functions too, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            # `from understudy import errors` imports the module `understudy.errors`.
            for alias in node.names:
                deeper = f"{node.module}.{alias.name}"
                yield (deeper if is_module(deeper) else str(node.module)), node.lineno


def is_module(name: str) -> bool:
    """Whether a dotted name is a module of ours, or a package."""
    top, *rest = name.split(".")
    place = PACKAGE.joinpath(*rest)
    return top == PACKAGE.name and (place.is_dir() or place.with_suffix(".py").is_file())


def calls(tree: ast.Module) -> Iterator[tuple[str, str, int]]:
    """Every call as (what stands before the dot, the name, the line)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name):
                yield "", called.id, node.lineno
            elif isinstance(called, ast.Attribute):
                yield (
                    called.value.id if isinstance(called.value, ast.Name) else "…",
                    called.attr,
                    node.lineno,
                )


def loads_of_tensors(tree: ast.Module) -> Iterator[tuple[str, str, int]]:
    """The calls of torch.load that take bytes, not files, and nothing but tensors in them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            tensors_only = any(
                word.arg == "weights_only" and getattr(word.value, "value", None) is True
                for word in node.keywords
            )
            if tensors_only and ast.unparse(node.args[0]).startswith("io.BytesIO("):
                yield "torch", "load", node.lineno


def faults(source: str, place: tuple[str, ...]) -> list[str]:
    """What a module of that name does that its layer may not."""
    tree, own = ast.parse(source), layer(place)
    found = []
    for name, line in imported(tree):
        top, *rest = name.split(".")
        if top == "understudy":
            other = layer(tuple(rest))
            if other not in {own, *BELOW[own]}:
                found.append(f"line {line}: {own} imports {name}, which is of the layer {other}")
        elif own not in ONLY_IN.get(top, {own}) or (top == "tomllib" and place != BOUNDED):
            found.append(f"line {line}: {own} imports {top}")
    tensors_only = set(loads_of_tensors(tree))
    for before, name, line in calls(tree):
        if own in ("core", "nets") and name in FILE_CALLS:
            found.append(f"line {line}: {own} opens a file: {name}()")
        if place != BOUNDED and (
            name in VALIDATORS or (before in ("json", "tomllib") and name in PARSERS)
        ):
            found.append(f"line {line}: {before}.{name}() without bounds")
        if (before, name) in PICKLES and (before, name, line) not in tensors_only:
            found.append(f"line {line}: {before}.{name}() may pickle")
        if (before, name) == ("", "print") or (
            (before, name) == ("sys", "exit") and own != "shell"
        ):
            found.append(f"line {line}: {name}() outside the shell")
    bare = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]
    return found + [f"line {line}: bare except" for line in bare]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_keeps_to_its_layer(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8"), own_parts(path)) == []


def test_a_module_says_what_it_is() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in MODULES}
    assert [path for path, text in texts.items() if not ast.get_docstring(ast.parse(text))] == []


def test_a_folder_holds_no_more_than_a_newcomer_can_survey() -> None:
    crowds = {
        str(folder): len(list(folder.glob("*.py"))) for folder in {path.parent for path in MODULES}
    }
    assert {folder: count for folder, count in crowds.items() if count > 20 + 1} == {}, (
        "__init__.py is not counted"
    )


@pytest.mark.parametrize("name", ["file_index", "footage_table"])
def test_what_a_script_makes_of_the_code_is_in_its_page(name: str) -> None:
    script = PACKAGE.parent / "scripts" / f"{name}.py"
    checked = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_the_architecture_page_names_files_that_are_there() -> None:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:core|nets|io|parts|stages)/[\w/]+\.py)`", page))
    assert len(named) > 15 and [each for each in named if not (PACKAGE / each).is_file()] == []


def test_packages_form_no_circle() -> None:
    """Below each folder, its files and folders import each other in one direction only."""
    arrows: dict[tuple[str, ...], set[tuple[str, str]]] = {}
    for path in MODULES:
        own = own_parts(path)
        for name, _ in imported(ast.parse(path.read_text(encoding="utf-8"))):
            top, *other = name.split(".")
            if top == PACKAGE.name:
                shared = next(
                    (
                        at
                        for at, (one, two) in enumerate(zip(own, other, strict=False))
                        if one != two
                    ),
                    min(len(own), len(other)),
                )
                if shared < min(len(own), len(other)):
                    arrows.setdefault(own[:shared], set()).add((own[shared], other[shared]))
    assert {
        folder: circle for folder, found in arrows.items() if (circle := circle_of(found))
    } == {}


def circle_of(arrows: set[tuple[str, str]]) -> list[str]:
    """The nodes that lie on circles or between them, [] when there is none."""
    left = set(arrows)
    while True:
        starts, ends = {start for start, _ in left}, {end for _, end in left}
        kept = {(start, end) for start, end in left if start in ends and end in starts}
        if kept == left:
            return sorted({start for start, _ in left})
        left = kept


@pytest.mark.parametrize(
    ("place", "source"),
    [
        (("core", "mask"), "import torch"),
        (("core", "mask"), "def f():\n    from understudy.io import atomic"),
        (("core", "mask"), "from understudy import io"),
        (("core", "mask"), "open('x')"),
        (("core", "mask"), "cv2.imread('x')"),
        (("nets", "blocks"), "from understudy.io.atomic import writing"),
        (("io", "footage"), "import understudy.nets.autoencoder.blocks"),
        (("io", "footage"), "import torch"),
        (("parts", "maskers"), "from understudy.stages import jobs"),
        (("parts", "maskers"), "import av"),
        (("stages", "train"), "from understudy.cli import main"),
        (("stages", "train"), "import rich"),
        (("types",), "from understudy.core import mask"),
        (("io", "checkpoint"), "import pickle"),
        (("io", "checkpoint"), "import tomllib"),
        (("io", "checkpoint"), "json.loads(x)"),
        (("stages", "record"), "Record.model_validate_json(x)"),
        (("stages", "train"), "torch.save(net, 'x')"),
        (("nets", "load"), "torch.load('x')"),
        (("nets", "load"), "torch.load(io.BytesIO(x), weights_only=False)"),
        (("nets", "load"), "torch.load('x', weights_only=True)"),
        (("stages", "train"), "print('x')"),
        (("stages", "train"), "try:\n    pass\nexcept:\n    pass"),
    ],
)
def test_the_layer_test_sees_a_fault(place: tuple[str, ...], source: str) -> None:
    assert faults(source, place)
