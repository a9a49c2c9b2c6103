"""A run that knows how good its model is, keeps the best weights and ends when more learning is not
worth it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.training.plateau import Forecast
from understudy.errors import BadOption, BadProject
from understudy.io.model_files import checkpoint, history
from understudy.stages.events import Event, Finished, Measured, Note, Saved
from understudy.stages.saved_models.load import load_model
from understudy.stages.train import loop
from understudy.stages.train.callbacks import evaluator
from understudy.stages.train.command import train
from understudy.stages.train.evaluation import validation
from understudy.stages.train.evaluation.validation import Validation
from understudy.stages.train.options import TrainOptions

pytestmark = pytest.mark.usefixtures("small_models")

SMALL = {"tiny": {"resolution": 64}, "batch": 1, "device": "cpu", "precision": "fp32"}


@pytest.fixture
def known(make_show: Callable[..., Path], tmp_path: Path) -> Path:
    """A show with so many faces that some are held out."""
    return make_show(tmp_path / "known", 40)


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What comes out when it is measured next, at every report; the last stays."""
    coming = [1.0]

    def measure(self: Validation, model: object) -> dict[str, float]:
        self.latest = {"score": coming.pop(0) if len(coming) > 1 else coming[0]}
        return self.latest

    monkeypatch.setattr(Validation, "measure", measure)
    monkeypatch.setattr(Validation, "is_due", lambda self, learnt: True)
    monkeypatch.setattr(loop, "REPORT_SECONDS", 0)
    return coming


def done(show: Path, **options: object) -> list[Event]:
    return list(train(show, TrainOptions.layered({**SMALL, **options})))


def best(show: Path) -> checkpoint.Checkpoint:
    return checkpoint.load_intact(show / "models/tiny/best")[0][0]


def test_weights_whose_swaps_show_no_face_never_win(
    known: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coming = [{"found": 0.0, "src l1": 0.1}, {"found": 1.0, "score": 0.5}, {"found": 0.2}]

    def measure(self: Validation, model: object) -> dict[str, float]:
        self.latest = coming.pop(0) if len(coming) > 1 else coming[0]
        return self.latest

    monkeypatch.setattr(Validation, "measure", measure)
    monkeypatch.setattr(Validation, "is_due", lambda self, learnt: True)
    monkeypatch.setattr(loop, "REPORT_SECONDS", 0)
    events = done(known, iterations=4)
    assert best(known).iteration == 2
    told = [each.text for each in events if isinstance(each, Note) and "no face" in each.text]
    assert len(told) == 2 and "swaps of iteration 1" in told[0] and "iteration 3" in told[1]
    assert isinstance(events[-1], Finished) and "best" not in events[-1].summary
    assert events[-1].summary["quality"] == "no face yet (none is found in 80 % of the swaps)"


def test_the_best_weights_stay_whatever_comes_after(known: Path, scores: list[float]) -> None:
    scores[:] = [0.5, 0.4, 0.399, 0.6, float("inf"), 0.7]
    events = done(known, iterations=8)
    # 0.399 is not clearly better: chance decides there.
    assert best(known).iteration == 2 and best(known).state["score"] == 0.4
    assert [event.path for event in events if isinstance(event, Saved) and event.what == "best"][
        -1
    ] == best(known).folder
    finished = events[-1]
    assert isinstance(finished, Finished) and finished.summary["best"] == {
        "iteration": 2,
        "score": 0.4,
        "better": "best",
    }
    rows = [event for event in events if isinstance(event, Measured)]
    assert [row.values["score"] for row in rows][:3] == [0.5, 0.4, 0.399] and rows[1].iteration == 2
    good, newest = (load_model(known / "models/tiny", "cpu", each) for each in (True, False))
    faces = np.random.default_rng(0).random((1, 64, 64, 3)).astype(np.float32)
    assert not np.array_equal(good.predict(faces).image, newest.predict(faces).image)
    # A better one in a later run takes its place, and there is never more than one.
    scores[:] = [0.1]
    assert done(known, iterations=9)[-1].summary["best"]["better"] == "newest"  # type: ignore[union-attr]
    assert best(known).iteration == 9 and len(list((known / "models/tiny/best").glob("0*"))) == 1


def test_scores_on_other_held_out_faces_do_not_count(
    known: Path, scores: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores[:] = [0.1]
    done(known, iterations=1)
    monkeypatch.setattr(Validation, "fingerprint", lambda self: 1)
    scores[:] = [0.9]
    done(known, iterations=2)
    assert best(known).state["score"] == 0.9


def test_a_plateau_ends_a_run_that_waits_for_one(
    known: Path, scores: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []

    def outlook(iterations: list[int], values: list[float]) -> Forecast:
        seen.append(list(iterations))
        return Forecast(3 if len(iterations) >= 5 else None, 1.0, 0.995, 0.001, 0.01)

    monkeypatch.setattr(evaluator, "forecast", outlook)
    events = done(known, until="plateau")
    finished = events[-1]
    assert (
        isinstance(finished, Finished)
        and finished.summary["ended"] == "plateau"
        and finished.summary["iteration"] == 5
    )
    assert "plateaued since iteration 3" in finished.summary["outlook"]
    assert sum("plateaued" in event.text for event in events if isinstance(event, Note)) == 1
    assert seen[-1] == [1, 2, 3, 4, 5]
    # Nobody waits for it: it is told, and the run goes on.
    assert done(known, iterations=7)[-1].summary["ended"] == "iterations"  # type: ignore[union-attr]


def test_a_plateau_without_held_out_faces_is_refused(show: Path) -> None:
    with pytest.raises(BadOption, match="until: with fewer than 40 faces"):
        done(show, until="plateau")
    done(show, iterations=1)
    with pytest.raises(BadProject, match="no best weights"):
        load_model(show / "models/tiny", "cpu", True)


def test_a_real_run_measures_often_at_first_and_says_what_it_cannot(
    known: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "MIN_PAUSE", 0)
    monkeypatch.setattr(loop, "REPORT_SECONDS", 0)
    monkeypatch.setattr(Validation, "missing", ("whose face it is: dlib",))
    events = done(known, iterations=4)
    assert sum("whose face it is" in event.text for event in events if isinstance(event, Note)) == 1
    rows = [row for row in history.read(known / "models/tiny/history.jsonl") if "held_out" in row]
    assert len(rows) >= 2 and all(
        0 < row["held_out"]["score"] < 2 and "src dssim" in row["held_out"] for row in rows
    )
