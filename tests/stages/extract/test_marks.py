"""What people look at and mend by hand: debug pictures, and marks."""

import json
import os

import cv2
import numpy as np
import pytest

from understudy.core.face import align
from understudy.errors import BadMedia, BadProject
from understudy.io.open_footage import open_footage
from understudy.stages.events import Note, Saved


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


def test_marks_count_again_where_the_table_of_what_they_gave_is_damaged(film):
    film.run()
    path = film.folder / "dst" / "marks.json"
    path.write_text(
        json.dumps({"version": 1, "frames": {"7": [{"box": [20, 20, 60, 60]}], "8": []}})
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
    with pytest.raises(BadMedia, match=r"marks\.json: frames\.4\.0"):
        film.run()


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
