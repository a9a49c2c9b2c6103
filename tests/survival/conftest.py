"""One runner for all tests here: to load everything, and to make a show, takes seconds."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable, Iterator

import pytest
from survival.harness import Expectation, Runner
from survival.scenarios import SCENARIOS, Scenario, prepare


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Its folder holds what `prepare` makes."""
    folder = tmp_path_factory.mktemp("survival")
    disk = folder / "disk"
    disk.mkdir()
    # A disk of its own, where that is allowed here: it can be made full.
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "understudy-test", str(disk)]
    is_mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
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
