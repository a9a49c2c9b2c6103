"""Tables of what was found: joined they say what one look at everything would have said."""

from dataclasses import fields

import numpy as np
import pytest

from understudy.core.tracking.optical_flow import TrackedPoints
from understudy.stages.extract.detections import DetectedFace, Detections, concat_detections

SIGNATURE = np.ones(4, np.float32)


def sighting(frame, with_back=True):
    points = np.full((68, 2), frame, np.float32)
    back = TrackedPoints(points - 1, np.full(68, 0.1, np.float32)) if with_back else None
    identity = np.full(3, frame, np.float32) if frame % 3 == 0 else None
    return DetectedFace(
        frame, np.arange(4) + np.float32(frame), points, 0.5, (64, 48), None, back, identity
    )


def table(frames, failed=(), first_has_back=True):
    seen = [sighting(frame, first_has_back or frame != frames[0]) for frame in frames]
    return Detections.of(seen, frames, [SIGNATURE * frame for frame in frames], failed)


def same(one, other):
    return one.failed == other.failed and all(
        np.array_equal(getattr(one, column.name), getattr(other, column.name))
        for column in fields(one)
        if column.name != "failed"
    )


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_parts_that_share_their_border_frames_become_one_table_with_the_way_back(order):
    parts = [
        table(range(5)),
        table(range(4, 9), [(7, "torn")], False),
        table(range(8, 12), (), False),
    ]
    assert same(
        concat_detections([parts[number] for number in order]), table(range(12), [(7, "torn")])
    )


def test_before_a_frame_is_the_table_without_that_frame_and_the_rest():
    whole = table(range(9), [(2, "torn"), (6, "torn")])
    assert same(whole.before(6), whole.drop_frames({6, 7, 8}))


def test_frames_that_were_looked_at_again_take_their_place_in_order():
    whole, again = table(range(9)), table([2, 5])
    assert same(concat_detections([whole.drop_frames({2, 5}), again]), whole)


def test_a_table_survives_its_columns_and_notes():
    whole = table(range(5), [(3, "torn")])
    assert same(Detections.read(whole.columns(), whole.notes()), whole)


def test_a_table_from_before_faces_were_marked_is_read_as_of_unmarked_ones():
    whole = table(range(5))
    former = {name: column for name, column in whole.columns().items() if name != "marked"}
    assert same(Detections.read(former, whole.notes()), whole)
