"""Odd but sound footage: the right picture comes out, or a note says what is special about it."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from understudy.errors import BadMedia
from understudy.io.footage import stills
from understudy.io.footage.base import BadFrame
from understudy.io.open_footage import open_footage

SIZE = (64, 48)


def off(one: np.ndarray, other: np.ndarray) -> float:
    """Largest mean difference of a channel, in levels of 255."""
    scale = 257 if one.dtype == np.uint16 else 1
    return float(np.abs(one.astype(np.float64) - other).mean(axis=(0, 1)).max()) / scale


def glued(first: Path, *others: Path) -> Path:
    """Transport streams one after the other, in time as well."""
    path = first.with_name("glued.ts")
    with av.open(str(path), "w") as target:
        stream, shift = None, 0
        for part in (first, *others):
            with av.open(str(part)) as source:
                stream = stream or target.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(video=0):
                    if packet.size:
                        packet.pts, packet.dts, packet.stream = (
                            packet.pts + shift,
                            packet.dts + shift,
                            stream,
                        )
                        target.mux(packet)
            shift += 90000
    return path


def test_a_stream_that_drops_its_resolution_is_scaled_to_the_first(clip, shown):
    with open_footage(glued(clip("a.ts"), clip("b.ts", size=(32, 24)), clip("c.ts"))) as footage:
        frames = list(footage)
        assert len(frames) == 36 and {frame.image.shape for frame in frames} == {(48, 64, 3)}
        assert max(off(frame.image, shown(frame.index % 12, SIZE)) for frame in frames) < 6


def test_frames_of_another_shape_are_listed_and_the_rest_is_there(clip):
    with open_footage(glued(clip("a.ts"), clip("b.ts", size=(64, 64)), clip("c.ts"))) as footage:
        bad = {
            each.index: each.reason
            for each in footage.iter_frames_or_bad(range(36))
            if isinstance(each, BadFrame)
        }
        assert (
            list(bad) == list(range(12, 24)) and "its shape changes from 64x48 to 64x64" in bad[12]
        )


@pytest.mark.parametrize("size", [(48, 64), (49, 35), (33, 200)])
def test_portrait_and_odd_sizes(clip, shown, size):
    with open_footage(clip(size=size, layout="yuv444p")) as footage:
        assert footage.size == size and off(footage[3].image, shown(3, size)) < 3


def test_grey_video(clip, shown):
    with open_footage(clip("grey.mkv", codec="ffv1", layout="gray")) as footage:
        image = footage[2].image
        assert image.shape == (48, 64, 3) and np.ptp(image, axis=-1).max() <= 1


def test_interlaced_footage_is_said(clip):
    with (
        open_footage(clip(options={"x264-params": "interlaced=1"})) as footage,
        open_footage(clip("b.mp4")) as progressive,
    ):
        assert "interlaced" in footage.notes[0] and len(list(footage)) == 12
        assert progressive.notes == ()


def test_frames_that_were_dropped_are_said_and_uneven_times_are_not(clip):
    even = [number * 512 for number in range(40)]
    with open_footage(clip(frames=38, pts=even[:20] + even[22:])) as footage:
        assert "missing from the file: 2, after frame 19" in footage.notes[0]
    with open_footage(
        clip("vfr.mp4", frames=8, pts=[0, 512, 600, 2048, 2560, 5000, 5120, 9000])
    ) as footage:
        assert footage.notes == ()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_camera_s_orientation_is_obeyed(tmp_path, shown, orientation):
    upright = shown(0, SIZE)
    # How the sensor's rows and columns lie for each mark of the EXIF standard.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    data = stills.encode_image(np.ascontiguousarray(stored), ".jpg", 100)
    tag = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 0x112, 3, 1, orientation, 0, 0)
    path = tmp_path / "camera.jpg"
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(tag) + 2) + tag + data[2:])
    assert off(stills.read_image(path), upright) < 1.5


def test_a_cmyk_jpg_comes_out_in_its_colours(tmp_path):
    (tmp_path / "print.jpg").write_bytes(cmyk_jpg((200, 100, 50, 255)))
    image = stills.read_image(tmp_path / "print.jpg")
    assert image.shape == (8, 8, 3) and off(image, np.array([[[200, 100, 50]]])) < 2


@pytest.mark.parametrize(
    ("depth", "kind", "row", "colour"),
    [
        (8, 3, bytes([1] * 8), (250, 120, 10)),
        (1, 0, b"\xff", (255, 255, 255)),
        (8, 4, bytes([90, 0] * 8), (90, 90, 90)),
        (16, 0, struct.pack(">8H", *[30000] * 8), (30000, 30000, 30000)),
        (16, 6, struct.pack(">4H", 50000, 40000, 100, 7) * 8, (50000, 40000, 100)),
    ],
    ids=["palette", "one bit", "grey and alpha", "grey 16", "alpha 16"],
)
def test_every_kind_of_png(tmp_path, depth, kind, row, colour):
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 8, 4, depth, kind, 0, 0, 0))]
    chunks += [(b"PLTE", bytes([0, 0, 0, 250, 120, 10]))] if kind == 3 else []
    chunks += [(b"IDAT", zlib.compress((b"\0" + row) * 4)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks
    )
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    image = stills.read_image(tmp_path / "a.png")
    assert image.dtype == (np.uint16 if depth == 16 else np.uint8)
    assert image.shape == (4, 8, 3) and (image == np.array(colour)).all()


def test_a_name_with_the_wrong_ending_is_read_by_what_is_inside(tmp_path, shown):
    data = stills.encode_image(shown(0, SIZE), ".jpg", 98)
    (tmp_path / "1.png").write_bytes(data)
    with open_footage(tmp_path) as footage:
        assert off(footage[0].image, shown(0, SIZE)) < 2


def test_of_a_file_with_several_pictures_the_first_counts(tmp_path, shown):
    pages = [np.ascontiguousarray(shown(number, SIZE)[..., ::-1]) for number in (3, 7)]
    cv2.imwritemulti(str(tmp_path / "pages.tif"), pages)
    assert np.array_equal(stills.read_image(tmp_path / "pages.tif"), shown(3, SIZE))


def test_an_8k_still(tmp_path):
    cv2.imwrite(str(tmp_path / "8k.jpg"), np.full((4320, 7680, 3), (10, 120, 200), np.uint8))
    with open_footage(tmp_path) as footage:
        assert footage.size == (7680, 4320)
        assert off(footage[0].image[::64, ::64], np.array([[[200, 120, 10]]])) < 2


def test_pictures_of_any_size_on_demand_and_bad_ones_listed(tmp_path, shown):
    for name, size in (("1.png", SIZE), ("2.png", (32, 80)), ("4.png", SIZE)):
        stills.write_image(tmp_path / name, shown(0, size))
    (tmp_path / "3.jpg").touch()
    with open_footage(tmp_path, any_size=True) as footage:
        assert footage.keyframes == [0, 1, 2, 3]
        found = list(footage.iter_frames_or_bad(range(4)))
        assert [isinstance(each, BadFrame) for each in found] == [False, False, True, False]
        assert found[1].image.shape == (80, 32, 3) and "3.jpg" in found[2].reason
        index = footage.index
    (tmp_path / "0.png").write_bytes((tmp_path / "1.png").read_bytes())
    with open_footage(tmp_path, index=index) as again:
        assert len(again) == 4 and again.files[0].name == "1.png"
        with pytest.raises(BadMedia, match="32x80"):
            again[1]


def cmyk_jpg(stored: tuple[int, int, int, int]) -> bytes:
    """An 8 x 8 JPG of one colour in four channels, as Photoshop writes it: 255 = no ink. After
    ITU-T T.81.
    """

    def segment(marker: int, body: bytes) -> bytes:
        return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body

    bits = ""
    for value in stored:
        level = 8 * (value - 128)
        size = abs(level).bit_length()
        # The size in four bits, the level itself, then the end of the block in one.
        bits += (
            f"{size:04b}"
            + (f"{level if level > 0 else level + 2**size - 1:0{size}b}" if size else "")
            + "0"
        )
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    channels = range(1, 5)
    return b"".join(
        [
            b"\xff\xd8",
            segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, 0)),
            segment(0xDB, bytes([0]) + bytes([1] * 64)),
            segment(
                0xC0,
                struct.pack(">BHHB", 8, 8, 8, 4) + b"".join(bytes([n, 0x11, 0]) for n in channels),
            ),
            segment(0xC4, bytes([0x00, 0, 0, 0, 12]) + bytes(12) + bytes(range(12))),
            segment(0xC4, bytes([0x10, 1]) + bytes(15) + bytes([0])),
            segment(
                0xDA, bytes([4]) + b"".join(bytes([n, 0]) for n in channels) + bytes([0, 63, 0])
            ),
            scan,
            b"\xff\xd9",
        ]
    )
