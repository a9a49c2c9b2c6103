"""Small files that would grow without bounds are refused, or decoded without what is not needed."""

from __future__ import annotations

import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.errors import BadMedia
from understudy.io import image_headers
from understudy.io.footage import stills
from understudy.io.open_footage import open_footage

PICTURE = np.arange(40 * 30 * 3, dtype=np.uint8).reshape(30, 40, 3)
WHERE = Path("a picture")


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int = 8, kind: int = 2, pixels: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def jpg(width: int, height: int, marker: int = 0xC0, scans: int = 1) -> bytes:
    """One with this header and so many scans of one byte."""
    frame = struct.pack(">BBHBHHB", 0xFF, marker, 17, 8, height, width, 3) + bytes(9)
    scan = b"\xff\xda\x00\x0c\x03\x01\x00\x02\x00\x03\x00\x00\x3f\x00\x7f"
    return b"\xff\xd8" + frame + scan * scans + b"\xff\xd9"


def tiff(tags: dict[int, int], order: str = "<", big: bool = False) -> bytes:
    if big:
        entries = [struct.pack(order + "HHQQ", tag, 16, 1, value) for tag, value in tags.items()]
        head = struct.pack(order + "HHHQ", 43, 8, 0, 16) + struct.pack(order + "Q", len(tags))
    else:
        entries = [struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags.items()]
        head = struct.pack(order + "HI", 42, 8) + struct.pack(order + "H", len(tags))
    return (b"II" if order == "<" else b"MM") + head + b"".join(entries) + bytes(8)


def bmp(width: int, height: int) -> bytes:
    return b"BM" + bytes(12) + struct.pack("<IiiHHI", 40, width, height, 1, 24, 0) + bytes(40)


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def sides(width: int, height: int) -> bytes:
    return (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


CLAIMS = {
    "png": png(20000, 20000),
    "png of 16 bits": png(12000, 12000, depth=16),
    "jpg": jpg(20000, 20000),
    "jpg in scans": jpg(12000, 12000, marker=0xC2),
    "tif": tiff({256: 20000, 257: 20000, 258: 8, 277: 3}),
    "tif, big-endian": tiff({256: 20000, 257: 20000, 258: 8, 277: 3}, order=">"),
    "tif of 16 bits": tiff({256: 12000, 257: 12000, 258: 16, 277: 3}),
    "tif in one tile": tiff({256: 16, 257: 16, 258: 8, 277: 3, 322: 1 << 20, 323: 1 << 20}),
    "tif, big": tiff({256: 20000, 257: 20000, 258: 8, 277: 3}, big=True),
    "bmp": bmp(20000, 20000),
    "bmp from the top": bmp(20000, -20000),
    "webp": webp((b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 16383, 16383))),
    "webp, lossless": webp((b"VP8L", b"\x2f" + struct.pack("<I", 16382 | 16382 << 14))),
    "webp, canvas": webp((b"VP8X", bytes(4) + sides(1 << 24, 1 << 24))),
    "webp, frame": webp(
        (b"VP8X", bytes(4) + sides(16, 16)), (b"ANMF", bytes(6) + sides(16384, 16384) + bytes(4))
    ),
}


@pytest.mark.parametrize("data", CLAIMS.values(), ids=CLAIMS)
def test_a_claim_is_refused_before_anything_is_decoded(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(BadMedia, match=r"its header claims \d+x\d+ pixels.*is the limit"):
        stills.decode_image(data, WHERE)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp", ".webp"])
@pytest.mark.parametrize("size", [(1, 1), (40, 30), (301, 7)])
def test_the_header_of_an_ordinary_picture_says_its_size(
    suffix: str, size: tuple[int, int]
) -> None:
    data = cv2.imencode(suffix, np.full((size[1], size[0], 3), 90, np.uint8))[1].tobytes()
    header = image_headers.read_header(data)
    assert (header.width, header.height, header.problem) == (*size, "")
    assert stills.decode_image(data, WHERE).shape == (size[1], size[0], 3)


@pytest.mark.parametrize(
    ("width", "height", "make"),
    [(11648, 8736, jpg), (12000, 9000, jpg), (11648, 8736, png), (8192, 8192, jpg)],
)
def test_the_largest_cameras_are_within_the_limit(
    width: int, height: int, make: Callable[[int, int], bytes]
) -> None:
    assert image_headers.read_header(make(width, height)).problem == ""


@pytest.mark.parametrize("kind", ["zTXt", "iTXt", "iCCP"])
def test_texts_and_profiles_are_not_unpacked(kind: str) -> None:
    """Each of a thousand would be unpacked to eight megabytes: 20 seconds for a 7 MB file."""
    packed = zlib.compress(bytes(7_900_000), 9)
    heads = {"zTXt": b"k\0\0", "iTXt": b"k\0\1\0\0\0", "iCCP": b"k\0\0"}
    bomb = chunk(kind.encode(), heads[kind] + packed) * 1000
    data = cv2.imencode(".png", PICTURE)[1].tobytes()
    began = time.process_time()
    image = stills.decode_image(data[:33] + bomb + data[33:], WHERE)
    assert time.process_time() - began < 1
    assert np.array_equal(image, PICTURE[..., ::-1])


def test_of_an_animated_png_the_still_picture_is_shown() -> None:
    data = cv2.imencode(".png", PICTURE)[1].tobytes()
    animated = data[:33] + chunk(b"acTL", struct.pack(">II", 1 << 31, 0)) + data[33:]
    assert np.array_equal(stills.decode_image(animated, WHERE), PICTURE[..., ::-1])


@pytest.mark.parametrize("hidden", [b"", b"\xff\xfe\x00\x04\xff\xd9"])
def test_scans_without_end_are_refused(hidden: bytes) -> None:
    """Each goes over the whole picture again, for 15 bytes. hidden: an end that is none."""
    data = jpg(8000, 8000, marker=0xC2, scans=2000)
    data = data[: len(data) // 2] + data[len(data) // 2 :]
    at = data.index(b"\xff\xda")
    data = data[:at] + data[at : at + 15] + hidden + data[at + 15 :]
    with pytest.raises(BadMedia, match=r"draws 8000x8000 pixels 200[01] times over"):
        stills.decode_image(data, WHERE)


def test_a_progressive_jpg_is_read_and_one_followed_by_another_is_one() -> None:
    smooth = np.full((64, 64, 3), 120, np.uint8)
    progressive = cv2.imencode(".jpg", smooth, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    plain = cv2.imencode(".jpg", smooth)[1].tobytes()
    assert stills.decode_image(progressive, WHERE).shape == (64, 64, 3)
    cost = image_headers.read_header(plain).memory
    assert image_headers.read_header(plain + progressive).memory == cost
    assert image_headers.read_header(progressive).memory > cost


@pytest.mark.parametrize(
    "magic", [b"GIF89a", b"\0\0\0\x0cjP  \r\n\x87\n", b"v/1\x01", b"P6\n9 9\n"]
)
def test_kinds_whose_header_is_not_read_are_not_decoded(
    magic: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(BadMedia, match="no PNG, JPG, TIFF, BMP, WebP or AVIF"):
        stills.decode_image(magic + bytes(1000), WHERE)


def test_an_avif_is_as_large_as_the_largest_of_what_it_claims() -> None:
    whole = cv2.imencode(".avif", PICTURE)[1].tobytes()
    at = whole.index(b"ispe") + 8
    claimed = image_headers.read_header(whole)
    assert (claimed.width, claimed.height) == (40, 30)
    # What its codec is told counts, too, whatever is written around it.
    small = whole[:at] + struct.pack(">II", 4, 4) + whole[at + 8 :]
    assert image_headers.read_header(small) == claimed
    large = whole[:at] + struct.pack(">II", 16000, 16000) + whole[at + 8 :]
    with pytest.raises(BadMedia, match="16000x16000 pixels, which take"):
        stills.decode_image(large, WHERE)


def test_pictures_that_are_no_files_are_passed_over_and_it_is_said(tmp_path: Path) -> None:
    stills.write_image(tmp_path / "1.png", PICTURE)
    (tmp_path / "2.png").symlink_to("2.png")
    (tmp_path / "3.png").symlink_to("nowhere.png")
    os.mkfifo(tmp_path / "4.png")
    (tmp_path / "5.png").mkdir()
    (tmp_path / "6.png").symlink_to("/dev/zero")
    with open_footage(tmp_path) as footage:
        assert len(footage) == 1
        assert footage.notes == (
            f"{tmp_path.name}: passed over, as they are no files: 5, such as 2.png.",
        )
    for name in ("2.png", "3.png", "4.png", "5.png", "6.png"):
        with pytest.raises(BadMedia):
            stills.read_image(tmp_path / name)


@pytest.mark.parametrize("name", ["a\nb.png", "\x1b[2Jred.png", os.fsdecode(b"caf\xe9.png")])
def test_names_that_are_no_text_are_names(tmp_path: Path, name: str) -> None:
    stills.write_image(tmp_path / name, PICTURE)
    with open_footage(tmp_path) as footage:
        assert np.array_equal(footage[0].image, PICTURE)
    (tmp_path / name).write_bytes(b"none")
    with pytest.raises(BadMedia) as caught:
        open_footage(tmp_path)
    assert str(caught.value).isprintable()


@pytest.fixture(autouse=True)
def _within_a_gigabyte() -> Iterator[None]:
    before = peak_memory()
    yield
    assert peak_memory() - before < 2**30


def peak_memory() -> int:
    """What this process has taken at most, in bytes."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10
