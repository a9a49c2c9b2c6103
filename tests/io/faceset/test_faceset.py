"""A folder of face pictures is a table; the file manager curates it; its cache never lies."""

import dataclasses
import errno
import os

import cv2
import numpy as np
import pytest

from understudy.errors import BadMedia, NoFaces
from understudy.io import tables
from understudy.io.faceset import face_image
from understudy.io.faceset.faceset import Faceset
from understudy.stages.curate.faceset_notes import faceset_notes
from understudy.types import AlignedFace, Face


def face(frame, x=0.0, face_type="full", size=32) -> AlignedFace:
    landmarks = (np.arange(136, dtype=np.float32) % 41).reshape(68, 2) + np.float32(x)
    in_frame = Face(
        frame, np.array([x, 0, x + 50, 60], np.float32), landmarks, 0.9, -1, np.zeros(3, np.float32)
    )
    image = np.full((size, size, 3), frame % 256, np.uint8)
    return AlignedFace(
        in_frame,
        image,
        np.array([[1.0, 0, 0], [0, 1, 0]]),
        face_type,
        source="a.mp4",
        pts=frame / 25,
    )


@pytest.fixture
def faceset(tmp_path) -> Faceset:
    faceset = Faceset(tmp_path / "dst" / "faces")
    for frame, x in ((7, 100), (7, 200), (2, 50), (1_000_000, 5)):
        faceset.add(face(frame, x))
    return faceset


def test_the_table_lists_the_pictures_by_frame(faceset):
    assert [path.name for path in faceset.paths] == [
        "000002_0.jpg",
        "000007_0.jpg",
        "000007_1.jpg",
        "1000000_0.jpg",
    ]
    assert faceset.faces.frame.tolist() == [2, 7, 7, 1_000_000] and len(faceset) == 4
    assert faceset.faces.box[:, 0].tolist() == [50, 100, 200, 5]
    assert faceset.load(2).face.box[0] == 200
    assert (faceset.face_type, faceset.size) == ("full", 32)


def test_a_deleted_file_is_a_deleted_face(faceset):
    faceset.paths[0].unlink()
    assert Faceset(faceset.folder).faces.frame.tolist() == [7, 7, 1_000_000]


def test_a_renamed_and_an_edited_picture_are_noticed(faceset):
    assert len(faceset) == 4
    faceset.paths[0].rename(faceset.folder / "best.jpg")
    face_image.write(faceset.folder / "000007_1.jpg", face(9, 300))
    again = Faceset(faceset.folder)
    assert [path.name for path in again.paths] == [
        "best.jpg",
        "000007_0.jpg",
        "000007_1.jpg",
        "1000000_0.jpg",
    ]
    assert again.faces.frame.tolist() == [2, 7, 9, 1_000_000]


def test_a_second_look_reads_no_picture(faceset, monkeypatch):
    first = faceset.faces
    monkeypatch.setattr(face_image, "read_metadata", lambda path: pytest.fail(f"read {path}"))
    second = Faceset(faceset.folder).faces
    assert np.array_equal(first.landmarks, second.landmarks) and np.array_equal(
        first.frame, second.frame
    )


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-40],
        lambda data: b"{}\n" + data,
        lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
        lambda data: b"",
    ],
)
def test_a_broken_cache_is_rebuilt(faceset, damage):
    assert len(faceset) == 4
    cache = faceset.folder.parent / "faces.safetensors"
    good = cache.read_bytes()
    cache.write_bytes(damage(good))
    assert Faceset(faceset.folder).faces.frame.tolist() == [2, 7, 7, 1_000_000]
    assert cache.read_bytes() == good


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("side", lambda values: values * 0),
        ("face_type", lambda values: values + 99),
        ("footage", lambda values: values - 1),
        ("pose", lambda values: values * np.nan),
        ("landmarks", lambda values: values[:, :5]),
        ("frame", lambda values: values.astype(np.float32)),
        ("names", lambda values: values[:9]),
        ("polygon_rows", lambda values: np.array([4], np.int64)),
    ],
)
def test_a_cache_that_says_what_no_picture_can_is_not_believed(faceset, name, change):
    expected = faceset.faces
    cache = faceset.folder.parent / "faces.safetensors"
    columns, notes = tables.read_table(cache)
    tables.write_table(cache, {**columns, name: change(columns[name])}, notes)
    found = Faceset(faceset.folder)
    assert np.array_equal(found.faces.pose, expected.pose) and found.sides.tolist() == [32] * 4


def test_the_cache_may_go_at_any_time(faceset):
    assert len(faceset) == 4
    (faceset.folder.parent / "faces.safetensors").unlink()
    assert len(Faceset(faceset.folder)) == 4


def test_only_our_own_former_cache_goes(faceset):
    former = faceset.folder.parent / "faces.jsonl"
    for text, stays in (('{"cache":"understudy faces","version":1}\n', False), ("{}\n", True)):
        former.write_text(text)
        faceset.add(face(7))
        assert len(faceset) > 4 and former.exists() == stays


def test_add_takes_the_next_free_number_or_replaces_the_named_one(faceset):
    assert faceset.add(face(7)).name == "000007_2.jpg"
    assert faceset.add(face(7, 400), number=1, suffix=".png").name == "000007_1.png"
    assert faceset.add(face(7, 400), number=0).name == "000007_0.jpg"
    assert faceset.load(1).face.box[0] == 400


def test_trash_moves_and_never_overwrites(faceset):
    assert [path.name for path in faceset.trash(faceset.faces.frame == 7)] == [
        "000007_0.jpg",
        "000007_1.jpg",
    ]
    assert faceset.faces.frame.tolist() == [2, 1_000_000]
    faceset.add(face(7, 999))
    (moved,) = faceset.trash(faceset.faces.frame == 7)
    assert moved == faceset.folder.parent / "faces_trash" / "000007_0-2.jpg"
    assert face_image.read(moved).face.box[0] == 999
    assert len(Faceset(faceset.folder.parent / "faces_trash")) == 3


def test_trash_refuses_a_mask_of_another_table(faceset):
    with pytest.raises(ValueError, match="for 4 faces"):
        faceset.trash(np.ones(3, bool))
    assert len(faceset) == 4


def test_pictures_that_are_no_faces_are_all_named(faceset):
    for name in ("holiday.jpg", "cat.png"):
        cv2.imwrite(str(faceset.folder / name), np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(
        BadMedia, match=r"faces: cat.png, holiday.jpg: not a face picture of ours.*again\.$"
    ):
        len(faceset)
        len(Faceset(faceset.folder))


def test_what_is_no_picture_is_left_alone(faceset):
    (faceset.folder / "Thumbs.db").write_bytes(b"x")
    (faceset.folder / ".hidden.jpg").write_bytes(b"x")
    (faceset.folder / "folder.jpg").mkdir()
    assert len(Faceset(faceset.folder)) == 4


def test_a_missing_folder_and_an_empty_one(tmp_path):
    with pytest.raises(BadMedia, match="no faceset"):
        len(Faceset(tmp_path / "faces"))
    (tmp_path / "faces").mkdir()
    empty = Faceset(tmp_path / "faces")
    assert len(empty) == 0 and len(empty.faces) == 0
    with pytest.raises(NoFaces):
        _ = empty.face_type


def test_face_types_do_not_mix(faceset):
    faceset.add(face(8, face_type="half"))
    with pytest.raises(BadMedia, match="full, half"):
        _ = faceset.face_type


def test_a_folder_that_cannot_be_written_can_be_read(faceset, monkeypatch):
    opened = os.open

    def refuse(path, flags, *args, **kwargs):
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, "Read-only file system")
        return opened(path, flags, *args, **kwargs)

    monkeypatch.setattr("os.open", refuse)
    assert len(Faceset(faceset.folder)) == 4
    assert not (faceset.folder.parent / "faces.safetensors").exists()


def test_what_is_measured_of_some_faces_is_kept_in_the_table(tmp_path):
    one = face(1)
    measured = {
        "identity": np.array([0.6, 0.8], np.float32),
        "gaze": np.array([[0.1, 0], [0.2, 0]], np.float32),
        "lids": np.array([0.2, 0.25], np.float32),
    }
    known = dataclasses.replace(one, face=dataclasses.replace(one.face, **measured))
    faceset = Faceset(tmp_path / "faces")
    faceset.add(known)
    for table in (faceset.faces, Faceset(tmp_path / "faces").faces):  # the second from the cache
        for name, value in measured.items():
            assert np.allclose(getattr(table, name), value[None])
    faceset.add(face(2))
    assert np.isnan(faceset.faces.lids[1]).all() and faceset.faces.face(1).gaze is None


def test_identities_of_another_length_are_told_and_the_many_count(tmp_path):
    faceset = Faceset(tmp_path / "faces")
    for number, length in enumerate((5, 0, 3, 3)):  # the odd one first
        made = face(number)
        vector = np.full(length, 0.5, np.float32) if length else None
        made = dataclasses.replace(made, face=dataclasses.replace(made.face, identity=vector))
        faceset.add(made)
    for read in (faceset, Faceset(faceset.folder)):  # the second from the cache
        assert np.isfinite(read.faces.identity).all(axis=1).tolist() == [False, False, True, True]
        assert read.other_identities.tolist() == [True, False, False, False]
        (note,) = faceset_notes(read)
        assert "1 face" in note.text and "cannot be compared" in note.text
    assert not read.select(np.array([False, True, True, True])).other_identities.any()
    # More of the other kind: these are the many then, though all were in the cache.
    for number in (4, 5):
        made = face(number)
        vector = np.full(5, 0.5, np.float32)
        faceset.add(dataclasses.replace(made, face=dataclasses.replace(made.face, identity=vector)))
    assert Faceset(faceset.folder).faces.identity.shape == (6, 5)


def test_faces_that_are_renamed_while_they_are_read_are_not_lost(faceset, monkeypatch):
    names, read = list(faceset.names), face_image.read_metadata

    def read_late(path):
        if path.name == names[0] and path.exists():
            path.rename(path.with_name("zzz.jpg"))
        return read(path)

    monkeypatch.setattr(face_image, "read_metadata", read_late)
    faceset.folder.with_name("faces.safetensors").unlink()
    assert sorted(Faceset(faceset.folder).names) == [*names[1:], "zzz.jpg"]
