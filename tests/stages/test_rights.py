"""Shows that several people share: who may read what, and what is told where somebody may not."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fuzzing import is_message_fine
from rights import rights_bind

from understudy import cli
from understudy.errors import CannotRead, CannotWrite
from understudy.io import atomic, tables
from understudy.io.model_files import backups, checkpoint
from understudy.io.provenance import signing_key
from understudy.stages.extract import record
from understudy.stages.merge import versions
from understudy.stages.merge.segments import Segment, SegmentStore
from understudy.stages.saved_models.load import load_saved_model
from understudy.stages.saved_models.recipe import ModelRecipe, write_recipe


@pytest.fixture
def shared(show: Path) -> Path:
    """A show with a model that is no more than its files, and what a merge knows it by."""
    model = show / "models" / "tiny"
    write_recipe(model, ModelRecipe(model="tiny"))
    saved(model, 1)
    (show / "marks.toml").write_text("")
    return show


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def saved(model: Path, iteration: int) -> Path:
    arrays = {"w": np.zeros(3, np.float32)}
    parts = {"weights": arrays, "optimizer": arrays}
    return checkpoint.save(model / "checkpoints", iteration, parts, {"seconds": 1.0})


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("umask")
def test_all_that_is_written_may_be_read_as_any_new_file(tmp_path: Path) -> None:
    step = saved(tmp_path / "model", 7)
    backups.create(tmp_path / "model" / "backups", step, [], "order")
    tables.write_table(tmp_path / "table.safetensors", {"a": np.zeros(2)}, {})
    for _ in range(2):
        with atomic.partial_path(tmp_path / "tensors") as partial:
            tables.write_tensors(partial, {"a": np.zeros(2)})
    atomic.write_text(tmp_path / "text", "text")
    assert modes(tmp_path) == {0o640}


@pytest.mark.usefixtures("umask")
def test_the_key_that_signs_is_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CREDENTIALS", str(tmp_path / "own"))
    signing_key.load_credentials()
    key = tmp_path / "own" / signing_key.KEY
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    before = key.read_bytes()
    key.chmod(0)
    with rights_bind(), pytest.raises(CannotRead, match="permission denied"):
        signing_key.load_credentials()
    assert key.read_bytes() == before


# A file of the show, and a line that reads it.
READ = {
    "project": ("understudy.toml", "trained {}"),
    "face": ("src/faces/000000_0.png", "faces {} src"),
    "faceset": ("src/faces", "faces {} src"),
    "weights": ("models/tiny/checkpoints/000000001/weights.safetensors", "export {} {}/face.dfm"),
    "state": ("models/tiny/checkpoints/000000001/state.json", "export {} {}/face.dfm"),
    "pointer": ("models/tiny/checkpoints/current", "export {} {}/face.dfm"),
    "checkpoint": ("models/tiny/checkpoints/000000001", "export {} {}/face.dfm"),
    "recipe": ("models/tiny/options.toml", "export {} {}/face.dfm"),
    "options": ("marks.toml", "faces {} src --config {}/marks.toml"),
    "footage": ("b.mp4", "frames {}/b.mp4 {}/out"),
}


@pytest.mark.parametrize("what", READ)
def test_what_may_not_be_read_is_no_damage_and_stays(
    what: str, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, line = READ[what]
    closed = shared / name
    closed.touch()
    kept, before = closed.stat().st_mode, {path.name for path in shared.rglob("*")}
    closed.chmod(0)
    with rights_bind():
        code = cli.main([word.replace("{}", str(shared)) for word in line.split()])
    closed.chmod(kept)
    told = capsys.readouterr().err.rstrip("\n")
    assert code in (3, 13) and is_message_fine(told) and str(closed) in told
    assert "permission denied. Ask its owner" in told
    for wrong in ("damaged", "rain it first", "written to", "Run: understudy", "Mend it"):
        assert wrong not in told
    assert before <= {path.name for path in shared.rglob("*")}


def test_a_model_of_somebody_else_is_listed_beside_ones_own(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(shared / "models" / "tiny", shared / "models" / "theirs")
    closed = shared / "models" / "theirs" / "checkpoints" / "current"
    closed.chmod(0)
    with rights_bind():
        assert cli.main(["trained", str(shared)]) == 0
    told = capsys.readouterr().out
    assert "permission denied" in told and "tiny" in told


def test_a_newer_checkpoint_that_may_not_be_read_is_not_passed_over(shared: Path) -> None:
    model = shared / "models" / "tiny"
    (saved(model, 2) / "weights.safetensors").chmod(0)
    with rights_bind(), pytest.raises(CannotRead, match=r"000000002.*permission denied"):
        load_saved_model(model, "cpu")
    with rights_bind():
        saved(model, 3)
    assert (model / "checkpoints" / "000000002" / "weights.safetensors").exists()


def test_tables_and_records_that_may_not_be_read_are_not_made_anew(tmp_path: Path) -> None:
    state = tmp_path / "src"
    state.mkdir()
    table, note = record.detections_folder(state) / "000000.safetensors", record.record_path(state)
    tables.write_table(table, {"a": np.zeros(2)}, {})
    note.write_text("{}")
    store, segment = SegmentStore(tmp_path, False, {}), Segment(range(3), "key")
    part = tmp_path / "key.json"
    part.write_text("{}")
    for path in (table, note, part):
        path.chmod(0)
    with rights_bind():
        for read in (
            lambda: record.load_detections(state, "000000"),
            lambda: record.ExtractRecord.load(state),
            lambda: store.record_of(segment),
        ):
            with pytest.raises(CannotRead, match="permission denied"):
                read()


def test_segments_stay_where_a_version_may_not_be_read(tmp_path: Path) -> None:
    for number in ("001", "002"):
        (tmp_path / number).mkdir()
        (tmp_path / number / versions.RECORD).write_text(json.dumps({"segments": [number]}))
    assert versions.newest_segment_keys(tmp_path) == {"001", "002"}
    (tmp_path / "001" / versions.RECORD).chmod(0)
    with rights_bind():
        assert versions.newest_segment_keys(tmp_path) is None


def test_a_cache_of_faces_that_may_not_be_read_stays_and_is_not_needed(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["faces", str(shared), "src"]) == 0
    cache = shared / "src" / "faces.safetensors"
    before, told = cache.stat(), capsys.readouterr().out
    cache.chmod(0)
    with rights_bind():
        assert cli.main(["faces", str(shared), "src"]) == 0
    assert capsys.readouterr().out == told and cache.stat().st_ino == before.st_ino


def test_a_copy_of_what_may_not_be_read_blames_what_is_read(tmp_path: Path) -> None:
    source, goal = tmp_path / "source", tmp_path / "goal"
    source.write_text("theirs")
    source.chmod(0)
    with rights_bind(), pytest.raises(CannotRead, match="source: cannot be read: permission"):
        with atomic.partial_file(goal) as partial:
            shutil.copyfile(source, partial)
    goal.mkdir(mode=0o500)
    with rights_bind(), pytest.raises(CannotWrite, match="cannot be written to"):
        atomic.write_text(goal / "text", "text")


def test_a_disk_that_fails_while_it_is_read_is_told_as_that(
    shared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(path: Path, mode: str) -> object:
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr("understudy.io.data_files.open", failing, raising=False)
    assert cli.main(["trained", str(shared)]) == 13
    told = capsys.readouterr().err
    assert "understudy.toml: cannot be read: the disk fails (input/output error)" in told
