"""A video that is coded in parts and joined is the video that is coded in one go."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from understudy.errors import BadMedia, BadOption
from understudy.io.footage.base import Footage
from understudy.io.open_footage import open_footage
from understudy.io.video.audio import AudioClip
from understudy.io.video.concat import EncodedPart, concat
from understudy.io.video.writer import EncodeOptions, write_part, write_video

GOOD = EncodeOptions(crf=4)
UNEVEN = [0, 512, 600, 2048, 2560, 5000, 5120, 9000, 9001, 9600, 9700, 12000]


def coded(
    source: Footage, bounds: Sequence[int], folder: Path, options: EncodeOptions = GOOD
) -> list[EncodedPart]:
    """The footage in parts that begin and end at these frames."""
    parts = [
        EncodedPart(folder / f"{first}.mov", range(first, end))
        for first, end in itertools.pairwise(bounds)
    ]
    for number, part in enumerate(parts):
        # As another machine would, with other threads.
        list(
            write_part(
                part.path,
                source.frames(part.frames.start, part.frames.stop),
                source,
                options,
                threads=number % 3,
            )
        )
    return parts


def pictures(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def times(path: Path) -> list[tuple[int | None, int | None, int | None]]:
    with av.open(str(path)) as container:
        return [
            (packet.pts, packet.dts, packet.duration)
            for packet in container.demux(video=0)
            if packet.size
        ]


@pytest.mark.parametrize(
    ("kind", "options", "name"),
    [
        ({}, GOOD, "out.mp4"),
        ({}, EncodeOptions(bitrate=2), "out.mp4"),
        ({"pts": UNEVEN}, GOOD, "out.mp4"),
        ({"pts": [7000 + 512 * n for n in range(12)]}, GOOD, "out.mp4"),
        (
            {"layout": "yuv420p10le", "tags": (9, 16, 9, 1)},
            EncodeOptions(codec="h265", crf=4),
            "out.mp4",
        ),
        ({"pts": UNEVEN}, EncodeOptions(codec="h265", crf=4), "out.mov"),
        ({"tags": (1, 1, 1, 2)}, EncodeOptions(codec="prores"), "out.mov"),
        ({"size": (63, 47), "layout": "yuv444p"}, EncodeOptions(codec="prores"), "out.mov"),
        ({"name": "a.ts", "time_base": Fraction(1, 90000)}, GOOD, "out.mp4"),
    ],
    ids=["plain", "bitrate", "uneven", "late", "hdr", "h265", "prores", "prores-444", "ts"],
)
def test_the_joined_video_is_the_one_coded_in_one_go(clip, tmp_path, kind, options, name):
    with open_footage(clip(**kind)) as source:
        (tmp_path / "whole").mkdir()
        list(write_video(tmp_path / "whole" / name, source, source, options))
        assert list(
            concat(
                tmp_path / name, coded(source, (0, 5, 6, 12), tmp_path, options), source, options
            )
        ) == [5, 6, 12]
    with open_footage(tmp_path / "whole" / name) as one, open_footage(tmp_path / name) as other:
        assert other.pts == one.pts and other.time_base == one.time_base
        for fact in ("fps", "size", "bits", "color", "pixel_aspect", "is_cut_off", "notes"):
            assert getattr(other, fact) == getattr(one, fact), fact
        for left, right in zip(one, other, strict=True):
            scale = 257 if left.image.dtype == np.uint16 else 1
            assert np.abs(left.image.astype(int) - right.image.astype(int)).mean() < 1.5 * scale
    with av.open(str(tmp_path / "whole" / name)) as one, av.open(str(tmp_path / name)) as other:
        assert (
            other.streams.video[0].codec_context.codec_tag
            == one.streams.video[0].codec_context.codec_tag
        )
        # A container adds up the times between decoding: where frames come unevenly, the end
        # depends on which came last.
        assert "pts" in kind or other.duration == one.duration
    if options.codec == "prores":
        assert pictures(tmp_path / name) == pictures(tmp_path / "whole" / name)
        assert times(tmp_path / name) == times(tmp_path / "whole" / name)


def test_a_part_may_be_a_single_frame(clip, tmp_path):
    options = EncodeOptions(codec="h265", preset="ultrafast")
    with open_footage(clip()) as source:
        for _ in range(20):
            coded(source, (3, 4), tmp_path, options)
    with open_footage(tmp_path / "3.mov") as result:
        assert result.pts == [0]


def test_the_parts_packets_are_copied_and_their_times_run_on(clip, tmp_path):
    with open_footage(clip(frames=40)) as source:
        parts = coded(source, (0, 13, 14, 30, 40), tmp_path)
        list(concat(tmp_path / "out.mp4", parts, source, GOOD))
    assert pictures(tmp_path / "out.mp4") == [
        each for part in parts for each in pictures(part.path)
    ]
    told = times(tmp_path / "out.mp4")
    assert all(earlier[1] < later[1] for earlier, later in itertools.pairwise(told))
    assert all(shown >= due and stays == 512 for shown, due, stays in told)


def test_decoding_may_begin_at_every_part(clip, tmp_path):
    with open_footage(clip(frames=30)) as source:
        list(concat(tmp_path / "out.mp4", coded(source, (0, 11, 20, 30), tmp_path), source, GOOD))
    with open_footage(tmp_path / "out.mp4") as result:
        assert {0, 11, 20} <= set(result.keyframes)
        assert [result[index].index for index in (20, 11)] == [20, 11]


def test_sound_pixels_and_comment_come_along(clip, packets, tmp_path):
    path = clip(frames=30, tracks=2)
    with open_footage(path) as source:
        source.pixel_aspect = Fraction(16, 11)
        list(
            concat(
                tmp_path / "out.mp4",
                coded(source, (0, 12, 30), tmp_path),
                source,
                GOOD,
                AudioClip(path),
                "made by a test",
            )
        )
    assert packets(tmp_path / "out.mp4") == packets(path)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.metadata["comment"] == "made by a test"
    with open_footage(tmp_path / "out.mp4") as result:
        assert result.pixel_aspect == Fraction(16, 11)
    data = (tmp_path / "out.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_a_few_frames_with_the_sound_of_their_time(clip, packets, tmp_path):
    path = clip(frames=30, tracks=1)
    sound = AudioClip(path, start=Fraction(1, 3), stop=Fraction(2, 3))
    with open_footage(path) as source:
        list(
            concat(
                tmp_path / "out.mp4",
                [coded(source, (10, 14, 20), tmp_path)[each] for each in (0, 1)],
                source,
                GOOD,
                sound,
            )
        )
    with open_footage(tmp_path / "out.mp4") as result:
        assert result.pts == [512 * number for number in range(10)]
    (track,) = packets(tmp_path / "out.mp4")
    assert len(track) > 10 and {data for data, _, _ in track} < {
        data for data, _, _ in packets(path)[0]
    }


def test_pictures_become_a_video_of_the_rate_asked_for(clip, tmp_path, shown):
    with open_footage(clip()) as source:
        source.is_video = False
        frames = [replace(frame, pts=None, time_base=None) for frame in source]
        options = replace_rate(GOOD, 12.5)
        parts = [
            EncodedPart(tmp_path / f"{first}.mov", range(first, first + 6)) for first in (0, 6)
        ]
        for part in parts:
            list(
                write_part(part.path, frames[part.frames.start : part.frames.stop], source, options)
            )
        list(concat(tmp_path / "out.mp4", parts, source, options))
    with open_footage(tmp_path / "out.mp4") as result:
        assert (len(result), result.fps) == (12, Fraction(25, 2))


def replace_rate(options: EncodeOptions, fps: float) -> EncodeOptions:
    return options.model_copy(update={"fps": fps})


def test_a_part_that_is_damaged_or_not_like_the_others_is_named(clip, tmp_path):
    with open_footage(clip()) as source:
        parts = coded(source, (0, 6, 12), tmp_path)
        with pytest.raises(BadMedia, match=r"6\.mov: holds 6 frames, not 5\. Delete it"):
            list(
                concat(
                    tmp_path / "out.mp4",
                    [parts[0], EncodedPart(parts[1].path, range(6, 11))],
                    source,
                    GOOD,
                )
            )
        parts[1].path.write_bytes(parts[1].path.read_bytes()[:99])
        with pytest.raises(BadMedia, match=r"6\.mov: cannot be read.*Delete it"):
            list(concat(tmp_path / "out.mp4", parts, source, GOOD))
        other = coded(source, (6, 12), tmp_path, EncodeOptions(chroma="444"))
        with pytest.raises(BadMedia, match=r"6\.mov: coded by another version.*Delete it"):
            list(concat(tmp_path / "out.mp4", [parts[0], *other], source, GOOD))
        with pytest.raises(BadOption, match="prores"):
            list(concat(tmp_path / "out.mp4", parts, source, EncodeOptions(codec="prores")))
    assert not (tmp_path / "out.mp4").exists()
    assert not list(tmp_path.glob(".*partial*"))
