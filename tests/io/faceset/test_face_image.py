"""Face pictures tell the truth about themselves, survive handling, and forged ones do no harm."""

import base64
import dataclasses
import json
import struct
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from understudy.errors import BadMedia
from understudy.io.faceset import face_image, image_metadata
from understudy.io.faceset.face_image import read, read_metadata, write
from understudy.types import AlignedFace, Face, Polygon

SIZE = 64


@pytest.fixture
def face() -> AlignedFace:
    rng = np.random.default_rng(1)
    image = cv2.GaussianBlur(rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8), (0, 0), 2)
    landmarks = rng.uniform(100, 160, (68, 2)).astype(np.float32)
    identity = rng.standard_normal(128).astype(np.float32)
    pose = np.array([0.1, -0.2, 0.3], np.float32)
    box, raw = np.array([90, 95.5, 170, 180], np.float32), landmarks + np.float32(0.25)
    in_frame = Face(
        118,
        box,
        landmarks,
        0.87,
        3,
        pose,
        identity / np.linalg.norm(identity),
        2,
        True,
        raw,
        gaze=np.array([[0.1, -0.02], [0.12, 0.03]], np.float32),
        lids=np.array([0.21, 0.19], np.float32),
    )
    matrix = np.array([[0.8, 0.1, -75.123456789], [-0.1, 0.8, -60.987654321]])
    mask = np.linspace(0, 1, SIZE * SIZE, dtype=np.float32).reshape(SIZE, SIZE)
    return AlignedFace(in_frame, image, matrix, "full", mask, "Zoë's clip.mp4", 3.933333)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "b.JPG"])
def test_a_face_comes_back_as_it_was_written(face, tmp_path, name):
    write(tmp_path / name, face)
    back = read(tmp_path / name)
    assert (back.source, back.pts, back.face_type, back.size) == (
        "Zoë's clip.mp4",
        3.933333,
        "full",
        SIZE,
    )
    assert (
        back.face.frame,
        back.face.track,
        back.face.score,
        back.face.person,
        back.face.filled,
    ) == (118, 3, 0.87, 2, True)
    assert np.array_equal(back.face_from_frame, face.face_from_frame)
    for column in ("box", "landmarks", "raw", "pose", "identity", "gaze", "lids"):
        assert np.abs(getattr(back.face, column) - getattr(face.face, column)).max() < 1e-4, column
    assert np.abs(back.mask - face.mask).max() <= 0.5 / 255 + 1e-6
    difference = np.abs(back.image.astype(int) - face.image)
    assert difference.max() == 0 if name == "a.png" else difference.mean() < 2


def test_every_viewer_can_open_it(face, tmp_path):
    for name in ("a.png", "a.jpg"):
        write(tmp_path / name, face)
        seen = cv2.imread(str(tmp_path / name))
        assert np.abs(seen[:, :, ::-1].astype(int) - face.image).mean() < 2


def test_a_large_soft_mask_fits_into_a_jpg(face, tmp_path):
    noise = np.random.default_rng(2).random((512, 512)).astype(np.float32)
    large = dataclasses.replace(face, image=np.zeros((512, 512, 3), np.uint8), mask=noise)
    write(tmp_path / "a.jpg", large)
    assert (tmp_path / "a.jpg").read_bytes().count(b"understudy\0") > 3  # one segment holds 64 KB
    assert np.abs(read(tmp_path / "a.jpg").mask - noise).max() <= 0.5 / 255 + 1e-6


def test_a_resized_picture_keeps_its_place_in_the_frame(face, tmp_path):
    write(tmp_path / "a.png", face)
    block = image_metadata.inspect((tmp_path / "a.png").read_bytes(), "").block
    small = cv2.imencode(".png", cv2.resize(face.image, (32, 32), interpolation=cv2.INTER_AREA))[
        1
    ].tobytes()
    (tmp_path / "a.png").write_bytes(image_metadata.insert(small, block))
    back = read(tmp_path / "a.png")
    assert back.size == 32 and back.mask.shape == (32, 32)
    # Areas correspond: the pixel centre (0, 0) of the old picture lies at (-0.25, -0.25) of the new
    # one.
    assert np.allclose(back.landmarks, (face.landmarks + 0.5) / 2 - 0.5, atol=1e-3)
    assert np.allclose(back.face.landmarks, face.face.landmarks, atol=1e-4)


def test_a_picture_without_our_metadata_is_not_a_face(face, tmp_path):
    for name in ("a.jpg", "a.png"):
        cv2.imwrite(str(tmp_path / name), face.image)
        with pytest.raises(
            BadMedia, match=rf"{name}: not a face picture of ours.*extract that frame again"
        ):
            read(tmp_path / name)


def test_a_face_that_cannot_be_described_leaves_the_old_picture(face, tmp_path):
    write(tmp_path / "a.png", face)
    before = (tmp_path / "a.png").read_bytes()
    broken = dataclasses.replace(
        face, face=dataclasses.replace(face.face, box=np.full(4, np.nan, np.float32))
    )
    with pytest.raises(ValueError):
        write(tmp_path / "a.png", broken)
    assert (tmp_path / "a.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def forged(face, tmp_path, name="a.png", **changes) -> Path:
    """A face picture whose metadata says `changes` instead of the truth."""
    fields = json.loads(face_image.metadata_json(face)) | changes
    return with_block(face, tmp_path / name, json.dumps(fields).encode())


def with_block(face, path, block) -> Path:
    path.write_bytes(
        image_metadata.insert(cv2.imencode(path.suffix, face.image)[1].tobytes(), block)
    )
    return path


SQUARE_PNG = base64.b64encode(
    cv2.imencode(".png", np.zeros((8, 8), np.uint8))[1].tobytes()
).decode()
TALL_PNG = base64.b64encode(
    cv2.imencode(".png", np.zeros((SIZE, 8), np.uint8))[1].tobytes()
).decode()
LIES = {
    "version": [{"version": 6}, "newer Understudy.*Update"],
    "version kind": [{"version": "1"}, "version"],
    "NaN": [{"score": float("nan")}, "score"],
    "infinity": [{"box": [0, 0, float("inf"), 1]}, "box"],
    "score": [{"score": 1.5}, "score"],
    "67 points": [{"landmarks": [[1, 2]] * 67}, "landmarks"],
    "flat points": [{"landmarks": [1, 2] * 68}, "landmarks"],
    "face type": [{"face_type": "nose"}, "face_type"],
    "flat matrix": [{"face_from_frame": [[1, 1, 0], [1, 1, 0]]}, "inverted"],
    "huge matrix": [{"face_from_frame": [[1e300, 0, 0], [0, 1e300, 0]]}, "face_from_frame"],
    "negative frame": [{"frame": -1}, "frame"],
    "huge frame": [{"frame": 10**30}, "frame"],
    "size": [{"size": 10**9}, "size"],
    "unknown field": [{"command": "rm"}, "command"],
    "mask of another size": [{"mask": SQUARE_PNG}, "mask: not a PNG of 64x64"],
    "mask not square": [{"mask": TALL_PNG}, "mask: not a PNG of 64x64"],
    "mask no base64": [{"mask": "%%%"}, "mask: not base64"],
    "mask no picture": [{"mask": "AAAA"}, "mask: neither"],
    "polygon of two points": [
        {"polygons": [{"includes": True, "points": [[1, 2], [3, 4]]}]},
        "polygons.0.points",
    ],
    "polygon out of bounds": [
        {"polygons": [{"includes": True, "points": [[1, 2], [3, 4], [5, 1e9]]}]},
        "polygons.0.points",
    ],
    "polygon of an unknown kind": [
        {"polygons": [{"includes": "maybe", "points": [[1, 2]] * 3}]},
        "polygons.0.includes",
    ],
    "polygons without end": [
        {"polygons": [{"includes": True, "points": [[1, 2]] * 3}] * 65},
        "polygons",
    ],
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_in_the_metadata_is_named(face, tmp_path, lie):
    changes, message = LIES[lie]
    path = forged(face, tmp_path, **changes)
    with pytest.raises(BadMedia, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    "block",
    [b"", b"{", b"[]", b"null", b"[" * 100_000, b'{"version": 1}', b"\xff\xfe", b"\x80\x04K\x01."],
)
@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_metadata_that_is_no_json_of_ours_is_refused(face, tmp_path, name, block):
    with pytest.raises(BadMedia, match="bad metadata"):
        read(with_block(face, tmp_path / name, block))


def test_a_picture_from_before_there_were_people_still_loads(face, tmp_path):
    fields = json.loads(face_image.metadata_json(face))
    old = {
        name: value
        for name, value in fields.items()
        if name not in ("person", "filled", "raw", "polygons")
    } | {"version": 1}
    back = read(with_block(face, tmp_path / "a.png", json.dumps(old).encode()))
    assert (back.face.person, back.face.filled, back.face.raw) == (
        -1,
        False,
        None,
    ) and back.face.track == 3


def test_what_was_drawn_comes_back_and_scales_with_the_picture(face, tmp_path):
    drawn = (
        Polygon(np.array([[3, 4], [30.25, 4], [17, 40]], np.float32)),
        Polygon(np.array([[8, 8], [9, 8], [9, 9]]), False),
    )
    write(tmp_path / "a.jpg", dataclasses.replace(face, polygons=drawn))
    back = read(tmp_path / "a.jpg").polygons
    assert [each.includes for each in back] == [True, False]
    assert all(
        np.allclose(one.points, other.points, atol=1e-4)
        for one, other in zip(back, drawn, strict=True)
    )
    block = image_metadata.inspect((tmp_path / "a.jpg").read_bytes(), "").block
    small = cv2.imencode(".png", cv2.resize(face.image, (32, 32)))[1].tobytes()
    (tmp_path / "b.png").write_bytes(image_metadata.insert(small, block))
    assert np.allclose(
        read(tmp_path / "b.png").polygons[0].points, (drawn[0].points + 0.5) / 2 - 0.5, atol=1e-4
    )


def test_a_picture_from_before_anybody_drew_still_loads(face, tmp_path):
    fields = json.loads(face_image.metadata_json(face))
    del fields["polygons"]
    back = read(with_block(face, tmp_path / "a.png", json.dumps(fields | {"version": 2}).encode()))
    assert back.polygons == () and back.face.person == 2


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150
)
@given(
    chance=st.randoms(use_true_random=False),
    suffix=st.sampled_from([".png", ".jpg"]),
    extra=st.binary(max_size=40),
)
def test_bytes_that_anybody_has_touched_are_a_face_or_a_clear_error(
    face, tmp_path, chance, suffix, extra
):
    path = tmp_path / f"a{suffix}"
    write(path, face)
    data = bytearray(path.read_bytes())
    for _ in range(chance.randrange(1, 5)):
        at = (
            chance.randrange(1 + min(len(data) - 1, chance.choice([40, 400, len(data)])))
            if data
            else 0
        )
        change = chance.choice(["flip", "cut", "put", "drop"])
        if change == "flip" and data:
            data[at] ^= 1 << chance.randrange(8)
        elif change == "put":
            data[at:at] = extra
        else:
            del data[at : None if change == "cut" else at + 8]
    path.write_bytes(bytes(data))
    try:
        assert read(path).image.shape[2] == 3
    except BadMedia as error:
        assert str(error).startswith(str(path))


@given(st.binary(max_size=400))
def test_any_bytes_as_metadata_are_a_clear_error(block):
    with pytest.raises(BadMedia, match="bad metadata"):
        face_image._metadata(block, Path("a.png"))


def test_a_picture_that_is_not_square_is_refused(face, tmp_path):
    block = face_image.metadata_json(face).encode()
    path = tmp_path / "a.png"
    path.write_bytes(
        image_metadata.insert(cv2.imencode(".png", face.image[:40])[1].tobytes(), block)
    )
    with pytest.raises(BadMedia, match="64x40 pixels, a face picture is square"):
        read(path)


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize("packed", [False, True])
def test_a_png_whose_text_another_tool_moved_and_packed_still_loads(face, tmp_path, packed):
    plain = cv2.imencode(".png", face.image)[1].tobytes()
    text = face_image.metadata_json(face).encode()
    moved = (
        chunk(b"zTXt", b"understudy\0\0" + zlib.compress(text))
        if packed
        else chunk(b"tEXt", b"understudy\0" + text)
    )
    (tmp_path / "a.png").write_bytes(plain[:-12] + moved + plain[-12:])
    assert read(tmp_path / "a.png").face.frame == 118


def test_a_packed_text_that_swells_without_end_is_refused(face, tmp_path):
    plain = cv2.imencode(".png", face.image)[1].tobytes()
    bomb = chunk(b"zTXt", b"understudy\0\0" + zlib.compress(bytes(64 << 20), 9))
    (tmp_path / "a.png").write_bytes(plain[:-12] + bomb + plain[-12:])
    with pytest.raises(BadMedia, match="larger than 8 MB"):
        read(tmp_path / "a.png")


def test_a_second_packed_text_is_not_unpacked(tmp_path):
    text = chunk(b"zTXt", b"understudy\0\0" + zlib.compress(bytes(8 << 20), 9))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0))
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + header + text * 12 + chunk(b"IEND", b"")
    )
    tracemalloc.start()
    with pytest.raises(BadMedia, match="twice"):
        read(tmp_path / "a.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 << 20


def test_doubled_or_missing_segments_are_refused(face, tmp_path):
    plain = cv2.imencode(".jpg", face.image)[1].tobytes()
    whole = image_metadata.insert(plain, bytes(100_000))
    added = whole[20 : 20 + len(whole) - len(plain)]
    first = added[: 65533 + 4 - 2]
    png = image_metadata.insert(cv2.imencode(".png", face.image)[1].tobytes(), b"{}")
    for data in (
        whole[:20] + first + added + plain[20:],
        whole[:20] + added + added + plain[20:],
        whole[:20] + first + plain[20:],
        image_metadata.insert(png, b"{}"),
    ):
        (tmp_path / "a.jpg").write_bytes(data)
        with pytest.raises(BadMedia, match=r"doubled|twice"):
            read(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_picture_cut_short_anywhere_is_refused(face, tmp_path, name):
    path = tmp_path / name
    write(path, face)
    data = path.read_bytes()
    for length in [*range(0, len(data) - 1, 97), len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(BadMedia):
            read(path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_flipped_bytes_give_a_face_or_a_clear_error_but_never_a_crash(face, tmp_path, name):
    path, rng, refused = tmp_path / name, np.random.default_rng(3), 0
    write(path, face)
    data = path.read_bytes()
    for _ in range(300):
        broken = bytearray(data)
        for at in rng.integers(0, min(len(data), 4000), rng.integers(1, 4)):
            broken[at] = rng.integers(256)
        path.write_bytes(broken)
        try:
            back = read(path)
        except BadMedia:
            refused += 1
        else:
            assert (
                back.image.shape == (back.size, back.size, 3) and np.isfinite(back.landmarks).all()
            )
    assert refused > 50


@pytest.mark.parametrize("what", ["missing", "folder", "empty", "text"])
def test_what_is_no_picture_is_refused(tmp_path, what):
    path = tmp_path / "a.jpg"
    if what == "folder":
        path.mkdir()
    elif what != "missing":
        path.write_bytes(b"" if what == "empty" else b"hello" * 100)
    with pytest.raises(BadMedia, match=r"a\.jpg: "):
        read_metadata(path)
