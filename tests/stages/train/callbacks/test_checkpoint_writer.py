"""Checkpoints that are written while the model learns on."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from understudy.errors import CannotWrite
from understudy.io.model_files import backups, checkpoint
from understudy.stages.train.callbacks.checkpoint_writer import CheckpointWriter
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.state_dict import Snapshot

# Saves for ever, as fast as it can; a line for each checkpoint that has come to lie on disk.
ENDLESS = """
import sys, numpy as np
from pathlib import Path
from understudy.stages.train.callbacks.checkpoint_writer import CheckpointWriter
from understudy.stages.train.state_dict import Snapshot
with CheckpointWriter(Path(sys.argv[1])) as writer:
    for n in range(1, 10_000):
        parts = {part: {"a": np.full(200_000, n, np.float32)} for part in ("weights", "optimizer")}
        snapshot = Snapshot(n, parts, {"seconds": n}, True)
        for event in writer.write(snapshot, "time" if n % 3 == 0 else "", 2):
            print(event.path.name, flush=True)
"""


def snapshot(iteration: int, weights: np.ndarray, seconds: float = 0) -> Snapshot:  # type: ignore[type-arg]
    return Snapshot(iteration, {"weights": {"a": weights}}, {"seconds": seconds}, True)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Nothing is written before it opens."""
    opened, write = threading.Event(), checkpoint._fill

    def waiting(*args: object) -> None:
        assert opened.wait(60)
        write(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(checkpoint, "_fill", waiting)
    return opened


def test_learning_goes_on_while_a_checkpoint_is_written(
    tmp_path: Path, gate: threading.Event
) -> None:
    weights = np.zeros(5, np.float32)
    with CheckpointWriter(tmp_path) as writer:
        list(writer.write(snapshot(1, weights), "", 1))
        weights += 1
        assert list(writer.poll()) == [] and not (tmp_path / "checkpoints/current").exists()
        gate.set()
        (event,) = writer.flush()
        assert event.path.is_dir() and list(writer.flush()) == []
        list(writer.write(snapshot(2, weights), "", 1))
    first, second = reversed(checkpoint.load_intact(tmp_path / "checkpoints")[0])
    assert not first.arrays("weights")["a"].any() and second.arrays("weights")["a"].all()


def test_one_at_a_time_and_the_end_waits(tmp_path: Path, gate: threading.Event) -> None:
    weights = np.zeros(5, np.float32)
    with CheckpointWriter(tmp_path) as writer:
        list(writer.write(snapshot(1, weights), "", 1))
        threading.Timer(0.2, gate.set).start()
        assert len(list(writer.write(snapshot(2, weights), "order", 1))) == 1
    assert checkpoint.load_intact(tmp_path / "checkpoints")[0][0].iteration == 2
    assert len(backups.list_backups(tmp_path / "backups")) == 1


def test_a_full_disk_is_told_at_the_next_look_and_leaves_the_former_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with CheckpointWriter(tmp_path) as writer:
        list(writer.write(snapshot(1, np.zeros(3, np.float32)), "", 1))
        list(writer.flush())
        monkeypatch.setattr(os, "fsync", full)
        list(writer.write(snapshot(2, np.zeros(3, np.float32)), "", 1))
        with pytest.raises(CannotWrite, match="disk is full"):
            list(writer.flush())
    assert [each.iteration for each in checkpoint.load_intact(tmp_path / "checkpoints")[0]] == [1]
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"000000001", "current"}


def test_backups_are_due_by_time_spent_learning_and_by_iteration(tmp_path: Path) -> None:
    hourly, often = TrainOptions(), TrainOptions(backup_hours="never", backup_iterations=1000)
    with CheckpointWriter(tmp_path) as writer:
        assert not writer.is_backup_due(hourly, 5000, 3599) and writer.is_backup_due(
            hourly, 5000, 3600
        )
        assert not writer.is_backup_due(often, 999, 9e9) and writer.is_backup_due(often, 1003, 0)
        list(writer.write(snapshot(1003, np.zeros(1), 3600), "time", 5))
    with CheckpointWriter(tmp_path) as writer:
        assert not writer.is_backup_due(hourly, 1100, 7199) and writer.is_backup_due(
            hourly, 1100, 7200
        )
        assert not writer.is_backup_due(often, 1999, 3700) and writer.is_backup_due(
            often, 2000, 3700
        )
        # Restored to a time before that backup, and faster since: its own hour counts from the
        # beginning again.
        assert writer.is_backup_due(TrainOptions(backup_hours=0.5), 1100, 1800)
        assert not writer.is_backup_due(hourly, 800, 3000) and writer.is_backup_due(
            hourly, 1002, 3650
        )


@pytest.mark.parametrize("saves", [1, 4, 7])
def test_killed_at_any_moment_it_leaves_whole_checkpoints_only(tmp_path: Path, saves: int) -> None:
    order = [sys.executable, "-c", ENDLESS, str(tmp_path)]
    with subprocess.Popen(order, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(saves):
            process.stdout.readline()
        time.sleep(0.003 * saves)
        process.kill()
    whole, torn = checkpoint.load_intact(tmp_path / "checkpoints")
    assert whole[0].iteration >= saves * 3 // 4 and not torn
    assert set(whole[0].arrays("weights")["a"]) == {whole[0].iteration}
    for each in backups.list_backups(tmp_path / "backups"):
        assert checkpoint._verify(each.folder).iteration % 3 == 0
    with CheckpointWriter(tmp_path) as writer:
        list(writer.write(snapshot(99, np.zeros(1)), "time", 2))
    assert not list(tmp_path.glob("*/.*partial"))
