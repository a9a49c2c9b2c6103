"""One runner for all tests here: to load everything, and to make a show, takes seconds."""

from __future__ import annotations

import ctypes
import functools
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from survival.harness import Expectation, Runner
from survival.scenarios import SCENARIOS, Scenario, prepare

# Of Linux: from here on mounts are seen by this process and its children alone.
CLONE_NEWNS = 0x20000


def mount_small_disk(disk: Path) -> bool:
    """Mount a disk that can be made full, for this process alone: it is gone with it.

    False where that is not allowed.
    """
    if sys.platform != "linux" or not shutil.which("mount"):
        return False
    if ctypes.CDLL(None).unshare(CLONE_NEWNS) != 0:
        return False
    private = ["mount", "--make-rprivate", "/"]
    tmpfs = ["mount", "-t", "tmpfs", "-o", "size=64m", "understudy-test", str(disk)]
    return all(
        subprocess.run(words, capture_output=True, check=False).returncode == 0
        for words in (private, tmpfs)
    )


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Its folder holds what `prepare` makes."""
    folder = tmp_path_factory.mktemp("survival")
    disk = folder / "disk"
    disk.mkdir()
    is_mounted = mount_small_disk(disk)
    runner = Runner(folder, disk, is_mounted)
    try:
        prepare(runner)
        yield runner
    finally:
        runner.close()
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.fixture(scope="session")
def expect(runner: Runner) -> Callable[[Scenario], Expectation]:
    """expect(scenario): what an undisturbed run leaves."""
    return functools.cache(lambda each: Expectation(runner, each.state, each.words))


@pytest.fixture(scope="session")
def scenario() -> Callable[[str], Scenario]:
    """scenario(name)."""
    return {each.name: each for each in SCENARIOS}.__getitem__
