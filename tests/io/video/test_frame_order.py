"""When frames are shown where the file tells when they are decoded, or tells it in a tag."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from understudy.io.open_footage import open_footage
from understudy.io.video.audio import AudioClip
from understudy.io.video.timing.frame_times import mend_times
from understudy.io.video.writer import EncodeOptions, write_video

CASES = Path(__file__).parents[2] / "data" / "footage"


def shown(path: Path) -> list[float]:
    """When a player shows each frame of what writing the clip's frames gives."""
    out = path.with_name("out.mp4")
    with open_footage(path) as footage:
        sound = AudioClip.of(footage) if footage.has_audio else None
        list(write_video(out, footage, footage, EncodeOptions(preset="ultrafast"), sound))
    with av.open(str(out)) as container:
        return [frame.time for frame in container.decode(video=0)]


def assert_even_and_exact(path: Path, count: int) -> None:
    """Every frame once, in order, as long as the others; any one is found by its number."""
    times = shown(path)
    assert len(times) == count and np.ptp(np.diff(times)) < 0.001
    with open_footage(path) as footage:
        assert not footage.warnings and not any("missing" in note for note in footage.notes)
        images = [frame.image for frame in footage]
        for place in (count - 1, count // 2, 1, count // 3, 0):
            assert np.array_equal(footage[place].image, images[place]), place


@pytest.mark.footage_kind(
    "an AVI with B-frames, packed or not, which tells only in which order to decode",
    "Every frame once, evenly, in the order in which they are shown.",
)
def test_b_frames_in_an_avi_are_shown_evenly(tmp_path):
    path = tmp_path / "clip.avi"
    path.write_bytes((CASES / "bframes.avi").read_bytes())
    assert_even_and_exact(path, 30)


AVI = {
    "pyramid": ("libx264", {"g": "20", "bf": "3", "b-pyramid": "normal", "sc_threshold": "0"}),
    "none at first": ("libx264", {"g": "12", "x264-params": "bframes=3:b-adapt=2"}),
    "mpeg4": ("mpeg4", {"g": "12", "bf": "2", "b": "800000"}),
    "mpeg2": ("mpeg2video", {"g": "12", "bf": "2", "b": "1500000"}),
}


@pytest.mark.parametrize("tracks", [0, 1])
@pytest.mark.parametrize(("codec", "options"), AVI.values(), ids=list(AVI))
def test_any_b_frames_in_an_avi(clip, codec, options, tracks):
    path = clip(
        "clip.avi",
        frames=40,
        codec=codec,
        options=dict(options),
        tracks=tracks,
        sound="libmp3lame",
        time_base=Fraction(1, 30),
    )
    assert_even_and_exact(path, 40)
    with open_footage(path) as footage:
        blue = [round((frame.image[..., 2].mean() - 40) / 12) % 15 for frame in footage]
        assert blue == [number % 15 for number in range(40)]
        assert len(footage.keyframes) > 1


@pytest.mark.parametrize("codec", ["mpeg4", "mjpeg"])
def test_the_first_frame_of_an_avi_is_not_shown_longer_because_of_the_sound(clip, codec):
    # The encoder puts 25 ms before the sound, for which FFmpeg writes an empty frame 1.
    path = clip(
        "clip.avi",
        frames=20,
        codec=codec,
        layout="yuvj420p" if codec == "mjpeg" else "yuv420p",
        options={"g": "5", "b": "800000"},
        tracks=1,
        sound="libmp3lame",
        time_base=Fraction(1, 30),
    )
    with av.open(str(path)) as container:
        assert [packet.dts for packet in container.demux(video=0)][:3] == [0, 2, 3]
    assert_even_and_exact(path, 20)


def test_two_frames_in_a_packet_are_two_frames(clip, tmp_path):
    source = clip(
        "plain.avi",
        frames=27,
        codec="mpeg4",
        options={
            "g": "9",
            "bf": "1",
            "b": "800000",
            "b_strategy": "0",
            "sc_threshold": "1000000000",
        },
        time_base=Fraction(1, 30),
    )
    with av.open(str(source)) as container:
        coded = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    path = tmp_path / "packed.avi"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number, data in enumerate(packed(coded)):
            packet = av.Packet(data)
            packet.pts = packet.dts = number
            packet.time_base, packet.stream = Fraction(1, 30), stream
            packet.is_keyframe = kind_of_frame(data) == "I"
            output.mux(packet)
    assert_even_and_exact(path, 27)


def packed(coded: list[bytes]) -> list[bytes]:
    """MPEG-4 as DivX and XviD wrote it: a B-frame with the one after it, then an empty packet."""
    begin = coded[0].index(b"\0\0\1\xb6")
    told = coded[0][:begin] + b"\0\0\1\xb2DivX503b1393p" + coded[0][begin:]
    result: list[bytes] = []
    for data in [told, *coded[1:]]:
        if kind_of_frame(data) == "B":
            result[-1] += data
            result.append(b"\0\0\1\xb6\x51\x2b\0")
        else:
            result.append(data)
    return result


def kind_of_frame(data: bytes) -> str:
    return "IPBS"[data[data.index(b"\0\0\1\xb6") + 4] >> 6]


@pytest.mark.footage_kind(
    "durations in text tags (Matroska), true or not", "Notes, no promise: frames count."
)
@pytest.mark.parametrize(
    "stated", [b"00:59:59.000000000", b"00:00:00.000000001", b"99:99:99.9999999-1"]
)
def test_what_a_tag_says_of_the_duration_is_no_promise(clip, stated):
    path = clip("clip.mkv", frames=30, tracks=1)
    data = path.read_bytes()
    assert data.count(b"00:00:01.") >= 1
    for place in range(len(data)):
        if data.startswith(b"00:00:01.", place):
            data = data[:place] + stated + data[place + len(stated) :]
    path.write_bytes(data)
    with open_footage(path) as footage:
        assert len(footage) == 30 and not footage.is_cut_off and not footage.warnings


@pytest.mark.parametrize(
    ("stamps", "expected", "wrong"),
    [
        ([1, 3, 4, 2, 6, 5, 8, 9, 7], [1, 2, 3, 4, 5, 6, 7, 8, 9], []),
        ([0, 40, 80, 3405775368, 160, 200], [0, 40, 80, 120, 160, 200], [3]),
        ([0, 40, 80, 120, 160, 3405775368], [0, 40, 80, 120, 160, 200], [5]),
        ([10**9, 10**9 + 40, 80, 120, 160, 200], [0, 40, 80, 120, 160, 200], [0, 1]),
        ([None, 40, None, None, 160, None], [0, 40, 80, 120, 160, 200], []),
        ([0, 40, 40, 120], [0, 40, 80, 120], [2]),
        ([0, 40, 80, 10**6, 3 * 10**6], [0, 40, 80, 120, 160], [3, 4]),
        ([None, None, None], [0, 33, 66], []),
        ([7], [7], []),
    ],
)
def test_times_are_mended_as_little_as_possible(stamps, expected, wrong):
    assert mend_times(stamps, usual=33, longest=100_000) == (expected, wrong)
