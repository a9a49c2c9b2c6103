"""Extraction finds every face once, whatever happens on the way, and never throws a face away."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.core import align
from understudy.errors import BadMedia, BadOption, BadProject, Busy, DegeneratePoints, NoFaces
from understudy.io.faceset import Faceset
from understudy.parts.detectors import Detection, Detector, detectors
from understudy.parts.landmarkers import Found, Landmarker, landmarkers
from understudy.stages import extract as stage
from understudy.stages.events import FailedFrame, Finished, Note, Progress, Started, Stop
from understudy.stages.extract import ExtractOptions, extract
from understudy.stages.project import Project

WHITE, GREY, RED = (255, 255, 255), (90, 90, 90), (255, 0, 0)


class Squares(Detector):
    """Every white square is a face; a red corner is a frame that breaks the detector."""

    def build(self):
        def detect(image):
            if tuple(image[0, 0]) == RED:
                raise DegeneratePoints("a red frame. Repaint it.")
            outlines, _ = cv2.findContours((image[:, :, 1] > 200).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            boxes = [cv2.boundingRect(outline) for outline in outlines]
            return [
                Detection(np.array([x, y, x + w, y + h], np.float32), 0.9, 0.0, np.zeros((0, 2), np.float32))
                for x, y, w, h in boxes
            ]

        return detect


class Fitted(Landmarker):
    """The average face, fitted into the box."""

    def build(self):
        def locate(image, detection):
            inner = align.template("half", 100) / 100 * (detection.box[2] - detection.box[0]) + detection.box[:2]
            return Found(np.concatenate([np.repeat(inner[:1], 17, 0), inner]).astype(np.float32), 1.0)

        return locate


@pytest.fixture(autouse=True)
def drawn_parts(monkeypatch):
    assert detectors["blazeface"] and landmarkers["facemesh"]  # loads the real ones first
    monkeypatch.setitem(detectors._parts, "squares", Squares)
    monkeypatch.setitem(landmarkers._parts, "fitted", Fitted)


def options(**changes) -> ExtractOptions:
    return ExtractOptions(detector="squares", landmarker="fitted", size=256, **changes)


def frame(*squares, corner=GREY):
    image = np.full((120, 160, 3), GREY, np.uint8)
    image[0, 0] = corner
    for x, y, side in squares:
        image[y : y + side, x : x + side] = WHITE
    return image


def footage(folder: Path, images) -> Path:
    folder.mkdir()
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / f"{number}.png"), image[:, :, ::-1])
    return folder


CLIP = [frame((10 + 2 * n, 20, 40), (100, 30, 24 + n)) if n != 4 else frame() for n in range(9)]


@pytest.fixture
def show(tmp_path) -> Path:
    clip = footage(tmp_path / "clip", CLIP)
    Project.create(tmp_path / "show", clip, clip)
    return tmp_path / "show"


def faces_of(show, side="dst") -> Faceset:
    return Faceset(show / side / "faces")


def names(show):
    return [path.name for path in faces_of(show).paths]


def run(show, side="dst", **changes):
    return list(extract(show, side, options=options(**changes)))


def test_every_face_becomes_an_upright_picture_that_knows_its_frame(show):
    events = run(show)
    assert names(show) == [f"{n:06d}_{i}.jpg" for n in range(9) if n != 4 for i in (0, 1)]
    face = faces_of(show).load(0)
    assert face.image.shape == (256, 256, 3) and (face.face_type, face.source, face.pts) == ("full", "clip", None)
    assert face.face.box.tolist() == [10, 20, 50, 60]
    assert np.allclose(face.landmarks[17:], align.template("full", 256), atol=0.01)
    assert face.image[128, 128].min() > 200 and face.image[4, 4].max() < 110
    assert isinstance(events[0], Started) and events[0].total == 9
    summary = events[-1].summary
    assert (summary["faces"], summary["frames_without_a_face"], summary["failed_frames"]) == (16, "4", 0)
    assert [event.done for event in events if isinstance(event, Progress)] == list(range(1, 10))


def test_a_face_that_was_detected_twice_is_kept_once(show, monkeypatch):
    class Twice(Squares):
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
    run(show)
    assert names(show) == [f"{n:06d}_{i}.jpg" for n in range(9) if n != 4 for i in (0, 1)]
    assert faces_of(show).faces.score.min() > 0.85


def test_faces_of_a_frame_come_largest_first_and_may_be_limited(show):
    run(show, max_faces=1)
    assert names(show) == [f"{n:06d}_0.jpg" for n in range(9) if n != 4]
    assert (faces_of(show).faces.box[:, 0] < 50).all()  # the square on the left is the larger


def test_both_sides_in_one_go(show):
    events = run(show, "both")
    assert [event.summary["side"] for event in events if isinstance(event, Finished)] == ["src", "dst"]
    assert len(faces_of(show, "src")) == len(faces_of(show, "dst")) == 16


def test_every_second_frame_as_png(show):
    events = run(show, every=2, format="png")
    assert names(show) == [f"{n:06d}_{i}.png" for n in (0, 2, 6, 8) for i in (0, 1)]
    assert events[0].total == 5 and events[-2].path == show / "dst" / "faces"


def test_a_finished_run_is_not_done_again_but_says_so(show):
    run(show)
    faces_of(show).paths[0].unlink()  # curated by hand: must not come back
    again = run(show)
    assert any(isinstance(event, Note) and "nothing to do" in event.text for event in again)
    assert len(faces_of(show)) == 15 and again[-1].summary["faces"] == 16


def test_stop_ends_cleanly_and_the_next_run_goes_on(show):
    going = extract(show, "both", options=options())
    while not (isinstance(event := next(going), Progress) and event.done == 3):
        pass
    rest = [going.send(Stop()), *going]
    assert isinstance(rest[-1], Note) and "stopped before frame 3" in rest[-1].text
    assert not (show / "dst").exists()
    events = run(show, "both")
    assert any(isinstance(event, Note) and "going on at frame 3" in event.text for event in events)
    assert contents(show, "src") == contents(show, "dst")


def test_the_number_of_threads_changes_nothing(show):
    run(show, "src", workers=1)
    run(show, "dst", workers=5)
    assert contents(show, "src") == contents(show, "dst")
    assert run(show, "dst", workers=2)[-1].summary["faces"] == 16  # nor does it call for a redo


def contents(show, side):
    return {path.name: path.read_bytes() for path in faces_of(show, side).paths}


KILLED = """
import os, sys, pathlib
sys.path[:0] = [sys.argv[2]]
import pytest
import test_extract as t
from understudy.stages import extract as stage
from understudy.stages.events import Progress
stage._SAVE_SECONDS = 1e9
t.detectors["blazeface"], t.landmarkers["facemesh"]
t.detectors._parts["squares"], t.landmarkers._parts["fitted"] = t.Squares, t.Fitted
for event in t.extract(pathlib.Path(sys.argv[1]), "dst", options=t.options()):
    if isinstance(event, Progress) and event.done == 6:
        os.kill(os.getpid(), 9)
"""


def test_a_killed_run_goes_on_and_ends_like_an_unbroken_one(show):
    here = Path(__file__).parent
    killed = subprocess.run([sys.executable, "-c", KILLED, show, here], capture_output=True, text=True)
    assert killed.returncode == -9, killed.stderr
    assert len(os.listdir(show / "dst" / "faces")) == 10 and json.loads((show / "dst" / "extract.json").read_text())["done"] == 0
    (show / "dst" / "faces" / ".000005_0-x.partial.jpg").write_bytes(b"half")
    (show / "dst" / "faces" / "000005_7.jpg").write_bytes(b"a face that the new run will not find")
    run(show, "both")
    assert contents(show, "dst") == contents(show, "src")
    assert len(os.listdir(show / "dst" / "faces")) == 16


def test_other_options_need_redo_which_keeps_the_old_faces(show):
    run(show)
    old = contents(show, "dst")
    with pytest.raises(BadProject, match=r"face_type.*--redo"):
        run(show, face_type="half")
    assert contents(show, "dst") == old
    run(show, face_type="half", redo=True)
    assert faces_of(show).face_type == "half"
    assert {path.name: path.read_bytes() for path in (show / "dst" / "faces_old_1").iterdir()} == old
    run(show, redo=True)
    assert len(Faceset(show / "dst" / "faces_old_2")) == 16 and faces_of(show).face_type == "full"


def test_other_footage_needs_redo(show, tmp_path):
    run(show)
    cv2.imwrite(str(tmp_path / "clip" / "8.png"), frame((5, 5, 30))[:, :, ::-1])
    with pytest.raises(BadProject, match="the footage"):
        run(show)


def test_faces_of_unknown_origin_are_never_touched(show):
    run(show)
    (show / "dst" / "extract.json").unlink()
    with pytest.raises(BadProject, match="without a record"):
        run(show)
    (show / "dst" / "extract.json").write_text("{")
    with pytest.raises(BadProject, match=r"not readable.*--redo"):
        run(show)
    assert len(faces_of(show)) == 16


def test_a_removed_folder_is_a_fresh_start(show):
    run(show)
    for path in faces_of(show).paths:
        path.unlink()
    (show / "dst" / "faces").rmdir()
    assert run(show, face_type="half")[-1].summary["faces"] == 16


def test_a_frame_that_fails_is_listed_and_the_others_are_done(tmp_path):
    clip = footage(tmp_path / "clip", [frame((10, 10, 40), corner=RED if n in (1, 2) else GREY) for n in range(4)])
    (clip / "3.png").write_bytes((clip / "3.png").read_bytes()[:60])
    (clip / "4.png").write_bytes((clip / "0.png").read_bytes())
    Project.create(tmp_path / "show", clip, clip)
    for _ in range(2):  # the second run does nothing, but tells it again
        events = run(tmp_path / "show")
        failed = [event for event in events if isinstance(event, FailedFrame)]
        assert [event.frame for event in failed] == [1, 2, 3] and "red frame" in failed[0].text and "3.png" in failed[2].text
        assert events[-1].summary["failed_frames"] == 3
    assert faces_of(tmp_path / "show").faces.frame.tolist() == [0, 4]


def test_footage_without_any_face_is_an_error_that_can_be_tried_again(tmp_path):
    clip = footage(tmp_path / "clip", [frame()] * 3)
    Project.create(tmp_path / "show", clip, clip)
    for _ in range(2):
        with pytest.raises(NoFaces, match="no face found in any frame"):
            run(tmp_path / "show")
    with pytest.raises(NoFaces):
        run(tmp_path / "show", face_type="half")


def test_two_runs_on_one_side_do_not_meet(show):
    with Project.load(show).held("dst"), pytest.raises(Busy):
        run(show)


def test_missing_footage_and_an_unknown_detector_are_named(show, tmp_path):
    with pytest.raises(BadOption, match="no 'nose'"):
        list(extract(show, "dst", options=options().model_copy(update={"detector": "nose"})))
    (tmp_path / "clip").rename(tmp_path / "gone")
    with pytest.raises(BadMedia, match="clip"):
        run(show)
    assert not (show / "dst").exists()


def test_sixteen_bit_footage_gives_eight_bit_faces(tmp_path):
    clip = footage(tmp_path / "clip", [frame((10, 20, 40)).astype(np.uint16) * 257])
    Project.create(tmp_path / "show", clip, clip)
    run(tmp_path / "show")
    image = faces_of(tmp_path / "show").load(0).image
    assert image.dtype == np.uint8 and image[128, 128].min() > 200 and abs(int(image[4, 250, 0]) - 90) < 8


@pytest.mark.footage
def test_a_real_talker_is_found_upright_centred_and_steady(tmp_path):
    clips = Path(os.environ.get("UNDERSTUDY_FOOTAGE", Path(__file__).parents[3] / "shared" / "footage"))
    if not (clips / "talker-a.mp4").exists():
        pytest.skip("no footage here")
    Project.create(tmp_path / "show", clips / "talker-a.mp4", clips / "talker-a.mp4")
    list(extract(tmp_path / "show", "dst", options=ExtractOptions(every=24)))
    faceset = faces_of(tmp_path / "show")
    points = np.stack([faceset.load(row).landmarks for row in range(len(faceset))])
    assert faceset.faces.frame.tolist() == list(range(0, 216, 24))
    assert np.abs(points[:, 17:] - align.template("full", 512)).mean() < 512 * 0.03
    assert faceset.load(3).pts == pytest.approx(72 / 30)
    assert stage.ExtractOptions().size == faceset.size
