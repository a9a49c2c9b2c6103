"""The parts of PNG and JPG files, walked before any decoder runs; the files may be forged.

Layouts after the PNG specification (W3C, 2003) and ITU-T T.81 (JPEG), annex B.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

PNG: Final = b"\x89PNG\r\n\x1a\n"
JPEG: Final = b"\xff\xd8"

_SCAN: Final = 0xDA
_END: Final = 0xD9
# Those of them whose pixels come in several scans, each finer than the last.
_PROGRESSIVE: Final = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
# A marker after pixels: what a stuffed zero or a restart marker follows is none.
_AFTER_PIXELS: Final = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
_FRAME_HEADERS: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
# Markers without a length: TEM and the restart markers.
_BARE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
# Markers that cannot stand among the segments: a stuffed zero, another start, an end.
_MISPLACED: Final = frozenset({0x00, 0xD8, 0xD9})


class Damaged(Exception):
    """A file is not as its format says; the text says what is wrong."""


class Truncated(Damaged):
    """A file ends too early."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A chunk of a PNG, or a segment of a JPG before its pixels.

    kind: four letters of a chunk, or the marker's byte. body: without length and checksum. start,
    end: where all of it lies in the file, its fill bytes included.
    """

    kind: bytes
    body: bytes
    start: int
    end: int


def png_chunks(data: bytes) -> Iterator[Segment]:
    """Yield the chunks up to and including IEND, their checksums compared. Raises Damaged."""
    at = len(PNG)
    while True:
        if at + 12 > len(data):
            raise Truncated("it ends too early")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise Truncated("it ends too early")
        body = data[at + 8 : end - 4]
        if zlib.crc32(kind + body) != struct.unpack_from(">I", data, end - 4)[0]:
            raise Damaged(f"the checksum of a {kind.decode('latin-1')} chunk is wrong")
        yield Segment(kind, body, at, end)
        if kind == b"IEND":
            return
        at = end


def jpeg_segments(data: bytes) -> Generator[Segment, None, int]:
    """Yield the segments before the pixels, and return where those begin. Raises Damaged."""
    at = len(JPEG)
    while True:
        start = at
        while data[at : at + 2] == b"\xff\xff":  # fill bytes are allowed before a marker
            at += 1
        if at + 4 > len(data):
            raise Truncated("it ends too early")
        prefix, marker, length = struct.unpack_from(">BBH", data, at)
        if prefix != 0xFF or marker in _MISPLACED:
            raise Damaged("a segment is malformed")
        end = at + 2 if marker in _BARE else at + 2 + length
        if end < at + 4 and marker not in _BARE:
            raise Damaged("a segment is malformed")
        if end > len(data):
            raise Truncated("it ends too early")
        if marker == _SCAN:
            # Inside the pixels FF is always followed by 00 or a restart marker, so FF D9 can only
            # be the end.
            if data.find(b"\xff\xd9", end) < 0:
                raise Truncated("it ends too early")
            return start
        yield Segment(bytes([marker]), data[at + 4 : end], start, end)
        at = end


def cut_out(data: bytes, segments: Iterable[Segment]) -> bytes:
    """Return a file without these of its chunks or segments, which come in its order."""
    ours = list(segments)
    starts, ends = [each.start for each in ours], [each.end for each in ours]
    kept = zip([0, *ends], [*starts, len(data)], strict=True)
    return b"".join(data[start:end] for start, end in kept)


def jpeg_scans(data: bytes, most: int) -> int:
    """Return in how many scans a JPG draws its pixels; what is not above `most` may be too many.

    Up to there what looks like a scan is counted, which is fast; beyond, all of it is walked.
    Raises Damaged.
    """
    walk = jpeg_segments(data)
    try:
        while True:
            next(walk)
    except StopIteration as end:
        at: int = end.value
    alike = data.count(bytes([0xFF, _SCAN]), at)
    if alike <= most:
        return alike
    scans = 0
    while found := _AFTER_PIXELS.search(data, at):
        marker, at = found[1][0], found.end()
        if marker == _END:
            break
        scans += marker == _SCAN
        if marker not in _BARE and at + 2 <= len(data):
            at += max(2, struct.unpack_from(">H", data, at)[0])
    return scans


def is_progressive(segment: Segment) -> bool:
    """Return whether a frame header of a JPG is followed by scans that refine each other."""
    return segment.kind[0] in _PROGRESSIVE


def is_frame_header(segment: Segment) -> bool:
    """Return whether a segment of a JPG says how large the picture is."""
    return segment.kind[0] in _FRAME_HEADERS


def frame_size(segment: Segment) -> tuple[int, int]:
    """Return (width, height) from the frame header of a JPG. Raises Damaged."""
    if len(segment.body) < 6:
        raise Damaged("its frame header is malformed")
    height, width = struct.unpack_from(">HH", segment.body, 1)
    return width, height
