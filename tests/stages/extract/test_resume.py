"""Extraction goes on where it was, and never throws a face away."""

import errno
import os
import shutil
from dataclasses import replace

import cv2
import pytest

from understudy.errors import BadOption, CannotWrite, WeightsMissing
from understudy.io.faceset import face_image
from understudy.io.faceset.faceset import Faceset
from understudy.stages.events import Note, Progress, Started, Stop
from understudy.stages.extract.command import extract
from understudy.stages.parallel import footage_reader


@pytest.fixture
def undisturbed(film):
    """What a run that nothing disturbs makes of the film."""
    other = type(film)(shutil.copytree(film.folder, film.folder.with_name("undisturbed")))
    other.run()
    return other.contents("dst")


def test_a_finished_run_is_not_done_again_but_says_so(film):
    film.run()
    film.faces().paths[0].unlink()  # curated by hand: must not come back
    again = film.run()
    assert any(isinstance(event, Note) and "nothing to do" in event.text for event in again)
    assert len(film.faces()) == again[-1].summary["faces"] == 15


@pytest.mark.parametrize("moment", range(1, 6))
def test_stop_ends_cleanly_and_the_next_run_goes_on(film, undisturbed, moment):
    going = extract(film.folder, "dst", options=film.options())
    seen = 0
    while seen < moment:
        seen += isinstance(next(going), Progress)
    rest = [going.send(Stop()), *going]
    assert rest[-1] == Note(text="dst: stopped. The same command goes on from there.")
    events = film.run()
    assert any(isinstance(event, Note) and "going on" in event.text for event in events)
    assert film.contents("dst") == undisturbed


@pytest.mark.parametrize("room", [0, 1, 4, 9, 15])
def test_a_full_disk_is_told_and_nothing_is_lost(film, undisturbed, monkeypatch, room):
    left, sync = iter(range(room)), os.fsync

    def fsync(handle):
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    with monkeypatch.context() as full:
        full.setattr("understudy.io.atomic.os.fsync", fsync)
        with pytest.raises(CannotWrite, match="disk is full"):
            film.run()
    film.run()
    assert film.contents("dst") == undisturbed
    assert len(os.listdir(film.folder / "dst" / "faces")) == 16


def told(events):
    return "\n".join(event.text for event in events if isinstance(event, Note))


def test_faces_from_elsewhere_stay_when_all_is_cut_anew(film):
    film.run()
    folder = film.folder / "dst" / "faces"
    face = face_image.read(folder / "000000_0.jpg")
    # As `faces import` leaves them: of another show, another tool, alignments of this footage.
    for name, changes in {
        "other": {"source": "other.mp4", "footage": "ab"},
        "foreign": {"source": "", "footage": ""},
        "aligned": {"face": replace(face.face, track=-1, frame=4)},
    }.items():
        face_image.write(folder / f"{name}.jpg", replace(face, **changes))
    own = len(film.names()) - 3
    said = told(film.run(face_type="half"))
    assert "3 faces came from elsewhere and stay" in said and "faces recrop" in said
    assert {"other.jpg", "foreign.jpg", "aligned.jpg"} < set(film.names())
    assert len(film.names()) == own + 3
    aside = film.folder / "dst" / "faces_old_1"
    assert len(list(aside.iterdir())) == own


def test_faces_that_were_imported_first_stay_and_the_footage_is_extracted_beside_them(film):
    film.run("src")
    face = face_image.read(film.folder / "src" / "faces" / "000000_0.jpg")
    folder = film.folder / "dst" / "faces"
    folder.mkdir(parents=True)
    face_image.write(folder / "foreign.jpg", replace(face, source="", footage=""))
    said = told(film.run())
    assert "1 face came from elsewhere and stays" in said and "faces_old" not in said
    assert sorted({*film.names()} - {"foreign.jpg"}) == sorted(film.contents("src"))


@pytest.mark.parametrize("redo", [False, True])
def test_a_person_that_is_none_of_them_is_refused_before_faces_are_moved(film, redo):
    film.run()
    old = film.contents("dst")
    with pytest.raises(BadOption, match="not told apart"):
        film.run(person=99, redo=redo)
    assert film.contents("dst") == old and not (film.folder / "dst" / "faces_old_1").exists()


def test_a_detector_whose_weights_are_missing_moves_no_faces(film, monkeypatch):
    film.run()
    old = film.contents("dst")

    def missing(options, marks=None):
        raise WeightsMissing("no weights here")

    monkeypatch.setattr("understudy.stages.extract.pipeline.make_analyser", missing)
    with pytest.raises(WeightsMissing):
        film.run(steady="filter")
    assert film.contents("dst") == old and not (film.folder / "dst" / "faces_old_1").exists()
    # Nothing, and other pictures of faces that were found, need none.
    film.run()
    film.run(face_type="half")
    assert len(film.contents("dst")) == len(old)


def test_other_options_start_a_new_version_beside_the_old(film):
    film.run()
    old = film.contents("dst")
    events = film.run(face_type="half")
    assert any(
        isinstance(event, Note) and "faces_old_1" in event.text and "face_type" in event.text
        for event in events
    )
    assert not any(
        isinstance(event, Started) and event.stage == "find dst" for event in events
    )  # only the cut is new
    assert film.faces().face_type == "half"
    assert {
        path.name: path.read_bytes() for path in (film.folder / "dst" / "faces_old_1").iterdir()
    } == old
    events = film.run(max_faces=1, every=2)
    assert any(isinstance(event, Started) and event.stage == "find dst" for event in events)
    assert len(Faceset(film.folder / "dst" / "faces_old_2")) == 16 and len(film.faces()) == 4


def test_redo_starts_anew_and_keeps_the_old_faces(film):
    film.run()
    events = film.run(redo=True)
    assert any(isinstance(event, Started) and event.stage == "find dst" for event in events)
    assert len(Faceset(film.folder / "dst" / "faces_old_1")) == len(film.faces()) == 16


def test_other_footage_starts_a_new_version(film, draw, tmp_path):
    film.run()
    cv2.imwrite(str(tmp_path / "clip" / "8.png"), draw((5, 5, 30))[:, :, ::-1])
    footage_reader.open_reader.cache_clear()
    assert any("the footage" in event.text for event in film.run() if isinstance(event, Note))
    assert len(film.faces()) == 15 and len(Faceset(film.folder / "dst" / "faces_old_1")) == 16


@pytest.mark.parametrize("record", [None, "{", '{"version": 1}'])
def test_faces_of_unknown_origin_are_moved_aside(film, record):
    film.run()
    path = film.folder / "dst" / "extract.json"
    path.unlink() if record is None else path.write_text(record)
    assert any(
        "there is no record of how they were made" in event.text
        for event in film.run()
        if isinstance(event, Note)
    )
    assert len(film.faces()) == len(Faceset(film.folder / "dst" / "faces_old_1")) == 16


def test_a_removed_folder_is_cut_again(film):
    film.run()
    before = film.contents("dst")
    shutil.rmtree(film.folder / "dst" / "faces")
    events = film.run()
    assert film.contents("dst") == before
    assert not any(isinstance(event, Started) and event.stage == "find dst" for event in events)


@pytest.mark.parametrize("damage", ["cut off", "zeros"])
def test_a_damaged_table_is_looked_for_again(film, undisturbed, damage):
    film.run()
    found = film.folder / "dst" / "found" / "000003.safetensors"
    data = found.read_bytes()
    found.write_bytes(data[:100] if damage == "cut off" else data[:-300] + bytes(200) + data[-100:])
    shutil.rmtree(film.folder / "dst" / "faces")
    events = film.run()
    assert [
        event.done for event in events if isinstance(event, Progress) and event.stage == "find dst"
    ] == [3]
    assert film.contents("dst") == undisturbed
