"""What an AVIF picture says of itself, read before any decoder runs; the file may be forged.

Layouts after ISO/IEC 14496-12 and 23008-12 (boxes, items, properties), the AV1 Image File Format
1.1, and the AV1 bitstream specification 1.0.0 with errata 1 (open bitstream units).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from understudy.io.image_segments import Damaged, Truncated

# Boxes of a picture that somebody made; more are forged.
_MOST_BOXES = 4096
_SEQUENCE_HEADER = 1


@dataclass(frozen=True, slots=True)
class AvifHeader:
    """width, height: the largest that anything in the file claims. bits: a channel.

    turns: quarter turns anticlockwise that make it upright. mirror: then top and bottom (0) or left
    and right (1) change places; None = neither.
    """

    width: int
    height: int
    bits: int
    turns: int = 0
    mirror: int | None = None


@dataclass(slots=True)
class _Found:
    """What the boxes hold. items: kind and extents by number. properties: kind and body."""

    primary: int = 0
    kinds: dict[int, bytes] = field(default_factory=dict)
    extents: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    associated: dict[int, list[int]] = field(default_factory=dict)
    idat: bytes = b""


def is_avif(head: bytes) -> bool:
    """Whether a file begins like a still picture in AVIF. head: its first 64 bytes."""
    if head[4:8] != b"ftyp":
        return False
    brands = [head[at : at + 4] for at in range(16, min(int.from_bytes(head[:4], "big"), 64), 4)]
    return head[8:12] == b"avif" or (head[8:12] != b"avis" and b"avif" in brands)


def read_avif(data: bytes) -> AvifHeader:
    """Return what a whole AVIF file says of itself. Raises Damaged, struct.error."""
    found = _Found()
    for kind, start, end in _boxes(data, 0, len(data)):
        if kind == b"meta":
            _read_meta(data, start + 4, end, found)
    sizes = [
        struct.unpack_from(">II", body, 4) for kind, body in found.properties if kind == b"ispe"
    ]
    sizes += _sizes_of_items(data, found)
    if not sizes:
        raise Truncated("it ends too early")
    depths = [_depth(body) for kind, body in found.properties if kind == b"av1C"]
    turns, mirror = _turned(found)
    return AvifHeader(
        max(width for width, _ in sizes),
        max(height for _, height in sizes),
        max(depths, default=8),
        turns,
        mirror,
    )


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind of each box in a part of the file, and where its body begins and ends."""
    for _ in range(_MOST_BOXES):
        if at + 8 > end:
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, start)
            start += 8
        stop = end if length == 0 else at + length
        if stop > end:
            raise Truncated("it ends too early")
        if stop < start:
            raise Damaged("a box is malformed")
        yield kind, start, stop
        at = stop
    raise Damaged(f"it has more than {_MOST_BOXES} boxes")


def _read_meta(data: bytes, start: int, end: int, found: _Found) -> None:
    for kind, at, stop in _boxes(data, start, end):
        body = data[at:stop]
        if kind == b"pitm":
            found.primary = int.from_bytes(body[4:8] if body[0] else body[4:6], "big")
        elif kind == b"iinf":
            _read_kinds(body, found)
        elif kind == b"iloc":
            _read_extents(body, found)
        elif kind == b"idat":
            found.idat = body
        elif kind == b"iprp":
            _read_properties(body, found)


def _read_kinds(body: bytes, found: _Found) -> None:
    for kind, start, end in _boxes(body, 6 if body[0] == 0 else 8, len(body)):
        if kind == b"infe" and body[start] >= 2:
            width = 2 if body[start] == 2 else 4
            number = int.from_bytes(body[start + 4 : start + 4 + width], "big")
            found.kinds[number] = body[start + 6 + width : min(end, start + 10 + width)]


def _read_extents(body: bytes, found: _Found) -> None:
    version, sizes = body[0], struct.unpack_from(">BB", body, 4)
    offset_size, length_size = sizes[0] >> 4, sizes[0] & 15
    base_size, index_size = sizes[1] >> 4, sizes[1] & 15 if version else 0
    at, wide = 6, 4 if version == 2 else 2

    def take(count: int) -> int:
        nonlocal at
        if at + count > len(body):
            raise Truncated("it ends too early")
        at += count
        return int.from_bytes(body[at - count : at], "big")

    for _ in range(take(wide)):
        number = take(wide)
        method = take(2) & 15 if version else 0
        take(2)
        base = take(base_size)
        for _ in range(take(2)):
            take(index_size)
            place = base + take(offset_size)
            found.extents.setdefault(number, []).append((method, place, take(length_size)))


def _read_properties(body: bytes, found: _Found) -> None:
    for kind, start, end in _boxes(body, 0, len(body)):
        if kind == b"ipco":
            found.properties += [
                (name, body[at:stop]) for name, at, stop in _boxes(body, start, end)
            ]
        elif kind == b"ipma":
            _read_associations(body[start:end], found)


def _read_associations(body: bytes, found: _Found) -> None:
    version, is_wide = body[0], body[3] & 1
    (count,) = struct.unpack_from(">I", body, 4)
    at, number_format = 8, ">I" if version else ">H"
    for _ in range(count):
        (number,) = struct.unpack_from(number_format, body, at)
        at += struct.calcsize(number_format)
        (links,) = struct.unpack_from("B", body, at)
        at += 1
        link = ">H" if is_wide else ">B"
        for _ in range(links):
            (value,) = struct.unpack_from(link, body, at)
            at += struct.calcsize(link)
            found.associated.setdefault(number, []).append(value & (0x7FFF if is_wide else 0x7F))


def _turned(found: _Found) -> tuple[int, int | None]:
    """Quarter turns and mirror of the picture that is shown."""
    turns, mirror = 0, None
    for link in found.associated.get(found.primary, []):
        kind, body = found.properties[link - 1] if 0 < link <= len(found.properties) else (b"", b"")
        if kind == b"irot" and body:
            # What comes after a mirror turns the other way before it.
            turns = (body[0] if mirror is None else -body[0]) & 3
        elif kind == b"imir" and body:
            mirror = body[0] & 1
    return turns, mirror


def _depth(av1c: bytes) -> int:
    """Bits a channel, by the configuration of the codec."""
    (flags,) = struct.unpack_from("B", av1c, 2)
    return (12 if flags & 0x20 else 10) if flags & 0x40 else 8


def _sizes_of_items(data: bytes, found: _Found) -> Iterator[tuple[int, int]]:
    """What the coded pictures, and grids of them, claim as their size."""
    left = len(data)
    for number, extents in found.extents.items():
        kind = found.kinds.get(number, b"")
        if kind not in (b"av01", b"grid"):
            continue
        parts = []
        for method, place, length in extents:
            source = found.idat if method == 1 else data
            part = source[place : place + length] if length else source[place:]
            left -= len(part)
            if left < 0:
                raise Damaged("its parts overlap")
            parts.append(part)
        body = b"".join(parts)
        if kind == b"grid":
            yield struct.unpack_from(">II" if body[1:2] and body[1] & 1 else ">HH", body, 4)
        else:
            yield from _sizes_of_frames(body)


def _sizes_of_frames(body: bytes) -> Iterator[tuple[int, int]]:
    """The size in every sequence header of AV1 data."""
    at = 0
    while at < len(body):
        header = body[at]
        at += 2 if header & 4 else 1
        length = len(body) - at
        if header & 2:
            length, at = _leb128(body, at)
        if header >> 3 & 15 == _SEQUENCE_HEADER:
            yield _size_of_sequence(body[at : at + length])
        at += length


def _leb128(body: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(8):
        if at >= len(body):
            raise Truncated("it ends too early")
        value |= (body[at] & 0x7F) << 7 * place
        at += 1
        if not body[at - 1] & 0x80:
            break
    return value, at


def _size_of_sequence(body: bytes) -> tuple[int, int]:
    """The largest frames that a sequence header (AV1, 5.5.1) allows."""
    bits = _Bits(body)
    bits.take(3)
    bits.take(1)
    is_reduced = bits.take(1)
    if is_reduced:
        bits.take(5)
    else:
        _skip_operating_points(bits)
    wide, high = bits.take(4) + 1, bits.take(4) + 1
    width, height = bits.take(wide) + 1, bits.take(high) + 1
    # Frames of other than reduced headers may have any size that fits into their bits.
    return (width, height) if is_reduced else (1 << wide, 1 << high)


def _skip_operating_points(bits: _Bits) -> None:
    has_model, delay_bits = 0, 0
    if bits.take(1):  # timing_info
        bits.take(64)
        if bits.take(1):
            zeros = 0
            while not bits.take(1) and zeros < 32:
                zeros += 1
            bits.take(zeros)
        has_model = bits.take(1)
        if has_model:
            delay_bits = bits.take(5) + 1
            bits.take(42)
    has_delay = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if has_model and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if has_delay and bits.take(1):
            bits.take(4)


class _Bits:
    """Bits of a byte string, most significant first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data[:256], "big"), 8 * len(data[:256])

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise Truncated("it ends too early")
        return self._value >> self._left & ((1 << count) - 1)
