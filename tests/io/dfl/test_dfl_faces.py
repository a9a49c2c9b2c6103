"""Face pictures and packs of DeepFaceLab: read and written as it does, and hostile ones refused."""

from __future__ import annotations

import enum
import io
import os
import pickle
import struct
import sys
import types
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from understudy.core.face.align import face_from_frame
from understudy.core.image import as_float
from understudy.core.synthetic.clip import PORTRAIT_LANDMARKS
from understudy.errors import BadMedia
from understudy.io.dfl import pak
from understudy.io.dfl.face_picture import read_face, without_face, write_face
from understudy.types import AlignedFace, Face, Polygon

ODD = Path(os.environ.get("UNDERSTUDY_ODD_FILES") or "/nowhere") / "dfl"
SIZE = 64
POINTS = PORTRAIT_LANDMARKS[:68].astype(np.float32)
RNG = np.random.default_rng(0)


def jpg(image: np.ndarray[Any, Any]) -> bytes:
    return bytes(cv2.imencode(".jpg", image)[1])


@pytest.fixture
def face() -> AlignedFace:
    box = np.array([10, 20.4, 200, 240.6], np.float32)
    seen = Face(21, box, POINTS, 1.0, -1, np.zeros(3, np.float32))
    image = cv2.GaussianBlur(RNG.integers(0, 255, (SIZE, SIZE, 3), np.uint8), (0, 0), 2)
    mask = np.tile(np.linspace(0, 1, SIZE, dtype=np.float32), (SIZE, 1))
    drawn = Polygon(np.array([[3, 4], [40, 8.5], [20, 50]], np.float32), includes=False)
    matrix = face_from_frame(POINTS, "whole", SIZE)
    return AlignedFace(seen, image, matrix, "whole", mask, polygons=(drawn,))


def as_it_reads(data: bytes) -> dict[str, Any]:
    """What DeepFaceLab reads: of a JPG that begins with JFIF the APP15 segment."""
    assert data[2:4] == b"\xff\xe0" and data[6:10] == b"JFIF"
    at, found = 2, None
    while data[at + 1] != 0xDA:
        length = struct.unpack_from(">H", data, at + 2)[0]
        if data[at + 1] == 0xEF:
            found = pickle.loads(data[at + 4 : at + 2 + length])
        at += 2 + length
    assert isinstance(found, dict)
    return found


def test_a_face_goes_out_and_comes_back_and_its_pixels_stay(face: AlignedFace) -> None:
    plain = jpg(face.image)
    data = write_face(plain, face, "00022.png")
    told = as_it_reads(data)
    assert (told["face_type"], told["source_filename"]) == ("whole_face", "00022.png")
    assert np.allclose(told["landmarks"], face.landmarks, atol=1e-4)
    assert np.allclose(told["source_landmarks"], POINTS) and told["source_rect"].dtype == np.int32
    assert np.array_equal(told["image_to_face_mat"], face.face_from_frame)
    assert told["seg_ie_polys"]["polys"][0]["type"] == 0
    assert without_face(data) == plain

    back = read_face(data, "a.jpg")
    assert back is not None and back.mask is not None and back.face_from_frame is not None
    assert (back.face_type, back.frame_name) == ("whole", "00022.png")
    assert np.allclose(back.landmarks, POINTS) and not back.polygons[0].includes
    assert np.array_equal(back.polygons[0].points, face.polygons[0].points)
    assert np.abs(as_float(back.mask.levels) - face.mask).max() < 0.003
    assert read_face(plain, "a.jpg") is None


def test_the_old_png_and_what_old_files_lack(face: AlignedFace) -> None:
    """A chunk in place of a segment, no matrix, polygons as pairs, a JPG for a mask."""
    told = {
        "landmarks": face.landmarks.tolist(),
        "source_landmarks": POINTS.tolist(),
        "source_rect": (1, 2, 3, 4),
        "ie_polys": [(1, [[1, 2], [30, 4], [5, 60]]), (0, [[1, 1]])],
        "fanseg_mask": np.frombuffer(jpg(np.full((32, 32), 255, np.uint8)), np.uint8),
        "source_filename": None,
    }
    png = bytes(cv2.imencode(".png", face.image)[1])
    body = b"fcWp" + pickle.dumps(told, 3)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    data = png[:-12] + chunk + png[-12:]
    back = read_face(data, "a.png")
    assert back is not None and back.mask is not None and back.face_from_frame is not None
    assert (back.face_type, back.frame_name, len(back.polygons)) == ("full", "", 1)
    assert np.allclose(back.face_from_frame, face.face_from_frame, atol=1e-3)
    assert back.mask.levels.shape == (32, 32) and without_face(data) == png


class Shell:
    def __reduce__(self) -> Any:
        return os.system, ("true",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"landmarks": Shell()}, "system"),
        ({"landmarks": [[0, 0]] * 67}, "67 x 2 numbers, not 68 x 2"),
        ({"landmarks": [[float("nan"), 0]] * 68}, "numbers that are none"),
        ({"landmarks": None}, "landmarks: there are none"),
        ({"face_type": "avatar"}, "'avatar' is not known"),
        ({"image_to_face_mat": np.zeros((2, 3))}, "flat"),
        ({"source_filename": 7}, "no text"),
        ({"xseg_mask": np.zeros(9, np.uint8)}, "xseg_mask"),
        ({"seg_ie_polys": {"polys": [{"type": 5, "pts": [[0, 0]] * 3}]}}, "includes nor excludes"),
    ],
)
def test_what_is_no_face_is_refused_by_name(
    face: AlignedFace, change: dict[str, Any], reason: str
) -> None:
    told = as_it_reads(write_face(jpg(face.image), face, "1.png")) | change
    block = pickle.dumps(told)
    plain = jpg(face.image)
    data = plain[:20] + struct.pack(">BBH", 0xFF, 0xEF, len(block) + 2) + block + plain[20:]
    with pytest.raises(BadMedia, match=reason):
        read_face(data, "a.jpg")


def test_masks_and_polygons_that_no_segment_holds_are_an_error(face: AlignedFace) -> None:
    many = tuple(Polygon(np.zeros((1024, 2), np.float32)) for _ in range(9))
    crowded = AlignedFace(face.face, face.image, face.face_from_frame, "whole", polygons=many)
    with pytest.raises(BadMedia, match="65533"):
        write_face(jpg(face.image), crowded, "1.png")


@pytest.fixture
def dfl_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """The enumerations that DeepFaceLab unpickles, by the names they have there."""
    for module, name, values in (
        ("samplelib.Sample", "SampleType", {"IMAGE": 0, "FACE": 1}),
        ("facelib.FaceType", "FaceType", {"FULL": 2, "WHOLE_FACE": 4}),
    ):
        made = types.ModuleType(module)
        setattr(made, name, enum.IntEnum(name, values, module=module))
        monkeypatch.setitem(sys.modules, module, made)
        monkeypatch.setitem(sys.modules, module.split(".")[0], types.ModuleType("package"))


def write_pak(path: Path, face: AlignedFace, pictures: list[bytes]) -> None:
    listed = [pak.contents(face, f"{at:05d}_0.jpg", "1.png") for at in range(len(pictures))]
    listed[-1] |= {"filename": "..\\..\\evil.jpg", "person_name": "anna"}
    with path.open("wb") as file:
        pak.write_head(listed, [len(each) for each in pictures], file)
        file.write(b"".join(pictures))


def test_a_pack_goes_out_and_comes_back(
    face: AlignedFace, tmp_path: Path, dfl_modules: None
) -> None:
    path, pictures = tmp_path / "faceset.pak", [b"one", b"", b"three"]
    write_pak(path, face, pictures)
    data = path.read_bytes()
    version, length = struct.unpack_from("<QQ", data)
    listed = pickle.loads(data[16 : 16 + length])
    assert version == 1 and listed[0]["sample_type"].name == "FACE"
    assert listed[0]["face_type"].name == "WHOLE_FACE" and listed[0]["shape"] == (SIZE, SIZE, 3)
    # As it writes them, the last offset is the length of the file.
    assert struct.unpack_from("<4Q", data, 16 + length) == (0, 3, 3, len(data))

    found = pak.list_pictures(path)
    assert [pak.read_picture(path, each.start, each.end) for each in found] == pictures
    assert [(each.name, each.person) for each in found][1:] == [
        ("00001_0.jpg", ""),
        ("evil.jpg", "anna"),
    ]


def test_packs_that_are_cut_short_or_hostile(face: AlignedFace, tmp_path: Path) -> None:
    path = tmp_path / "faceset.pak"
    write_pak(path, face, [b"one", b"two", b"three"])
    data = path.read_bytes()
    path.write_bytes(data[:-6])
    found = pak.list_pictures(path)
    assert [pak.read_picture(path, each.start, each.end) for each in found] == [b"one", b"tw", b""]
    for broken, reason in (
        (data[:10], "header"),
        (data[:90], "table of contents"),
        (struct.pack("<Q", 2) + data[8:], "version 2"),
        (data[: len(data) - 11 - 9], "offsets"),
    ):
        path.write_bytes(broken)
        with pytest.raises(BadMedia, match=reason):
            pak.list_pictures(path)
    # Of more pictures than it lists, and of fewer.
    for listed, reason in ((2, "more pictures than the 2"), (5, "offsets of fewer")):
        with path.open("wb") as file:
            table = io.BytesIO()
            pak.write_head(
                [pak.contents(face, "0.jpg", "1.png")] * listed, [3000, 2000, 1000], table
            )
            file.write(table.getvalue() + bytes(range(250)) * 24)
        with pytest.raises(BadMedia, match=reason):
            pak.list_pictures(path)
    block = pickle.dumps([Shell()])
    path.write_bytes(struct.pack("<QQ", 1, len(block)) + block)
    with pytest.raises(BadMedia, match="system"):
        pak.list_pictures(path)


@pytest.mark.skipif(not ODD.is_dir(), reason="UNDERSTUDY_ODD_FILES names no such folder")
def test_what_others_wrote_is_read() -> None:
    for name, face_type in (
        ("aligned-dfl1-full-face.jpg", "full"),
        ("aligned-dfl2-whole-face.jpg", "whole"),
        ("aligned-old-png-chunk.png", "full"),
    ):
        data = (ODD / name).read_bytes()
        face = read_face(data, name)
        assert face is not None and face.face_type == face_type
        clean = without_face(data)
        assert read_face(clean, name) is None
        pixels = [cv2.imdecode(np.frombuffer(each, np.uint8), 1) for each in (data, clean)]
        assert np.array_equal(*pixels)
