"""PNG and JPG files are walked as their formats say; whatever is not so ends as Damaged."""

from __future__ import annotations

import contextlib
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.io import image_segments
from understudy.io.image_headers import UnknownKind, read_header
from understudy.io.image_segments import Damaged, Truncated

PICTURE = np.arange(40 * 30 * 3, dtype=np.uint8).reshape(30, 40, 3)


def picture_size(data: bytes) -> tuple[int, int]:
    header = read_header(data)
    return header.width, header.height


FILES = {suffix: cv2.imencode(suffix, PICTURE)[1].tobytes() for suffix in (".png", ".jpg")}


@pytest.mark.parametrize("suffix", FILES)
def test_the_size_is_read_and_a_cut_is_seen(suffix: str) -> None:
    whole = FILES[suffix]
    assert picture_size(whole) == (40, 30)
    for length in range(8, len(whole) - 2):
        with pytest.raises(Truncated):
            picture_size(whole[:length])


def test_another_kind_of_file_has_no_size_here() -> None:
    with pytest.raises(UnknownKind):
        picture_size(b"GIF89a" + bytes(100))
    with pytest.raises(Truncated):
        picture_size(b"")


def test_a_changed_byte_of_a_png_is_seen() -> None:
    whole = bytearray(FILES[".png"])
    whole[60] ^= 1
    with pytest.raises(Damaged, match="checksum"):
        picture_size(bytes(whole))


def test_fill_bytes_and_markers_without_length_are_stepped_over() -> None:
    whole = FILES[".jpg"]
    odd = whole[:2] + b"\xff\xff\xff\x01" + whole[2:]
    assert picture_size(odd) == (40, 30)
    segments = list(image_segments.jpeg_segments(odd))
    assert segments[0].start == 2 and segments[0].end == segments[1].start == 6
    assert b"".join(odd[each.start : each.end] for each in segments) == odd[2 : segments[-1].end]


@pytest.mark.parametrize(
    "segment",
    [b"\xff\xd8\x00\x04ab", b"\xff\x00\x00\x04ab", b"\x00\xe1\x00\x04ab", b"\xff\xe1\x00\x01"],
)
def test_a_malformed_segment_is_refused(segment: bytes) -> None:
    whole = FILES[".jpg"]
    with pytest.raises(Damaged, match="malformed"):
        picture_size(whole[:2] + segment + whole[2:])


def test_a_short_frame_header_is_refused() -> None:
    with pytest.raises(Damaged, match="frame header"):
        picture_size(b"\xff\xd8\xff\xc0" + struct.pack(">H", 4) + b"\x08\x00" + FILES[".jpg"][2:])


@given(st.sampled_from(sorted(FILES)), st.data())
def test_nothing_but_damaged_comes_of_a_forged_file(suffix: str, data: st.DataObject) -> None:
    forged = bytearray(FILES[suffix])
    for _ in range(data.draw(st.integers(1, 4))):
        forged[data.draw(st.integers(0, len(forged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Damaged):
        picture_size(bytes(forged[: data.draw(st.integers(0, len(forged)))]))
