"""What a picture file says of itself, read before any decoder runs; the file may be forged.

Layouts after the PNG specification (W3C, 2003), ITU-T T.81 (JPEG), TIFF 6.0 with BigTIFF, BMP as
Windows documents it, RFC 9649 (WebP), and those of `avif`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from understudy.io.avif import is_avif, read_avif
from understudy.io.image_segments import (
    JPEG,
    PNG,
    Damaged,
    Truncated,
    frame_size,
    is_frame_header,
    is_progressive,
    jpeg_scans,
    jpeg_segments,
    png_chunks,
)
from understudy.io.limits import BYTES_A_PIXEL, size_problem

# Chunks of a PNG without which its pixels would be others. The rest is left out before it is
# decoded: a decoder unpacks texts and profiles that nobody asked for, however large they are.
_PIXEL_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"IEND"})
# Each scan of a JPG goes over the whole picture, for a few bytes in the file: so many pixels in all
# its scans. The usual ten leave 400 million.
_MOST_SCANNED = 2**32

# Tags of a TIFF.
_WIDTH, _HEIGHT, _BITS, _COMPRESSION = 256, 257, 258, 259
_SAMPLES, _ROWS, _TILE_WIDTH, _TILE_HEIGHT = 277, 278, 322, 323
_SAMPLE_FORMAT, _FLOAT = 339, 3
# Type of a value -> its letter for struct: BYTE, SHORT, LONG, and BigTIFF's LONG8.
_TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}
_LOG_LUV = frozenset({34676, 34677})


class UnknownKind(Damaged):
    """A file of no kind that is read here."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture file says of itself. memory: what decoding it takes, in bytes."""

    width: int
    height: int
    memory: int

    @property
    def problem(self) -> str:
        """Why the picture is too large to be decoded, as a phrase, or ""."""
        return size_problem(self.width, self.height, self.memory)


def read_header(data: bytes) -> Header:
    """Return what a whole PNG, JPG, TIFF, BMP, WebP or AVIF says of itself, whatever its name is.

    Raises Damaged: PNG checksums, the end of PNG and JPG, and the scans of a JPG are looked at.
    """
    if not data:
        raise Truncated("it is empty")
    readers = [read for magic, read in _READERS if data.startswith(magic)]
    if is_avif(data[:64]):
        readers = [_read_avif]
    for read in readers:
        try:
            return read(data)
        except (struct.error, OverflowError, IndexError):
            raise Truncated("it ends too early") from None
    raise UnknownKind("it is no PNG, JPG, TIFF, BMP, WebP or AVIF")


def count_pictures(data: bytes) -> int:
    """Return how many pictures a PNG, WebP or TIFF holds: of an animation, or as pages.

    1 for other kinds. Raises Damaged.
    """
    try:
        if data.startswith(PNG):
            frames = next((each.body for each in png_chunks(data) if each.kind == b"acTL"), b"")
            return max(1, struct.unpack_from(">I", frames)[0]) if frames else 1
        if data[:4] == b"RIFF":
            return max(1, sum(kind == b"ANMF" for kind, _ in _webp_chunks(data)))
        return _count_pages(data) if data[:2] in (b"II", b"MM") else 1
    except (struct.error, OverflowError):
        raise Truncated("it ends too early") from None


def without_extras(data: bytes) -> bytes:
    """Return a picture file, a PNG without what does not make its pixels. Raises Damaged."""
    if not data.startswith(PNG):
        return data
    chunks = list(png_chunks(data))
    if all(chunk.kind in _PIXEL_CHUNKS for chunk in chunks):
        return data
    kept = [data[chunk.start : chunk.end] for chunk in chunks if chunk.kind in _PIXEL_CHUNKS]
    return b"".join([PNG, *kept])


def _read_png(data: bytes) -> Header:
    header = None
    for chunk in png_chunks(data):
        if chunk.kind == b"IHDR" and header is None:
            width, height, depth = struct.unpack_from(">IIB", chunk.body)
            header = Header(width, height, width * height * _flat(depth))
    if header is None:
        raise Damaged("it has no header")
    return header


def _read_jpeg(data: bytes) -> Header:
    header = None
    for segment in jpeg_segments(data):
        if is_frame_header(segment):
            width, height = frame_size(segment)
            most = _MOST_SCANNED // max(1, width * height)
            is_refined = is_progressive(segment)
            scans = jpeg_scans(data, most if is_refined else min(1, most))
            if scans > most:
                raise Damaged(f"it draws {width}x{height} pixels {scans} times over")
            # In several scans: all coefficients are kept, two bytes each, until the last one.
            in_parts = is_refined or scans > 1
            cost = 3 + 2 * max(1, segment.body[5]) if in_parts else BYTES_A_PIXEL
            header = Header(width, height, width * height * max(cost, BYTES_A_PIXEL))
    if header is None:
        raise Damaged("it has no header")
    return header


def _read_tiff(data: bytes) -> Header:
    tags = _tiff_tags(data)
    width, height = tags.get(_WIDTH, 0), tags.get(_HEIGHT, 0)
    bits, samples = tags.get(_BITS, 1), tags.get(_SAMPLES, 1)
    if bits > 16 or tags.get(_SAMPLE_FORMAT) == _FLOAT or tags.get(_COMPRESSION) in _LOG_LUV:
        raise UnknownKind(
            "it has floating-point numbers, or more than 16 bits a channel: convert it to a 16-bit"
            " PNG"
        )
    block = (
        tags[_TILE_WIDTH] * tags.get(_TILE_HEIGHT, 0)
        if _TILE_WIDTH in tags
        else width * min(height, tags.get(_ROWS, height))
    )
    # A tile or strip is unpacked beside the picture: with 8 bits always as four channels.
    unpacked = block * (2 * samples if bits > 8 else max(4, samples))
    flat = width * height * _flat(bits)
    return Header(width, height, max(flat, flat // 2 + unpacked))


def _tiff_tags(data: bytes) -> dict[int, int]:
    """The tags of a TIFF's first picture; of those with several values the largest."""
    order = "<" if data.startswith(b"II") else ">"
    is_big = struct.unpack_from(order + "H", data, 2)[0] == 43
    at = struct.unpack_from(order + ("Q" if is_big else "I"), data, 8 if is_big else 4)[0]
    count_type, entry_type = ("Q", "HHQ") if is_big else ("H", "HHI")
    (count,) = struct.unpack_from(order + count_type, data, at)
    at += struct.calcsize(order + count_type)
    inline = 8 if is_big else 4
    tags: dict[int, int] = {}
    for _ in range(count):
        tag, kind, number = struct.unpack_from(order + entry_type, data, at)
        at += struct.calcsize(order + entry_type)
        letter = _TYPES.get(kind)
        if letter and number and tag not in tags:
            number = min(number, 8)
            place = at
            if number * struct.calcsize(letter) > inline:
                (place,) = struct.unpack_from(order + ("Q" if is_big else "I"), data, at)
            if place + number * struct.calcsize(letter) <= len(data):
                tags[tag] = max(struct.unpack_from(f"{order}{number}{letter}", data, place))
        at += inline
    return tags


def _read_bmp(data: bytes) -> Header:
    (size,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if size == 12 else "<ii", data, 18)
    return Header(abs(width), abs(height), abs(width * height) * BYTES_A_PIXEL)


def _read_webp(data: bytes) -> Header:
    """The largest of what its canvas and its frames say."""
    if data[8:12] != b"WEBP":
        raise UnknownKind("it is no PNG, JPG, TIFF, BMP, WebP or AVIF")
    sizes: list[tuple[int, int]] = []
    for kind, at in _webp_chunks(data):
        if kind == b"ANMF":
            sizes.append((_three(data, at + 14) + 1, _three(data, at + 17) + 1))
        elif kind == b"VP8X":
            sizes.append((_three(data, at + 12) + 1, _three(data, at + 15) + 1))
        elif kind == b"VP8L":
            (sides,) = struct.unpack_from("<I", data, at + 9)
            sizes.append(((sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1))
        elif kind == b"VP8 ":
            width, height = struct.unpack_from("<HH", data, at + 14)
            sizes.append((width & 0x3FFF, height & 0x3FFF))
    if not sizes:
        raise Truncated("it ends too early")
    width, height = max(width for width, _ in sizes), max(height for _, height in sizes)
    # Besides its colours a canvas has alpha, and an animation a second canvas.
    return Header(width, height, width * height * (BYTES_A_PIXEL + 8))


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Kind and place of each chunk, those within frames of an animation among them."""
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        yield kind, at
        # The picture of a frame follows in it, as chunks.
        at += 8 + (16 if kind == b"ANMF" else length + length % 2)


def _count_pages(data: bytes) -> int:
    order, seen = "<" if data.startswith(b"II") else ">", set[int]()
    is_big = struct.unpack_from(order + "H", data, 2)[0] == 43
    place, count, entry = ("Q", "Q", 20) if is_big else ("I", "H", 12)
    (at,) = struct.unpack_from(order + place, data, 8 if is_big else 4)
    while at and at not in seen:
        seen.add(at)
        (entries,) = struct.unpack_from(order + count, data, at)
        (at,) = struct.unpack_from(
            order + place, data, at + struct.calcsize(count) + entry * entries
        )
    return len(seen)


def _read_avif(data: bytes) -> Header:
    found = read_avif(data)
    # As WebP: alpha, and the planes that the decoder fills.
    cost = _flat(found.bits) + 8 * (2 if found.bits > 8 else 1)
    return Header(found.width, found.height, found.width * found.height * cost)


def _three(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", data[at : at + 3] + b"\0")[0])


def _flat(bits: int) -> int:
    return BYTES_A_PIXEL * (2 if bits > 8 else 1)


_READERS: tuple[tuple[bytes, Callable[[bytes], Header]], ...] = (
    (PNG, _read_png),
    (JPEG, _read_jpeg),
    (b"II*\0", _read_tiff),
    (b"MM\0*", _read_tiff),
    (b"II+\0", _read_tiff),
    (b"MM\0+", _read_tiff),
    (b"BM", _read_bmp),
    (b"RIFF", _read_webp),
)
