"""Alignments and face pictures of faceswap: every layout is read, and hostile ones are refused."""

from __future__ import annotations

import os
import pickle
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from understudy.core.face.landmarks import MIRROR, points_68_of_98
from understudy.core.synthetic.clip import PORTRAIT_LANDMARKS
from understudy.errors import BadMedia
from understudy.io.faceswap import face_picture
from understudy.io.faceswap.alignments import pickled_face, read_alignments, write_alignments
from understudy.types import AlignedFace, Face

ODD = Path(os.environ.get("UNDERSTUDY_ODD_FILES") or "/nowhere") / "faceswap"
POINTS = PORTRAIT_LANDMARKS[:68].astype(np.float32)
MASK = {
    "mask": zlib.compress(bytes(range(64))),
    "affine_matrix": np.array([[0.5, 0, 1], [0, 0.5, 2], [0, 0, 1]]),
    "interpolator": 2,
    "stored_size": 8,
}
FACE = {"x": 1, "y": 2, "w": 30, "h": 40, "landmarks_xy": POINTS, "hash": "0", "thumb": None}


class Shell:
    def __reduce__(self) -> Any:
        return os.system, ("true",)


def packed(held: object) -> bytes:
    return zlib.compress(pickle.dumps(held))


@pytest.mark.parametrize(
    "held",
    [
        {"a.png": [FACE]},
        {"a.png": {"faces": [FACE], "video_meta": {}}},
        {"__meta__": {"version": 2.4}, "__data__": {"a.png": {"faces": [FACE]}}},
        {"a.png": [{"landmarksXY": [tuple(each) for each in POINTS.tolist()]}]},
        {"a.png": [{**FACE, "mask": {"components": {}, "unet-dfl": MASK}, "identity": {}}]},
    ],
)
def test_every_layout_is_read(held: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "alignments.fsa"
    path.write_bytes(packed(held))
    found, problems = read_alignments(path)
    assert not problems and list(found) == ["a.png"] and len(found["a.png"]) == 1
    face = found["a.png"][0]
    assert np.allclose(face.landmarks, POINTS)
    if face.mask is not None:
        assert face.mask.levels.shape == (8, 8) and face.mask.levels[1, 0] == 8
        assert face.mask.mask_from_frame is not None and face.mask.mask_from_frame[1, 2] == 2


def test_what_is_written_is_as_the_newest_layout_has_it(tmp_path: Path) -> None:
    seen = Face(0, np.array([1, 2, 31, 42], np.float32), POINTS, 1, -1, np.zeros(3, np.float32))
    matrix = np.array([[0.5, 0, 1], [0, 0.5, 2]])
    mask = np.tile(np.linspace(0, 1, 256, dtype=np.float32), (256, 1))
    face = AlignedFace(seen, np.zeros((256, 256, 3), np.uint8), matrix, "full", mask)
    data = write_alignments({"clip_000001.mp4": [pickled_face(face)]})
    held = pickle.loads(zlib.decompress(data))
    assert held["__meta__"] == {"version": 2.4}
    (record,) = held["__data__"]["clip_000001.mp4"]["faces"]
    assert [record[name] for name in "xywh"] == [1, 2, 30, 40]
    path = tmp_path / "a.fsa"
    path.write_bytes(data)
    back = read_alignments(path)[0]["clip_000001.mp4"][0]
    assert np.array_equal(back.landmarks, POINTS) and back.mask is not None
    # The same place of the frame, in a mask of half the side.
    assert np.allclose(back.mask.mask_from_frame, [[0.25, 0, 0.25], [0, 0.25, 0.75]])
    assert abs(int(back.mask.levels[5, 100]) - round(255 * float(mask[0, 200:202].mean()))) <= 1


def test_what_is_no_face_is_told_and_the_rest_comes_in(tmp_path: Path) -> None:
    path = tmp_path / "a.fsa"
    faces = [FACE, {**FACE, "landmarks_xy": POINTS[:4]}, {"x": 1}, 7]
    path.write_bytes(packed({"a.png": faces, "b.png": 3}))
    found, problems = read_alignments(path)
    assert len(found["a.png"]) == 1 and len(problems) == 4
    assert "4 points, and 68 or 98 are read" in problems[0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (packed({"a": Shell()}), "system"),
        (packed({"a": [FACE]})[:-50], "cut short"),
        (b"\x78\x9c nothing", "cannot be unpacked"),
        (zlib.compress(bytes(64 << 20), 9), "unpacks to more than"),
        (packed([1]), "no table of frames"),
    ],
)
def test_broken_and_hostile_alignments(data: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.fsa"
    path.write_bytes(data)
    with pytest.raises(BadMedia, match=reason):
        read_alignments(path)


def test_98_points_become_68_that_mirror_as_ours_do() -> None:
    """Points of a face that is the same on both sides, numbered as WFLW does, stay so."""
    mirror = [
        *range(32, -1, -1),
        *[46, 45, 44, 43, 42, 50, 49, 48, 47, 37, 36, 35, 34, 33, 41, 40, 39, 38],
        *[51, 52, 53, 54, 59, 58, 57, 56, 55],
        *[72, 71, 70, 69, 68, 75, 74, 73, 64, 63, 62, 61, 60, 67, 66, 65],
        *[82, 81, 80, 79, 78, 77, 76, 87, 86, 85, 84, 83, 92, 91, 90, 89, 88, 95, 94, 93, 97, 96],
    ]
    points = np.random.default_rng(0).normal(size=(98, 2))
    flip = points[mirror] * (-1, 1)
    found = points_68_of_98((points + flip) / 2)
    assert np.allclose(found, found[MIRROR] * (-1, 1))
    # Left brow, outer end first; the corners of the eyes.
    assert np.allclose(points_68_of_98(points)[[17, 18]], [points[33], points[[34, 41]].mean(0)])
    assert np.allclose(points_68_of_98(points)[[36, 39, 42, 45]], points[[60, 64, 68, 72]])


def test_a_face_picture_says_where_its_face_is() -> None:
    png = bytes(cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1])
    told = {
        "alignments": {**FACE, "landmarks_xy": POINTS.tolist(), "mask": {"bisenet": MASK}},
        "source": {"source_filename": "clip_000022.mp4", "source_frame_dims": (480, 640)},
    }
    told["alignments"]["mask"]["bisenet"] = {**MASK, "affine_matrix": [[1, 0, 0], [0, 1, 0]]}

    def written(text: str) -> bytes:
        body = b"iTXtfaceswap\0\0\0\0\0" + text.encode()
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        return png[:33] + chunk + png[33:]

    face = face_picture.read_face(written(repr(told)), 64, "a.png")
    assert face is not None and face.face_from_frame is not None and face.mask is not None
    assert (face.frame_name, face.face_type) == ("clip_000022.mp4", "head")
    inside = face.face_from_frame[:, :2] @ POINTS.T + face.face_from_frame[:, 2:]
    assert (inside > 0).all() and (inside < 64).all()
    assert face_picture.without_face(written(repr(told))) == png
    assert face_picture.read_face(png, 64, "a.png") is None
    for text in ("__import__('os').system('true')", "{" * 300, "[1]"):
        with pytest.raises(BadMedia):
            face_picture.read_face(written(text), 64, "a.png")


@pytest.mark.skipif(not ODD.is_dir(), reason="UNDERSTUDY_ODD_FILES names no such folder")
def test_what_others_wrote_is_read() -> None:
    found, problems = read_alignments(ODD / "2020-layout.fsa")
    assert not problems and len(found) == 4
    assert all(face.mask is not None for faces in found.values() for face in faces)
    assert read_alignments(ODD / "empty.fsa") == ({}, [])


def test_what_would_fill_the_memory_is_not_parsed() -> None:
    body = b"iTXt" + face_picture._MAGIC + b"[" + b"0," * 300_000 + b"]"
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    picture = bytes(cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1])
    with pytest.raises(BadMedia, match="more than 512 kB of text"):
        face_picture.read_face(picture[:33] + chunk + picture[33:], 8, "a.png")
