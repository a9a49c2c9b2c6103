"""Pictures and models whose names are no text, or say something to a terminal or to FFmpeg."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fuzzing import is_message_fine, parser

from understudy import cli
from understudy.io.faceset.faceset import Faceset
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
    make_show: Callable[..., Path], form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show = make_show(tmp_path / "show", count=len(NAMES))
    faces = Faceset(show / "src" / "faces")
    for face, name in zip(faces.paths, NAMES, strict=True):
        face.rename(face.with_name(os.fsdecode(name + b".png")))
    for line in (["faces", str(show), "src"], ["faces", "check", str(show), "src"]) * 2:
        assert cli.main([*line, form]) == 0
    told = capsys.readouterr()
    assert told.err == "" and all(each.isprintable() for each in told.out.split("\n"))
    if form == "--json":
        assert f'"faces":{len(NAMES)}' in told.out and r"caf\\xe9.png" in told.out


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


# Names of clips that are as long as they may be: 85 letters of three bytes are 255.
LETTERS = ["a", "é", "日"]


def named(letter: str, most: int, end: str) -> str:
    return letter * ((most - len(end)) // len(letter.encode())) + end


@pytest.mark.parametrize("letter", LETTERS)
def test_footage_and_what_is_made_of_it_have_names_as_long_as_they_may_be(
    letter: str,
    clips: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cli, "build_app", parser)
    clip, out = (tmp_path / side / named(letter, 255, ".mp4") for side in ("in", "out"))
    for folder in (clip.parent, out.parent):
        folder.mkdir()
    shutil.copy(clips["src"], clip)
    pictures, more = (tmp_path / named(letter, 255, end) for end in ("1", "2"))
    show = tmp_path / named(letter, 255, "3")
    for line in (
        ["cut", clip, out, "--end", "0.2"],
        ["denoise", out, out.with_stem(out.stem[:-1] + "x")],
        ["frames", out, pictures],
        ["denoise", pictures, more],
        ["new", show, "--src", out, "--dst", pictures],
    ):
        assert cli.main([*map(str, line)]) == 0, capsys.readouterr().err
    assert len(list(more.glob("*.png"))) == 5 and (show / "understudy.toml").is_file()


def test_a_face_of_a_long_name_is_thrown_away_twice(show: Path) -> None:
    faces = Faceset(show / "src" / "faces")
    for _ in range(2):
        long = faces.folder / named("é", 255, ".png")
        faces.paths[0].rename(long)
        faces.rescan()
        faces.trash(np.array([path == long for path in faces.paths]))
    thrown = sorted((show / "src" / "faces_trash").iterdir())
    assert len(thrown) == 2 and all(len(os.fsencode(path.name)) <= 255 for path in thrown)


@pytest.mark.parametrize("name", ["a" * 251, "b/" * 1930 + "a"], ids=["one", "whole"])
def test_a_show_that_would_have_too_long_a_path_is_not_begun(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "build_app", parser)
    for line in (
        ["swap", "--src", "none.mp4", "--dst", "none.mp4", "--out", f"{name}.mp4"],
        ["new", f"{name}.show", "--src", "none.mp4", "--dst", "none.mp4"],
    ):
        code, told = cli.main(line), capsys.readouterr().err
        assert code == 8 and is_message_fine(told.rstrip("\n"))
        assert "too long" in told and "Choose a shorter name" in told
    assert not list(tmp_path.iterdir())


LONG = ["é" * 130, "a/" * 2500 + "x"]
# Lines in which a name, here {}, belongs to what is read, written or chosen.
LINES = """
new {} --src a.png --dst a.png
new s --src {} --dst a.png
swap --src a.png --dst a.png --out {}.mp4
swap --src {} --dst a.png --out o.mp4
extract {} src
extract show src --like {}
faces {} src
faces check {} src
frames {} out
frames pictures {}
cut {} o.mp4
cut pictures {}.mp4
denoise {} o
denoise pictures {}
verify {}
verify a.png --trust {}
measure {}
history {}
history show --model {}
train {}
train show --name {}
train show --from {}
trained {}
trained rename show tiny {}
trained copy show {} new
trained trash show {}
trained restore show {}
trained import show {}
merge {}
merge show --model {}
merge show --preset {}
export show {}.dfm
demo {}
run {}
verify a.png --config {}
"""


@pytest.mark.parametrize("name", LONG, ids=["one", "whole"])
def test_a_name_that_is_too_long_is_told(
    name: str, show: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(show.parent)
    monkeypatch.setattr(cli, "build_app", parser)
    Path("pictures").mkdir()
    for place in (Path("a.png"), Path("pictures/1.png")):
        place.write_bytes(encode_image(np.zeros((48, 64, 3), np.uint8), ".png"))
    for line in LINES.split("\n"):
        if line:
            code = cli.main([word.format(name) for word in line.split()])
            told = capsys.readouterr().err
            assert code in (1, 2, 3, 4, 8, 10) and "a mistake of ours" not in told, line
            assert is_message_fine(told.rstrip("\n").split("\n")[-1]), line
    assert {each.name for each in Path().iterdir()} <= {"a.png", "pictures", "show"}
