"""A video that is coded in parts and joined is the video that is coded in one go."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from fuzzing import mutations, rounds

from understudy.errors import BadMedia, BadOption
from understudy.io.footage.base import Footage
from understudy.io.open_footage import open_footage
from understudy.io.video import segment_file
from understudy.io.video.audio import AudioClip
from understudy.io.video.concat import EncodedPart, concat
from understudy.io.video.encode_options import EncodeOptions
from understudy.io.video.writer import write_part, write_video

GOOD = EncodeOptions(crf=4)
CLIP_SIZE = (64, 48)
UNEVEN = [0, 512, 600, 2048, 2560, 5000, 5120, 9000, 9001, 9600, 9700, 12000]


def coded(
    source: Footage, bounds: Sequence[int], folder: Path, options: EncodeOptions = GOOD
) -> list[EncodedPart]:
    """The footage in parts that begin and end at these frames."""
    parts = []
    for number, (first, end) in enumerate(itertools.pairwise(bounds)):
        path = folder / f"{first}.segment"
        # As another machine would, with other threads.
        list(write_part(path, source.frames(first, end), source, options, threads=number % 3))
        parts.append(EncodedPart(path, range(first, end), segment_file.digest(path)))
    return parts


def pictures(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        movie = segment_file.SegmentFile(file) if path.suffix == segment_file.SUFFIX else file
        container = av.open(movie)
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
    assert len(pictures(tmp_path / "3.segment")) == 1


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


@pytest.mark.parametrize(
    ("name", "options"), [("out.mp4", GOOD), ("out.mov", EncodeOptions(codec="prores"))]
)
def test_sound_pixels_and_comment_come_along(clip, packets, tmp_path, name, options):
    path = clip(frames=30, tracks=2)
    with open_footage(path) as source:
        source.pixel_aspect = Fraction(16, 11)
        list(
            concat(
                tmp_path / name,
                coded(source, (0, 12, 30), tmp_path, options),
                source,
                options,
                AudioClip(path),
                "made by a test",
            )
        )
    assert packets(tmp_path / name) == packets(path)
    with av.open(str(tmp_path / name)) as container:
        assert container.metadata["comment"] == "made by a test"
    with open_footage(tmp_path / name) as result:
        assert result.pixel_aspect == Fraction(16, 11)
    data = (tmp_path / name).read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_a_few_frames_with_the_sound_of_their_time(clip, packets, tmp_path):
    path = clip(frames=30, tracks=1)
    sound = AudioClip(path, start=Fraction(1, 3), stop=Fraction(2, 3))
    with open_footage(path) as source:
        list(
            concat(
                tmp_path / "out.mp4",
                coded(source, (10, 14, 20), tmp_path),
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
        parts = []
        for first in (0, 6):
            path = tmp_path / f"{first}.segment"
            list(write_part(path, frames[first : first + 6], source, options))
            parts.append(EncodedPart(path, range(first, first + 6), segment_file.digest(path)))
        list(concat(tmp_path / "out.mp4", parts, source, options))
    with open_footage(tmp_path / "out.mp4") as result:
        assert (len(result), result.fps) == (12, Fraction(25, 2))


def replace_rate(options: EncodeOptions, fps: float) -> EncodeOptions:
    return options.model_copy(update={"fps": fps})


def test_a_part_that_is_not_what_it_should_be_is_named(clip, tmp_path):
    with open_footage(clip()) as source:
        parts = coded(source, (0, 6, 12), tmp_path)

        def refused(others: Sequence[EncodedPart], why: str) -> None:
            with pytest.raises(BadMedia, match=rf"6\.segment: {why}"):
                list(concat(tmp_path / "out.mp4", [parts[0], *others], source, GOOD))

        refused([replace(parts[1], frames=range(6, 11))], r"holds 6 frames, not 5\. Delete it")
        data = parts[1].path.read_bytes()
        for number in range(rounds(20)):
            parts[1].path.write_bytes(next(iter(mutations(data, 1, number))))
            if parts[1].path.read_bytes() != data:
                refused([parts[1]], "changed since it was written")
        for start in range(0, len(data), len(data) // 9):
            parts[1].path.write_bytes(data[:start] + bytes(200) + data[start + 200 :])
            refused([parts[1]], "changed since it was written")
        # With a checksum that is right for it.
        for junk in (b"", data[:99], data[:40], bytes(5000)):
            parts[1].path.write_bytes(junk)
            sha256 = segment_file.digest(parts[1].path)
            refused([replace(parts[1], sha256=sha256)], r"cannot be read.*Delete it")
        parts[1].path.unlink()
        refused([parts[1]], "not readable: No such file")
        other = coded(source, (6, 12), tmp_path, EncodeOptions(chroma="444"))
        refused(other, r"coded by another version.*Delete it")
        with pytest.raises(BadOption, match="prores"):
            list(concat(tmp_path / "out.mp4", parts, source, EncodeOptions(codec="prores")))
    assert not (tmp_path / "out.mp4").exists()
    assert not list(tmp_path.glob(".*partial*"))


def test_no_player_finds_a_film_in_a_part(clip, tmp_path):
    """By no demuxer, and wherever it begins to look; not while it is written, either."""
    with open_footage(clip(frames=30)) as source:
        written: list[bytes] = []
        path = tmp_path / "0.segment"
        for _ in write_part(path, source, source, EncodeOptions(preset="ultrafast", crf=1)):
            written += [file.read_bytes() for file in tmp_path.glob(".*")]
        assert len(pictures(path)) == 30
    with path.open("rb") as file:
        assert playable(segment_file.SegmentFile(file).read(), None)
    looked = {data[:4096]: data for data in (*written, path.read_bytes()) if data}.values()
    for data in looked:
        for start in (0, 1, 16, len(data) // 2, data.index(b"\0") + 1):
            assert not playable(data[start:], None), start
    for name in demuxers():
        assert not playable(path.read_bytes(), name), name
    for word in (b"ftyp", b"moov", b"mdat", b"avc1", b"x264"):
        assert word not in path.read_bytes()


def demuxers() -> list[str]:
    found = []
    for name in sorted(av.formats_available):
        form = av.ContainerFormat(name)
        if form.is_input and not form.no_file:
            found.append(name)
    return found


def playable(data: bytes, name: str | None) -> bool:
    """Whether pictures of the clip's size come out: some take any bytes for pictures of theirs."""
    try:
        with av.open(io.BytesIO(data), format=name, options={"probesize": "100000"}) as container:
            frames = [
                frame
                for video in container.streams.video
                if video.codec_context is not None
                for packet in container.demux(video)
                for frame in packet.decode()
            ]
    except (av.FFmpegError, ValueError):
        return False
    return any((frame.width, frame.height) == CLIP_SIZE for frame in frames)


def test_a_part_is_read_from_any_place(tmp_path):
    data = bytes(np.random.default_rng(0).integers(0, 256, 200_000, np.uint8))
    with (
        (tmp_path / "a.segment").open("w+b") as file,
        segment_file.SegmentFile(file) as movie,
    ):
        for start in range(0, len(data), 70_001):
            movie.write(data[start : start + 70_001])
        movie.seek(3)
        movie.write(b"abc")
        changed = data[:3] + b"abc" + data[6:]
        for start in (0, 5, 65_530, 65_536, 140_000):
            assert movie.seek(start) == start and movie.read(70_000) == changed[start:][:70_000]
        assert movie.seek(-4, 2) == len(data) - 4 and movie.read() == changed[-4:]
        assert movie.seek(-4, 1) == movie.tell() == len(data) - 4
    (tmp_path / "b").write_bytes(b"a film")
    with (tmp_path / "b").open("rb") as file, pytest.raises(ValueError, match="begin"):
        segment_file.SegmentFile(file)
