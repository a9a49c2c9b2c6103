"""Files that people write for us, in whatever encoding their editor saves them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fuzzing import is_message_fine, parser

from understudy import cli
from understudy.io.faceset.manual_marks import FrameNames, read_marks
from understudy.stages.merge.options import MergeOptions
from understudy.stages.merge.presets import apply_preset
from understudy.stages.project import Project

# As Notepad of Windows calls them with a BOM, Unicode and Unicode big endian.
ENCODINGS = {
    "UTF-8 with a mark": "utf-8-sig",
    "UTF-16": "utf-16",
    "UTF-16 big endian": "utf-16-be",
}


def write(path: Path, text: str, encoding: str) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    path.write_bytes((mark + text).replace("\n", "\r\n").encode(encoding))


@pytest.fixture
def written(show: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A show of which everything that people may write was saved so."""
    monkeypatch.setattr(cli, "build_app", parser)
    project = (show / "understudy.toml").read_text() + '\n[options.train]\nname = "Zoë"\n'
    for name, text in {
        "understudy.toml": project,
        "own.toml": "[faces]\nodd = 1 # Zoë\n",
        "job.json": json.dumps({"verb": "trained", "arguments": {"show": str(show)}}),
        "presets/mine.toml": "erode = 4\n",
        "src/marks.json": '{"version": 1,\n"frames": {}}',
    }.items():
        (show / name).parent.mkdir(exist_ok=True)
        write(show / name, text, request.param)
    return show


@pytest.mark.parametrize("written", ENCODINGS.values(), ids=ENCODINGS, indirect=True)
def test_what_an_editor_saved_is_read(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line in (["trained", str(written)], ["run", str(written / "job.json")]):
        assert cli.main(line) == 0, capsys.readouterr().err
    assert cli.main(["faces", str(written), "src", "--config", str(written / "own.toml")]) == 2
    assert "no option 'odd'" in capsys.readouterr().err
    project = Project.load(written)
    assert apply_preset(project, MergeOptions(preset="mine")).erode == 4
    assert read_marks(written / "src" / "marks.json", FrameNames(9)).frames == {}
    assert project.file.options["train"]["name"] == "Zoë"


def test_another_encoding_is_told_with_the_one_to_save_in(
    show: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(show / "understudy.toml", 'consent = "Zoë"\n', "cp1252")
    assert cli.main(["trained", str(show)]) == 4
    told = capsys.readouterr().err
    assert "understudy.toml: no text in UTF-8, nor in UTF-16. Save it as UTF-8" in told
    assert is_message_fine(told.rstrip("\n"))
