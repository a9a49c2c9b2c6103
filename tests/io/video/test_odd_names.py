"""Names that mean something else to FFmpeg (protocols, patterns, options) are names of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.io.open_footage import open_footage
from understudy.io.video.encode_options import EncodeOptions
from understudy.io.video.writer import write_video

NAMES = [
    "http:a.mp4",
    "concat:a|b.mp4",
    "file:a.mp4",
    "pipe:1.mp4",
    "subfile,,start,0,end,9,,:a.mp4",
    "a%d.mp4",
    "-y.mp4",
    "a\nb.mp4",
    "\x1b[31m.mp4",
    "[red].mp4",
    "x" * 251 + ".mp4",
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:20]))
def test_a_video_of_any_name_is_written_and_read(clip, tmp_path, monkeypatch, name) -> None:
    monkeypatch.chdir(tmp_path)
    with open_footage(clip()) as source:
        # A name without a folder: only then FFmpeg may take it for something else.
        for _ in write_video(Path(name), source, source, EncodeOptions(preset="ultrafast")):
            pass
        with open_footage(Path(name)) as result:
            assert len(result) == len(source)
    assert (tmp_path / name).is_file()
