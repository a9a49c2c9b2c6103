"""What comes out of footage: the right picture under the right number, at the right time, in the
right colours.
"""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from understudy.io.footage import stills
from understudy.io.open_footage import open_footage

SIZE = (64, 48)


def off(one: np.ndarray, other: np.ndarray) -> float:
    """Largest mean difference of a channel, in levels of 255."""
    scale = 257 if one.dtype == np.uint16 else 1
    return float(np.abs(one.astype(np.float64) - other).mean(axis=(0, 1)).max()) / scale


@pytest.mark.parametrize(
    ("name", "codec", "layout"),
    [
        ("h264.mp4", "libx264", "yuv420p"),
        ("h264.mkv", "libx264", "yuv420p"),
        ("h264.ts", "libx264", "yuv420p"),
        ("mpeg4.avi", "mpeg4", "yuv420p"),
        ("vp8.webm", "libvpx", "yuv420p"),
        ("vp9.webm", "libvpx-vp9", "yuv420p"),
        ("motion.avi", "mjpeg", "yuvj420p"),
        ("rgb.mp4", "libx264rgb", "rgb24"),
        ("lossless.mkv", "ffv1", "bgr0"),
    ],
)
def test_length_order_and_random_access_agree(clip, shown, name, codec, layout):
    span = (5, 6, 5, 2) if layout == "yuvj420p" else None
    path = clip(name, frames=13, codec=codec, layout=layout, tags=span)
    with open_footage(path) as footage:
        frames = list(footage)
        assert len(footage) == len(frames) == 13
        assert footage.size == SIZE and footage.fps == 30 and footage.bits == 8
        assert [frame.index for frame in frames] == list(range(13))
        assert [frame.pts for frame in frames] == footage.pts
        for index in (12, 4, 5, 6, 0, 11, 3, 3):
            assert np.array_equal(footage[index].image, frames[index].image), index
        for frame in frames:
            # Neighbours differ by 12 in blue; half of that tells them apart through any codec here.
            assert off(frame.image, shown(frame.index, SIZE)) < 6


def test_a_range_is_the_same_frames(clip):
    with open_footage(clip()) as footage:
        whole = [frame.image for frame in footage]
        part = list(footage.frames(7, 10))
        assert [frame.index for frame in part] == [7, 8, 9]
        assert all(np.array_equal(frame.image, whole[frame.index]) for frame in part)
        assert np.array_equal(footage[-1].image, whole[-1])
        assert list(footage.frames(12)) == []
        with pytest.raises(IndexError, match="no frame 12"):
            footage[12]


def test_two_readers_of_one_footage_do_not_disturb_each_other(clip, shown):
    with open_footage(clip()) as footage:
        for one, other in zip(footage, footage.frames(3), strict=False):
            assert other.index == one.index + 3
            assert off(footage[one.index].image, shown(one.index, SIZE)) < 3


def test_uneven_times_are_kept(clip):
    times = [0, 512, 600, 2048, 2560, 5000, 5120, 9000]
    with open_footage(clip(frames=8, pts=times)) as footage:
        assert footage.pts == times and footage.time_base == Fraction(1, 15360)
        assert [frame.pts for frame in footage] == times
        assert footage[5].pts == 5000
        assert footage.seconds(3) == Fraction(2048, 15360)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_phone_held_sideways_gives_upright_pictures(clip, shown, rotation):
    with open_footage(clip(rotation=rotation)) as footage:
        expected = np.rot90(shown(2, SIZE), rotation // 90)
        assert footage.size == (expected.shape[1], expected.shape[0])
        assert footage[2].image.shape == expected.shape
        assert off(footage[2].image, expected) < 3


def test_mirrored_pictures_are_turned_back(clip, shown):
    path = clip("still.mp4")
    mirrored = path.with_name("mirrored.mp4")
    with av.open(str(path)) as source, av.open(str(mirrored), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(0, hflip=True)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    with open_footage(mirrored) as footage:
        assert off(footage[0].image, shown(0, SIZE)[:, ::-1]) < 3


@pytest.mark.parametrize(
    "tags", [(1, 1, 1, 1), (1, 1, 1, 2), (6, 6, 6, 1), (5, 6, 5, 2), (9, 14, 9, 1)]
)
def test_tagged_colours_come_out_as_they_went_in(clip, shown, tags):
    with open_footage(clip(layout="yuv444p", tags=tags)) as footage:
        color = footage.color
        assert (color.primaries, color.transfer, color.matrix, color.range) == tags
        assert off(footage[0].image, shown(0, SIZE)) < 1.5


@pytest.mark.parametrize("layout", ["yuv420p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize("tags", [(1, 1, 1, 1), (6, 6, 6, 1), (5, 6, 5, 2)])
def test_rough_colours_are_a_level_off_and_the_geometry_stays(clip, tags, layout):
    path = clip(tags=tags, layout=layout)
    with open_footage(path) as footage, open_footage(path, rough=True) as rough:
        for true, quick in zip(footage, rough, strict=True):
            assert off(quick.image, true.image) < 3 and quick.pts == true.pts


def test_untagged_colours_go_by_the_number_of_lines(clip):
    with (
        open_footage(clip("low.mp4", frames=2)) as low,
        open_footage(clip("high.mp4", frames=2, size=(1280, 720))) as high,
    ):
        assert (low.color.matrix, low.color.range) == (6, 1)
        assert (high.color.matrix, high.color.range) == (1, 1)


def test_ten_bits_stay(clip, shown):
    with open_footage(clip(layout="yuv420p10le", size=(256, 48))) as footage:
        image = footage[0].image
        assert footage.bits == 10 and image.dtype == np.uint16
        assert off(image, shown(0, (256, 48), deep=True)) < 1
        # A ramp over 176 levels of 8 bits: more steps than 8 bits can hold.
        assert len(np.unique(image[24, :, 0])) > 220


def test_high_dynamic_range_is_not_tone_mapped(clip, shown):
    with open_footage(clip(layout="yuv444p10le", tags=(9, 16, 9, 1))) as footage:
        assert footage.color.transfer == 16
        assert off(footage[0].image, shown(0, SIZE, deep=True)) < 1


def test_alpha_is_dropped_and_the_colour_kept(clip, shown):
    with open_footage(clip("alpha.mkv", codec="ffv1", layout="bgra")) as footage:
        assert np.array_equal(footage[3].image, shown(3, SIZE))


def test_frames_hidden_by_an_edit_list_do_not_count(clip, shown):
    path = clip("whole.mp4", frames=20)
    trimmed = path.with_name("trimmed.mp4")
    # Packets that begin before zero: the muxer writes an edit list that hides them.
    with av.open(str(path)) as source, av.open(str(trimmed), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.pts, packet.dts, packet.stream = (
                    packet.pts - 7 * 512,
                    packet.dts - 7 * 512,
                    stream,
                )
                target.mux(packet)
    with open_footage(trimmed) as footage:
        frames = list(footage)
        assert len(footage) == len(frames) == 13
        assert off(frames[0].image, shown(7, SIZE)) < 3
        assert off(footage[6].image, shown(13, SIZE)) < 3


def test_a_start_that_cannot_be_decoded_is_left_out(clip):
    path = clip("whole.ts", frames=20)
    cut = path.with_name("cut.ts")
    with av.open(str(path)) as source:
        positions = [packet.pos for packet in source.demux(video=0) if packet.size]
    cut.write_bytes(path.read_bytes()[positions[2] :])
    with open_footage(cut) as footage:
        frames = list(footage)
        assert 0 < len(footage) == len(frames) < 20
        assert np.array_equal(footage[4].image, frames[4].image)


def test_a_folder_of_pictures_counts_naturally(tmp_path, shown):
    for number in (10, 9, 1, 2):
        stills.write_image(tmp_path / f"shot-{number}.png", shown(number, SIZE))
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / ".shot-3.partial.png").write_bytes(b"half")
    with open_footage(tmp_path) as footage:
        assert (
            len(footage) == 4
            and footage.size == SIZE
            and not footage.has_audio
            and not footage.is_video
        )
        assert [
            np.array_equal(f.image, shown(n, SIZE))
            for f, n in zip(footage, (1, 2, 9, 10), strict=True)
        ] == [True] * 4
        assert footage[2].pts is None


def test_sixteen_bit_alpha_and_grey_pictures(tmp_path, shown):
    deep = shown(0, SIZE, deep=True)
    stills.write_image(tmp_path / "deep.png", deep)
    assert np.array_equal(stills.read_image(tmp_path / "deep.png"), deep)
    cv2.imwrite(
        str(tmp_path / "alpha.png"),
        np.dstack([shown(1, SIZE)[..., ::-1], np.zeros(SIZE[::-1], np.uint8)]),
    )
    assert np.array_equal(stills.read_image(tmp_path / "alpha.png"), shown(1, SIZE))
    cv2.imwrite(str(tmp_path / "grey.png"), shown(1, SIZE)[..., 0])
    assert np.array_equal(
        stills.read_image(tmp_path / "grey.png"), np.repeat(shown(1, SIZE)[..., :1], 3, -1)
    )
    stills.write_image(tmp_path / "deep.jpg", deep, quality=100)
    assert off(stills.read_image(tmp_path / "deep.jpg"), deep / 257) < 1.5


@pytest.mark.footage
def test_real_clips_are_frame_exact():
    folder = Path(
        os.environ.get("UNDERSTUDY_FOOTAGE", Path(__file__).parents[3] / "shared" / "footage")
    )
    if not folder.is_dir():
        pytest.skip("no real clips here")
    with open_footage(folder / "talker-a.mp4") as footage:
        assert (len(footage), footage.size, footage.fps, footage.has_audio) == (
            216,
            (480, 480),
            30,
            True,
        )
        wanted = {frame.index: frame.image for frame in footage.iter_frames([17, 100, 215])}
        assert all(np.array_equal(footage[index].image, wanted[index]) for index in (215, 17, 100))
