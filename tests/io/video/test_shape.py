"""The shape of a video's pixels and the order of its fields, whoever says them."""

import os
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from shaped_clips import squeeze, weave, write_plates

from understudy.io.footage.options import FootageOptions
from understudy.io.open_footage import open_footage

TV, FILM = Fraction(64, 45), Fraction(2)
RATE = {"b": "6000000"}
ODD = Path(os.environ.get("UNDERSTUDY_ODD_FILES") or "/nowhere") / "video"


def pictures(count, size=(180, 144)):
    """A soft pattern that moves to the right by a pixel a picture."""
    soft = cv2.GaussianBlur(
        np.random.default_rng(1).random((size[1], size[0] + count, 3)), (0, 0), 7, borderType=2
    )
    soft = np.rint(255 * (0.2 + 2 * (soft - soft.min()))).clip(0, 255).astype(np.uint8)
    return [soft[:, count - n : count - n + size[0]] for n in range(count)]


@pytest.mark.parametrize(
    ("name", "codec", "layout", "size", "order", "options"),
    [
        ("a.mp4", "libx264", "yuv420p", (180, 144), "top", None),
        ("a.mkv", "libx264", "yuv420p", (180, 144), "bottom", None),
        ("a.ts", "mpeg2video", "yuv420p", (180, 144), "top", RATE),
        ("a.mpg", "mpeg2video", "yuv420p", (180, 144), "bottom", RATE),
        ("a.wtv", "mpeg2video", "yuv420p", (180, 144), "top", RATE),
        ("a.avi", "mpeg4", "yuv420p", (180, 144), "top", RATE),
        ("a.mov", "prores_ks", "yuv422p10le", (180, 144), "bottom", None),
        # Its frames bear no mark: the container says it.
        ("b.mov", "v210", "yuv422p10le", (180, 144), "top", None),
        ("a.dv", "dvvideo", "yuv420p", (720, 576), "bottom", None),
    ],
)
def test_aspect_and_field_order_are_found_in_every_container(
    tmp_path, name, codec, layout, size, order, options
):
    moving = pictures(6, size)
    plates = [weave(moving[2 * n], moving[2 * n + 1], order) for n in range(3)]
    path = write_plates(tmp_path / name, plates, TV, [order], codec, layout, options)
    with open_footage(path) as footage:
        assert footage.pixel_aspect == TV and footage.plate_size == size
        assert footage.size == (round(size[0] * TV), size[1])
        assert footage.field_order == order
        frame = footage[len(footage) - 1]
        assert frame.fields == order and frame.image.shape[1::-1] == footage.size
        shift = 8 if footage.bits > 8 else 0
        assert np.abs((frame.plate >> shift).astype(int) - plates[-1]).mean() < 4


@pytest.mark.footage_kind(
    "pixels that change their shape on the way (television that switches from 4:3 to 16:9)",
    "All is taken as at the beginning; a warning says so.",
)
def test_an_aspect_that_changes_on_the_way_is_told(tmp_path):
    parts = [
        write_plates(tmp_path / f"{n}.ts", pictures(6), aspect, codec="mpeg2video", options=RATE)
        for n, aspect in enumerate((Fraction(16, 15), TV))
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_footage(path) as footage:
        assert footage.pixel_aspect == Fraction(16, 15) and len(footage) == 12
        assert "changes on the way, from 16:15 to 64:45" in " ".join(footage.warnings)
    with open_footage(parts[1]) as footage:
        assert footage.pixel_aspect == TV and not footage.warnings


@pytest.mark.footage_kind(
    "a pixel aspect that makes no sense (beyond 4:1)",
    "Taken for a mistake: the pixels count as square, and a note says so.",
)
def test_an_absurd_aspect_is_told_and_not_followed(tmp_path):
    path = write_plates(tmp_path / "a.mp4", pictures(2), Fraction(9))
    with open_footage(path) as footage:
        assert footage.size == footage.plate_size == (180, 144) and footage[0].plate is None
        assert "9:1, which is taken for a mistake" in footage.notes[0]
    nearly = write_plates(tmp_path / "b.mp4", pictures(2), Fraction(1000, 1001))
    with open_footage(nearly) as footage:
        assert footage.size == (180, 144) and footage.notes == ()


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_turned_pixels_keep_their_shape(tmp_path, degrees):
    upright = pictures(1, (180, 144))[0]
    coded = np.rot90(squeeze(upright, FILM), -degrees // 90)
    aspect = 1 / FILM if degrees % 180 else FILM
    path = write_plates(tmp_path / "a.mp4", [coded] * 2, aspect, rotation=degrees)
    with open_footage(path) as footage:
        assert footage.size == (180, 144) and footage.plate_size == (90, 144)
        assert np.abs(footage[0].image.astype(int) - upright).mean() < 3


def test_upside_down_the_other_field_comes_first(tmp_path):
    moving = pictures(4)
    coded = [weave(moving[2 * n], moving[2 * n + 1], "top")[::-1, ::-1] for n in range(2)]
    path = write_plates(tmp_path / "a.mp4", coded, orders=["bottom"], rotation=180)
    with open_footage(path) as footage:
        assert footage.field_order == "top" and footage[1].fields == "top"
        assert np.abs(footage[1].image.astype(int) - moving[2]).mean() < 2


@pytest.mark.footage
@pytest.mark.skipif(not ODD.is_dir(), reason="UNDERSTUDY_ODD_FILES names no such folder")
@pytest.mark.parametrize(
    ("name", "size", "plate", "order"),
    [
        ("anamorphic-2to1.mp4", (640, 480), (320, 480), None),
        ("rotated-and-anamorphic.mp4", (480, 160), (240, 160), None),
        ("wtv-anamorphic-interlaced.mp4", (1024, 576), (720, 576), None),
        ("pva-cut-off.mp4", (768, 576), (544, 576), "top"),
    ],
)
def test_public_clips_come_in_square_pixels(name, size, plate, order):
    with open_footage(ODD / name) as footage:
        assert footage.size == size and footage.plate_size == plate
        assert footage.field_order == order
    with open_footage(ODD / name, reading=FootageOptions(deinterlace="bob")) as footage:
        assert footage.size == size and footage[3].image.shape[1::-1] == size


def test_fields_as_frames_have_all_else_that_the_video_has(tmp_path):
    moving = pictures(4)
    plates = [weave(moving[2 * n], moving[2 * n + 1], "top") for n in range(2)]
    path = write_plates(tmp_path / "a.mov", plates, TV, ["top"], "prores_ks", "yuv422p10le")
    with (
        open_footage(path, reading=FootageOptions(deinterlace="bob")) as fields,
        open_footage(path) as woven,
    ):
        assert (fields.chroma, fields.bits, fields.pixel_aspect) == ("422", 10, TV)
        assert fields.color == woven.color and fields.fingerprint != woven.fingerprint
        assert fields.files == woven.files and fields.field_order is None
