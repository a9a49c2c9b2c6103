"""A pack is read as the folder beside it is, and believed in nothing that it cannot be."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import struct
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from understudy.errors import BadMedia, BadProject
from understudy.io.faceset import face_image, picture_files
from understudy.io.faceset.faceset import Faceset
from understudy.io.faceset.pack import Pack, PackWriter, pack_path
from understudy.types import AlignedFace, Face

NAMES = ("000000_0.jpg", "000001_0.jpg", "000002_0.png", "Zoë 𝄞 " + "x" * 200 + ".jpg")


def face(frame: int, x: float = 0) -> AlignedFace:
    points = (np.arange(136, dtype=np.float32) % 41).reshape(68, 2) + np.float32(x)
    box, pose = np.array([x, 0, 50, 60], np.float32), np.zeros(3, np.float32)
    in_frame = Face(frame, box, points, 0.9, -1, pose)
    image = np.full((16, 16, 3), frame, np.uint8)
    return AlignedFace(in_frame, image, np.eye(3)[:2], "full", source="a.mp4", pts=None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four faces, as loose pictures."""
    folder = tmp_path / "show/src/faces"
    folder.mkdir(parents=True)
    for frame, name in enumerate(NAMES):
        face_image.write(folder / name, face(frame))
        os.utime(folder / name, ns=(10**18, 10**18 + 123_456_789 + frame))
    return folder


def pack(folder: Path, names: tuple[str, ...] = NAMES) -> Path:
    listed = picture_files.list_pictures(folder)
    stamps = dict(zip(listed.names, listed.facts[:, 1].tolist(), strict=True))
    path = pack_path(folder)
    path.unlink(missing_ok=True)
    with PackWriter(path) as writer:
        for name in names:
            writer.add(name, (folder / name).read_bytes(), stamps[name])
    for name in names:
        (folder / name).unlink()
    return path


def test_packed_pictures_are_read_as_loose_ones(folder: Path) -> None:
    loose = Faceset(folder)
    before = [loose.read_bytes(row) for row in range(len(loose))]
    facts, faces = loose.facts, loose.faces
    pack(folder, NAMES[1:])
    packed = Faceset(folder)
    # The table of the loose pictures still holds: a pack keeps the times of change.
    assert np.array_equal(packed.facts, facts) and packed.names == list(NAMES)
    assert packed.packed.tolist() == [False, True, True, True]
    assert [packed.read_bytes(row) for row in range(4)] == before
    assert np.array_equal(packed.faces.landmarks, faces.landmarks)
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda row: packed.load(row % 4).image.mean(), range(64)))
    assert np.allclose(seen, np.arange(64) % 4, atol=1)
    folder.joinpath(NAMES[0]).unlink()
    folder.rmdir()
    assert len(Faceset(folder)) == 3 and Faceset(folder).is_there
    assert pickle.loads(pickle.dumps(packed)).load(2).face.frame == 2


def test_a_loose_picture_counts_before_that_of_its_name_in_the_pack(folder: Path) -> None:
    pack(folder)
    face_image.write(folder / NAMES[1], face(77))
    faceset = Faceset(folder)
    assert faceset.faces.frame.tolist() == [0, 2, 3, 77]
    assert faceset.load(3).face.frame == 77 and faceset.packed.tolist() == [True] * 3 + [False]
    # What is added gets no name that the pack has.
    assert faceset.add(face(0, 9)).name == "000000_1.jpg"


def test_what_is_packed_is_not_put_away_and_the_way_out_is_told(folder: Path) -> None:
    pack(folder, NAMES[2:])
    faceset = Faceset(folder)
    with pytest.raises(BadProject, match=r"2 faces of these.*understudy faces unpack \S+ src"):
        faceset.trash(np.ones(4, bool))
    faceset.trash(faceset.faces.frame == 0)
    assert faceset.faces.frame.tolist() == [1, 2, 3]


def test_a_pack_that_is_replaced_is_read_anew(folder: Path) -> None:
    pack(folder)
    assert len(Faceset(folder)) == 4
    face_image.write(folder / "new.jpg", face(9))
    pack(folder, ("new.jpg",))
    assert Faceset(folder).names == ["new.jpg"]


def rezip(data: bytes, change: str) -> bytes:
    """A pack with one thing in it that no pack has."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as file:
        for number, name in enumerate(NAMES):
            inside = {"folder": f"../{name}", "deep": f"a/{name}", "dos": f"..\\{name}"}
            inside["twice"] = NAMES[0]
            method = zipfile.ZIP_DEFLATED if change == "bomb" else zipfile.ZIP_STORED
            content = bytes(9_000_000) if change == "bomb" else data
            file.writestr(inside.get(change, name) if number else name, content, method)
    zipped = bytearray(made.getvalue())
    at = zipped.index(b"PK\1\2")
    if change == "encrypted":
        zipped[at + 8] |= 1
    if change == "overlap":
        zipped[at + 20 : at + 28] = struct.pack("<II", 10**6, 10**6)
    if change == "list":
        end = zipped.rindex(b"PK\5\6")
        zipped[end + 12 : end + 16] = struct.pack("<I", 2**31)
    return bytes(zipped)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("folder", "it lies in a folder"),
        ("deep", "it lies in a folder"),
        ("dos", "it lies in a folder"),
        ("twice", "it is in there twice"),
        ("bomb", "it is compressed"),
        ("encrypted", "it is encrypted"),
        ("overlap", "larger than the whole file"),
        ("list", "no pack of faces, or cut short"),
    ],
)
def test_what_no_pack_holds_is_refused_and_the_rest_is_told(
    folder: Path, change: str, told: str
) -> None:
    pack_path(folder).write_bytes(rezip((folder / NAMES[0]).read_bytes(), change))
    with pytest.raises(BadMedia, match=told):
        len(Faceset(folder))
    found = Faceset(folder, tolerant=True)
    assert len(found) == 4 and told in found.unreadable["faces.zip"]


def test_a_damaged_picture_in_a_pack_is_named(folder: Path) -> None:
    path = pack(folder)
    data = bytearray(path.read_bytes())
    at = data.index(NAMES[1].encode()) + len(NAMES[1]) + 600
    data[at] ^= 255
    path.write_bytes(data)
    with pytest.raises(BadMedia, match=r"faces\.zip, 000001_0\.jpg: damaged in the pack"):
        len(Faceset(folder))
    found = Faceset(folder, tolerant=True)
    assert found.faces.frame.tolist() == [0, 2, 3] and list(found.unreadable) == [NAMES[1]]


def test_of_a_pack_that_is_cut_short_what_is_whole_can_be_had(folder: Path) -> None:
    before = {name: (folder / name).read_bytes() for name in NAMES}
    path = pack(folder)
    data = path.read_bytes()
    for length in range(0, len(data), 61):
        path.write_bytes(data[:length])
        with pytest.raises(BadMedia, match=r"cut short|no pack|not a pack"):
            Pack(path)
        found = Pack(path, rescue=True)
        assert list(found.pictures) == list(NAMES[: len(found.pictures)])
        assert all(found.read(name) == before[name] for name in found.pictures)
    assert len(found.pictures) == 4


def test_fuzz_a_pack_of_any_bytes_is_read_or_refused(folder: Path) -> None:
    path = pack(folder)
    data, chance = path.read_bytes(), np.random.default_rng(5)
    for _ in range(150):
        odd = bytearray(data)
        # Where it says what is in it: at the end, and before each picture.
        for at in chance.integers(len(data) - 700, len(data), chance.integers(1, 5)):
            odd[at] = chance.integers(256)
        path.write_bytes(odd)
        for rescue in (False, True):
            try:
                found = Pack(path, rescue=rescue)
            except BadMedia:
                continue
            for name in found.pictures:
                try:
                    found.read(name)
                except BadMedia as error:
                    assert str(path) in str(error)


def test_a_face_with_a_copy_in_the_pack_is_not_moved(folder: Path) -> None:
    shutil.copy(folder / NAMES[0], folder / f"copy of {NAMES[0]}")
    pack(folder, (f"copy of {NAMES[0]}",))
    with pytest.raises(BadProject, match="1 face of these"):
        Faceset(folder).trash(np.arange(4) == 0)
    with pytest.raises(BadProject, match="1 face of these"):
        Faceset(folder).require_loose(np.arange(4) == 0)
