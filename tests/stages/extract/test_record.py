"""The tables of a run, read one after the other, say what they say together."""

from typing import Any

import numpy as np
import pytest
from pydantic import create_model

from understudy.core.tracking.optical_flow import TrackedPoints
from understudy.errors import BadProject
from understudy.options import option
from understudy.stages.extract import record
from understudy.stages.extract.detections import DetectedFace, Detections, concat_detections
from understudy.stages.extract.options import ExtractOptions

CHUNKS = [range(4), range(4, 8), range(8, 12)]


def table(frames, shift=0.0, failed=()):
    frames = [frame for frame in frames if frame not in failed]
    unknown = np.full(68, 0.5, np.float32)
    points = [np.full((68, 2), frame + shift, np.float32) for frame in frames]
    seen = [
        DetectedFace(
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
    return Detections.of(
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
        record.save_detections(tmp_path, record.chunk_name(chunk[0]), part)
    record.save_detections(tmp_path, record.REDONE, table(again, shift=0.25))
    one_by_one = list(record.iter_detections(tmp_path, CHUNKS))
    whole, expected = (
        concat_detections(one_by_one),
        concat_detections(
            [concat_detections(parts).drop_frames(set(again)), table(again, shift=0.25)]
        ),
    )
    for name, values in expected.columns().items():
        assert np.array_equal(getattr(whole, name), values), name
    assert all(len(part.frames) <= 5 for part in one_by_one)


def test_a_table_that_went_is_told(tmp_path):
    record.save_detections(tmp_path, record.chunk_name(0), table(CHUNKS[0]))
    with pytest.raises(BadProject, match=r"000004\.safetensors: this table went"):
        list(record.iter_detections(tmp_path, CHUNKS))


# What version 0.1 wrote of a run with default options.
FOUND = {
    "detector": "blazeface",
    "landmarker": "facemesh",
    "blazeface": {
        "score": 0.4,
        "rotations": "auto",
        "tiles": "auto",
        "smallest": 0.02,
        "most": 0,
        "threads": 1,
    },
    "facemesh": {"score": 0.8, "passes": 3, "crops": 4, "threads": 1},
    "region": [0.0, 0.0, 1.0, 1.0],
    "identity": "auto",
    "sample": 12,
    "steady": "flow",
    "fill": 0.25,
    "every": 1,
}
CUT = {
    "face_type": "full",
    "size": 512,
    "format": "jpg",
    "jpg_quality": 95,
    "max_faces": 0,
    "person": -1,
    "like": "",
    "debug": "off",
}


def variant(**fields: Any) -> type[ExtractOptions]:
    """The options of a later version: these fields are new, or other than before."""
    return create_model("Variant", __base__=ExtractOptions, **fields)


def changes(before: ExtractOptions, after: ExtractOptions) -> list[str]:
    kinds = type(after)
    return [
        *kinds.changes(before.finding(), after.finding(), "detect"),
        *kinds.changes(before.cutting(), after.cutting(), "crop"),
    ]


def test_a_record_of_before_none_is_of_the_same_run():
    now = ExtractOptions()
    assert not ExtractOptions.changes(FOUND, now.finding(), "detect")
    assert not ExtractOptions.changes(CUT, now.cutting(), "crop")
    assert ExtractOptions.changes(CUT, ExtractOptions(person=0).cutting(), "crop") == ["person"]


def test_the_order_of_options_means_nothing():
    turned = dict(reversed(FOUND.items()))
    assert not ExtractOptions.changes(turned, ExtractOptions().finding(), "detect")


def test_an_option_that_came_later_makes_nothing_stale_at_its_default():
    later = variant(halo=(int, option(0, "Glow", affects="detect")))
    assert not changes(ExtractOptions(fill=0.1), later(fill=0.1))
    assert changes(ExtractOptions(), later(halo=1)) == ["halo"]


def test_another_default_makes_stale_what_was_made_with_the_former_one():
    later = variant(fill=(float, option(0.5, "Gaps", affects="detect")))
    assert changes(ExtractOptions(), later()) == ["fill"]
    assert not changes(ExtractOptions(), later(fill=0.25))


def test_only_what_affects_the_faces_counts():
    assert not changes(ExtractOptions(), ExtractOptions(workers=3, fix=True, quality="best"))
    unused = {"s3fd": {"score": 0.9}, "dlib_resnet": {"jitter": 3}, "identity": "none"}
    assert changes(ExtractOptions(), ExtractOptions.layered(unused)) == ["identity"]
    assert changes(ExtractOptions(), ExtractOptions.layered({"blazeface": {"score": 0.9}})) == [
        "blazeface.score"
    ]


def test_how_a_part_computes_changes_nothing():
    parts = {"blazeface": {"threads": 4}, "facemesh": {"threads": 2}, "s3fd": {"device": "cpu"}}
    assert not changes(ExtractOptions(), ExtractOptions.layered(parts))


def test_an_option_that_went_is_told():
    assert ExtractOptions.changes({**FOUND, "halo": 1}, FOUND, "detect") == ["halo"]
