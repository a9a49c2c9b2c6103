import json
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import save_file

from understudy.errors import BadProject, CannotWrite
from understudy.io import atomic, tables
from understudy.io.model_files import checkpoint, history


def saved(folder: Path, iteration: int, value: float = 1.0, keep: int = 3) -> Path:
    parts = {
        "weights": {"a": np.full((2, 3), value, np.float32)},
        "optimizer": {"a/step": np.float32(iteration).reshape(())},
    }
    return checkpoint.save(folder, iteration, parts, {"slowed": 0.5}, keep)


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    saved(tmp_path, 7, 0.25)
    (found,), torn = checkpoint.load_intact(tmp_path)
    assert (found.iteration, found.state, torn) == (7, {"slowed": 0.5}, [])
    assert np.array_equal(found.arrays("weights")["a"], np.full((2, 3), 0.25, np.float32))
    assert found.arrays("optimizer")["a/step"] == 7


def test_only_the_newest_are_kept_and_the_current_one_comes_first(tmp_path: Path) -> None:
    for iteration in range(1, 6):
        saved(tmp_path, iteration, keep=2)
    assert [each.iteration for each in checkpoint.load_intact(tmp_path)[0]] == [5, 4]


def test_the_same_iteration_can_be_saved_again(tmp_path: Path) -> None:
    saved(tmp_path, 3, 1.0)
    saved(tmp_path, 3, 2.0)
    found, _ = checkpoint.load_intact(tmp_path)
    assert [float(each.arrays("weights")["a"][0, 0]) for each in found] == [2.0, 1.0]


def test_a_torn_checkpoint_is_found_out_and_an_older_one_serves(tmp_path: Path) -> None:
    saved(tmp_path, 1)
    weights = saved(tmp_path, 2) / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    found, torn = checkpoint.load_intact(tmp_path)
    assert [each.iteration for each in found] == [1] and len(torn) == 1 and "000000002" in torn[0]
    assert "tensor a is not what was written" in torn[0]


def test_a_tensor_that_is_gone_is_named(tmp_path: Path) -> None:
    step = saved(tmp_path, 1)
    save_file({"b": np.zeros(3, np.float32)}, step / "weights.safetensors")
    assert "weights.safetensors: the tensor a is missing" in checkpoint.load_intact(tmp_path)[1][0]
    (step / "weights.safetensors").write_bytes(b"cut")
    assert "not readable" in checkpoint.load_intact(tmp_path)[1][0]


@pytest.mark.parametrize("lost", ["state.json", "optimizer.safetensors"])
def test_a_checkpoint_with_a_missing_file_does_not_count(tmp_path: Path, lost: str) -> None:
    (saved(tmp_path, 1) / lost).unlink()
    found, torn = checkpoint.load_intact(tmp_path)
    assert not found and len(torn) == 1


def test_a_write_that_fails_leaves_the_former_checkpoint_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path, 1)

    def full_disk(*_: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(tables, "save_file", full_disk)
    with pytest.raises(CannotWrite, match="the disk is full"):
        saved(tmp_path, 2)
    assert [each.iteration for each in checkpoint.load_intact(tmp_path)[0]] == [1]
    assert {path.name for path in tmp_path.iterdir()} == {"000000001", "current"}


def test_leftovers_of_a_killed_run_are_swept(tmp_path: Path) -> None:
    with atomic.partial_folder(tmp_path / "000000009") as left:
        pass
    left.path.mkdir()
    saved(tmp_path, 1)
    assert {path.name for path in tmp_path.iterdir()} == {"000000001", "current"}


def test_a_newer_layout_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, 1) / "state.json"
    newer = {**json.loads(path.read_text()), "schema_version": 99}
    path.write_text(json.dumps(newer))
    assert "not what was written" in checkpoint.load_intact(tmp_path)[1][0], "its sum is wrong"
    del newer["sum"]
    path.write_text(json.dumps(newer))
    with pytest.raises(BadProject, match="newer"):
        checkpoint.load_intact(tmp_path)


def test_bad_ones_can_be_dropped(tmp_path: Path) -> None:
    for iteration in (1, 2, 3):
        saved(tmp_path, iteration)
    checkpoint.remove_after(tmp_path, 1)
    assert [each.iteration for each in checkpoint.load_intact(tmp_path)[0]] == [1]


def test_nothing_saved_yet(tmp_path: Path) -> None:
    assert checkpoint.load_intact(tmp_path / "none") == ([], [])


def test_history_forgets_what_came_after_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    history.append(path, [{"iteration": n, "losses": {"src": 1 / n}} for n in (10, 20, 30)])
    with path.open("a") as file:
        file.write('{"iteration": 40, "los')
    history.truncate(path, 20)
    assert [row["iteration"] for row in history.read(path)] == [10, 20]
    history.append(path, [{"iteration": 30}])
    assert [row["iteration"] for row in history.read(path)] == [10, 20, 30]


def test_folders_that_are_no_checkpoints_stay_and_do_not_count(tmp_path: Path) -> None:
    for name in ("000000123-holiday", "999999999", "000000007"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "beach.jpg").write_text("foreign")
    foreign = saved(tmp_path / "elsewhere", 888)
    (tmp_path / "000000888").symlink_to(foreign)
    for iteration in range(1, 6):
        saved(tmp_path, iteration, keep=2)
    checkpoint.remove_after(tmp_path, 4)
    found, torn = checkpoint.load_intact(tmp_path)
    assert [each.iteration for each in found] == [4]
    assert all("current" in each for each in torn)
    for name in ("000000123-holiday", "999999999", "000000007"):
        assert (tmp_path / name / "beach.jpg").read_text() == "foreign"
    assert {path.name for path in foreign.iterdir()} >= {"state.json", "weights.safetensors"}


def test_own_files_in_a_checkpoint_stay_when_it_goes(tmp_path: Path) -> None:
    step = saved(tmp_path, 1)
    (step / "notes.txt").write_text("mine")
    record = json.loads((step / "state.json").read_text())
    record["sha256"]["../elsewhere"] = ""
    (tmp_path / "elsewhere").write_text("foreign")
    (step / "state.json").write_text(json.dumps(record))
    for iteration in (2, 3):
        saved(tmp_path, iteration, keep=1)
    assert {path.name for path in step.iterdir()} == {"notes.txt"}
    assert (tmp_path / "elsewhere").read_text() == "foreign"
    assert checkpoint.load_intact(tmp_path)[1] == []


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_history_is_never_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "foreign").write_text("{}\n")
    path = tmp_path / "history.jsonl"
    path.symlink_to(tmp_path / "foreign")
    with pytest.raises(CannotWrite, match=r"history.jsonl: a link lies there"):
        history.append(path, [{"iteration": 1}])
    path.unlink()
    path.hardlink_to(tmp_path / "foreign")
    history.append(path, [{"iteration": 1}])
    assert (tmp_path / "foreign").read_text() == "{}\n"
    assert path.read_text() == '{}\n{"iteration": 1}\n'
