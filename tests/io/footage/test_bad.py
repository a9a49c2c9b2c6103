"""Footage that cannot be used is refused with a message that says what, where, what now; nothing
comes out short.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import av
import numpy as np
import pytest

from understudy.errors import BadMedia
from understudy.io.footage import stills
from understudy.io.open_footage import open_footage


def refused(path: Path, what: str) -> str:
    with pytest.raises(BadMedia, match=what) as caught:
        open_footage(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_nothing_there(tmp_path):
    refused(tmp_path / "none.mp4", "no such file")


def test_empty_file_and_text(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a film\n" * 100)
    refused(tmp_path / "empty.mp4", "cannot be read as a video")
    refused(tmp_path / "text.mp4", "cannot be read as a video")


def test_sound_alone(clip, tmp_path):
    path = clip(tracks=1)
    alone = tmp_path / "alone.mp4"
    with av.open(str(path)) as source, av.open(str(alone), "w") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    refused(alone, "sound alone")


def test_no_frames(clip):
    with pytest.raises(BadMedia):
        open_footage(clip(frames=0))


def test_a_playlist_reaches_no_other_file(clip, tmp_path):
    clip("real.ts")
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXTINF:1,", "real.ts", "#EXT-X-ENDLIST", ""]
    (tmp_path / "list.m3u8").write_text("\n".join(lines))
    (tmp_path / "list.mp4").write_text("\n".join(lines))
    (tmp_path / "concat.mp4").write_text("ffconcat version 1.0\nfile real.ts\n")
    for name in ("list.m3u8", "list.mp4", "concat.mp4"):
        refused(tmp_path / name, "list|cannot be read")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_file_that_was_cut_off_is_taken_as_far_as_it_goes_and_it_is_said(clip, shown, name):
    path = clip(name, frames=60, muxer={"movflags": "+faststart"} if name.endswith("mp4") else None)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    with open_footage(path) as footage:
        frames = list(footage)
        assert footage.is_cut_off and 20 < len(footage) < 60 and len(frames) == len(footage)
        assert f"{len(footage)} frames can be read" in footage.warnings[0]
        assert "of 2.00 seconds" in footage.warnings[0]
        assert np.abs(frames[-1].image - shown(len(frames) - 1, (64, 48)).astype(int)).mean() < 3
        # Packets and decoder agree on what is there, so keyframes are still sought.
        assert len(footage.keyframes) > 2


def test_a_file_without_its_table_is_refused(clip):
    path = clip(frames=60)
    path.write_bytes(path.read_bytes()[:-400])
    refused(path, "Fetch|fetch")


def test_damage_in_the_middle_names_the_frame_and_keeps_what_is_before(clip):
    path = clip(frames=60)
    with av.open(str(path)) as source:
        spoilt = [packet for packet in source.demux(video=0) if packet.size][30]
    data = bytearray(path.read_bytes())
    data[spoilt.pos + 8 : spoilt.pos + spoilt.size] = np.random.default_rng(0).bytes(
        spoilt.size - 8
    )
    path.write_bytes(data)
    with open_footage(path) as footage:
        seen = []
        with pytest.raises(BadMedia, match=r"frame (2[4-9]|3\d): "):
            seen.extend(frame.index for frame in footage)
        assert seen == list(range(len(seen))) and 20 < len(seen) < 40
        assert footage[5].index == 5


def test_a_change_of_size_names_the_frame(clip, tmp_path):
    small, large = clip("small.ts", frames=10), clip("large.ts", frames=10, size=(96, 64))
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    # Two programmes glued together: whatever the times say, no frame may come out in another size.
    with pytest.raises(BadMedia), open_footage(both) as footage:
        assert {frame.image.shape for frame in footage} == {(48, 64, 3)}


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path):
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks
    )
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    with pytest.raises(BadMedia, match="100000x100000"):
        open_footage(tmp_path)


def test_a_huge_video_is_refused_before_it_is_decoded(clip):
    path = clip("wide.mkv", codec="ffv1", frames=2, size=(20000, 16))
    refused(path, "20000x16")


def test_what_is_no_file_is_refused_and_nothing_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    refused(tmp_path / "pipe.mp4", "a device or a pipe")
    refused(Path("/dev/zero"), "a device or a pipe")
    refused(tmp_path / "loop.mp4", "cannot be read: too many levels of symbolic links")
    with pytest.raises(BadMedia, match="cannot be read: file name too long"):
        open_footage(tmp_path / f"{'a' * 300}.mp4")


def test_folder_without_pictures(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    refused(tmp_path, "no pictures")


def test_odd_one_out_in_a_folder_is_named(tmp_path, shown):
    stills.write_image(tmp_path / "1.png", shown(0, (64, 48)))
    stills.write_image(tmp_path / "2.png", shown(1, (48, 64)))
    with open_footage(tmp_path) as footage, pytest.raises(BadMedia, match=r"2\.png: 48x64"):
        list(footage)


@pytest.mark.parametrize("name", ["2.png", "2.jpg"])
def test_a_picture_that_was_cut_off_is_named(tmp_path, shown, name):
    stills.write_image(tmp_path / "1.png", shown(0, (64, 48)))
    stills.write_image(tmp_path / name, shown(1, (64, 48)))
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) * 2 // 3])
    with open_footage(tmp_path) as footage, pytest.raises(BadMedia, match=rf"{name}.*cut off"):
        list(footage)


def test_a_damaged_png_and_a_lie_are_named(tmp_path, shown):
    good = tmp_path / "good.png"
    stills.write_image(good, shown(0, (64, 48)))
    data = bytearray(good.read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "bad.png").write_bytes(data)
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.jpg").touch()
    for name, why in (
        ("bad.png", "damaged"),
        ("text.png", "not a picture"),
        ("empty.jpg", "empty"),
    ):
        with pytest.raises(BadMedia, match=rf"{name}.*{why}"):
            stills.read_image(tmp_path / name)
