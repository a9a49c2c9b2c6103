"""Pictures and models whose names are no text, or say something to a terminal or to FFmpeg."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from understudy import cli
from understudy.io.footage.stills import encode_image

NAMES = [
    b"caf\xe9",
    b"a\nb",
    b"\x1b[31m",
    b"%05d",
    b"-x",
    b"[red]",
    b"http:",
    "\u202eb".encode(),
    b"z" * 251,
]


@pytest.mark.parametrize("form", ["--quiet", "--json"])
def test_faces_of_any_name_are_listed(
    show: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = show / "src" / "faces"
    first = min(faces.glob("*.png"))
    count = len(list(faces.glob("*.png")))
    for name in NAMES:
        shutil.copy(first, faces / os.fsdecode(name + b".png"))
    for line in (["faces", str(show), "src"], ["faces", "check", str(show), "src"]) * 2:
        assert cli.main([*line, form]) == 0
    told = capsys.readouterr()
    assert told.err == "" and all(each.isprintable() for each in told.out.split("\n"))
    if form == "--json":
        assert f'"faces":{count + len(NAMES)}' in told.out and r"caf\\xe9.png" in told.out


@pytest.mark.parametrize("verb", ["frames", "denoise", "cut"])
def test_pictures_of_any_name_are_footage(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "pictures", tmp_path / ("out.mp4" if verb == "cut" else "out")
    folder.mkdir()
    for place, name in enumerate(NAMES):
        picture = np.full((48, 64, 3), 20 * place, np.uint8)
        (folder / os.fsdecode(name + b".png")).write_bytes(encode_image(picture, ".png"))
    assert cli.main([verb, str(folder), str(out)]) == 0, capsys.readouterr().err
    assert all(each.isprintable() for each in capsys.readouterr().out.split("\n"))
    if verb == "denoise":
        assert {each.name for each in folder.iterdir()} <= {each.name for each in out.iterdir()}


def test_a_broken_picture_of_any_name_is_named_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in NAMES:
        folder = tmp_path / "pictures"
        folder.mkdir()
        (folder / os.fsdecode(name + b".png")).write_bytes(b"no picture")
        assert cli.main(["frames", str(folder), str(tmp_path / "out")]) == 3
        told = capsys.readouterr().err
        assert told.count("\n") == 1 and told.removesuffix("\n").isprintable()
        shutil.rmtree(folder)
