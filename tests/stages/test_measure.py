"""`measure`: what cannot be measured is told, and the rest is measured."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from understudy.stages import measure
from understudy.stages.events import Warned


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
