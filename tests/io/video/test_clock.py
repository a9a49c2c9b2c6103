"""The source's clock does not leak: what is made of it starts at zero, and sound fits."""

from __future__ import annotations

import itertools
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from understudy.errors import CannotWrite
from understudy.io.open_footage import open_footage
from understudy.io.video import packets, writer
from understudy.io.video.audio import AudioClip, plan_sound
from understudy.io.video.timing.jumps import JumpFinder
from understudy.io.video.writer import EncodeOptions, write_video

CASES = Path(__file__).parents[2] / "data" / "footage"
SIZE = (64, 48)
WRAP = 2**33 / 90000
FAST = EncodeOptions(preset="ultrafast")


def settings(kind: str) -> dict[str, Any]:
    """Of the pictures of a kind of file, for the maker of clips."""
    options = {"g": "10", "bf": "2", "b": "2000000"}
    mpeg2 = {"codec": "mpeg2video", "options": options, "time_base": Fraction(1, 30)}
    return {**mpeg2, "sound": "mp2"} if kind == "mpg" else {}


def remade(path: Path, name: str = "out.mp4") -> Path:
    """What writing the frames and the sound of a clip gives."""
    out = path.parent / name
    with open_footage(path) as footage:
        list(write_video(out, footage, footage, FAST, AudioClip.of(footage)))
    return out


def shown(path: Path) -> list[float]:
    """When a player shows each frame."""
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def heard(path: Path) -> list[float]:
    """When a player plays each piece of the sound."""
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(audio=0)]


def assert_frame_exact(path: Path, count: int) -> None:
    """Each frame is the picture of its number, whether all are read or one."""
    with open_footage(path) as footage:
        images = [frame.image for frame in footage]
        assert len(images) == len(footage) == count
        blue = [round((image[..., 2].mean() - 40) / 12) % 15 for image in images]
        assert blue == [number % 15 for number in range(count)]
        for place in (count - 1, count // 2, 1, 0, count // 2 + 1):
            assert np.array_equal(footage[place].image, images[place]), place
        for key in footage.keyframes:
            assert np.array_equal(next(footage.frames(key)).image, images[key]), key


@pytest.mark.footage_kind(
    "the clock of a recording starts anywhere (transport streams, cameras)",
    "Presentation starts at 0, as players do it; sound keeps its place beside the picture.",
)
@pytest.mark.parametrize("name", ["before-wrap", "from-1.4s", "from-ten-hours"])
def test_a_result_starts_at_zero_whatever_the_clock(tmp_path, name):
    path = tmp_path / "clip.ts"
    path.write_bytes((CASES / f"clock-{name}.ts").read_bytes())
    out = remade(path)
    times = shown(out)
    assert len(times) == 30 and times[0] == 0 and max(np.diff(times)) < 0.04
    # A frame of sound lies before the picture in the source, and is not played.
    assert heard(out)[0] == pytest.approx(0, abs=0.03) and heard(out)[-1] < 1.02
    with av.open(str(out)) as container:
        assert container.start_time == 0 and container.duration < 1.1e6


@pytest.mark.parametrize("kind", ["ts", "m2ts", "mpg", "mkv", "flv", "mp4", "nut"])
def test_sound_stays_where_it_is_beside_the_picture(clip, kind):
    muxer = {"output_ts_offset": "500"}
    path = clip(f"a.{kind}", frames=30, tracks=1, muxer=muxer, **settings(kind))
    before = heard(path)[5] - shown(path)[0]
    out = remade(path)
    assert shown(out)[0] == 0 and len(shown(out)) == 30
    after = heard(out)
    assert min(abs(time - before) for time in after) < 0.002


@pytest.mark.parametrize("name", ["a.ts", "a.mkv", "a.mp4"])
def test_a_picture_that_starts_half_a_second_after_the_sound_does_so_in_the_result(clip, name):
    path = clip(name, frames=20, tracks=1, pts=[512 * (15 + number) for number in range(20)])
    before = shown(path)[0] - heard(path)[0]
    out = remade(path)
    assert shown(out)[0] - heard(out)[0] == pytest.approx(before, abs=0.03)
    assert 0.4 < shown(out)[0] < 0.6
    with open_footage(path) as footage:
        assert not footage.notes


def test_what_the_encoder_puts_before_the_sound_moves_no_picture(clip):
    for name in ("a.mp4", "a.mkv", "a.mov"):
        with open_footage(clip(name, tracks=1)) as footage:
            assert footage.pts[0] == 0 and footage.clock.origin == 0, name


JOINED = {
    "b follows a": (0, 0),
    "back by ten hours": (36000, 0),
    "back by one": (36000, 32400),
    "ahead by ten hours": (0, 36000),
}


@pytest.mark.footage_kind(
    "a transport or programme stream whose clock jumps, or that was joined of several",
    "Picture and sound go on from the last time; a note says before which frame.",
)
@pytest.mark.parametrize("starts", JOINED.values(), ids=list(JOINED))
@pytest.mark.parametrize("kind", ["ts", "mpg"])
def test_a_recording_whose_clock_jumps_goes_on_evenly(clip, kind, starts):
    parts = []
    for n, start in enumerate(starts):
        # Fifteen pictures differ, so the second clip goes on where the first one ends.
        muxer = {"output_ts_offset": str(start)}
        parts.append(clip(f"{n}.{kind}", frames=30, tracks=1, muxer=muxer, **settings(kind)))
    path = parts[0].with_name(f"joined.{kind}")
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert_frame_exact(path, 60)
    out = remade(path)
    times = shown(out)
    assert len(times) == 60 and times[0] == 0 and max(np.diff(times)) < 0.034
    played = heard(out)
    assert max(np.diff(played)) < 0.06 and played[-1] < 2.1
    with open_footage(path) as footage:
        assert [note for note in footage.notes if "before frame 30" in note and "jumps" in note]
        assert not any("missing" in note for note in footage.notes)


def test_a_recording_of_which_all_times_are_damaged_costs_no_more_than_others():
    finder, times = JumpFinder(0), np.random.default_rng(0).uniform(0, 90_000, 30_000)
    begun = time.monotonic()
    for place, when in enumerate(times.tolist()):
        finder.see(place % 2, 188 * place, when, 0.04)
    # Half a second on a quiet machine; more than a minute where each packet is held against all.
    assert time.monotonic() - begun < 15


@pytest.mark.parametrize("kind", ["ts", "mpg"])
def test_a_clock_that_wraps_runs_on(clip, kind):
    muxer = {"output_ts_offset": str(WRAP - 0.5)}
    path = clip(f"wrap.{kind}", frames=30, tracks=1, muxer=muxer, **settings(kind))
    assert_frame_exact(path, 30)
    times = shown(remade(path))
    assert len(times) == 30 and times[0] == 0 and max(np.diff(times)) < 0.034


def test_three_joined_recordings_keep_picture_and_sound_together(clip):
    parts = [clip(f"{n}.ts", frames=30, tracks=1) for n in range(3)]
    path = parts[0].with_name("joined.ts")
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert_frame_exact(path, 90)
    with open_footage(path) as footage:
        picture, sound = (footage.clock.jumps[stream] for stream in (0, 1))
        assert [taken for _, taken in picture] == [taken for _, taken in sound]
        assert "before frame 30, 60." in footage.notes[0]


@pytest.mark.parametrize("seconds", [3600, 5, -3])
@pytest.mark.parametrize("of", ["picture", "sound"])
def test_one_damaged_time_of_a_recording_moves_nothing_else(clip, of, seconds):
    path = clip("damaged.ts", frames=45, tracks=1)
    data = bytearray(path.read_bytes())
    begin = b"\0\0\1\xe0" if of == "picture" else b"\0\0\1\xc0"
    found = [
        place + data[place : place + 188].find(begin)
        for place in range(0, len(data), 188)
        if begin in data[place : place + 188]
    ]
    header = found[20 if of == "picture" else 1]
    for place in (header + 9, header + 14)[: 1 + (data[header + 7] >> 6 == 3)]:
        data[place : place + 5] = moved(data[place : place + 5], round(90000 * seconds))
    path.write_bytes(data)
    assert_frame_exact(path, 45)
    out = remade(path)
    assert max(np.diff(shown(out))) < 0.034 and max(np.diff(heard(out))) < 0.06
    assert abs(heard(out)[-1] - shown(out)[-1]) < 0.1


def moved(stamp: bytes, ticks: int) -> bytes:
    """A time stamp of a transport stream, so many ticks later."""
    head, *rest = stamp
    time = (head >> 1 & 7) << 30 | rest[0] << 22 | rest[1] >> 1 << 15 | rest[2] << 7 | rest[3] >> 1
    time = (time + ticks) % 2**33
    return bytes(
        [
            head & 0xF0 | time >> 30 << 1 | 1,
            time >> 22 & 255,
            time >> 14 & 254 | 1,
            time >> 7 & 255,
            time << 1 & 254 | 1,
        ]
    )


@pytest.mark.footage_kind(
    "a transport stream with other tracks later on (recordings of other programmes, joined)",
    "The tracks of its beginning count; a warning names the others.",
)
def test_tracks_that_a_recording_has_only_later_are_told(clip):
    parts = [clip("0.ts", frames=30, tracks=1)]
    other = {"mpegts_start_pid": "500", "mpegts_pmt_start_pid": "5000", "mpegts_service_id": "9"}
    parts.append(clip("1.ts", frames=30, tracks=1, muxer=other))
    # The same numbers, and another codec.
    parts.append(clip("2.ts", frames=30, tracks=1, sound="ac3"))
    told = []
    for part in parts:
        path = part.with_name(f"joined-{part.name}")
        path.write_bytes(parts[0].read_bytes() + part.read_bytes())
        with open_footage(path) as footage:
            assert len(footage) == (30 if part == parts[1] else 60)
            told.append(" ".join(footage.warnings))
    assert told[0] == ""
    assert "pictures (h264), sound (aac). They are not read" in told[1]
    assert "sound (ac3)" in told[2] and "pictures" not in told[2]


def test_a_pause_of_some_seconds_is_no_jump(clip):
    pts = [number * 512 + (number >= 10) * 15360 * 4 for number in range(20)]
    path = clip("pause.ts", frames=20, pts=pts)
    times = shown(remade_silent(path))
    assert times[10] - times[9] == pytest.approx(4 + 1 / 30, abs=0.001)
    with open_footage(path) as footage:
        assert not any("jumps" in note for note in footage.notes)


def remade_silent(path: Path) -> Path:
    out = path.with_name("out.mp4")
    with open_footage(path) as footage:
        list(write_video(out, footage, footage, FAST))
    return out


def test_frames_without_a_time_lie_evenly_between_the_others(clip):
    path = clip("all.ts", frames=30)
    data = bytearray(path.read_bytes())
    for number, start in enumerate(range(0, len(data), 188)):
        packet = data[start : start + 188]
        # A packet of pictures in which a frame begins, with a time: of some, that is taken out.
        begin = packet.find(b"\0\0\1\xe0")
        if begin >= 0 and number % 3 == 0 and packet[begin + 7] & 0xC0:
            length = packet[begin + 8]
            data[start + begin + 7] &= 0x3F
            data[start + begin + 9 : start + begin + 9 + length] = b"\xff" * length
    path.write_bytes(data)
    with av.open(str(path)) as container:
        absent = [each.pts for each in container.demux(video=0) if each.size].count(None)
    assert absent > 2
    assert_frame_exact(path, 30)
    assert max(np.diff(shown(remade_silent(path)))) < 0.035


@pytest.mark.footage_kind(
    "a frame whose time makes no sense (damage)",
    "It lies evenly between its neighbours; a note names it.",
)
@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.wmv"])
@pytest.mark.parametrize("where", [7, 19])
def test_an_absurd_time_makes_no_absurd_result(clip, monkeypatch, name, where):
    codec = "wmv2" if name == "a.wmv" else "mjpeg"
    layout = "yuv420p" if name == "a.wmv" else "yuvj420p"
    path = clip(name, frames=20, codec=codec, layout=layout, options={"g": "5", "b": "2000000"})
    demux = packets._demux

    def damaged(container, streams):
        pictures = itertools.count()
        for packet in demux(container, streams):
            if packet.size and packet.stream.type == "video" and next(pictures) == where:
                packet.pts += 3_400_000_000
                packet.dts += 3_400_000_000
            yield packet

    with monkeypatch.context() as patch:
        patch.setattr(packets, "_demux", damaged)
        times = shown(remade_silent(path))
        with open_footage(path) as footage:
            assert any(f"frame {where}." in note for note in footage.notes)
    assert len(times) == 20 and max(np.diff(times)) < 0.07 and times[-1] < 0.7


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.flv"])
@pytest.mark.parametrize("where", [0, 9, 30])
@pytest.mark.parametrize("seconds", [65, 3_400_000])
def test_an_absurd_time_of_sound_neither_lengthens_nor_silences_the_result(
    clip, monkeypatch, name, where, seconds
):
    path = clip(name, frames=30, tracks=1)
    demux = packets._demux

    def damaged(container, streams):
        sounds = itertools.count()
        for packet in demux(container, streams):
            if packet.size and packet.stream.type == "audio" and next(sounds) == where:
                packet.pts += round(seconds / packet.time_base)
                packet.dts = packet.pts
            yield packet

    with open_footage(path) as footage:
        plan = plan_sound(AudioClip.of(footage), ".mp4")
        with monkeypatch.context() as patch:
            patch.setattr(packets, "_demux", damaged)
            out = path.with_name("out.mp4")
            list(write_video(out, footage, footage, FAST, plan))
    assert "makes no sense: 1" in plan.losses[0]
    times = heard(out)
    assert len(times) > 40 and max(np.diff(times)) < 0.05 and times[-1] < 1.1


def test_a_pause_in_the_sound_stays(clip, monkeypatch):
    path = clip("a.mkv", frames=30, tracks=1)
    demux = packets._demux

    def paused(container, streams):
        sounds = itertools.count()
        for packet in demux(container, streams):
            if packet.size and packet.stream.type == "audio" and next(sounds) >= 20:
                packet.pts += round(3 / packet.time_base)
                packet.dts = packet.pts
            yield packet

    monkeypatch.setattr(packets, "_demux", paused)
    assert max(np.diff(heard(remade(path)))) == pytest.approx(3, abs=0.05)


def test_a_result_that_shows_other_frames_is_an_error_and_is_not_kept(clip, monkeypatch):
    path = clip(frames=12)
    out = path.with_name("out.mp4")
    mux = writer._mux_packets

    def late(output, packets, *others):
        for packet in packets:
            packet.pts, packet.dts = packet.pts + 15360, packet.dts + 15360
        return mux(output, packets, *others)

    def lossy(output, packets, *others):
        return mux(output, [each for each in packets if each.pts != 2048], *others) + len(
            [each for each in packets if each.pts == 2048]
        )

    for fault, words in ((late, "frame 0 at 1.0"), (lossy, "shows 11 frames, not 12")):
        monkeypatch.setattr(writer, "_mux_packets", fault)
        with open_footage(path) as footage, pytest.raises(CannotWrite, match=words):
            list(write_video(out, footage, footage, FAST))
        assert not out.exists()
