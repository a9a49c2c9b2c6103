"""Two runs at the same moment: one waits or says that the other is there; nothing is damaged."""

from __future__ import annotations

import time

import pytest
from survival.harness import Faults, Runner, files
from survival.scenarios import EXTRACT, MERGE, SWAP, TRAIN

from understudy.errors import BadOption, BadProject, Busy, CannotWrite
from understudy.io import atomic
from understudy.io.faceset.faceset import Faceset
from understudy.io.model_files import checkpoint
from understudy.io.open_footage import open_footage

Words = tuple[str, ...]

NEW: Words = ("new", "show", "src.mp4", "dst.mp4")
CUT: Words = ("cut", "dst.mp4", "out.mp4")
LEARN: Words = ("train", "show", *TRAIN, "--iterations", "4")
RENDER: Words = ("merge", "show", *MERGE)
COPY: Words = ("trained", "copy", "show", "tiny", "twin")
# What meets, with what it begins, and where both may well end as if alone.
PAIRS: dict[str, tuple[str, Words, Words]] = {
    "extract+extract": ("new", ("extract", "show", *EXTRACT), ("extract", "show", *EXTRACT)),
    "faces+extract": (
        "faces",
        ("faces", "check", "show", "dst"),
        ("extract", "show", "dst", *EXTRACT, "--redo"),
    ),
    "train+train": ("faces", LEARN, LEARN),
    "train+merge": ("trained", LEARN, RENDER),
    "merge+merge": ("trained", RENDER, RENDER),
    "preview+merge": ("trained", (*RENDER, "--preview"), RENDER),
    "trash+train": ("trained", ("trained", "trash", "show", "tiny"), LEARN),
    "rename+merge": ("trained", ("trained", "rename", "show", "tiny", "other"), RENDER),
    "copy+copy": ("trained", COPY, COPY),
    "copy+train": ("trained", COPY, LEARN),
    "restore+train": ("trained", ("trained", "restore", "show", "tiny", "1"), LEARN),
    "new+new": ("clips", NEW, NEW),
    "cut+cut": ("clips", CUT, CUT),
    "frames+frames": ("clips", ("frames", "dst.mp4", "out"), ("frames", "dst.mp4", "out")),
    "export+export": (
        "trained",
        ("export", "show", "face.dfm"),
        ("export", "show", "face.dfm"),
    ),
    "history+train": ("trained", ("history", "show"), LEARN),
    "swap+swap": (
        "clips",
        ("swap", "src.mp4", "dst.mp4", "out.mp4", "--iterations", "2", *SWAP),
        ("swap", "src.mp4", "dst.mp4", "out.mp4", "--iterations", "2", *SWAP),
    ),
}
# Another run has it, or had it first.
REFUSED = {each.exit_code for each in (Busy, BadProject, BadOption, CannotWrite)}
SHORT = ["new+new", "cut+cut", "copy+copy", "train+train", "trash+train", "merge+merge"]


def meet(runner: Runner, name: str, apart: float) -> tuple[int, int]:
    """Let the second begin `apart` seconds after the first, and see that nothing is damaged."""
    state, one, other = PAIRS[name]
    runner.load(state)
    gates = [runner.root.parent / f"gate-{number}" for number in range(2)]
    for gate in gates:
        gate.unlink(missing_ok=True)
    runs = [
        runner.start(*words, barrier=gate) for words, gate in zip((one, other), gates, strict=True)
    ]
    for gate in gates if apart >= 0 else reversed(gates):
        gate.touch()
        time.sleep(abs(apart))
    ended = [run.wait() for run in runs]
    told = "\n".join(f"{name}: {run.code}: {run.told[-800:]}" for run in ended)
    assert any(run.code == 0 for run in ended), told
    for run in ended:
        assert run.code in {0, *REFUSED} and "Traceback" not in run.told, told
    check_whole(runner, told)
    return ended[0].code, ended[1].code


def check_whole(runner: Runner, told: str) -> None:
    """Every file is one that can be read, and nothing is half-written."""
    for name, path in files(runner.root).items():
        assert not atomic.is_partial(path.name) and ".making-" not in path.name, f"{name}\n{told}"
        if path.suffix in (".mp4", ".mov"):
            with open_footage(path) as footage:
                assert len(list(footage)) == len(footage) > 0, f"{name}\n{told}"
        if path.name == "checkpoints":
            whole, damaged = checkpoint.load_intact(path)
            assert whole and not damaged, f"{name}\n{told}"
        if path.name == "faces":
            assert len(Faceset(path)), f"{name}\n{told}"


@pytest.mark.parametrize("name", SHORT)
def test_two_at_once(name: str, runner: Runner) -> None:
    meet(runner, name, 0)


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("name", PAIRS)
def test_two_at_about_the_same_moment(name: str, runner: Runner) -> None:
    moments = (0, 0, 0, 0.02, -0.02, 0.1, -0.1, 0.3, -0.3, 1, -1)
    faults, codes = Faults(), []
    for apart in moments:
        with faults.gathered():
            codes.append(meet(runner, name, apart))
    print(name, sorted(codes))
    faults.check()
