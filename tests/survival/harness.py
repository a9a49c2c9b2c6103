"""Runs of the command line that are killed, or meet a full disk, and what must be left of them.

Each run has a folder for itself: show, clips, results, temporary files and credentials all lie in
it. So whatever a run leaves behind shows up as a file that an undisturbed one does not leave.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from understudy.io.open_footage import open_footage
from understudy.types import Array

# Seconds after which a run hangs.
PATIENCE = 120
# Levels by which two codings of the same pictures may differ, in the mean of each.
CODED = 2
# Of so many differences the rest is no news.
MOST = 6
# What the name or text of a file may say of when it was made, and of how long that took.
_NUMBERS = re.compile(rb"\d+")
_STAMP = re.compile(r"20\d{6}-\d{6}")

Normal = Callable[[Path], object]


class Faults:
    """What went wrong in many tries: all is told, not only the first.

    `with faults.gathered(): …` notes what an assertion says; `check` fails with all of it.
    """

    def __init__(self) -> None:
        self._told: list[str] = []

    @contextlib.contextmanager
    def gathered(self) -> Iterator[None]:
        try:
            yield
        except AssertionError as error:
            self._told.append(str(error))
            print(f"\n{error}", flush=True)

    def check(self) -> None:
        assert not self._told, f"{len(self._told)} faults:\n" + "\n\n".join(self._told)


@dataclass(frozen=True)
class Run:
    """A run that has ended. code: negative for a signal. told: what it printed."""

    code: int
    told: str
    operations: tuple[str, ...]


class Runner:
    """Runs command lines in a folder that can be put back to how it was.

    folder: for what it remembers. disk: where it makes that folder. is_mounted: whether that is a
    small file system of its own.
    """

    def __init__(self, folder: Path, disk: Path, is_mounted: bool) -> None:
        self.root, self._logs, self._states = disk / "root", folder / "logs", folder / "states"
        for each in (self.root, self._logs, self._states):
            each.mkdir(parents=True)
        for each in ("tmp", "home"):
            (self.root / each).mkdir()
        self._count, self.disk, self.is_mounted = 0, disk, is_mounted
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        self._server = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("forkserver.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._answer()

    def close(self) -> None:
        self._server.communicate(timeout=PATIENCE)

    def save(self, name: str) -> None:
        """Remember the folder as it is."""
        shutil.copytree(self.root, self._states / name, symlinks=True)

    def load(self, name: str) -> None:
        """Put the folder back."""
        # Footage is known by its time, which `copytree` keeps; the folder itself may be mounted.
        for each in self.root.iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        shutil.copytree(self._states / name, self.root, symlinks=True, dirs_exist_ok=True)

    def start(
        self,
        *words: str,
        fault: str | None = None,
        at: int = 1,
        barrier: Path | None = None,
        limits: dict[str, int] | None = None,
    ) -> Started:
        """Start a command line; see `Operations` for faults. barrier: it waits for that file."""
        self._count += 1
        log, told = (self._logs / f"{self._count}.{kind}" for kind in ("log", "told"))
        request: dict[str, Any] = {
            "words": words,
            "folder": str(self.root),
            "root": str(self.root),
            "fault": fault,
            "at": at,
            "log": str(log),
            "told": str(told),
            "limits": limits or {},
            "environment": {
                "TMPDIR": str(self.root / "tmp"),
                "UNDERSTUDY_CREDENTIALS": str(self.root / "home" / "credentials"),
            },
        }
        if barrier:
            request["start"] = str(barrier)
        return Started(self, self._ask(request), told, log)

    def run(self, *words: str, fault: str | None = None, at: int = 1, **more: Any) -> Run:
        """Run a command line to its end."""
        return self.start(*words, fault=fault, at=at, **more).wait()

    def _ask(self, request: dict[str, Any]) -> Any:
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._server.stdout is not None
        return json.loads(self._server.stdout.readline())


@dataclass(frozen=True)
class Started:
    """A run that goes on."""

    runner: Runner
    process: int
    _told: Path
    _log: Path

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process, number)

    def wait(self) -> Run:
        code = self.runner._ask({"wait": self.process})
        operations = (
            self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        )
        return Run(code, self._told.read_text(errors="replace"), tuple(operations))


def files(root: Path) -> dict[str, Path]:
    """Every file and folder below `root`, by its name without time stamps."""
    found: dict[str, Path] = {}
    for path in sorted(root.rglob("*")):
        name = _STAMP.sub("<time>", path.relative_to(root).as_posix())
        while name in found:
            name += "'"
        found[name] = path
    return found


def as_bytes(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class Film:
    """Pictures and their times. Two are equal that differ by less than a coder does by itself.

    x264 gives other bytes for the same pictures now and then, in a few of a hundred runs.
    """

    times: tuple[int | None, ...]
    pictures: Array

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Film)
            and self.times == other.times
            and self.pictures.shape == other.pictures.shape
            and np.abs(self.pictures - other.pictures).mean((1, 2, 3)).max() < CODED
        )


def as_film(path: Path) -> Film:
    """A film whatever its container says of the day."""
    with open_footage(path) as footage:
        frames = list(footage)
    pictures = np.stack([frame.image.astype(np.int16) for frame in frames])
    return Film(tuple(frame.pts for frame in frames), pictures)


def as_words(path: Path) -> str:
    """A text without its numbers: how long something took is one."""
    return hashlib.sha256(_NUMBERS.sub(b"0", path.read_bytes())).hexdigest()


def as_name(path: Path) -> str:
    return "there"


class Expectation:
    """What is there after an undisturbed run, as exactly as two of them agree about each file."""

    def __init__(self, runner: Runner, state: str, words: tuple[str, ...]) -> None:
        self._normals: dict[str, Normal] = {}
        self.wanted: dict[str, object] = {}
        both = []
        for _ in range(2):
            runner.load(state)
            # Else a file that says when it was made might say the same by chance.
            time.sleep(1.1)
            run = runner.run(*words)
            assert run.code == 0, run.told
            self.operations = run.operations
            both.append({name: self._forms(path) for name, path in files(runner.root).items()})
        assert both[0].keys() == both[1].keys(), both[0].keys() ^ both[1].keys()
        for name, forms in both[0].items():
            for normal, form in forms.items():
                if both[1][name].get(normal) == form:
                    self._normals[name], self.wanted[name] = normal, form
                    break

    def differences(self, root: Path, extra: str = "$^") -> list[str]:
        """How a folder differs from it, in words; files that match `extra` are not looked at."""
        there = files(root)
        wanted = {name for name in self.wanted if not re.fullmatch(extra, name)}
        found = {name for name in there if not re.fullmatch(extra, name)}
        told = [f"{name}: missing" for name in wanted - found]
        told += [f"{name}: left behind" for name in found - wanted]
        for name in wanted & found:
            if there[name].is_file() and self._normals[name](there[name]) != self.wanted[name]:
                told.append(f"{name}: other content ({self._normals[name].__name__})")
        told.sort()
        return told if len(told) <= MOST else [*told[:MOST], f"and {len(told) - MOST} more"]

    @staticmethod
    def _forms(path: Path) -> dict[Normal, object]:
        """The file in every normal form that its kind has, the strictest first."""
        if not path.is_file():
            return {as_name: "there"}
        kinds: list[Normal] = [as_film if path.suffix in (".mp4", ".mov", ".mkv") else as_bytes]
        if path.suffix in (".json", ".jsonl", ".toml", ".html", ".svg"):
            kinds.append(as_words)
        return {kind: kind(path) for kind in (*kinds, as_name)}
