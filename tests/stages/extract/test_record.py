"""The tables of a run, read one after the other, say what they say together."""

import numpy as np
import pytest

from understudy.core.tracking.optical_flow import TrackedPoints
from understudy.errors import BadProject
from understudy.stages.extract import record
from understudy.stages.extract.detections import Finds, Sighting, joined

CHUNKS = [range(4), range(4, 8), range(8, 12)]


def table(frames, shift=0.0, failed=()):
    frames = [frame for frame in frames if frame not in failed]
    unknown = np.full(68, 0.5, np.float32)
    points = [np.full((68, 2), frame + shift, np.float32) for frame in frames]
    seen = [
        Sighting(
            frame,
            each[:2].ravel(),
            each,
            0.5,
            (64, 48),
            TrackedPoints(each + 1, unknown),
            TrackedPoints(each - 1, unknown),
            each[:3, 0],
        )
        for frame, each in zip(frames, points, strict=True)
    ]
    return Finds.of(
        seen,
        frames,
        [np.full(4, frame, np.float32) for frame in frames],
        [(frame, "torn") for frame in failed],
    )


@pytest.mark.parametrize("again", [[], [5], [4, 5], [0, 8, 11], [4, 5, 6, 7], [6]])
@pytest.mark.parametrize("failed", [(), (4, 5, 6, 7), (6,), (8,)])
def test_frames_looked_at_again_take_the_place_of_what_was_found_first(again, failed, tmp_path):
    parts = [
        table([*chunk, *([chunk[-1] + 1] if chunk[-1] < 11 else [])], failed=failed)
        for chunk in CHUNKS
    ]
    for chunk, part in zip(CHUNKS, parts, strict=True):
        record.save_finds(tmp_path / "faces", record.chunk_name(chunk[0]), part)
    record.save_finds(tmp_path / "faces", record.AGAIN, table(again, shift=0.25))
    one_by_one = list(record.found(tmp_path / "faces", CHUNKS))
    whole, expected = (
        joined(one_by_one),
        joined([joined(parts).without(set(again)), table(again, shift=0.25)]),
    )
    for name, values in expected.columns().items():
        assert np.array_equal(getattr(whole, name), values), name
    assert all(len(part.frames) <= 5 for part in one_by_one)


def test_a_table_that_went_is_told(tmp_path):
    record.save_finds(tmp_path / "faces", record.chunk_name(0), table(CHUNKS[0]))
    with pytest.raises(BadProject, match=r"000004\.safetensors: this table went"):
        list(record.found(tmp_path / "faces", CHUNKS))
