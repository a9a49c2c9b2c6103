"""Extraction finds every face once, upright, and tells what it found."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from understudy.core.face import align
from understudy.io.faceset.faceset import Faceset
from understudy.parts.detectors import Detection, detectors
from understudy.stages.events import Finished, Progress, Started
from understudy.stages.extract import detect
from understudy.stages.extract.command import extract
from understudy.stages.extract.options import ExtractOptions
from understudy.stages.project import Project


def test_every_face_becomes_an_upright_picture_that_knows_its_frame(film):
    events = film.run()
    assert film.names() == [f"{n:06d}_{i}.jpg" for n in range(9) if n != 4 for i in (0, 1)]
    face = film.faces().load(0)
    assert face.image.shape == (256, 256, 3) and (face.face_type, face.source, face.pts) == (
        "full",
        "clip",
        None,
    )
    assert face.face.box.tolist() == [10, 20, 50, 60]
    assert np.allclose(face.landmarks[17:], align.template_points("full", 256), atol=0.01)
    assert face.image[128, 128].min() > 200 and face.image[4, 4].max() < 110
    assert isinstance(events[0], Started)
    summary = events[-1].summary
    assert (summary["faces"], summary["frames_without_a_face"], summary["failed_frames"]) == (
        16,
        [[4, 4]],
        0,
    )
    told = [
        (event.stage, event.done, event.total, event.values["faces"])
        for event in events
        if isinstance(event, Progress)
    ]
    assert told == [
        ("find dst", 3, 9, 6),
        ("find dst", 6, 9, 10),
        ("find dst", 9, 9, 16),
        ("cut dst", 3, 8, 6),
        ("cut dst", 5, 8, 10),
        ("cut dst", 8, 8, 16),
    ]


def test_a_face_keeps_its_track_and_its_raw_points(film):
    film.run()
    faces = film.faces().faces
    left = faces.box[:, 0] < 50
    assert len(set(faces.track[left])) == len(set(faces.track[~left])) == 1 and set(
        faces.track
    ) == {0, 1}
    assert not faces.filled.any() and np.abs(faces.raw - faces.landmarks).max() < 3
    inner = align.template_points("half", 100) / 100 * 40 + (10, 20)
    assert np.allclose(faces.raw[0, 17:], inner, atol=0.01)


def test_who_a_face_is_says_its_track_in_each_of_its_pictures(film, squares, monkeypatch):
    one = np.full(4, 2, np.float32)
    monkeypatch.setattr(
        detect,
        "make_embedder",
        lambda options: lambda image, points: one * (1, 1, 1, 1 + (points[0, 0] > 100)),
    )
    film.run(sample=3)
    faces = film.faces().faces
    assert faces.identity is not None and np.isfinite(faces.identity).all()
    np.testing.assert_allclose(np.linalg.norm(faces.identity, axis=1), 1, atol=1e-5)
    for track in np.unique(faces.track):
        assert np.ptp(faces.identity[faces.track == track], axis=0).max() < 1e-6


def test_a_short_gap_is_filled_by_flow_and_marked(film):
    film.run(fill=0.1)
    faces = film.faces().faces
    # Nothing is drawn in the frame between: flow cannot tell where they are, or says so honestly.
    assert set(faces.frame[faces.filled]) <= {4}


def test_no_face_is_made_up_in_a_black_frame(make_film, draw):
    """As `--gaps black` shows one, and a clip that flickers."""
    still = draw((60, 40, 40))
    film = make_film([still if n not in (2, 5, 6) else np.zeros_like(still) for n in range(9)])
    film.run(fill=1.0)
    assert film.faces().faces.frame.tolist() == [0, 1, 3, 4, 7, 8]


def test_a_face_that_was_detected_twice_is_kept_once(film, squares, monkeypatch):
    class Twice(squares):
        def build(self):
            once = super().build()

            def detect(image):
                return [
                    Detection(each.box + aside, each.score - aside / 20, 0.0, each.keypoints)
                    for each in once(image)
                    for aside in (0, 4)
                ]

            return detect

    monkeypatch.setitem(detectors._parts, "squares", Twice)
    film.run()
    assert film.names() == [f"{n:06d}_{i}.jpg" for n in range(9) if n != 4 for i in (0, 1)]
    assert film.faces().faces.score.min() > 0.85


def test_a_find_within_a_face_is_part_of_it(film, squares, monkeypatch):
    class Within(squares):
        def build(self):
            whole = super().build()

            def detect(image):
                parts = [
                    Detection(
                        np.float32([*each.box[:2] + 4, *each.box[:2] + 18]),
                        0.5,
                        0.0,
                        each.keypoints,
                    )
                    for each in whole(image)
                ]
                return whole(image) + parts

            return detect

    monkeypatch.setitem(detectors._parts, "squares", Within)
    film.run()
    assert film.names() == [f"{n:06d}_{i}.jpg" for n in range(9) if n != 4 for i in (0, 1)]


def test_faces_of_a_frame_come_largest_first_and_may_be_limited(film):
    film.run(max_faces=1)
    assert film.names() == [f"{n:06d}_0.jpg" for n in range(9) if n != 4]
    assert (film.faces().faces.box[:, 0] < 50).all()  # the square on the left is the larger


def test_both_sides_in_one_go(film):
    events = film.run("both")
    assert [event.summary["side"] for event in events if isinstance(event, Finished)] == [
        "src",
        "dst",
    ]
    assert len(film.faces("src")) == len(film.faces("dst")) == 16


def test_every_second_frame_as_png(film):
    events = film.run(every=2, format="png")
    assert film.names() == [f"{n:06d}_{i}.png" for n in (0, 2, 6, 8) for i in (0, 1)]
    assert events[-1].summary["frames"] == 5 and events[-2].path == film.folder / "dst" / "faces"


def test_only_a_region_is_looked_at(film):
    film.run(region=(0.5, 0, 1, 1))
    assert (film.faces().faces.box[:, 0] >= 80).all() and len(film.faces()) == 8


def test_every_run_leaves_a_report(film):
    film.run()
    told = json.loads((film.folder / "dst" / "report.json").read_text())
    assert told["faces"] == 16 and len(told["tracks"]) == 2 and told["gaps"] == [[4, 4]]
    assert "<svg" in (film.folder / "dst" / "report.html").read_text()


def test_sixteen_bit_footage_gives_eight_bit_faces(make_film, draw):
    film = make_film([draw((10, 20, 40)).astype(np.uint16) * 257])
    film.run()
    image = film.faces().load(0).image
    assert (
        image.dtype == np.uint8
        and image[128, 128].min() > 200
        and abs(int(image[4, 250, 0]) - 90) < 8
    )


def test_processes_side_by_side_give_the_same_faceset_as_one(clips, tmp_path):
    """The real parts: the drawn ones are unknown to other processes."""
    Project.create(tmp_path / "show", clips["src"], clips["src"])
    events = list(extract(tmp_path / "show", "src", options=ExtractOptions(size=256, workers=1)))
    list(extract(tmp_path / "show", "dst", options=ExtractOptions(size=256, workers=2)))
    one, other = (
        {path.name: path.read_bytes() for path in Faceset(tmp_path / "show" / side / "faces").paths}
        for side in ("src", "dst")
    )
    assert len(one) == 10 and one == other
    assert events[-1].summary["tracks"] == 1 and events[-1].summary["filled"] == 0


@pytest.mark.footage
def test_a_real_talker_is_found_upright_centred_and_steady(tmp_path):
    clips = Path(
        os.environ.get("UNDERSTUDY_FOOTAGE", Path(__file__).parents[3] / "shared" / "footage")
    )
    if not (clips / "talker-a.mp4").exists():
        pytest.skip("no footage here")
    Project.create(tmp_path / "show", clips / "talker-a.mp4", clips / "talker-a.mp4")
    list(extract(tmp_path / "show", "dst", options=ExtractOptions(every=24)))
    faceset = Faceset(tmp_path / "show" / "dst" / "faces")
    points = np.stack([faceset.load(row).landmarks for row in range(len(faceset))])
    assert faceset.faces.frame.tolist() == list(range(0, 216, 24))
    assert np.abs(points[:, 17:] - align.template_points("full", 512)).mean() < 512 * 0.03
    assert faceset.load(3).pts == pytest.approx(72 / 30)
    assert ExtractOptions().size == faceset.size
