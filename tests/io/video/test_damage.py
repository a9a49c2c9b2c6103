"""Damage in the middle of a clip: decoded around, listed, and every other frame is the right one
under its right number.
"""

from __future__ import annotations

import time
from pathlib import Path

import av
import numpy as np
import pytest

from understudy.errors import BadMedia
from understudy.io.footage.base import BadFrame, Footage
from understudy.io.open_footage import open_footage
from understudy.io.video import reader

SIZE = (64, 48)
# Frames a group, so keyframes are 0, 12, 24, 36, 48.
GROUP = 12
KINDS = {
    "mp4": ("h264.mp4", "libx264", {"g": str(GROUP), "bf": "2", "sc_threshold": "0"}),
    "mkv": ("h264.mkv", "libx264", {"g": str(GROUP), "bf": "2", "sc_threshold": "0"}),
    "avi": ("mpeg4.avi", "mpeg4", {"g": str(GROUP), "b": "2000000"}),
    "mov": ("prores.mov", "prores_ks", {}),
}


@pytest.fixture(params=KINDS)
def long_clip(request, clip) -> Path:
    """Sixty frames of each kind."""
    name, codec, options = KINDS[request.param]
    layout = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
    return clip(name, frames=60, codec=codec, options=options, layout=layout)


def position(path: Path, number: int) -> int:
    """Where packet `number` lies in the file."""
    with av.open(str(path)) as source:
        return int([packet.pos for packet in source.demux(video=0) if packet.size][number])


def spoil(path: Path, number: int, seed: int = 0) -> None:
    """Overwrite the data of the packet whose frame is shown as `number`, as a bad disk would."""
    with av.open(str(path)) as source:
        packets = sorted(
            (packet for packet in source.demux(video=0) if packet.size),
            key=lambda packet: packet.pts,
        )
    data = bytearray(path.read_bytes())
    spoilt = packets[number]
    data[spoilt.pos + 8 : spoilt.pos + spoilt.size] = np.random.default_rng(seed).bytes(
        spoilt.size - 8
    )
    path.write_bytes(data)


def tried(footage: Footage, *ranges: range) -> dict[int, np.ndarray | str]:
    """Each frame's picture, or why there is none."""
    attempts = (
        each
        for part in ranges or (range(len(footage)),)
        for each in footage.iter_frames_or_bad(part)
    )
    return {
        each.index: each.reason if isinstance(each, BadFrame) else each.image for each in attempts
    }


def bad(found: dict[int, np.ndarray | str]) -> list[int]:
    return [index for index, each in found.items() if isinstance(each, str)]


def test_frames_around_a_damaged_one_keep_their_numbers_and_pictures(long_clip):
    with open_footage(long_clip) as footage:
        whole, times = tried(footage), footage.pts
    spoil(long_clip, 30)
    with open_footage(long_clip, threads=1) as footage:
        found = tried(footage)
        assert footage.pts == times and list(found) == list(range(60))
        assert 30 in bad(found) and set(bad(found)) <= set(range(24, 36))
        assert f"{long_clip}, frame 30: " in found[30]
        for index in (*range(24), *range(36, 60)):
            assert np.array_equal(found[index], whole[index])
        with pytest.raises(BadMedia, match=r"frame \d+: "):
            list(footage)


def test_a_lost_keyframe_takes_those_with_it_that_build_on_it(long_clip):
    spoil(long_clip, 24)
    with open_footage(long_clip, threads=1) as footage:
        # prores: every frame is a keyframe.
        last = 24 if long_clip.suffix == ".mov" else 35
        found = tried(footage)
        assert set(range(24, last + 1)) <= set(bad(found)) <= set(range(21, last + 1))
        assert last == 24 or "builds on frame 24" in found[35]


@pytest.mark.parametrize("number", [0, 12, 30, 47])
def test_chunks_tell_the_same_as_one_pass(clip, number):
    path = clip(frames=60, options=KINDS["mp4"][2])
    spoil(path, number)
    with open_footage(path, threads=1) as footage:
        one_pass = tried(footage)
        starts = footage.keyframes
        assert starts == [0, 12, 24, 36, 48] and one_pass
        chunks = tried(
            footage,
            *(range(start, stop) for start, stop in zip(starts, [*starts[1:], 60], strict=True)),
        )
        assert bad(chunks) == bad(one_pass) != []
        assert all(np.array_equal(chunks[index], one_pass[index]) for index in range(60))
        middle = tried(footage, range(50, 53), range(7, 9), range(16, 18), range(26, 29))
        assert all(np.array_equal(middle[index], one_pass[index]) for index in middle)


def test_a_hole_over_many_keyframes_costs_one_pass(clip):
    path = clip(frames=400, options={"g": "4", "bf": "0", "sc_threshold": "0"})
    # The processor's time, which no other work on the machine makes longer.
    with open_footage(path) as footage:
        began = time.process_time()
        assert not bad(tried(footage))
        whole = time.process_time() - began
    data = bytearray(path.read_bytes())
    data[len(data) // 4 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 4)
    path.write_bytes(data)
    with open_footage(path) as footage:
        began = time.process_time()
        found = tried(footage)
        assert time.process_time() - began < 3 * whole + 0.5
        assert len(found) == 400 and len(bad(found)) > 80
        last = bad(found)[-1]
        # A seek into the hole steps back over it.
        began = time.process_time()
        assert bad(tried(footage, range(last, last + 2))) == [last]
        assert time.process_time() - began < 2 * whole + 0.5


def test_the_random_access_goes_on_after_a_damaged_frame(clip):
    path = clip(frames=60, options=KINDS["mp4"][2])
    spoil(path, 24)
    with open_footage(path) as footage:
        assert footage[20].index == 20
        with pytest.raises(BadMedia, match="frame 24"):
            footage[24]
        assert footage[40].index == 40


def test_a_hole_that_swallows_packets_is_told(clip, shown):
    path = clip("hole.mkv", frames=60, options=KINDS["mkv"][2], muxer={"cluster_time_limit": "200"})
    start, stop = position(path, 20), position(path, 30)
    data = bytearray(path.read_bytes())
    data[start:stop] = bytes(stop - start)
    path.write_bytes(data)
    with open_footage(path) as footage:
        found = tried(footage)
        assert 30 < len(footage) < 60 and "missing" in footage.notes[0]
        ends = [
            np.abs(found[place] - shown(number, SIZE).astype(int)).mean()
            for place, number in ((0, 0), (len(footage) - 1, 59))
        ]
        assert max(ends) < 3


@pytest.mark.parametrize("kind", ["mkv", "avi"])
def test_a_truncated_tail_is_told_and_what_is_before_it_is_there(clip, kind):
    name, codec, options = KINDS[kind]
    path = clip(name, frames=60, codec=codec, options=options)
    path.write_bytes(path.read_bytes()[: position(path, 40) + 20])
    with open_footage(path) as footage:
        found = tried(footage)
        assert footage.is_cut_off and 20 < len(footage) < 55 and not bad(found)
        assert (
            "cut off or damaged" in footage.warnings[0] and "of 2.00 seconds" in footage.warnings[0]
        )


def test_with_an_index_nothing_is_read_again(clip, monkeypatch):
    path = clip(frames=30, rotation=90, tracks=1)
    with open_footage(path) as footage:
        index, whole = footage.index, tried(footage)
    monkeypatch.setattr(reader, "read_index", None)
    with open_footage(path, index=index, threads=1) as again:
        assert (again.size, again.fps, again.pts, again.color) == (
            footage.size,
            footage.fps,
            footage.pts,
            footage.color,
        )
        assert again.has_audio and again.keyframes == footage.keyframes and len(again) == 30
        assert all(
            np.array_equal(whole[place], image)
            for place, image in tried(again, range(11, 30)).items()
        )
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(BadMedia, match="not the file"):
        open_footage(path, index=index)
