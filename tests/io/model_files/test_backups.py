"""Backups of a checkpoint: they cost nothing at first, outlive it, and come back."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from understudy.errors import BadProject
from understudy.io import atomic
from understudy.io.model_files import backups, checkpoint


def saved(model: Path, iteration: int) -> Path:
    weights = {"a": np.full((2, 3), iteration, np.float32)}
    return checkpoint.save(
        model / "checkpoints", iteration, {"weights": weights}, {"seconds": 60.0 * iteration}
    )


def made(model: Path, iteration: int, why: str = backups.ROLLING, keep: int = 12) -> backups.Backup:
    return backups.create(
        model / "backups", saved(model, iteration), [model / "options.toml"], why, keep
    )


def test_a_backup_takes_no_space_of_its_own_and_outlives_the_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "options.toml").write_text("model = 'tiny'")
    one = made(tmp_path, 1)
    assert (one.folder / "weights.safetensors").stat().st_nlink == 2 and (
        one.folder / "options.toml"
    ).is_file()
    for iteration in range(2, 6):
        saved(tmp_path, iteration)
    (found,) = backups.list_backups(tmp_path / "backups")
    assert (found.iteration, found.seconds, found.why) == (
        1,
        60.0,
        "time",
    ) and found.folder.name.startswith("000000001-")
    adopted = checkpoint.copy_as_current(tmp_path / "checkpoints", found.folder)
    assert float(adopted.arrays("weights")["a"][0, 0]) == 1
    assert [each.iteration for each in checkpoint.load_intact(tmp_path / "checkpoints")[0]] == [1]


def test_where_the_disk_knows_no_links_files_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("os.link", refuse)
    one = made(tmp_path, 1)
    assert (one.folder / "weights.safetensors").stat().st_nlink == 1
    assert checkpoint.copy_as_current(tmp_path / "checkpoints", one.folder).iteration == 1


def test_rolling_ones_make_place_and_those_asked_for_stay(tmp_path: Path) -> None:
    made(tmp_path, 1, "order")
    for iteration in range(2, 7):
        made(tmp_path, iteration, keep=2)
    made(tmp_path, 7, "restore")
    assert [each.iteration for each in backups.list_backups(tmp_path / "backups")] == [1, 5, 6, 7]


def test_a_clock_that_jumps_changes_names_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken = time.strftime
    # The same second twice, a day ahead, and back; and an iteration that was reached before.
    for iteration, now in ((5, 90_000), (5, 90_000), (3, 180_000), (4, 0)):
        monkeypatch.setattr(time, "strftime", lambda form, now=now: spoken(form, time.gmtime(now)))
        made(tmp_path, iteration, keep=3)
    assert (
        backups.list_backups(tmp_path / "backups")[0].folder.name == "000000005-19700102-010000-2"
    )
    assert [each.iteration for each in backups.list_backups(tmp_path / "backups")] == [5, 3, 4]


def test_what_is_not_whole_does_not_count_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    one = made(tmp_path, 1)
    (tmp_path / "backups" / "000000009-x").mkdir()
    with atomic.partial_folder(tmp_path / "backups" / "left") as left:
        pass
    left.path.mkdir()
    (one.folder / "weights.safetensors").write_bytes(b"torn")
    assert len(backups.list_backups(tmp_path / "backups")) == 1
    with pytest.raises(BadProject, match="Take another"):
        checkpoint.copy_as_current(tmp_path / "checkpoints", one.folder)
    shutil.copytree(one.folder, left.path, dirs_exist_ok=True)
    assert len(backups.list_backups(tmp_path / "backups")) == 1
    made(tmp_path, 2)
    assert not left.path.exists()


def test_own_files_in_a_backup_stay_when_it_goes(tmp_path: Path) -> None:
    (tmp_path / "options.toml").write_text("model = 'tiny'")
    one, other = made(tmp_path, 1), made(tmp_path, 2)
    (one.folder / "notes.txt").write_text("mine")
    (tmp_path / "backups" / "000000123-holiday").mkdir()
    (tmp_path / "backups" / "000000123-holiday" / "beach.jpg").write_text("foreign")
    about = json.loads((other.folder / "backup.json").read_text())
    # As former versions wrote it.
    del about["files"]
    (other.folder / "backup.json").write_text(json.dumps(about))
    last = made(tmp_path, 3, keep=1)
    assert {path.name for path in (tmp_path / "backups").iterdir()} == {
        one.folder.name,
        "000000123-holiday",
        last.folder.name,
    }
    assert {path.name for path in one.folder.iterdir()} == {"notes.txt"}
