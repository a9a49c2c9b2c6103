"""What a merge says of the model it merged with."""

from __future__ import annotations

import json
from pathlib import Path

from understudy.stages.saved_models.quality import describe_model_quality

SHOW = Path("show")
YOUNG = {"found": 1.0, "identity": 0.04, "mouth": 0.9, "score": 0.5}
GOOD = {"found": 1.0, "identity": 0.8, "mouth": 0.9, "sharpness": 0.9}


def learnt(folder: Path, *rows: tuple[int, float, dict[str, float]]) -> Path:
    """A model with a history of iterations, minutes and what was measured."""
    model = folder / "tiny"
    model.mkdir()
    told = [
        {"iteration": at, "minutes": minutes, "held_out": measured}
        for at, minutes, measured in rows
    ]
    (model / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told))
    return model


def test_a_young_model_is_called_so_and_what_would_help_is_a_command(tmp_path: Path) -> None:
    model = learnt(tmp_path, (30, 1.5, YOUNG), (2000, 100, GOOD))
    # At this pace a likeness takes 50 minutes; half as long again is given.
    assert describe_model_quality(model, 30, 1000, SHOW) == (
        "iteration 30: not yet learnt (identity 0.04, in step with dst 0.90 of 1). Train on, then"
        " merge again: understudy train show --name tiny --minutes 75"
    )
    assert describe_model_quality(model, 2000, 1000, SHOW) == (
        "iteration 2000: a likeness (identity 0.80, in step with dst 0.90, sharpness 0.90 of 1)"
    )


def test_one_that_learns_no_more_gets_other_advice(tmp_path: Path) -> None:
    blurred = {"found": 1.0, "identity": 0.8, "mouth": 0.9, "sharpness": 0.4, "score": 0.15}
    model = learnt(tmp_path, *((at, at / 100, blurred) for at in range(50, 3001, 50)))
    text = describe_model_quality(model, 3000, 1000, SHOW)
    assert text.startswith("iteration 3000: half learnt: blurred (identity 0.80, ")
    assert "of 1); plateaued since iteration" in text
    assert text.endswith("More of src's footage, or a larger model, would help more than time.")


def test_where_nothing_was_measured_it_is_said_why_and_how_far_it_is(tmp_path: Path) -> None:
    (tmp_path / "face.dfm").touch()
    assert describe_model_quality(learnt(tmp_path, (30, 1.0, {})), 30, 1000, SHOW) == (
        "iteration 30: not measured, since no faces were held out; tiny needs about 1000 for a"
        " likeness. Run: understudy measure show"
    )
    text = describe_model_quality(tmp_path / "face.dfm", 30, None, SHOW)
    assert text.startswith("not measured") and text.endswith("Run: understudy measure show")
    bare = describe_model_quality(tmp_path / "face.dfm", 30, None, SHOW, can_measure=False)
    assert bare == "not measured, since the model came as a file"
