"""A show on disk: made once, read back as it was, held by one run at a time, never overwritten."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from understudy.errors import BadOption, BadProject, Busy, CannotWrite
from understudy.io import atomic
from understudy.options import Options, option
from understudy.stages.project import PROJECT_FILE, SCHEMA, Project

posix = pytest.mark.skipif(sys.platform == "win32", reason="links, pipes and signals of POSIX")


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


@posix
@pytest.mark.parametrize(
    "name",
    [".locks", "src/found", "dst/faces", "models/tiny", "models/tiny/best", "merged/segments"],
)
def test_a_link_among_the_folders_of_a_show_is_refused(
    show: Project, tmp_path: Path, name: str
) -> None:
    """Before anything is done, and again where work on a part begins."""
    (tmp_path / "outside").mkdir()
    link = show.folder / name
    link.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(link, ignore_errors=True)
    link.symlink_to(tmp_path / "outside", target_is_directory=True)
    with pytest.raises(BadProject, match=f"{name}: a link.*Put the folder itself there"):
        Project.load(show.folder)
    with pytest.raises(BadProject, match="a link"), show.lock("merged"):
        pytest.fail("work began")
    assert not list((tmp_path / "outside").iterdir())


@posix
def test_links_that_nothing_is_written_through_are_no_trouble(
    show: Project, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    for name in ("plates", "src/clip", "notes", "merged/001"):
        (show.folder / name).parent.mkdir(exist_ok=True)
        (show.folder / name).symlink_to(tmp_path / "outside", target_is_directory=True)
    (tmp_path / "link").symlink_to(show.folder)
    with Project.load(tmp_path / "link").lock("merged"):
        assert (show.folder / ".locks" / "merged.lock").is_file()


@posix
def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(show: Project) -> None:
    (show.folder / "dst").mkdir()
    os.mkfifo(show.folder / "dst" / "extract.json")
    with pytest.raises(BadProject, match="a pipe or a device"):
        Project.load(show.folder)


def test_a_file_in_place_of_a_folder_is_refused(show: Project) -> None:
    (show.folder / "merged").write_text("")
    with pytest.raises(BadProject, match="merged: no folder"):
        Project.load(show.folder)


@posix
def test_a_link_in_place_of_a_lock_is_refused(show: Project, tmp_path: Path) -> None:
    (tmp_path / "foreign").write_text("foreign")
    (show.folder / ".locks" / "merged.lock").symlink_to(tmp_path / "foreign")
    with pytest.raises(CannotWrite, match="a link lies there"), show.lock("merged"):
        pytest.fail("work began")
    assert (tmp_path / "foreign").read_text() == "foreign"


@posix
def test_what_a_dead_run_left_goes_when_work_on_its_part_begins(show: Project) -> None:
    (show.folder / "models" / "tiny" / "previews").mkdir(parents=True)
    places = [
        "result.mp4",
        "models/other",
        "models/tiny/history.jsonl",
        "models/tiny/checkpoints/000000012",
        "models/tiny/previews/000000012.png",
    ]
    left = []
    for place in places:
        with atomic.partial_folder(show.folder / place) as partial:
            pass
        partial.path.mkdir()
        left.append(partial.path)
    with show.lock("src"):
        # The show's own folder is everybody's.
        assert [path.exists() for path in left] == [False, True, True, True, True]
    with show.lock("models/tiny"):
        assert not any(path.exists() for path in left)


# Kills itself at the n-th operation on a file below a folder.
KILLED = """
import os, sys
from pathlib import Path
from understudy.stages.project import Project
show, left = Path(sys.argv[1]), int(sys.argv[2])
NAMES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "shutil.rmtree"}

def count(event, values):
    global left
    if event in NAMES and str(show) in str(values):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), 9)

sys.addaudithook(count)
Project.create(show, Path("a.mp4"), Path("b.mp4"))
"""


@posix
def test_a_new_show_that_was_killed_at_any_moment_can_be_made_again(tmp_path: Path) -> None:
    for moment in range(100):
        folder = tmp_path / str(moment)
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, str(folder), str(moment)], check=False
        )
        if (folder / PROJECT_FILE).exists():
            with pytest.raises(BadProject, match="a show already"):
                Project.create(folder, Path("a.mp4"), Path("b.mp4"))
        else:
            Project.create(folder, Path("a.mp4"), Path("b.mp4"))
        assert Project.load(folder).file.src
        with Project.load(folder).lock("src"):
            left = {path.name for path in folder.iterdir()}
        assert left == {".locks", PROJECT_FILE}
        if killed.returncode == 0:
            break
    assert 5 < moment < 99
