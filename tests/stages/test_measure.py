"""`measure`: what cannot be measured is told, and the rest is measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from understudy.io.video.clip_writer import write_clip
from understudy.stages import measure
from understudy.stages.events import Warned
from understudy.stages.project import Project
from understudy.types import Bytes


def test_src_and_dst_that_are_the_same_clip_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    part = SimpleNamespace(build=lambda: None)
    monkeypatch.setattr(measure.identities, "configured", lambda name, options: part)
    monkeypatch.setattr(measure, "_embed", lambda track, embed, count: np.ones((2, 3)))
    track = measure.FaceTrack.__new__(measure.FaceTrack)
    stage = measure._measure_identity(track, track, track, measure.MeasureOptions())
    event = next(stage)
    assert isinstance(event, Warned)
    assert event.text.startswith("Whose face it is was not measured: src and dst have the same")
    with pytest.raises(StopIteration) as ended:
        next(stage)
    assert ended.value.value == {}


@pytest.mark.parametrize("shown", [0, 3])
def test_where_hardly_a_face_is_found_again_there_are_no_figures(
    shown: int, film: Any, draw: Callable[..., Bytes]
) -> None:
    for side in ("src", "dst"):
        film.run(side)
    project = Project.load(film.folder)
    extract = film.options().set_values()
    file = project.file.model_copy(update={"options": {"extract": extract}})
    Project(film.folder, file).save()
    # In dst eight of nine frames show a face.
    there = [(10 + 2 * number, 20, 40) for number in range(shown)]
    frames = [*map(draw, there), *[draw()] * (9 - shown)]
    list(write_clip(project.result, iter(frames), (160, 120), 25, np.zeros(100, np.float32)))
    events = list(measure.measure(film.folder, measure.MeasureOptions()))
    (told,) = (each.text for each in events if isinstance(each, Warned))
    assert f"A face is found again in {shown} of 8 frames of the result" in told
    values = json.loads((film.folder / "measures.json").read_text())
    assert (values["faces_found"], values["faces_expected"]) == (shown, 8)
    assert {values[name] for name in ("identity_shift", "movement", "jitter_result")} == {None}
    assert "no face yet" in values["quality"] and (film.folder / "sheet.png").is_file()
