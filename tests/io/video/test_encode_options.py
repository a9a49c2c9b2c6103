"""What `auto` encodes in, as another reader finds it in the file."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av.sidedata.sidedata import Type

from understudy.io.open_footage import open_footage
from understudy.io.video.color import _mastering, light_levels
from understudy.io.video.encode_options import EncodeOptions, encoding_notes
from understudy.io.video.writer import write_video

PQ = (9, 16, 9, 1)
LIGHT = (
    "log-level=error:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)"
    "L(10000000,50):max-cll=1000,400"
)


def written(source: Path, name: str = "out.mp4", **options: object) -> dict[str, object]:
    """The codec, its tag, the pixel format and HDR's light of what is written like `source`."""
    out = source.with_name(name)
    with open_footage(source) as footage:
        list(write_video(out, iter(footage), footage, EncodeOptions(preset="ultrafast", **options)))
    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        light = {
            kind.name: bytes(frame.side_data.get(kind) or b"").hex()
            for kind in (Type.MASTERING_DISPLAY_METADATA, Type.CONTENT_LIGHT_LEVEL)
        }
        return {
            "codec": stream.codec_context.name,
            "tag": stream.codec_context.codec_tag,
            "layout": frame.format.name,
            "trc": int(frame.color_trc),
            **light,
        }


@pytest.mark.parametrize(
    ("layout", "codec", "expected"),
    [
        ("yuv420p", "libx264", ("h264", "avc1", "yuv420p")),
        ("yuvj420p", "mjpeg", ("h264", "avc1", "yuv420p")),
        ("yuv411p", "dvvideo", ("h264", "avc1", "yuv420p")),
        ("gray", "ffv1", ("h264", "avc1", "yuv420p")),
        ("bgr0", "ffv1", ("h264", "avc1", "yuv420p")),
        ("yuv420p10le", "libx265", ("hevc", "hvc1", "yuv420p10le")),
        ("yuv422p", "ffv1", ("hevc", "hvc1", "yuv422p")),
        ("yuv422p10le", "prores_ks", ("hevc", "hvc1", "yuv422p10le")),
        ("yuv444p", "libx264", ("hevc", "hvc1", "yuv444p")),
        ("yuv444p12le", "ffv1", ("hevc", "hvc1", "yuv444p10le")),
    ],
)
def test_auto_keeps_depth_and_chroma_in_what_players_take(clip, layout, codec, expected):
    size, options = ((720, 480), {}) if codec == "dvvideo" else ((64, 48), None)
    suffix = {"prores_ks": ".mov", "ffv1": ".mkv", "mjpeg": ".avi", "dvvideo": ".avi"}.get(codec)
    source = clip(
        f"in{suffix or '.mp4'}", frames=3, size=size, codec=codec, layout=layout, options=options
    )
    found = written(source)
    assert (found["codec"], found["tag"], found["layout"].replace("yuvj", "yuv")) == expected


@pytest.mark.footage_kind(
    "10 bits and more, HDR (phones, cameras)",
    "The result is HEVC (h265, tag hvc1) with 10 bits, which phones and hardware players take; how"
    " bright HDR was mastered is passed on. `merge` says so first.",
)
def test_hdr_stays_what_phones_play(clip):
    source = clip(
        frames=3, codec="libx265", layout="yuv420p10le", tags=PQ, options={"x265-params": LIGHT}
    )
    found = written(source)
    assert (found["codec"], found["layout"]) == ("hevc", "yuv420p10le")
    assert found["trc"] == 16
    with av.open(str(source)) as container:
        frame = next(container.decode(video=0))
        for kind in (Type.MASTERING_DISPLAY_METADATA, Type.CONTENT_LIGHT_LEVEL):
            assert found[kind.name] == bytes(frame.side_data.get(kind)).hex() != ""
    # H.264 has room for the same.
    other = written(source, "other.mp4", codec="h264")
    assert other["codec"] == "h264"
    assert other[Type.CONTENT_LIGHT_LEVEL.name] == found[Type.CONTENT_LIGHT_LEVEL.name]


@pytest.mark.footage_kind(
    "finer colour than usual (4:2:2, 4:4:4)",
    "It stays so, in HEVC. Few phones play that: `--encode.chroma 420` makes it what they take.",
)
def test_fine_colour_stays(clip):
    """Colours that change with every column are still there."""
    source = clip("in.mov", frames=2, codec="prores_ks", layout="yuv422p10le")
    assert written(source)["layout"] == "yuv422p10le"
    assert written(source, "b.mp4", chroma="420")["layout"] == "yuv420p10le"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"codec": "h264"}, ("h264", "yuv422p10le")),
        ({"codec": "h264", "depth": "8", "chroma": "420"}, ("h264", "yuv420p")),
        ({"depth": "8", "chroma": "420"}, ("h264", "yuv420p")),
        ({"codec": "h265", "depth": "8"}, ("hevc", "yuv422p")),
        ({"codec": "prores"}, ("prores", "yuv422p10le")),
    ],
)
def test_what_is_said_is_done(clip, options, expected):
    source = clip("in.mov", frames=2, codec="prores_ks", layout="yuv422p10le")
    found = written(source, "out.mov", **options)
    assert (found["codec"], found["layout"]) == expected


def test_what_is_not_h264_is_said_before(clip):
    for layout, words in (("yuv420p10le", "HEVC"), ("yuv420p", "")):
        with open_footage(clip(frames=2, layout=layout)) as footage:
            said = " ".join(encoding_notes(footage, EncodeOptions()))
            assert words in said and bool(said) == bool(words)
            assert not list(encoding_notes(footage, EncodeOptions(codec="h264")))


def test_what_a_result_has_less_of_is_said_before(clip):
    with open_footage(clip(codec="libx265", layout="yuv444p12le")) as footage:
        said = " ".join(encoding_notes(footage, EncodeOptions()))
    assert "has 12 bits and chroma 444; the new video has 10 and 444, as HEVC" in said


def test_light_that_makes_no_sense_is_left_out():
    frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))
    assert light_levels(frame) is None
    told = np.array([1, 50000] * 8 + [50, 10000, 1000, 1, 1, 1], "=i4")
    assert _mastering(told.tobytes())[4] == (10_000_000, 50)
    for place, value in ((1, 0), (0, 60000), (16, -1), (18, 0), (20, 0)):
        wrong = told.copy()
        wrong[place] = value
        assert _mastering(wrong.tobytes()) is None


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_few_frames_are_enough_for_hevc(clip, frames):
    """Over and over, since what goes wrong is random."""
    source = clip(frames=frames, layout="yuv420p10le")
    assert all(written(source)["codec"] == "hevc" for _ in range(8))
