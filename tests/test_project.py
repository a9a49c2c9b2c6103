"""A show on disk: made once, read back as it was, held by one run at a time, never overwritten."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from understudy.errors import BadOption, BadProject, Busy, CannotWrite
from understudy.options import Options, option
from understudy.stages.project import PROJECT_FILE, SCHEMA, Project


class SomeOptions(Options):
    size: int = option(256, "Size", low=16)


@pytest.fixture
def show(tmp_path: Path) -> Project:
    return Project.create(
        tmp_path / "show",
        tmp_path / "a.mp4",
        tmp_path / "show" / "plates" / "b.mp4",
        "both signed, folder 12",
    )


def edit(show: Project, old: str, new: str) -> None:
    path = show.folder / PROJECT_FILE
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_show_reads_back_as_it_was_made(show: Project, tmp_path: Path) -> None:
    again = Project.load(show.folder)
    assert again == show
    assert again.footage("src") == tmp_path / "a.mp4"
    assert again.file.consent == "both signed, folder 12"


def test_footage_inside_the_show_moves_with_it(show: Project, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    show.folder.rename(moved)
    assert Project.load(moved).footage("dst") == moved / "plates" / "b.mp4"


def test_an_existing_show_is_never_overwritten(show: Project) -> None:
    before = (show.folder / PROJECT_FILE).read_bytes()
    with pytest.raises(BadProject, match="a show already"):
        Project.create(show.folder, Path("x"), Path("y"))
    assert (show.folder / PROJECT_FILE).read_bytes() == before


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(BadProject, match="something else"):
        Project.create(tmp_path, Path("x"), Path("y"))
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_no_show_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(BadProject, match="understudy new"):
        Project.load(tmp_path)


def test_a_newer_project_file_is_refused_and_kept(show: Project) -> None:
    edit(show, f"schema_version = {SCHEMA}", f"schema_version = {SCHEMA + 1}")
    before = (show.folder / PROJECT_FILE).read_bytes()
    with pytest.raises(BadProject, match="newer Understudy"):
        Project.load(show.folder)
    assert (show.folder / PROJECT_FILE).read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new"), [("src = ", "src = = "), ("src = ", "sauce = "), ("version = 1", "version = 0")]
)
def test_a_broken_project_file_is_named(show: Project, old: str, new: str) -> None:
    edit(show, old, new)
    with pytest.raises(BadProject, match=PROJECT_FILE):
        Project.load(show.folder)


def test_a_bad_option_in_the_project_file_says_where_it_stands(show: Project) -> None:
    with (show.folder / PROJECT_FILE).open("a", encoding="utf-8") as file:
        file.write("[options.extract]\nsize = 3\n")
    with pytest.raises(BadOption, match=r"understudy\.toml \[options\.extract\].*'size'"):
        Project.load(show.folder).options("extract", SomeOptions())


def test_a_second_run_on_the_same_part_is_refused(show: Project) -> None:
    with (
        show.lock("dst"),
        pytest.raises(Busy, match="another run is working on dst"),
        show.lock("dst"),
    ):
        pass
    with show.lock("dst"), show.lock("src"):
        pass


def test_a_killed_run_lets_go(show: Project) -> None:
    code = (
        "import os, sys; from pathlib import Path; from understudy.stages.project import Project\n"
        "with Project.load(Path(sys.argv[1])).lock('dst'): os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code, str(show.folder)], check=False, timeout=300)
    with show.lock("dst"):
        pass


def test_a_read_only_place_is_said_as_such(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    if os.access(tmp_path, os.W_OK):
        tmp_path.chmod(0o700)
        pytest.skip("this user may write anywhere")
    try:
        with pytest.raises(CannotWrite, match="cannot be written"):
            Project.create(tmp_path / "show", Path("x"), Path("y"))
    finally:
        tmp_path.chmod(0o700)
