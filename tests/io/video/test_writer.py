"""What is written can be read back: same number, times, size, colours, sound; all or nothing."""

from __future__ import annotations

import errno
import resource
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from understudy.errors import BadMedia, BadOption, CannotWrite
from understudy.io.footage import stills
from understudy.io.footage.base import Footage
from understudy.io.open_footage import open_footage
from understudy.io.video import writer
from understudy.io.video.audio import AudioClip
from understudy.io.video.encode_options import EncodeOptions
from understudy.io.video.writer import frame_rate_fraction, write_video

GOOD = EncodeOptions(crf=4, preset="ultrafast")
SIZE = (64, 48)


def written(path, footage: Footage, options=GOOD, sound=None, frames=None) -> Footage:
    counts = list(write_video(path, footage if frames is None else frames, footage, options, sound))
    assert counts == list(range(1, len(counts) + 1))
    return open_footage(path)


def off(one: np.ndarray, other: np.ndarray) -> float:
    scale = 257 if one.dtype == np.uint16 else 1
    return float(np.abs(one.astype(np.float64) - other).mean()) / scale


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"pts": [0, 512, 600, 2048, 2560, 5000, 5120, 9000, 9001, 9600, 9700, 12000]},
        {"pts": [7000 + 512 * n for n in range(12)]},
        {"name": "a.ts", "time_base": Fraction(1, 90000)},
        {"rotation": 90},
        {"size": (63, 47), "layout": "yuv444p"},
        {"layout": "yuv420p10le", "tags": (9, 16, 9, 1)},
        {"tags": (1, 1, 1, 2)},
        {"time_base": Fraction(1, 600)},
    ],
    ids=["plain", "uneven", "late", "ts", "turned", "odd", "hdr", "full", "coarse"],
)
def test_round_trip(clip, tmp_path, kind):
    with open_footage(clip(**kind)) as source, written(tmp_path / "out.mp4", source) as result:
        assert len(result) == len(source) == 12
        assert (
            result.pts == source.pts
            and result.time_base == source.time_base
            and result.fps == source.fps
        )
        assert result.last_duration == source.last_duration
        assert (
            result.size == source.size
            and result.bits == source.bits
            and result.color == source.color
        )
        for index in (0, 5, 11):
            assert off(result[index].image, source[index].image) < 2


def test_matroska_keeps_the_times_to_its_millisecond(clip, tmp_path):
    with open_footage(clip()) as source, written(tmp_path / "out.mkv", source) as result:
        assert len(result) == 12
        assert all(
            abs(result.seconds(n) - source.seconds(n)) <= Fraction(1, 1000) for n in range(12)
        )


@pytest.mark.parametrize("tracks", [1, 2])
def test_sound_is_copied_to_the_byte(clip, packets, tmp_path, tracks):
    path = clip(frames=30, tracks=tracks)
    with open_footage(path) as source, written(tmp_path / "out.mp4", source, sound=path) as result:
        assert result.has_audio
        before, after = packets(path), packets(tmp_path / "out.mp4")
        assert len(after) == tracks and len(before[0]) > 40
        assert after == before


def test_sound_can_be_cut(clip, packets, tmp_path):
    path = clip(frames=30, tracks=2)
    sound = AudioClip(path, track=1, start=Fraction(1, 2), stop=Fraction(9, 10))
    with open_footage(path) as source:
        part = [replace(f, pts=f.pts - source.pts[15]) for f in source.frames(15, 27)]
        with written(tmp_path / "out.mp4", source, sound=sound, frames=part) as result:
            assert len(result) == 12 and result.pts[0] == 0
    (track,) = packets(tmp_path / "out.mp4")
    expected = [
        (data, pts - 22050) for data, pts, _ in packets(path)[1] if 22050 <= pts <= 39690 - 1024
    ]
    assert [data for data, _, _ in track] == [data for data, _ in expected] and len(expected) > 14
    # The late start of a track is told in ticks of the video's clock: at most one sample off.
    assert all(
        abs(found[1] - wanted[1]) <= 1 for found, wanted in zip(track, expected, strict=True)
    )


def test_pixels_that_are_not_square_stay_so(clip, tmp_path):
    with open_footage(clip()) as source:
        assert source.pixel_aspect == 1
        source.pixel_aspect = Fraction(16, 11)
        with written(tmp_path / "wide.mp4", source) as result:
            assert result.pixel_aspect == Fraction(16, 11)


def test_the_picture_track_loads_before_its_data(clip, tmp_path):
    with open_footage(clip()) as source, written(tmp_path / "out.mp4", source):
        data = (tmp_path / "out.mp4").read_bytes()
        assert 0 < data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize(
    ("fps", "expected"),
    [(25, Fraction(25)), (23.976, Fraction(24000, 1001)), (12.5, Fraction(25, 2))],
)
def test_pictures_become_a_video_at_the_chosen_rate(tmp_path, shown, fps, expected):
    for number in range(6):
        stills.write_image(tmp_path / "in" / f"{number}.png", shown(number, SIZE))
    with open_footage(tmp_path / "in") as source:
        options = GOOD.model_copy(update={"fps": fps})
        with written(tmp_path / "out.mp4", source, options) as result:
            assert len(result) == 6 and result.fps == frame_rate_fraction(fps) == expected
            assert (result.color.matrix, result.color.range) == (1, 1)
            assert off(result[5].image, shown(5, SIZE)) < 2


def test_deep_pictures_become_a_deep_video(tmp_path, shown):
    stills.write_image(tmp_path / "in" / "1.png", shown(0, (256, 48), deep=True))
    with open_footage(tmp_path / "in") as source, written(tmp_path / "out.mp4", source) as result:
        assert result.bits == 10
        assert off(result[0].image, source[0].image) < 1


@pytest.mark.parametrize(
    ("codec", "name", "bits"), [("h265", "a.mp4", 8), ("h265", "a.mkv", 8), ("prores", "a.mov", 10)]
)
def test_other_codecs(clip, tmp_path, codec, name, bits):
    options = GOOD.model_copy(update={"codec": codec})
    with (
        open_footage(clip("in.mp4")) as source,
        written(tmp_path / name, source, options) as result,
    ):
        assert len(result) == 12 and result.bits == bits
        assert (
            off(result[7].image.astype(np.float64) / (257 if bits > 8 else 1), source[7].image) < 2
        )


def test_what_does_not_go_together_is_refused(clip, tmp_path):
    with open_footage(clip(size=(63, 47), layout="yuv444p")) as source:
        for name, change in (
            ("a.gif", {}),
            ("a.mp4", {"codec": "prores"}),
            ("a.mp4", {"chroma": "420"}),
        ):
            with pytest.raises(BadOption):
                list(write_video(tmp_path / name, source, source, EncodeOptions(**change)))
            assert not (tmp_path / name).exists()


def test_a_run_that_ends_early_leaves_nothing(clip, tmp_path):
    with open_footage(clip()) as source:
        folder = tmp_path / "out"
        writing = write_video(folder / "a.mp4", source, source, GOOD)
        next(writing), next(writing)
        writing.close()
        assert list(folder.iterdir()) == []


def test_an_error_in_the_frames_leaves_the_old_file(clip, tmp_path):
    path = tmp_path / "out" / "a.mp4"
    path.parent.mkdir()
    path.write_bytes(b"old")

    def breaking():
        yield source[0]
        raise BadMedia("frame 1 is broken")

    with open_footage(clip()) as source, pytest.raises(BadMedia, match="frame 1"):
        list(write_video(path, breaking(), source, GOOD))
    assert path.read_bytes() == b"old" and len(list(path.parent.iterdir())) == 1


def test_no_frames_is_an_error(clip, tmp_path):
    with open_footage(clip()) as source, pytest.raises(BadMedia, match="no frames"):
        list(write_video(tmp_path / "out.mp4", [], source, GOOD))
    assert not (tmp_path / "out.mp4").exists()


def test_a_full_disk_is_said_and_leaves_nothing(clip, tmp_path, monkeypatch):
    class FullDisk(writer._Output):
        def write(self, data: object, /) -> int:
            self.problem = OSError(errno.ENOSPC, "No space left on device")
            raise self.problem

    monkeypatch.setattr(writer, "_Output", FullDisk)
    with (
        open_footage(clip()) as source,
        pytest.raises(CannotWrite, match=r"out\.mp4: the disk is full"),
    ):
        list(write_video(tmp_path / "new" / "out.mp4", source, source, GOOD))
    assert list((tmp_path / "new").iterdir()) == []


def test_frames_of_another_size_are_our_mistake(clip, tmp_path):
    with open_footage(clip()) as source, pytest.raises(ValueError, match="shape"):
        list(
            write_video(
                tmp_path / "out.mp4", [replace(source[0], image=source[0].image[:-2])], source, GOOD
            )
        )


def test_a_file_larger_than_allowed_or_a_full_disk_is_told_as_such(clip, tmp_path, capfd):
    """What FFmpeg makes of it is "error in callback"."""
    with open_footage(clip(size=(640, 480), codec="mpeg4", frames=20)) as footage:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        for suffix, bytes_at_most in (
            (".mp4", 0),
            (".mp4", 9000),
            (".mkv", 9000),
            (".mov", 40_000),
        ):
            out = tmp_path / f"out{suffix}"
            options = EncodeOptions(preset="ultrafast", crf=1)
            resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_at_most, hard))
            try:
                with pytest.raises(CannotWrite, match="the file is larger than this disk"):
                    list(write_video(out, footage, footage, options))
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert [each.name for each in tmp_path.iterdir()] == ["clip.mp4"]
    assert "Error" not in capfd.readouterr().err
