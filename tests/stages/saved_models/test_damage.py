"""Damaged files beside intact weights: the model serves on, and what is damaged is told."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import fuzzing
from understudy.errors import BadProject
from understudy.io.model_files import checkpoint, history
from understudy.stages.events import Event, Finished, Note, Warned
from understudy.stages.jobs import call
from understudy.stages.saved_models.load import load_saved_model
from understudy.stages.saved_models.recipe import read_recipe
from understudy.stages.train.command import train
from understudy.stages.train.options import TrainOptions

HOSTILE = Path(__file__).parents[2] / "data" / "hostile"
JUNK = {
    "no UTF-8": b"\xff\xfe\x00",
    "nothing": b"",
    "zeros": bytes(4096),
    "digits": b'{"iteration": ' + b"1" * 5000 + b"}",
    "deep": b"[" * 100_000,
    "not a number": b'{"iteration": NaN, "state": {"seconds": NaN}}',
    "a list": b"[1]",
    "a number": b"5",
    "a text": b'"a"',
}


@pytest.fixture
def known(show: Path) -> Path:
    """A show with the model `tiny`, with checkpoints of the iterations 2 and 4."""
    for iterations in (2, 4):
        told(train_on(show, iterations))
    return show


def train_on(show: Path, iterations: int) -> list[Event]:
    values = {"batch": 1, "device": "cpu", "model": "tiny", "iterations": iterations}
    return list(train(show, TrainOptions.layered(values)))


def told(events: list[Event]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


def warnings(events: list[Event]) -> str:
    found = [event.text for event in events if isinstance(event, Warned)]
    assert all(fuzzing.is_message_fine(text) for text in found)
    return " ".join(found)


def test_junk_in_place_of_a_file_costs_that_file_alone(known: Path, tmp_path: Path) -> None:
    recipe = read_recipe(known / "models/tiny")
    for number, (name, junk) in enumerate(JUNK.items()):
        show = tmp_path / str(number)
        shutil.copytree(known, show)
        folder = show / "models/tiny"
        (folder / "checkpoints/current").write_bytes(junk)
        loaded = load_saved_model(folder, "cpu")
        assert loaded.saved.iteration == 4 and "current" in loaded.warnings[0], name
        (folder / "checkpoints/000000004/state.json").write_bytes(junk)
        loaded = load_saved_model(folder, "cpu")
        assert loaded.saved.iteration == 2 and "000000004" in " ".join(loaded.warnings), name
        path = folder / "history.jsonl"
        path.write_bytes(junk + b"\n" + path.read_bytes())
        (folder / "options.toml").write_bytes(junk)
        assert read_recipe(folder) == recipe, name
        for verb in ("trained", "history"):
            events = list(call(verb)(show))
            assert "history.jsonl" in warnings(events) and isinstance(events[-1], Finished), name
    events = train_on(show, 3)
    for name in ("options.toml", "000000004", "history.jsonl"):
        assert name in warnings(events)
    assert any(isinstance(each, Note) and "from iteration 2" in each.text for each in events)
    assert told(events).summary["iteration"] == 3
    assert warnings(list(call("trained")(show))) == "", "all is as new"


def test_weights_of_other_kinds_of_numbers_are_named(known: Path) -> None:
    folder = known / "models/tiny"
    (newest, *_), _ = checkpoint.load_intact(folder / "checkpoints")
    weights = {name: array.astype(np.uint16) for name, array in newest.arrays("weights").items()}
    checkpoint.save(folder / "checkpoints", 6, {"weights": weights}, newest.state)
    error = fuzzing.assert_tree_only(lambda: load_saved_model(folder, "cpu"))
    assert isinstance(error, BadProject) and "holds uint16" in str(error)


@pytest.mark.parametrize("odd", [np.ones(()), np.ones(0), np.ones(7), np.ones((600, 600))])
def test_a_memory_of_other_shapes_is_named(known: Path, odd: np.ndarray[Any, Any]) -> None:
    folder = known / "models/tiny/checkpoints"
    (newest, *_), _ = checkpoint.load_intact(folder)
    parts = {part: newest.arrays(part) for part in ("weights", "optimizer", "ema")}
    for name in sorted(parts["optimizer"])[:3]:
        memory = {**parts["optimizer"], name: odd.astype(np.float32)}
        if memory[name].shape == parts["optimizer"][name].shape:
            continue
        checkpoint.save(folder, 6, {**parts, "optimizer": memory}, newest.state)
        error = fuzzing.assert_tree_only(lambda: train_on(known, 7))
        assert isinstance(error, BadProject) and f"{name} is of another shape" in str(error)


@pytest.mark.parametrize("name", ["history-no-iteration", "history-not-utf8", "history-number-row"])
def test_a_history_loses_its_broken_rows(tmp_path: Path, name: str) -> None:
    path = tmp_path / "history.jsonl"
    shutil.copy(HOSTILE / f"{name}.jsonl", path)
    with path.open("a") as file:
        file.write('{"iteration": 20, "losses": {"src": NaN, "dst": 1}}\n{"torn')
    found = history.load(path)
    assert [row["iteration"] for row in found.rows] == [10, 10, 20] and found.broken == 1
    assert found.rows[2]["losses"] == {"dst": 1}
    history.truncate(path, 15)
    assert history.load(path) == history.History(found.rows[:2], 0)


@pytest.mark.parametrize(
    "line", [b"\n", b"[]\n", b'{"iteration": 1}\n', b'{"iteration": 1, "x": ' + b"[" * 90 + b"\n"]
)
def test_of_a_history_of_any_length_the_newest_rows_are_read(
    line: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "_MAX_VALUES", 500)
    path, rows = tmp_path / "history.jsonl", [{"iteration": n} for n in (10, 20, 30)]
    before = line * 1000
    path.write_bytes(before)
    history.append(path, rows)
    found = history.load(path)
    assert found.rows[-3:] == rows and len(found.rows) + found.broken < 500
    history.truncate(path, 20)
    assert history.read(path)[-2:] == rows[:2] and path.read_bytes().startswith(
        before[: len(before) // 3]
    )


@pytest.mark.parametrize("name", ["toml-5000-digits", "toml-deep"])
def test_options_that_nothing_can_replace_are_an_error_that_says_so(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "models/tiny").mkdir(parents=True)
    shutil.copy(HOSTILE / f"{name}.toml", tmp_path / "models/tiny/options.toml")
    error = fuzzing.assert_tree_only(lambda: read_recipe(tmp_path / "models/tiny"))
    assert isinstance(error, BadProject) and "options.toml" in str(error)


def sha_list(state: dict[str, object]) -> None:
    state["sha256"] = []


def no_files(state: dict[str, object]) -> None:
    state["sha256"] = {}


def files_elsewhere(state: dict[str, object]) -> None:
    state["sha256"] = {"../../../options.toml": "0"}


STATES: dict[str, Callable[[dict[str, object]], object]] = {
    "sha list": sha_list,
    "no files": no_files,
    "files elsewhere": files_elsewhere,
    "negative": lambda state: state.update(iteration=-1),
    "huge": lambda state: state.update(iteration=2**70),
    "text": lambda state: state.update(iteration="4"),
    "a flag": lambda state: state.update(iteration=True),
    "seconds": lambda state: state.update(state={"seconds": "long"}),
    "no number": lambda state: state.update(state={"seconds": float("nan")}),
    "settings": lambda state: state.update(state={"settings": [1]}),
    "sums": lambda state: state.update(crc32=5),
}


@pytest.mark.parametrize("change", STATES.values(), ids=STATES)
def test_a_state_of_other_kinds_is_a_damaged_checkpoint(
    tmp_path: Path, change: Callable[[dict[str, object]], object]
) -> None:
    for iteration in (2, 4):
        parts = {"weights": {"a": np.zeros(3, np.float32)}}
        checkpoint.save(tmp_path, iteration, parts, {"seconds": 1.0})
    path = tmp_path / "000000004/state.json"
    state = json.loads(path.read_text())
    del state["sum"]
    change(state)
    path.write_text(json.dumps(state))
    (found,), torn = checkpoint.load_intact(tmp_path)
    assert found.iteration == 2 and len(torn) == 1 and fuzzing.is_message_fine(torn[0])
    peeked = checkpoint.peek(tmp_path)
    assert peeked is not None and peeked.iteration == 2


def test_the_state_that_was_found_from_outside(tmp_path: Path) -> None:
    shutil.copytree(HOSTILE / "checkpoint-sha-list", tmp_path / "checkpoints")
    assert checkpoint.load_intact(tmp_path / "checkpoints")[0] == []
    assert checkpoint.peek(tmp_path / "checkpoints") is None


def test_fuzz_a_checkpoint(tmp_path: Path) -> None:
    """Whatever happens to a file of the newest, an intact one is used, or it was harmless."""
    values = {"seconds": 1.5, "slowed": 1.0, "settings": {"resolution": 64}, "recent": [1.0, 2.5]}
    for iteration in (2, 4):
        weights = {"a": np.full((2, 3), iteration, np.float32)}
        checkpoint.save(tmp_path, iteration, {"weights": weights}, values)
    newest = tmp_path / "000000004"
    rng = random.Random(3)
    for path in (tmp_path / "current", newest / "state.json", newest / "weights.safetensors"):
        before = path.read_bytes()
        for damaged in fuzzing.mutations(before, fuzzing.rounds(250), seed=rng.randrange(2**32)):
            path.write_bytes(damaged)
            (saved, torn) = checkpoint.load_newest(tmp_path)
            assert saved is not None and saved.state == values
            assert float(saved.arrays("weights")["a"][0, 0]) == saved.iteration
            assert all(fuzzing.is_message_fine(text) for text in torn)
            peeked = checkpoint.peek(tmp_path)
            assert peeked is not None and peeked.state == values
        path.write_bytes(before)


def test_fuzz_a_history(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    before = (HOSTILE / "history-number-row.jsonl").read_bytes()
    trees = iter(fuzzing.json_trees(fuzzing.rounds(300), seed=5))
    for damaged in fuzzing.mutations(before, fuzzing.rounds(300), seed=4):
        row = json.dumps({"iteration": 30, "losses": next(trees), "held_out": {"a": 1}})
        path.write_bytes(damaged + b"\n" + row.encode() + b"\n")
        found = history.load(path)
        for each in found.rows:
            assert isinstance(each["iteration"], int) and each["iteration"] >= 0
        history.truncate(path, 15)
        assert history.load(path).broken == 0
