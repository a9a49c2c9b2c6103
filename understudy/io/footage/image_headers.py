"""What the bytes of a picture say about it before a decoder runs: its size, and whether the file is
whole.

OpenCV returns a half-grey picture for a JPG that was cut off and says nothing, so we look first.
Layouts after the PNG specification (W3C, 2003) and ITU-T T.81 (JPEG), annex B.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_JPEG_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})


@dataclass(frozen=True)
class Header:
    """width, height: 0 when the kind of file is not one we look into. problem: what is wrong, ""
    when nothing is.
    """

    width: int = 0
    height: int = 0
    problem: str = ""


def read(data: bytes) -> Header:
    """What the header of a picture file says; a PNG's checksums and a JPG's end are looked at
    too.
    """
    if not data:
        return Header(problem="the file is empty")
    if data.startswith(_PNG):
        return _png(data)
    if data.startswith(_JPEG):
        return _jpeg(data)
    return Header()


def _png(data: bytes) -> Header:
    width = height = 0
    at = len(_PNG)
    while at + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 4 : at + 8 + length]
        end = at + 12 + length
        if end > len(data):
            break
        if zlib.crc32(body) != struct.unpack(">I", data[end - 4 : end])[0]:
            return Header(width, height, "its data is damaged (a PNG checksum does not fit)")
        if kind == b"IHDR" and length >= 8:
            width, height = struct.unpack(">II", body[4:12])
            if not (width and height):
                return Header(problem=f"its header claims {width}x{height} pixels")
        if kind == b"IEND":
            return Header(width, height)
        at = end
    return Header(width, height, "the file is cut off")


def _jpeg(data: bytes) -> Header:
    width = height = 0
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in _JPEG_BARE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _JPEG_SIZES and at + 9 <= len(data):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
        if marker == 0xDA:
            whole = data.find(b"\xff\xd9", at) > 0
            return Header(width, height, "" if whole else "the file is cut off")
        at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    return Header(width, height, "the file is cut off")
