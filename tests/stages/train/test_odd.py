"""Facesets that are odd, or change while a model learns from them, and a model that goes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.errors import BadMedia, CannotWrite, NoFaces
from understudy.io.faceset.faceset import Faceset
from understudy.io.model_files import checkpoint
from understudy.stages.events import Event, Finished, Progress, Save, Stop, Warned
from understudy.stages.train.command import train
from understudy.stages.train.options import TrainOptions

SMALL = {
    "model": "tiny",
    "tiny": {"resolution": 64},
    "batch": 1,
    "device": "cpu",
    "precision": "fp32",
}

pytestmark = pytest.mark.usefixtures("small_models")

Make = Callable[..., Path]


def done(show: Path, **options: object) -> list[Event]:
    return list(train(show, TrainOptions.layered({**SMALL, **options})))


def saved(show: Path) -> int:
    return checkpoint.load_intact(show / "models/tiny/checkpoints")[0][0].iteration


def stopped_after(show: Path, act: Callable[[], None], iterations: int = 3) -> list[Event]:
    """The events of a run in the middle of which something happens."""
    run = train(show, TrainOptions.layered(SMALL))
    while not (isinstance(event := next(run), Progress) and event.done >= iterations):
        pass
    act()
    events = [run.send(Save())]
    while not (isinstance(event := next(run), Progress) and event.done > 2 * iterations):
        events.append(event)
    return [*events, run.send(Stop()), *run]


def test_a_faceset_may_be_edited_while_a_model_learns_from_it(show: Path) -> None:
    folder = show / "src" / "faces"
    first, second, *_ = sorted(folder.iterdir())

    def edit() -> None:
        Faceset(folder).add(Faceset(show / "dst" / "faces").load(0), suffix=".png")
        first.unlink()
        second.write_bytes(second.read_bytes()[:500])

    events = stopped_after(show, edit)
    assert isinstance(events[-1], Finished) and not any(
        isinstance(event, Warned) for event in events
    )
    with pytest.raises(BadMedia, match=second.name):
        done(show, iterations=saved(show) + 1)
    second.unlink()
    assert isinstance(done(show, iterations=saved(show) + 1)[-1], Finished)


def test_a_faceset_that_is_emptied_while_a_model_learns_costs_nothing_learnt(show: Path) -> None:
    events = stopped_after(
        show, lambda: [os.unlink(path) for path in (show / "dst" / "faces").iterdir()] and None
    )
    assert isinstance(events[-1], Finished)
    with pytest.raises(NoFaces, match="extract"):
        done(show, iterations=99)
    assert saved(show) >= 3


def test_a_model_that_is_deleted_while_it_learns_ends_the_run_in_words(show: Path) -> None:
    with pytest.raises(CannotWrite, match="tiny: deleted or moved"):
        stopped_after(show, lambda: shutil.rmtree(show / "models/tiny"))
    assert isinstance(done(show, iterations=2)[-1], Finished)


@pytest.mark.parametrize("counts", [(1, 7), (7, 1), (1, 1)])
def test_more_faces_of_one_side_and_a_batch_larger_than_both(
    make_show: Make, tmp_path: Path, counts: tuple[int, int]
) -> None:
    show = make_show(tmp_path / "show", 7)
    for side, count in zip(("src", "dst"), counts, strict=True):
        for path in sorted((show / side / "faces").iterdir())[count:]:
            path.unlink()
    finished = done(show, iterations=2, batch=9)[-1]
    assert (
        isinstance(finished, Finished)
        and np.isfinite(list(finished.summary["losses"].values())).all()
    )


def test_faces_of_several_types_are_refused_and_of_several_sizes_taken(
    make_show: Make, tmp_path: Path
) -> None:
    show, whole = make_show(tmp_path / "show", 3), make_show(tmp_path / "whole", 1, "whole")
    faces, other = Faceset(show / "src" / "faces"), Faceset(whole / "src" / "faces").load(0)
    faces.add(other, number=9, suffix=".png")
    with pytest.raises(BadMedia, match=r"several face types \(full, whole\)\. Keep one"):
        done(show, iterations=1)
