"""The house keeps its storeys: imports only go down, and each layer keeps to its own tools."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "understudy"
FOUNDATION = {"types", "options", "registry", "errors"}
SHELLS = {"cli", "cli_app", "cli_orders", "cli_view", "__main__", "studio"}
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
    "socket": {"io"},
    "tomllib": {"io", "stages"},
    "rich": {"shell"},
    "cyclopts": {"shell"},
    "pickle": set(),
    "joblib": set(),
    "requests": set(),
}
# Ways to reach a file that the pure layers must not take.
FILE_CALLS = {"open", "imread", "imwrite", "read_text", "read_bytes", "write_text", "write_bytes", "fromfile", "tofile", "unlink"}
# These write or read pickles.
PICKLES = {("torch", "load"), ("torch", "save"), ("np", "save"), ("np", "load")}
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
            deeper = node.module in ("understudy", "understudy.core", "understudy.io", "understudy.nets")
            yield from ((f"{node.module}.{alias.name}" if deeper else str(node.module), node.lineno) for alias in node.names)


def calls(tree: ast.Module) -> Iterator[tuple[str, str, int]]:
    """Every call as (what stands before the dot, the name, the line)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name):
                yield "", called.id, node.lineno
            elif isinstance(called, ast.Attribute):
                yield called.value.id if isinstance(called.value, ast.Name) else "…", called.attr, node.lineno


def loads_of_tensors(tree: ast.Module) -> Iterator[tuple[str, str, int]]:
    """The calls of torch.load that read tensors and refuse everything else, as in `calls`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            if any(word.arg == "weights_only" and getattr(word.value, "value", None) is True for word in node.keywords):
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
        elif own not in ONLY_IN.get(top, {own}):
            found.append(f"line {line}: {own} imports {top}")
    tensors_only = set(loads_of_tensors(tree))
    for before, name, line in calls(tree):
        if own in ("core", "nets") and name in FILE_CALLS:
            found.append(f"line {line}: {own} opens a file: {name}()")
        if (before, name) in PICKLES and (before, name, line) not in tensors_only:
            found.append(f"line {line}: {before}.{name}() may pickle")
        if (before, name) == ("", "print") or ((before, name) == ("sys", "exit") and own != "shell"):
            found.append(f"line {line}: {name}() outside the shell")
    bare = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.type is None]
    return found + [f"line {line}: bare except" for line in bare]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_keeps_to_its_layer(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8"), own_parts(path)) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_is_short_and_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 260, "split it: the aim is 250 lines"
    assert not text.strip() or ast.get_docstring(ast.parse(text)), "the first line says what the module is for"


@pytest.mark.parametrize(
    ("place", "source"),
    [
        (("core", "mask"), "import torch"),
        (("core", "mask"), "def f():\n    from understudy.io import atomic"),
        (("core", "mask"), "from understudy import io"),
        (("core", "mask"), "open('x')"),
        (("core", "mask"), "cv2.imread('x')"),
        (("nets", "blocks"), "from understudy.io.atomic import writing"),
        (("io", "footage"), "import understudy.nets.blocks"),
        (("io", "footage"), "import torch"),
        (("parts", "maskers"), "from understudy.stages import jobs"),
        (("parts", "maskers"), "import av"),
        (("stages", "train"), "from understudy.cli import main"),
        (("stages", "train"), "import rich"),
        (("types",), "from understudy.core import mask"),
        (("io", "checkpoint"), "import pickle"),
        (("stages", "train"), "torch.save(net, 'x')"),
        (("nets", "published"), "torch.load('x')"),
        (("nets", "published"), "torch.load('x', weights_only=False)"),
        (("stages", "train"), "print('x')"),
        (("stages", "train"), "try:\n    pass\nexcept:\n    pass"),
    ],
)
def test_the_layer_test_sees_a_fault(place: tuple[str, ...], source: str) -> None:
    assert faults(source, place)
