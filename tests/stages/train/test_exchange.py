"""`train --exchange`: src and dst in each other's place for a while, and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.errors import BadOption, BadProject
from understudy.io.model_files import checkpoint, history
from understudy.stages.events import Event, Finished, Measured, Note, Progress, Stop
from understudy.stages.export.command import ExportOptions, export
from understudy.stages.saved_models.command import TrainedOptions, trained
from understudy.stages.saved_models.load import load_model, load_saved_model
from understudy.stages.swap import SwapOptions, swap
from understudy.stages.train import loop
from understudy.stages.train.callbacks import previews
from understudy.stages.train.command import train
from understudy.stages.train.options import TrainOptions

SMALL = {"tiny": {"resolution": 64}, "batch": 2, "device": "cpu", "precision": "fp32", "threads": 1}
Make = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("small_models")


def done(show: Path, **options: object) -> list[Event]:
    return list(train(show, TrainOptions.layered({**SMALL, **options})))


def newest(show: Path) -> checkpoint.Checkpoint:
    return checkpoint.load_intact(show / "models" / "tiny" / "checkpoints")[0][0]


def assert_same(one: Path, other: Path) -> None:
    for part in ("weights", "optimizer"):
        ours, theirs = newest(one).arrays(part), newest(other).arrays(part)
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours), part


def notes(events: list[Event]) -> str:
    return "\n".join(event.text for event in events if isinstance(event, Note))


def swap_folders(show: Path) -> None:
    """Give each side the other's faces, as one did by hand."""
    (show / "src").rename(show / "third")
    (show / "dst").rename(show / "src")
    (show / "third").rename(show / "dst")


def test_it_is_what_exchanging_the_folders_by_hand_is(make_show: Make, tmp_path: Path) -> None:
    show, by_hand = make_show(tmp_path / "show"), make_show(tmp_path / "hand")
    mine = {"src_flip": True, "src_scale": 0.1}
    done(show, iterations=2, exchange=True, **mine)
    swap_folders(by_hand)
    done(by_hand, iterations=2, dst_flip=True)
    assert not np.array_equal(
        *(next(iter(newest(each).arrays("weights").values())) for each in (show, by_hand))
    ), "the scale goes with src's faces"
    other, by_hand_too = make_show(tmp_path / "other"), make_show(tmp_path / "hand-too")
    done(other, iterations=2, exchange=True, src_flip=True)
    swap_folders(by_hand_too)
    done(by_hand_too, iterations=2, dst_flip=True)
    assert_same(other, by_hand_too)
    swap_folders(by_hand_too)
    for each in (other, by_hand_too):
        done(each, iterations=4, src_flip=True)
    assert_same(other, by_hand_too)


def test_a_run_that_was_stopped_goes_on_exactly(
    make_show: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "REPORT_SECONDS", 0)
    whole, parts = make_show(tmp_path / "whole"), make_show(tmp_path / "parts")
    for show in (whole, parts):
        done(show, iterations=1)
    done(whole, iterations=4, exchange=True)
    run = train(parts, TrainOptions.layered({**SMALL, "iterations": 4, "exchange": True}))
    while not (isinstance(event := next(run), Progress) and event.done == 2):
        pass
    assert list(run.send(Stop()) and run)[-1].summary["iteration"] == 2  # type: ignore[union-attr]
    done(parts, iterations=4, exchange=True)
    assert_same(whole, parts)
    rows = [row for row in history.read(parts / "models/tiny/history.jsonl") if "changed" in row]
    assert [(row["iteration"], row["changed"]) for row in rows] == [
        (1, "src and dst are exchanged")
    ]


def test_it_is_told_and_a_model_that_is_left_so_is_refused(show: Path) -> None:
    done(show, iterations=1)
    told = done(show, iterations=3, exchange=True)
    assert "src and dst are exchanged" in notes(told) and "without --exchange" in notes(told)
    assert isinstance(told[-1], Finished) and told[-1].summary["exchanged"] == "src and dst"
    listed = list(trained(show, TrainedOptions()))[-1]
    assert isinstance(listed, Finished) and "--exchange" in listed.summary["tiny"]["exchanged"]
    with pytest.raises(BadProject, match=r"src and dst exchanged.*without --exchange"):
        load_model(show / "models/tiny", "cpu")
    with pytest.raises(BadProject, match="src and dst exchanged"):
        list(export(show, show / "face.dfm", ExportOptions()))
    with pytest.raises(BadProject, match="src and dst exchanged"):
        done(show, iterations=1, name="second", from_="tiny")
    # A run that learns nothing more does not bring it back.
    done(show, iterations=3)
    with pytest.raises(BadProject, match="src and dst exchanged"):
        load_model(show / "models/tiny", "cpu")
    back = done(show, iterations=4)
    assert "back in their own places" in notes(back)
    # Two iterations were exchanged, one was learnt back.
    (warning,) = load_saved_model(show / "models/tiny", "cpu").warnings
    assert "left to train back: 1." in warning and warning.endswith("--name tiny --iterations 5")
    done(show, iterations=5)
    assert load_saved_model(show / "models/tiny", "cpu").warnings == ()
    rows = history.read(show / "models/tiny/history.jsonl")
    assert [row["iteration"] for row in rows if "changed" in row] == [1, 3]
    listed = list(trained(show, TrainedOptions()))[-1]
    assert isinstance(listed, Finished) and "exchanged" not in listed.summary["tiny"]


def test_nothing_is_measured_meanwhile_and_the_curve_goes_on(
    make_show: Make, tmp_path: Path
) -> None:
    show = make_show(tmp_path / "show", 44)
    for options in ({"iterations": 1}, {"iterations": 2, "exchange": True}, {"iterations": 3}):
        measured = [event for event in done(show, **options) if isinstance(event, Measured)]
        assert bool(measured) != bool(options.get("exchange"))
    rows = history.read(show / "models/tiny/history.jsonl")
    assert [row["iteration"] for row in rows if "held_out" in row] == [1, 3]
    with pytest.raises(BadOption, match=r"until: nothing is measured.*exchanged"):
        done(show, exchange=True, until="plateau")


def test_previews_say_whose_faces_stand_where(show: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[dict[str, Any]] = []
    draw_grid = previews.draw_grid

    def record(columns: dict[str, Any]) -> Any:
        drawn.append(columns)
        return draw_grid(columns)

    monkeypatch.setattr(previews, "draw_grid", record)
    done(show, iterations=1)
    done(show, iterations=2, exchange=True)
    plain, exchanged = (each for each in drawn if "sd" in each)
    assert list(plain) == ["src", "ss", "dst", "dd", "sd"]
    assert list(exchanged) == ["dst-as-src", "ss", "src-as-dst", "dd", "sd"]
    np.testing.assert_array_equal(plain["src"], exchanged["src-as-dst"])
    np.testing.assert_array_equal(plain["dst"], exchanged["dst-as-src"])


def test_what_cannot_go_with_it_is_refused_at_once(show: Path, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="exchange: not while a model pretrains"):
        done(show, exchange=True, pretrain=str(show / "src" / "faces"))
    options = SwapOptions.layered({"train": {"exchange": True}})
    with pytest.raises(BadOption, match=r"train\.exchange: swap merges"):
        list(swap(tmp_path / "a.mp4", tmp_path / "b.mp4", tmp_path / "c.mp4", options))
