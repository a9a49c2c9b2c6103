"""Pixels are measured once: what is known is read again, what changed is measured anew."""

import dataclasses

import numpy as np
import pytest

from understudy.core.face import align
from understudy.core.image import warp
from understudy.io.faceset.faceset import Faceset
from understudy.io.faceset.pixel_cache import cache_path
from understudy.stages.curate import measuring
from understudy.stages.curate.measuring import measure_pixels
from understudy.stages.events import Stop
from understudy.types import AlignedFace, Face


def run(stage, order=None):
    events, sent = [], None
    try:
        while True:
            events.append(stage.send(sent))
            sent = order if events[-1].event == "progress" else None
    except StopIteration as end:
        return events, end.value


@pytest.fixture
def faceset(people, tmp_path) -> Faceset:
    faceset = Faceset(tmp_path / "src" / "faces")
    for frame, (image, points) in enumerate(people["a"][:4]):
        matrix = align.face_from_frame(points, "full", 64)
        face = Face(
            frame, np.zeros(4, np.float32), points.astype(np.float32), 1, 0, np.zeros(3, np.float32)
        )
        faceset.add(AlignedFace(face, warp(image, matrix, (64, 64)), matrix, "full"))
    return faceset


def test_what_was_measured_is_not_measured_again(faceset, monkeypatch):
    events, first = run(measure_pixels(faceset))
    assert [events[0].event, events[-1].event] == ["started", "finished"] and not first.reasons
    seen = []
    monkeypatch.setattr(Faceset, "read_bytes", lambda self, row: seen.append(row))
    events, again = run(measure_pixels(Faceset(faceset.folder)))
    assert not events and not seen
    assert np.array_equal(first.histogram, again.histogram)
    assert np.array_equal(first.thumbnail, again.thumbnail)


def test_a_changed_picture_is_measured_anew_and_a_renamed_one_is_known(faceset):
    _, first = run(measure_pixels(faceset))
    faceset.paths[3].replace(faceset.paths[0])
    faceset.paths[2].rename(faceset.folder / "best.jpg")
    faceset.paths[1].write_bytes(faceset.paths[1].read_bytes())
    events, again = run(measure_pixels(Faceset(faceset.folder)))
    assert events[0].done == 2
    assert again.brightness.tolist() == first.brightness[[1, 2, 3]].tolist()


def test_a_picture_that_is_damaged_meanwhile_has_a_reason_and_no_numbers(faceset):
    assert len(faceset) == 4
    path = faceset.paths[1]
    path.write_bytes(path.read_bytes()[:-900])
    for _ in range(2):
        _, found = run(measure_pixels(faceset))
        assert list(found.reasons) == [1] and str(path) not in found.reasons[1]
        assert np.isnan(found.sharpness).tolist() == [False, True, False, False]
        assert np.isnan(found.black[1]) and not found.histogram[1].any()


def test_a_run_that_is_stopped_goes_on(faceset, monkeypatch):
    monkeypatch.setattr(measuring, "PIXELS", dataclasses.replace(measuring.PIXELS, chunk=1))
    events, found = run(measure_pixels(faceset), Stop())
    assert found is None and events[-1].done == 1
    events, found = run(measure_pixels(faceset))
    assert events[0].done == 1 and not np.isnan(found.detail).any()


@pytest.mark.parametrize("damage", [b"", b"\0" * 500, None])
def test_a_damaged_cache_is_made_again(faceset, damage):
    _, first = run(measure_pixels(faceset))
    path = cache_path(faceset.folder)
    path.write_bytes(path.read_bytes()[:-10] if damage is None else damage)
    _, again = run(measure_pixels(faceset))
    assert np.array_equal(first.detail, again.detail)
