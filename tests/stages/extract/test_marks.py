"""What people look at and mend by hand: debug pictures, and marks."""

import json
import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.core.face import align, mean_head
from understudy.errors import BadMedia, BadProject, NoFaces
from understudy.io.faceset.journal import Journal
from understudy.io.open_footage import open_footage
from understudy.parts.landmarkers import landmarkers
from understudy.stages.curate.faces import FacesOptions, faces
from understudy.stages.events import FailedFrame, Note, Progress, Saved
from understudy.stages.extract import marking
from understudy.stages.extract.command import extract
from understudy.types import Marking

REPOSITORY = Path(__file__).resolve().parents[3]


def _notes(events):
    return [event for event in events if isinstance(event, Note)]


def _rows(film):
    return [
        each for each in faces(film.folder, "dst", options=FacesOptions()) if each.event == "face"
    ]


def test_debug_pictures_show_every_frame_and_deleted_ones_are_done_again(film, draw):
    film.run(debug="jpg")
    debug, before = film.folder / "dst" / "debug", film.contents("dst")
    assert sorted(os.listdir(debug)) == [f"{n:06d}.jpg" for n in range(9)]
    drawn = cv2.imread(str(debug / "000000.jpg")).astype(int)
    assert np.abs(drawn - draw((10, 20, 40), (100, 30, 24))[:, :, ::-1]).max() > 60
    (debug / "000002.jpg").unlink()
    (debug / "000004.jpg").unlink()
    film.faces().paths[0].unlink()  # curated by hand: must not come back
    events = film.run(debug="jpg", redo_missing=True, max_faces=None)
    assert any(
        "2 frames whose debug picture is gone" in event.text
        for event in events
        if isinstance(event, Note)
    )
    assert sorted(os.listdir(debug)) == [f"{n:06d}.jpg" for n in range(9)]
    assert sorted(film.contents("dst")) == sorted(before)[1:]
    assert sorted(path.name for path in (film.folder / "dst" / "faces_trash").iterdir()) == [
        "000002_0.jpg",
        "000002_1.jpg",
    ]
    # What was found anew is there instead, so there is nothing to take back.
    assert not Journal(film.folder / "dst").steps()
    with pytest.raises(BadProject, match="face_type"):
        film.run(debug="jpg", redo_missing=True, face_type="half")


def test_redo_missing_needs_debug_pictures(film):
    film.run()
    with pytest.raises(BadProject, match="--debug jpg"):
        film.run(redo_missing=True)


def test_debug_as_one_video(film):
    events = film.run(debug="video")
    path = film.folder / "dst" / "debug.mp4"
    assert any(isinstance(event, Saved) and event.path == path for event in events)
    with open_footage(path) as drawn:
        assert len(drawn) == 9 and drawn.size == (160, 120)
    assert not (film.folder / "dst" / "debug").exists()


def test_frames_without_a_face_are_marked_by_hand_and_come_back(film):
    film.run(fix=True)
    path = film.folder / "dst" / "marks.json"
    assert json.loads(path.read_text())["frames"] == {"4": None}
    before = film.contents("dst")
    inner = align.template_points("half", 40) + np.array([60, 30])
    points = np.concatenate([np.repeat(inner[:1], 17, 0), inner]).round(3).tolist()
    marks = {"4": [{"points": points}], "7": [{"box": [20, 20, 60, 60]}], "8": []}
    marks["7"].append({"no_face": [100, 20, 140, 70]})
    path.write_text(json.dumps({"version": 1, "frames": marks}))
    events = film.run(fix=True)
    assert any(
        "3 frames were marked since" in event.text for event in events if isinstance(event, Note)
    )
    now = film.contents("dst")
    assert sorted(now) == sorted(
        {*before, "000004_0.jpg"} - {"000007_1.jpg", "000008_0.jpg", "000008_1.jpg"}
    )
    assert all(now[name] == before[name] for name in before if name[:6] not in ("000007", "000008"))
    assert np.allclose(film.faces().faces.raw[film.faces().faces.frame == 4][0], points, atol=0.01)
    assert json.loads(path.read_text())["frames"]["8"] == []
    path.write_text(json.dumps({"version": 1, "frames": {}}))
    film.run()
    assert sorted(film.contents("dst")) == sorted(before)


def test_a_fresh_show_is_marked_by_hand_from_nothing(film):
    """Both sides are listed before anybody is told that there are no faces."""
    for fix in (True, False):
        with pytest.raises(NoFaces, match=r"none marked yet: write the marks into .*src.*dst"):
            film.run("both", detector="manual", landmarker="manual", fix=fix)
    for side in ("src", "dst"):
        marks = json.loads((film.folder / side / "marks.json").read_text())
        assert marks == {"version": 1, "frames": dict.fromkeys(map(str, range(9)))}
        pictures = sorted((film.folder / side / "marks").iterdir())
        assert [each.name for each in pictures] == [f"frame-{n:06d}.jpg" for n in range(9)]
        assert cv2.imread(str(pictures[0])).shape == (120, 160, 3)
        assert not (film.folder / side / "faces").exists()
    said = '{"0.png": {"box": [10, 20, 50, 60]}, "frame-000003.jpg": [[28, 35], [44, 35]], "5": []}'
    path = film.folder / "dst" / "marks.json"
    path.write_text(said)
    events = film.run(detector="manual", landmarker="manual")
    assert film.names() == ["000000_0.jpg", "000003_0.jpg"]
    assert any("marked by hand: 2 laid in" in event.text for event in _notes(events))
    assert any("6 frames without a face wait in marks.json" in e.text for e in _notes(events))
    frames = json.loads(path.read_text())["frames"]
    assert frames["0"] == [{"box": [10, 20, 50, 60]}] and frames["5"] == []
    assert frames["3"] == [{"eyes": [[28, 35], [44, 35]]}] and frames["8"] is None
    assert sorted(os.listdir(path.with_name("marks"))) == [
        *(f"frame-{n:06d}-marked.jpg" for n in (0,)),
        *(f"frame-{n:06d}.jpg" for n in (1, 2)),
        "frame-000003-marked.jpg",
        *(f"frame-{n:06d}.jpg" for n in (4, 6, 7, 8)),
    ]
    faces = film.faces().faces
    assert faces.marked.tolist() == [Marking.LAID] * 2
    eyes = mean_head.find_places(faces.raw[1], 2)
    assert np.allclose(eyes, [[28, 35], [44, 35]], atol=0.01)
    report = json.loads((film.folder / "dst" / "report.json").read_text())
    assert report["marked"] == {"laid in": 2} and report["suspicious"]["laid in"] == 2


def test_marks_win_over_what_is_found_there_and_leave_the_rest(film):
    """In every extraction, whatever else changes."""
    path = film.folder / "dst" / "marks.json"
    path.parent.mkdir()
    marks = {"7": [{"box": [14, 12, 74, 72]}], "3": [{"no_face": [100, 30, 130, 60]}]}
    path.write_text(json.dumps(marks))
    for changes in ({}, {"redo": True}, {"face_type": "whole"}, {"steady": "filter"}):
        film.run(**changes)
        faces = film.faces().faces
        assert [(faces.frame == frame).sum() for frame in (2, 3, 7)] == [2, 1, 2]
        assert faces.frame[faces.marked > 0].tolist() == [7]
        assert faces.box[faces.marked > 0].tolist() == [[14, 12, 74, 72]]


def test_a_mark_is_refined_where_the_landmarker_sees_its_face(film):
    path = film.folder / "dst" / "marks.json"
    path.parent.mkdir()
    # The landmarker of these tests fits the mean face into what it is given.
    path.write_text('{"4": [{"box": [60, 20, 100, 60]}]}')
    events = film.run()
    face = film.faces().faces[film.faces().faces.frame == 4].face(0)
    assert face.marked is Marking.REFINED
    assert any("marked by hand: 1 refined" in event.text for event in _notes(events))
    assert [row.marked for row in _rows(film) if row.frame == 4] == ["refined"]


def test_what_is_marked_while_a_run_works_is_not_lost(film):
    path = film.folder / "dst" / "marks.json"
    stage = extract(film.folder, "dst", options=film.options(fix=True))
    for event in stage:
        if isinstance(event, Progress):
            path.write_text('{"frames": {"4": [ {"box": [20, 20, 60, 60]} ]}}')
    assert path.read_text() == '{"frames": {"4": [ {"box": [20, 20, 60, 60]} ]}}'


def test_faces_that_a_detector_found_stay_when_the_rest_is_marked_by_hand(film):
    film.run()
    before = film.contents("dst")
    events = film.run(detector="manual", fix=True)
    assert film.contents("dst") == before
    assert any("the faces that squares found stay" in event.text for event in _notes(events))
    path = film.folder / "dst" / "marks.json"
    assert json.loads(path.read_text())["frames"] == {"4": None}
    path.write_text('{"4": [[60, 40], [80, 40]]}')
    film.run(detector="manual", fix=True)
    assert sorted(film.contents("dst")) == sorted([*before, "000004_0.jpg"])


def test_many_frames_without_a_face_are_listed_in_part_evenly(film, monkeypatch):
    monkeypatch.setattr(marking, "MOST", 3)
    with pytest.raises(NoFaces):
        film.run(detector="manual")
    path = film.folder / "dst" / "marks.json"
    assert list(json.loads(path.read_text())["frames"]) == ["0", "4", "8"]
    path.write_text('{"4": [[60, 40], [80, 40]]}')
    events = film.run(detector="manual", landmarker="manual")
    assert any("3 of 8 frames, evenly spread, without a face" in e.text for e in _notes(events))


def test_marks_of_a_former_version_are_not_taken_for_new_ones(film):
    path = film.folder / "dst" / "marks.json"
    path.parent.mkdir()
    path.write_text('{"version": 1, "frames": {"7": [{"box": [20, 20, 60, 60]}]}}')
    film.run()
    record = json.loads((film.folder / "dst" / "extract.json").read_text())
    record["marks"]["7"] = [{"box": [20.0, 20.0, 60.0, 60.0], "points5": None, "points": None}]
    (film.folder / "dst" / "extract.json").write_text(json.dumps(record))
    assert any("nothing to do" in event.text for event in _notes(film.run()))


def test_a_laid_in_face_takes_its_shape_from_its_track(make_film, draw, monkeypatch):
    """Between faces that were found, a mark of the eyes gives theirs, not the mean head's."""
    build = landmarkers["fitted"].build

    def build_for_squares(self):
        locate = build(self)
        return lambda image, where: locate(image, where) if image.max() > 200 else None

    monkeypatch.setattr(landmarkers["fitted"], "build", build_for_squares)
    film = make_film([draw((40, 20, 60)) if n != 4 else draw() for n in range(9)])
    film.run()
    found = film.faces().faces.raw[0]
    lower = np.array([0, 3])
    eyes = mean_head.find_places(found, 2) + lower
    (film.folder / "dst" / "marks.json").write_text(json.dumps({"4": eyes.tolist()}))
    film.run()
    faces = film.faces().faces
    face = faces[faces.frame == 4].face(0)
    assert face.marked is Marking.LAID
    assert np.abs(face.raw - (found + lower)).max() < 0.1


def test_gaps_that_a_mark_makes_short_are_filled_and_cut(make_film, draw):
    """One mark within three frames; without it they are too many to be filled."""
    clear = draw((40, 20, 60))
    film = make_film([np.minimum(clear, 190 if n in (3, 4, 5) else 255) for n in range(9)])
    film.run(fill=0.04)
    before = film.contents("dst")
    eyes = mean_head.find_places(film.faces().faces.raw[0], 2)
    path = film.folder / "dst" / "marks.json"
    path.write_text(json.dumps({"4": eyes.tolist()}))
    film.run(fill=0.04)
    after = film.contents("dst")
    assert sorted(after) == [f"{n:06d}_0.jpg" for n in range(9)]
    assert {name: after[name] for name in before} == before
    assert film.faces().faces.marked.tolist() == [
        Marking.REFINED if n == 4 else Marking.NONE for n in range(9)
    ]
    path.unlink()
    film.run(fill=0.04)
    assert film.contents("dst") == before


def test_the_example_of_the_manual_is_understood(make_film):
    page = (REPOSITORY / "docs" / "marks.md").read_text(encoding="utf-8")
    example = re.search(r"A test reads this example.*?```json\n(.*?)```", page, re.DOTALL)
    film = make_film([np.full((300, 600, 3), 90, np.uint8)] * 6)
    (film.folder / "dst").mkdir()
    (film.folder / "dst" / "marks.json").write_text(example[1])
    film.run(detector="manual", landmarker="manual")
    assert film.faces().faces.frame.tolist() == [0, 1, 2, 2]
    marks = json.loads((film.folder / "dst" / "marks.json").read_text())
    assert marks == json.loads(example[1])


def test_marks_count_again_where_the_table_of_what_they_gave_is_damaged(film):
    film.run()
    path = film.folder / "dst" / "marks.json"
    path.write_text(
        json.dumps({"version": 1, "frames": {"7": [{"no_face": [20, 20, 60, 60]}], "8": []}})
    )
    film.run()
    marked = film.names()
    assert "000007_1.jpg" not in marked and "000008_0.jpg" not in marked
    table = film.folder / "dst" / "found" / "again.safetensors"
    table.write_bytes(table.read_bytes()[:-9] + bytes(9))
    # All are cut anew, from what the tables say.
    film.run(jpg_quality=90)
    assert film.names() == marked


def test_a_mark_that_cannot_be_taken_is_named_with_its_place(film):
    (film.folder / "dst").mkdir()
    (film.folder / "dst" / "marks.json").write_text(
        '{"version": 1, "frames": {"4": [{"box": [1, 2]}]}}'
    )
    with pytest.raises(BadMedia, match=r"marks\.json: frame 4: a box is four numbers"):
        film.run()
    (film.folder / "dst" / "marks.json").write_text('{"9": {"eyes": [1, 2, 3, 4]}}')
    with pytest.raises(BadMedia, match=r"frame 9 is not in clip\. It has frames 0 to 8"):
        film.run()
    for mark in (
        '{"eyes": [500, 20, 540, 20]}',
        "[170, 10, 190, 60]",
        '{"no_face": [1, 130, 9, 150]}',
    ):
        (film.folder / "dst" / "marks.json").write_text(f'{{"4": {mark}}}')
        with pytest.raises(BadMedia, match=r"marks\.json: frame 4: .* has 160 x 120 pixels"):
            film.run()
    assert sorted(os.listdir(film.folder / "dst")) == ["marks.json"]


def test_of_pictures_of_any_size_only_the_frame_of_a_mark_that_lies_outside_fails(film):
    (film.folder / "src").mkdir()
    (film.folder / "src" / "marks.json").write_text('{"4": {"eyes": [500, 20, 540, 20]}}')
    events = list(extract(film.folder, "src", options=film.options()))
    failed = [event for event in events if isinstance(event, FailedFrame)]
    assert [event.frame for event in failed] == [4]
    assert "outside the picture, which has 160 x 120 pixels" in failed[0].text


def test_what_others_put_beside_tables_and_debug_pictures_stays(film):
    """When tables of other options go, and pictures that became a video."""
    dst = film.folder / "dst"
    for folder in (dst / "found", dst / "debug"):
        folder.mkdir(parents=True)
        (folder / "notes.txt").write_text("mine")
        (folder / "000001").mkdir()
    (dst / "debug" / "holiday.jpg").write_text("mine")
    (dst / "found" / "999999.safetensors").write_text("mine")
    film.run(debug="video")
    assert sorted(os.listdir(dst / "debug")) == ["000001", "holiday.jpg", "notes.txt"]
    with open_footage(dst / "debug.mp4") as footage:
        assert len(footage) == 9
    film.run(redo=True, max_faces=1)
    assert {"notes.txt", "000001", "999999.safetensors"} < set(os.listdir(dst / "found"))
    assert (dst / "debug_old_1" / "holiday.jpg").read_text() == "mine"


def test_a_run_killed_while_the_pictures_of_a_video_went_keeps_the_video(film):
    film.run(debug="video")
    dst = film.folder / "dst"
    before = (dst / "debug.mp4").read_bytes()
    record = json.loads((dst / "extract.json").read_text())
    (dst / "extract.json").write_text(json.dumps({**record, "is_complete": False}))
    film.run(debug="video")
    assert (dst / "debug.mp4").read_bytes() == before
