"""A disk that is full, read-only or out of files, and other limits: one clear line, nothing lost.

Where a small disk can be mounted, it is the real one. Everywhere, an error comes out of Python's
own calls, from some operation on.
"""

from __future__ import annotations

import contextlib
import random
import subprocess
from collections.abc import Callable, Iterator

import pytest
from survival.harness import Expectation, Faults, Run, Runner, files
from survival.scenarios import SCENARIOS, Scenario

from understudy.errors import CannotWrite

Expect = Callable[[Scenario], Expectation]
Find = Callable[[str], Scenario]

# Free bytes, from none to almost enough, and files that may still be made.
ROOM = (0, 1 << 12, 1 << 14, 1 << 15, 1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 20)
INODES = (0, 1, 2, 3, 5, 8, 13, 21, 34)
# What may be full: the disk, the user's share, the disk's supply of names.
ERRORS = ("ENOSPC", "EDQUOT", "EROFS", "EMFILE", "EIO")
SHORT = ["new", "cut", "frames", "extract", "train", "merge", "copy", "restore", "history"]


def check_refused(run: Run, each: Scenario, moment: str) -> None:
    """It ended well, or with an error of ours in one line."""
    told = f"{each.name}, {moment}: {run.code}, {run.told[-1500:]}"
    assert run.code in (0, CannotWrite.exit_code), told
    assert "Traceback" not in run.told and "mistake of ours" not in run.told, told


def sizes(runner: Runner) -> dict[str, int]:
    """Every file and folder, with the bytes of the files."""
    there = files(runner.root).items()
    return {name: path.stat().st_size if path.is_file() else 0 for name, path in there}


def check_kept(runner: Runner, before: dict[str, int], moment: str) -> None:
    """What was there is still there; no file has become empty."""
    now = sizes(runner)
    lost = [name for name, size in before.items() if name not in now or (size and not now[name])]
    assert not lost, f"{moment}: lost {lost}"


def check_goes_on(runner: Runner, each: Scenario, expectation: Expectation, moment: str) -> None:
    again = runner.run(*each.words)
    told = f"{each.name}, again after {moment}: {again.code}, {again.told[-600:]}"
    assert again.code in each.again, told
    differences = expectation.differences(runner.root, each.extra)
    assert not differences, "\n".join([told, *differences])


def fail_at(
    runner: Runner, each: Scenario, expectation: Expectation, number: int, error: str
) -> None:
    runner.load(each.state)
    before = sizes(runner)
    run = runner.run(*each.words, fault=error, at=number)
    moment = f"{error} from operation {number} on"
    check_refused(run, each, moment)
    check_kept(runner, before, moment)
    check_goes_on(runner, each, expectation, moment)


@pytest.mark.parametrize("name", SHORT)
def test_an_error_of_the_disk_at_some_operation(
    name: str, runner: Runner, scenario: Find, expect: Expect
) -> None:
    each, chance = scenario(name), random.Random(name)
    count = len(expect(each).operations)
    fail_at(runner, each, expect(each), chance.randint(1, count), "ENOSPC")


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("each", SCENARIOS, ids=lambda each: each.name)
def test_an_error_of_the_disk_at_many_operations(
    each: Scenario, error: str, runner: Runner, expect: Expect
) -> None:
    numbers = list(range(1, len(expect(each).operations) + 1))
    most = 25 if each.cost < 0.5 else 6
    faults = Faults()
    for number in random.Random(each.name).sample(numbers, min(most, len(numbers))):
        with faults.gathered():
            fail_at(runner, each, expect(each), number, error)
    faults.check()


@contextlib.contextmanager
def only(runner: Runner, free: int) -> Iterator[None]:
    """The disk has so many bytes free."""
    filler = runner.disk / "filler"
    with filler.open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while file.write(bytes(1 << 16)):
                pass
        with contextlib.suppress(OSError):
            while file.write(bytes(1 << 12)):
                pass
        file.truncate(max(0, file.tell() - free))
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def mounted(runner: Runner, options: str, back: str) -> Iterator[None]:
    """The disk is mounted with other options."""
    mount = ["mount", "-o", f"remount,{options}", str(runner.disk)]
    subprocess.run(mount, check=True)
    try:
        yield
    finally:
        subprocess.run([*mount[:2], f"remount,{back}", mount[3]], check=True)


def small_disks(runner: Runner) -> Iterator[tuple[str, contextlib.AbstractContextManager[None]]]:
    """Every kind of a disk that is too small, with a word for it."""
    for room in ROOM:
        yield f"{room} bytes free", only(runner, room)
    for count in INODES:
        yield f"{count} files free", few_files(runner, count)
    yield "a read-only disk", mounted(runner, "ro", "rw")


@contextlib.contextmanager
def few_files(runner: Runner, free: int) -> Iterator[None]:
    """So many files or folders may still be made."""
    used = 1 + len(list(runner.disk.rglob("*")))
    with mounted(runner, f"nr_inodes={used + free}", "nr_inodes=100000"):
        yield


def need_mount(runner: Runner) -> None:
    if not runner.is_mounted:
        pytest.skip("a small disk cannot be mounted here: that takes root, and mount(8)")


def check_disk(
    runner: Runner,
    each: Scenario,
    expectation: Expectation,
    fault: contextlib.AbstractContextManager[None],
    moment: str,
) -> int:
    before = sizes(runner)
    with fault:
        run = runner.run(*each.words)
    check_refused(run, each, moment)
    check_kept(runner, before, moment)
    check_goes_on(runner, each, expectation, moment)
    return run.code


@pytest.mark.parametrize("name", ["cut", "extract", "train", "merge"])
def test_a_disk_that_is_full(name: str, runner: Runner, scenario: Find, expect: Expect) -> None:
    need_mount(runner)
    each = scenario(name)
    expectation = expect(each)
    room = random.Random(name).choice(ROOM[:5])
    runner.load(each.state)
    check_disk(runner, each, expectation, only(runner, room), f"{room} bytes free")


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("each", SCENARIOS, ids=lambda each: each.name)
def test_a_disk_with_little_room_and_few_files_and_none_to_write(
    each: Scenario, runner: Runner, expect: Expect
) -> None:
    need_mount(runner)
    expectation, codes, faults = expect(each), [], Faults()
    for moment, fault in small_disks(runner):
        runner.load(each.state)
        with faults.gathered():
            codes.append(check_disk(runner, each, expectation, fault, moment))
    faults.check()
    print(f"{each.name}: codes {codes}")


LIMITS = {
    "RLIMIT_FSIZE": (0, 100, 1000, 5000, 20_000),
    "RLIMIT_NOFILE": (12, 16, 20, 24, 32, 48),
    "RLIMIT_AS": (3_000_000_000, 4_000_000_000, 6_000_000_000),
}


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("each", SCENARIOS, ids=lambda each: each.name)
def test_limits_of_the_system(each: Scenario, limit: str, runner: Runner, expect: Expect) -> None:
    faults = Faults()
    for value in LIMITS[limit]:
        runner.load(each.state)
        before = sizes(runner)
        run = runner.run(*each.words, limits={limit: value})
        moment = f"{limit} {value}"
        told = f"{each.name}, {moment}: {run.code}, {run.told[-1500:]}"
        with faults.gathered():
            assert 0 <= run.code < 20, told
            assert "Traceback" not in run.told and "mistake of ours" not in run.told, told
            check_kept(runner, before, moment)
            check_goes_on(runner, each, expect(each), moment)
    faults.check()
