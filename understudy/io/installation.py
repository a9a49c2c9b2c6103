"""What to type: to run us, and for a missing package, which run.py brings, or pip."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

# The clone that this file belongs to, where it is one.
ROOT = Path(__file__).resolve().parents[2]


def called_as() -> str:
    """What people type before a command: `understudy`, or as they called run.py, which says so."""
    return os.environ.get("UNDERSTUDY_CALLED_AS", "understudy")


def requirements() -> dict[str, dict[str, str | None]]:
    """Return what Understudy requires, by extra ("" = always), package and installed version.

    None: it is not installed.
    """
    found: dict[str, dict[str, str | None]] = {}
    for extra, lines in _required().items():
        found[extra] = {name: _version(name) for name in map(_package, lines)}
    return found


def install_extra(extra: str) -> str:
    """What to run so that the packages of an extra are there, to stand behind "Run: "."""
    if _is_set_up_by_run_py():
        if called_as() != "understudy":
            return f"{called_as()} --with {extra}"
        script = "run.py" if Path.cwd() == ROOT else str(ROOT / "run.py")
        return _line(["python" if os.name == "nt" else "python3", script, "--with", extra])
    return pip("install", *_required()[extra])


def install_missing() -> str:
    """What to run for what is always required and is not there."""
    if (ROOT / "pyproject.toml").is_file():
        return pip("install", "-e", str(ROOT))
    return pip("install", *(each for each in _required()[""] if _version(_package(each)) is None))


def pip(command: str, *words: str) -> str:
    """A call of pip for the Python that runs us, held to the constraints of the clone, if any."""
    constraints = ROOT / "constraints.txt"
    held = ["-c", str(constraints)] if command == "install" and constraints.is_file() else []
    return _line([sys.executable, "-m", "pip", command, *held, *words])


def _is_set_up_by_run_py() -> bool:
    return (ROOT / "run.py").is_file() and Path(sys.prefix).resolve() == (ROOT / ".venv").resolve()


def _required() -> dict[str, list[str]]:
    """What pip would be asked for, by extra."""
    found: dict[str, list[str]] = {"": []}
    for line in requires("understudy") or []:
        requirement, _, condition = line.partition(";")
        extra = re.search(r"""extra == ["']([^"']+)["']""", condition)
        found.setdefault(extra[1] if extra else "", []).append(requirement.strip())
    return found


def _package(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _line(words: Iterable[str]) -> str:
    return " ".join(map(_quote, words))


def _quote(word: str) -> str:
    quoted = shlex.quote(word)
    # Shells of Windows know double quotes alone; without them `>=` would write into a file.
    return f'"{word}"' if os.name == "nt" and quoted != word else quoted
