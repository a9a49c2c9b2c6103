"""Clips that are odd in their headers: their frames come out, or a message says what is wrong."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clip_fuzzer import write_clip

from understudy.errors import BadMedia, UnderstudyError
from understudy.io.footage.base import BadFrame
from understudy.io.open_footage import open_footage
from understudy.io.video import orientation
from understudy.io.video.audio import AudioClip, plan_sound
from understudy.io.video.encode_options import EncodeOptions
from understudy.io.video.writer import write_video

SIZE = (64, 48)


def with_title(path: Path, title: bytes) -> Path:
    """The clip with this title, whatever its bytes stand for."""
    mark = b"~}~{~}~{~"[: len(title)]
    titled = path.with_name(f"titled-{path.name}")
    with av.open(str(path)) as source, av.open(str(titled), "w") as target:
        target.metadata["title"] = mark.decode()
        streams = [target.add_stream_from_template(each) for each in source.streams]
        for each in streams:
            each.metadata["title"] = mark.decode()
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                target.mux(packet)
    data = titled.read_bytes()
    assert mark in data
    titled.write_bytes(data.replace(mark, title))
    return titled


@pytest.mark.parametrize("title", [b"Caf\xe9 \xe9", b"\x94L\x94L", b"\xff\xfe\xff\xfe"])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.avi", "a.flv"])
def test_a_title_that_is_no_utf_8_costs_nothing(clip, shown, tmp_path, name, title):
    path = with_title(clip(name, tracks=int(name != "a.avi")), title)
    with open_footage(path) as footage:
        frames = list(footage)
        assert len(frames) == 12
        assert np.abs(frames[7].image - shown(7, SIZE).astype(int)).mean() < 3
        out = tmp_path / "out.mov"
        *_, done = write_video(out, frames, footage, EncodeOptions(preset="ultrafast"), path)
        assert done == 12
    with av.open(str(out)) as made:
        assert bool(made.streams.audio) == (name != "a.avi")


@pytest.mark.parametrize(("name", "known"), [("a.mp4", b"avc1"), ("a.mkv", b"MPEG4/ISO/AVC")])
def test_an_unknown_codec_is_named_as_such(clip, name, known):
    path = clip(name)
    data = path.read_bytes()
    path.write_bytes(data.replace(known, b"z" * len(known)))
    with pytest.raises(BadMedia, match=r"coded in a way that is not known here.*Convert it"):
        open_footage(path)


@pytest.mark.parametrize("name", ["a.mkv", "a.mov"])
def test_sound_of_an_unknown_codec_is_left_out(clip, tmp_path, name):
    path = clip(name, tracks=1)
    data = path.read_bytes()
    # In a MOV the description of the sound would name it once more.
    for known, unknown in ((b"A_AAC", b"A_ZZZ"), (b"mp4a", b"zzzz"), (b"esds", b"zzzz")):
        data = data.replace(known, unknown)
    path.write_bytes(data)
    with open_footage(path) as footage:
        assert len(list(footage)) == 12
        sound = AudioClip(path)
        (track,) = plan_sound(sound, ".mov").tracks
        assert track.becomes is None and "not known here" in track.why
        *_, done = write_video(tmp_path / "out.mov", footage, footage, EncodeOptions(), sound)
        assert done == 12
    with av.open(str(tmp_path / "out.mov")) as made:
        assert not made.streams.audio


@pytest.mark.parametrize(("kind", "least"), [("rm", 10), ("y4m", 18)])
def test_what_decodes_before_the_demuxer_fails_is_used(tmp_path, kind, least):
    path = broken_off(tmp_path, kind)
    with open_footage(path) as footage:
        frames = list(footage.iter_frames_or_bad(range(len(footage))))
        assert footage.is_cut_off and "cut off or damaged" in footage.warnings[0]
        assert len(frames) >= least and not any(isinstance(each, BadFrame) for each in frames)
        # One column more is white in each frame.
        white = [int((each.image[20, :, 0] > 128).sum()) for each in frames]
        assert np.abs(np.array(white) - np.arange(len(white))).max() <= 3


def test_the_sound_of_such_a_file_is_copied_as_far_as_it_goes(tmp_path):
    path, out = tmp_path / "clip.rm", tmp_path / "out.mkv"
    write_clip(path, frames=20)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 8 // 10])
    with open_footage(path) as footage:
        assert footage.is_cut_off and footage.has_audio
        options = EncodeOptions(preset="ultrafast")
        *_, done = write_video(out, footage, footage, options, AudioClip(path))
        assert 10 < done == len(footage) < 20
    with av.open(str(out)) as made:
        assert sum(packet.size > 0 for packet in made.demux(audio=0)) > 3


def broken_off(folder: Path, kind: str) -> Path:
    """Forty frames, in a container whose demuxer fails in the middle of them."""
    codec = {"rm": "rv20", "y4m": "wrapped_avframe"}[kind]
    path = folder / f"clip.{kind}"
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 176, 144, "yuv420p"
        for number in range(40):
            image = np.zeros((144, 176, 3), np.uint8)
            image[:, :number] = 220
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    data = path.read_bytes()
    at = len(data) * 6 // 10
    path.write_bytes(data[:at] + (b"" if kind == "rm" else bytes(200) + data[at + 200 :]))
    return path


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_the_angle_alone_gives_the_orientation_of_the_matrix(clip, monkeypatch, degrees):
    path = clip(rotation=degrees)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        expected = orientation.read_orientation(frame)
        assert orientation.orientation_of_angle(frame.rotation) == expected


def test_lists_of_other_files_open_none_of_them(tmp_path, clip):
    clip("real.mp4")
    lists = {
        "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nreal.mp4\n#EXT-X-ENDLIST\n",
        "hls-network": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n",
        "ffconcat": "ffconcat version 1.0\nfile real.mp4\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=video 9 RTP/AVP 96\n",
        "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
        "<Period><AdaptationSet><Representation><BaseURL>real.mp4</BaseURL></Representation>"
        "</AdaptationSet></Period></MPD>",
        "imf": '<?xml version="1.0"?><CompositionPlaylist'
        ' xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"></CompositionPlaylist>',
        "idx": "# VobSub index file, v7\nsize: 720x576\n",
    }
    for kind, text in lists.items():
        for suffix in (".mp4", ".m3u8", ".mpd", ".sdp", ".idx"):
            path = tmp_path / f"{kind}{suffix}"
            path.write_text(text)
            with pytest.raises(BadMedia, match="cannot be read as a video"):
                open_footage(path)


def odd_files(*folders: str) -> list[Path]:
    root = Path(os.environ.get("UNDERSTUDY_ODD_FILES") or "/nowhere")
    return sorted(path for folder in folders for path in (root / folder).glob("*"))


@pytest.mark.footage
@pytest.mark.skipif(not odd_files("video"), reason="UNDERSTUDY_ODD_FILES names no such folder")
def test_public_odd_clips_give_frames_or_say_why_not():
    counts = {}
    for path in odd_files("video", "mangled-clips"):
        try:
            with open_footage(path, threads=1) as footage:
                found = list(footage.iter_frames_or_bad(range(len(footage))))
                counts[path.name] = sum(not isinstance(each, BadFrame) for each in found)
        except UnderstudyError as error:
            assert len(str(error)) <= 500
    expected = {"mv-hevc.mp4": 10, "realmedia-cut-off.mp4": 520, "pva-cut-off.mp4": 35}
    assert {name: counts.get(name) for name in expected} == expected


@pytest.mark.footage
@pytest.mark.skipif(not odd_files("mangled-clips"), reason="UNDERSTUDY_ODD_FILES names none")
def test_a_clip_of_3_4_million_seconds_by_its_clock_lasts_one():
    (path,) = (each for each in odd_files("mangled-clips") if each.name.endswith("488.wmv"))
    with open_footage(path) as footage:
        assert len(footage) == 23 and footage.duration < 1
        assert any("frame 13." in note for note in footage.notes)
