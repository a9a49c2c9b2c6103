"""Small clips that claim no end of frames, or of memory, are refused in little time and memory."""

from __future__ import annotations

import resource
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from understudy.errors import BadMedia
from understudy.io import memory_limit
from understudy.io.open_footage import open_footage

_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts")


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


def with_box(data: bytes, kind: bytes, body: bytes) -> bytes:
    """An MP4 (or a box's content) with another body in each box of this kind."""
    made, at = b"", 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        inside = data[at + 8 : at + size]
        if name == kind:
            inside = body
        elif name in _PARENTS:
            inside = with_box(inside, kind, body)
        made += box(name, inside)
        at += size
    return made


def endless_sizes(data: bytes) -> bytes:
    """Eighty million frames of a byte each: 2.8 GB of index (measured) for 3.6 kB."""
    count = 80_000_000
    data = with_box(data, b"stsz", struct.pack(">III", 0, 1, count))
    data = with_box(data, b"stts", struct.pack(">IIII", 0, 1, count, 1))
    return with_box(data, b"stsc", struct.pack(">IIIII", 0, 1, 1, count, 1))


def endless_edits(data: bytes) -> bytes:
    """Ten thousand edits, each of which shows the whole clip again."""
    edits = struct.pack(">IiI", 1000, 0, 65536) * 10_000
    return with_box(data, b"elst", struct.pack(">II", 0, 10_000) + edits)


@pytest.mark.parametrize("grow", [endless_sizes, endless_edits])
def test_an_index_without_end_is_refused(clip, grow: Callable[[bytes], bytes]) -> None:
    path = clip(frames=30)
    path.write_bytes(grow(path.read_bytes()))
    refused_soon(path)


def test_frames_without_end_are_refused(tmp_path: Path) -> None:
    """A GIF of 8192 x 4320, of which each frame changes one pixel, for 26 bytes."""
    delay = b"\x21\xf9\x04\x00\x04\x00\x00\x00"
    frame = delay + b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x4c\x01\0"
    palette = b"\0\0\0\xff\xff\xff"
    head = b"GIF89a" + struct.pack("<HHBBB", 8192, 4320, 0x80, 0, 0) + palette
    (tmp_path / "bomb.gif").write_bytes(head + frame * 1000 + b"\x3b")
    assert "8192x4320" in refused_soon(tmp_path / "bomb.gif")


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone bounds memory so")
def test_a_bound_on_memory_holds_and_goes() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with memory_limit.at_most(64 << 20):
        with pytest.raises(MemoryError):
            bytes(512 << 20)
        assert len(bytes(16 << 20)) == 16 << 20
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert len(bytes(128 << 20)) == 128 << 20


def test_more_streams_than_any_film_has_are_no_burden(clip) -> None:
    path = clip(frames=5)
    data = path.read_bytes()
    at = data.index(b"moov") - 4
    size = struct.unpack_from(">I", data, at)[0]
    track = data.index(b"trak", at) - 4
    length = struct.unpack_from(">I", data, track)[0]
    copies = data[track : track + length] * 2000
    moov = struct.pack(">I", size + len(copies)) + data[at + 4 : at + size] + copies
    path.write_bytes(data[:at] + moov + data[at + size :])
    refused_soon(path)


def refused_soon(path: Path) -> str:
    """Open it; the message. At most a few seconds and half a gigabyte more, however loaded."""
    peak, began = peak_memory(), time.process_time()
    with pytest.raises(BadMedia) as caught:
        open_footage(path)
    assert time.process_time() - began < 5
    assert peak_memory() - peak < 600 << 20
    return str(caught.value)


def peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
