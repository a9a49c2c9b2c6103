"""Extraction finds every face once, whatever happens on the way, and never throws a face away."""

import errno
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.core import align
from understudy.errors import BadMedia, BadOption, BadProject, Busy, CannotWrite, DegeneratePoints, NoFaces
from understudy.io.faceset import Faceset
from understudy.io.footage import open_footage
from understudy.parts.detectors import Detection, Detector, detectors
from understudy.parts.landmarkers import Found, Landmarker, landmarkers
from understudy.stages import chunks, looking, reading
from understudy.stages.events import FailedFrame, Finished, Note, Progress, Saved, Started, Stop
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


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch):
    """Three frames each, so that a small clip has several."""
    monkeypatch.setattr(chunks, "_FEWEST", 3)
    monkeypatch.setattr(chunks, "_MOST", 3)
    yield
    # What a process keeps open; the next test has another clip of the same name, and other parts.
    reading.opened.cache_clear()
    looking._parts.cache_clear()


def options(**changes) -> ExtractOptions:
    settings = {"detector": "squares", "landmarker": "fitted", "size": 256, "identity": "none", "fill": 0, "workers": 1}
    return ExtractOptions.layered(settings, changes)


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
    assert isinstance(events[0], Started)
    summary = events[-1].summary
    assert (summary["faces"], summary["frames_without_a_face"], summary["failed_frames"]) == (16, "4", 0)
    told = [(event.stage, event.done, event.total, event.values["faces"]) for event in events if isinstance(event, Progress)]
    assert told == [
        ("find dst", 3, 9, 6),
        ("find dst", 6, 9, 10),
        ("find dst", 9, 9, 16),
        ("cut dst", 3, 8, 6),
        ("cut dst", 5, 8, 10),
        ("cut dst", 8, 8, 16),
    ]


def test_a_face_keeps_its_track_and_its_raw_points(show):
    run(show)
    faces = faces_of(show).faces
    left = faces.box[:, 0] < 50
    assert len(set(faces.track[left])) == len(set(faces.track[~left])) == 1 and set(faces.track) == {0, 1}
    assert not faces.filled.any() and np.abs(faces.raw - faces.landmarks).max() < 3
    inner = align.template("half", 100) / 100 * 40 + (10, 20)
    assert np.allclose(faces.raw[0, 17:], inner, atol=0.01)


def test_a_short_gap_is_filled_by_flow_and_marked(show):
    run(show, fill=0.1)
    faces = faces_of(show).faces
    # Nothing is drawn in the frame between: flow cannot tell where they are, or says so honestly.
    assert set(faces.frame[faces.filled]) <= {4}


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


def test_a_find_within_a_face_is_part_of_it(show, monkeypatch):
    class Within(Squares):
        def build(self):
            whole = super().build()

            def detect(image):
                parts = [
                    Detection(np.float32([*each.box[:2] + 4, *each.box[:2] + 18]), 0.5, 0.0, each.keypoints)
                    for each in whole(image)
                ]
                return whole(image) + parts

            return detect

    monkeypatch.setitem(detectors._parts, "squares", Within)
    run(show)
    assert names(show) == [f"{n:06d}_{i}.jpg" for n in range(9) if n != 4 for i in (0, 1)]


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
    assert events[-1].summary["frames"] == 5 and events[-2].path == show / "dst" / "faces"


def test_a_finished_run_is_not_done_again_but_says_so(show):
    run(show)
    faces_of(show).paths[0].unlink()  # curated by hand: must not come back
    again = run(show)
    assert any(isinstance(event, Note) and "nothing to do" in event.text for event in again)
    assert len(faces_of(show)) == 15 and again[-1].summary["faces"] == 16


@pytest.mark.parametrize("moment", range(1, 6))
def test_stop_ends_cleanly_and_the_next_run_goes_on(show, moment):
    run(show, "src")
    going = extract(show, "dst", options=options())
    seen = 0
    while seen < moment:
        seen += isinstance(next(going), Progress)
    rest = [going.send(Stop()), *going]
    assert rest[-1] == Note(text="dst: stopped. The same command goes on from there.")
    events = run(show)
    assert any(isinstance(event, Note) and "going on" in event.text for event in events)
    assert contents(show, "src") == contents(show, "dst")


def contents(show, side):
    return {path.name: path.read_bytes() for path in faces_of(show, side).paths}


KILLED = """
import os, sys, pathlib
sys.path[:0] = [sys.argv[2]]
import pytest
import test_extract as t
from understudy.io import atomic
t.chunks._FEWEST, t.chunks._MOST = 3, 3
t.detectors["blazeface"], t.landmarkers["facemesh"]
t.detectors._parts["squares"], t.landmarkers._parts["fitted"] = t.Squares, t.Fitted
left, write = int(sys.argv[3]), atomic.write_bytes

def write_or_die(path, data):
    global left
    left -= 1
    if left < 0:
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / f".{path.stem}-x.partial{path.suffix}").write_bytes(data[: len(data) // 2])
        os.kill(os.getpid(), 9)
    write(path, data)

atomic.write_bytes = write_or_die
list(t.extract(pathlib.Path(sys.argv[1]), "dst", options=t.options()))
"""


def test_a_run_killed_again_and_again_ends_like_an_unbroken_one(show):
    run(show, "src")
    chance, deaths = random.Random(3), 0
    for _ in range(5):
        order = [sys.executable, "-c", KILLED, show, Path(__file__).parent, str(chance.randrange(2, 9))]
        ended = subprocess.run(order, capture_output=True, text=True)
        deaths += ended.returncode == -9
        assert ended.returncode in (0, -9), ended.stderr
        if ended.returncode == 0:
            break
    assert deaths > 1
    run(show)
    assert contents(show, "dst") == contents(show, "src")
    assert len(os.listdir(show / "dst" / "faces")) == 16


@pytest.mark.parametrize("room", [0, 1, 4, 9, 15])
def test_a_full_disk_is_told_and_nothing_is_lost(show, monkeypatch, room):
    run(show, "src")
    left, sync = iter(range(room)), os.fsync

    def fsync(handle):
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    with monkeypatch.context() as full:
        full.setattr("understudy.io.atomic.os.fsync", fsync)
        with pytest.raises(CannotWrite, match="disk is full"):
            run(show)
    run(show)
    assert contents(show, "dst") == contents(show, "src")
    assert len(os.listdir(show / "dst" / "faces")) == 16


def test_other_options_start_a_new_version_beside_the_old(show):
    run(show)
    old = contents(show, "dst")
    events = run(show, face_type="half")
    assert any(isinstance(event, Note) and "faces_old_1" in event.text and "face_type" in event.text for event in events)
    assert not any(isinstance(event, Started) and event.stage == "find dst" for event in events)  # only the cut is new
    assert faces_of(show).face_type == "half"
    assert {path.name: path.read_bytes() for path in (show / "dst" / "faces_old_1").iterdir()} == old
    events = run(show, max_faces=1, every=2)
    assert any(isinstance(event, Started) and event.stage == "find dst" for event in events)
    assert len(Faceset(show / "dst" / "faces_old_2")) == 16 and len(faces_of(show)) == 4


def test_redo_starts_anew_and_keeps_the_old_faces(show):
    run(show)
    events = run(show, redo=True)
    assert any(isinstance(event, Started) and event.stage == "find dst" for event in events)
    assert len(Faceset(show / "dst" / "faces_old_1")) == len(faces_of(show)) == 16


def test_other_footage_starts_a_new_version(show, tmp_path):
    run(show)
    cv2.imwrite(str(tmp_path / "clip" / "8.png"), frame((5, 5, 30))[:, :, ::-1])
    reading.opened.cache_clear()
    assert any("the footage" in event.text for event in run(show) if isinstance(event, Note))
    assert len(faces_of(show)) == 15 and len(Faceset(show / "dst" / "faces_old_1")) == 16


@pytest.mark.parametrize("record", [None, "{", '{"version": 1}'])
def test_faces_of_unknown_origin_are_moved_aside(show, record):
    run(show)
    path = show / "dst" / "extract.json"
    path.unlink() if record is None else path.write_text(record)
    assert any("nothing tells how they were made" in event.text for event in run(show) if isinstance(event, Note))
    assert len(faces_of(show)) == len(Faceset(show / "dst" / "faces_old_1")) == 16


def test_a_removed_folder_is_cut_again(show):
    run(show)
    before = contents(show, "dst")
    shutil.rmtree(show / "dst" / "faces")
    events = run(show)
    assert contents(show, "dst") == before
    assert not any(isinstance(event, Started) and event.stage == "find dst" for event in events)


def test_a_damaged_table_is_looked_for_again(show):
    run(show, "src")
    run(show)
    found = show / "dst" / "found" / "000003.safetensors"
    found.write_bytes(found.read_bytes()[:100])
    shutil.rmtree(show / "dst" / "faces")
    events = run(show)
    assert [event.done for event in events if isinstance(event, Progress) and event.stage == "find dst"] == [3]
    assert contents(show, "dst") == contents(show, "src")


def test_debug_pictures_show_every_frame_and_deleted_ones_are_done_again(show):
    run(show, debug="jpg")
    debug, before = show / "dst" / "debug", contents(show, "dst")
    assert sorted(os.listdir(debug)) == [f"{n:06d}.jpg" for n in range(9)]
    drawn = cv2.imread(str(debug / "000000.jpg")).astype(int)
    assert np.abs(drawn - CLIP[0][:, :, ::-1]).max() > 60
    (debug / "000002.jpg").unlink()
    (debug / "000004.jpg").unlink()
    faces_of(show).paths[0].unlink()  # curated by hand: must not come back
    events = run(show, debug="jpg", redo_missing=True, max_faces=0)
    assert any("2 frames whose debug picture is gone" in event.text for event in events if isinstance(event, Note))
    assert sorted(os.listdir(debug)) == [f"{n:06d}.jpg" for n in range(9)]
    assert sorted(contents(show, "dst")) == sorted(before)[1:]
    assert sorted(path.name for path in (show / "dst" / "faces_trash").iterdir()) == ["000002_0.jpg", "000002_1.jpg"]
    with pytest.raises(BadProject, match="face_type"):
        run(show, debug="jpg", redo_missing=True, face_type="half")


def test_redo_missing_needs_debug_pictures(show):
    run(show)
    with pytest.raises(BadProject, match="--debug jpg"):
        run(show, redo_missing=True)


def test_debug_as_one_video(show):
    events = run(show, debug="video")
    path = show / "dst" / "debug.mp4"
    assert any(isinstance(event, Saved) and event.path == path for event in events)
    with open_footage(path) as film:
        assert len(film) == 9 and film.size == (160, 120)
    assert not (show / "dst" / "debug").exists()


def test_frames_without_a_face_are_marked_by_hand_and_come_back(show):
    run(show, fix=True)
    path = show / "dst" / "marks.json"
    assert json.loads(path.read_text())["frames"] == {"4": None}
    before = contents(show, "dst")
    inner = align.template("half", 40) + np.array([60, 30])
    points = np.concatenate([np.repeat(inner[:1], 17, 0), inner]).round(3).tolist()
    marks = {"4": [{"points": points}], "7": [{"box": [20, 20, 60, 60]}], "8": []}
    path.write_text(json.dumps({"version": 1, "frames": marks}))
    events = run(show, fix=True)
    assert any("3 frames were marked since" in event.text for event in events if isinstance(event, Note))
    now = contents(show, "dst")
    assert sorted(now) == sorted({*before, "000004_0.jpg"} - {"000007_1.jpg", "000008_0.jpg", "000008_1.jpg"})
    assert all(now[name] == before[name] for name in before if name[:6] not in ("000007", "000008"))
    assert np.allclose(faces_of(show).faces.raw[faces_of(show).faces.frame == 4][0], points, atol=0.01)
    assert json.loads(path.read_text())["frames"]["8"] == []
    path.write_text(json.dumps({"version": 1, "frames": {}}))
    run(show)
    assert sorted(contents(show, "dst")) == sorted(before)


def test_a_mark_that_cannot_be_taken_is_named_with_its_place(show):
    (show / "dst").mkdir()
    (show / "dst" / "marks.json").write_text('{"version": 1, "frames": {"4": [{"box": [1, 2]}]}}')
    with pytest.raises(BadMedia, match=r"marks\.json, frame 4"):
        run(show)


def test_only_a_region_is_looked_at(show):
    run(show, region=(0.5, 0, 1, 1))
    assert (faces_of(show).faces.box[:, 0] >= 80).all() and len(faces_of(show)) == 8


def test_a_person_cannot_be_chosen_where_nobody_is_told_apart(show):
    with pytest.raises(BadOption, match=r"--person.*dlib"):
        run(show, person=0)


def test_every_run_leaves_a_report(show):
    run(show)
    told = json.loads((show / "dst" / "report.json").read_text())
    assert told["faces"] == 16 and len(told["tracks"]) == 2 and told["gaps"] == [[4, 4]]
    assert "<svg" in (show / "dst" / "report.html").read_text()


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


def test_processes_side_by_side_give_the_same_faceset_as_one(clips, tmp_path):
    """The real parts: the drawn ones are unknown to other processes."""
    Project.create(tmp_path / "show", clips["src"], clips["src"])
    events = list(extract(tmp_path / "show", "src", options=ExtractOptions(size=256, workers=1)))
    list(extract(tmp_path / "show", "dst", options=ExtractOptions(size=256, workers=2)))
    assert len(contents(tmp_path / "show", "dst")) == 10
    assert contents(tmp_path / "show", "dst") == contents(tmp_path / "show", "src")
    assert events[-1].summary["tracks"] == 1 and events[-1].summary["filled"] == 0


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
    assert ExtractOptions().size == faceset.size
