"""Files and folders are whole or not there; what dead runs left goes, and nothing else."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from understudy.errors import CannotWrite
from understudy.io import atomic

posix = pytest.mark.skipif(sys.platform == "win32", reason="links and signals of POSIX")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def left_by_a_killed_run(path: Path, what: str) -> str:
    """The name of what a run that was killed while it wrote to `path` left behind."""
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from understudy.io import atomic\n"
        f"with atomic.{what}(Path(sys.argv[1])) as partial:\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    before = names(path.parent)
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = names(path.parent) - before
    return left


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with atomic.partial_file(path) as partial:
        assert partial.parent == tmp_path and partial.suffix == ".mp4" and not path.exists()
        partial.write_bytes(b"whole")
    assert path.read_bytes() == b"whole" and names(tmp_path) == {"clip.mp4"}
    with pytest.raises(ZeroDivisionError), atomic.partial_file(path) as partial:
        partial.write_bytes(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"whole" and names(tmp_path) == {"clip.mp4"}


def test_a_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    with atomic.partial_folder(tmp_path / "model") as folder:
        (folder.path / "weights").write_text("whole")
        assert folder.settle(tmp_path / "model") == tmp_path / "model"
    with atomic.partial_folder(tmp_path / "other") as folder:
        (folder.path / "weights").write_text("half")
    assert names(tmp_path) == {"model"} and names(tmp_path / "model") == {"weights"}


def test_what_makes_its_file_itself_finds_none(tmp_path: Path) -> None:
    with atomic.partial_path(tmp_path / "clip.mp4") as partial:
        assert partial.name == "clip.mp4" and not partial.exists()
        partial.write_bytes(b"whole")
    assert names(tmp_path) == {"clip.mp4"}


@posix
@pytest.mark.parametrize("what", ["partial_file", "partial_path", "partial_folder"])
def test_what_a_killed_run_left_goes_when_the_place_is_written_again(
    tmp_path: Path, what: str
) -> None:
    left = left_by_a_killed_run(tmp_path / "clip.mp4", what)
    assert atomic.is_partial(left)
    atomic.write_bytes(tmp_path / "clip.mp4", b"whole")
    assert names(tmp_path) == {"clip.mp4"}


@posix
def test_what_killed_runs_left_elsewhere_goes_on_request_and_nothing_else(tmp_path: Path) -> None:
    for name in ("a.jpg", "no suffix", "two.dots.tar.gz", "größe.png", "x" * 250 + ".png"):
        left_by_a_killed_run(tmp_path / name, "partial_file")
    left_by_a_killed_run(tmp_path / "000000123", "partial_folder")
    own = [
        ".notes.partial",
        ".partial",
        ".clip-01234567.partial.mp4",
        "clip.partial.mp4",
        ".a-x.partial.jpg",
        ".big-0123abcd-2.partial",
    ]
    for name in own:
        (tmp_path / name).write_text("mine")
    with atomic.partial_file(tmp_path / "a.jpg") as alive:
        atomic.remove_partials(tmp_path)
        assert names(tmp_path) == {*own, alive.name}


@posix
def test_what_a_run_of_a_former_version_left_goes_too(tmp_path: Path) -> None:
    # It repeated the name that was to come.
    left = [
        ".a-392d3642.partial.jpg",
        ".größe-bdee474c-7.partial.png",
        ".000000123-023c28f4.partial",
    ]
    for name in left[:2]:
        (tmp_path / name).touch()
    (tmp_path / left[2]).mkdir()
    assert all(map(atomic.is_partial, left))
    atomic.remove_partials(tmp_path)
    assert not names(tmp_path)


@posix
def test_a_living_run_keeps_what_it_makes(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with atomic.partial_file(path) as first, atomic.partial_file(path) as second:
        first.write_bytes(b"first")
        second.write_bytes(b"second")
        assert first != second and first.read_bytes() == b"first"
    with atomic.partial_folder(path) as one, atomic.partial_folder(path) as other:
        atomic.remove_partials(tmp_path)
        assert one.path.is_dir() and other.path.is_dir() and one.path != other.path
    assert path.read_bytes() == b"first" and names(tmp_path) == {"clip.mp4"}


@posix
def test_a_link_or_a_pipe_under_the_name_of_a_partial_file_is_left_alone(tmp_path: Path) -> None:
    with atomic.partial_file(tmp_path / "clip.mp4") as first:
        taken = first
    (tmp_path / "bait").mkdir()
    (tmp_path / "bait" / "file").write_text("foreign")
    for make in (
        lambda: taken.symlink_to(tmp_path / "bait" / "file"),
        lambda: taken.symlink_to(tmp_path / "bait"),
        lambda: os.mkfifo(taken),
    ):
        (tmp_path / "clip.mp4").unlink()
        taken.unlink(missing_ok=True)
        make()
        atomic.write_bytes(tmp_path / "clip.mp4", b"whole")
        atomic.remove_partials(tmp_path)
        assert names(tmp_path) == {"bait", "clip.mp4", taken.name}
        assert (tmp_path / "bait" / "file").read_text() == "foreign"


@posix
def test_a_link_in_place_of_the_file_is_replaced_and_never_written_through(tmp_path: Path) -> None:
    (tmp_path / "foreign").write_text("foreign")
    (tmp_path / "clip.mp4").symlink_to(tmp_path / "foreign")
    atomic.write_bytes(tmp_path / "clip.mp4", b"whole")
    assert not (tmp_path / "clip.mp4").is_symlink()
    assert (tmp_path / "foreign").read_text() == "foreign"


@posix
def test_what_is_no_ordinary_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        with pytest.raises(CannotWrite, match=f"{name}: .*Choose another name"):
            atomic.write_bytes(tmp_path / name, b"")
    assert names(tmp_path) == {"folder", "pipe"}


def test_names_of_any_legal_length_are_written_and_longer_ones_refused_at_once(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(0)
    letters = ["a", "-", ".", "é", "日", "🎬", " "]
    for _ in range(200):
        name = "x"
        goal = int(rng.integers(1, 256))
        while len(os.fsencode(longer := name + str(rng.choice(letters)))) <= goal:
            name = longer
        # Where folders are encrypted, a name has 143 bytes at most.
        with atomic.partial_file(tmp_path / name) as partial:
            assert atomic.is_partial(partial.name) and len(os.fsencode(partial.name)) <= 60
        with atomic.partial_folder(tmp_path / name) as folder:
            assert atomic.is_partial(folder.path.name) and len(folder.path.name) <= 60
    if sys.platform != "win32":
        for what in (atomic.partial_file, atomic.partial_path):
            with pytest.raises(CannotWrite, match="Choose a shorter"), what(tmp_path / ("é" * 128)):
                pytest.fail("begun for a name that no file can have")


@posix
def test_long_names_that_differ_at_their_end_alone_are_written_at_once(tmp_path: Path) -> None:
    one, other = (tmp_path / f"{'é' * 120}{number}.mp4" for number in (1, 2))
    with atomic.sole_writer(one), atomic.sole_writer(other):
        assert len(names(tmp_path)) == 2


@pytest.mark.parametrize(
    "stem", ["a" * 251, "é" * 125, "日" * 83, "short", os.fsdecode(b"\xe9" * 251)]
)
def test_a_number_behind_a_name_fits(tmp_path: Path, stem: str) -> None:
    for number in (2, 1234):
        path = atomic.numbered(tmp_path / f"{stem}.png", number)
        assert path.name.endswith(f"-{number}.png") and path.name[0] == stem[0]
        assert len(os.fsencode(path.name)) <= 255
        path.touch()


@posix
def test_a_name_that_is_no_text_is_written(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff\xfe.png")
    atomic.write_bytes(path, b"whole")
    assert path.read_bytes() == b"whole"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EFBIG, "larger than this disk"),
        (errno.ENAMETOOLONG, "shorter"),
        (errno.ENOTDIR, "a file lies where a folder is needed"),
        (errno.EISDIR, "a folder lies there"),
        (errno.ELOOP, "a link lies there"),
        (errno.EMFILE, "too many files are open"),
        (errno.EIO, "the disk fails"),
        (errno.EROFS, "cannot be written to"),
    ],
)
def test_what_the_system_says_comes_in_plain_words(tmp_path: Path, code: int, words: str) -> None:
    path = tmp_path / "x"
    with pytest.raises(CannotWrite, match=words), atomic.explain_os_errors(path):
        raise OSError(code, os.strerror(code), str(path))


def test_a_file_on_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match="file"):
        atomic.write_text(tmp_path / "file" / "below", "")


def test_a_folder_of_known_files_goes_and_one_with_others_stays(tmp_path: Path) -> None:
    for name, files in {"old": ["a", "b"], "mixed": ["a", "mine"], "deep": ["a"]}.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).write_text("")
    (tmp_path / "deep" / "b").mkdir()
    for name in ("old", "mixed", "deep"):
        atomic.remove_files(tmp_path / name, {"a", "b", "../mixed/mine"})
    assert names(tmp_path) == {"mixed", "deep"}
    assert names(tmp_path / "mixed") == {"mine"} and names(tmp_path / "deep") == {"b"}


@posix
def test_a_removed_folder_is_gone_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What dies while its files go leaves nothing behind that looks like the folder."""
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "file").write_text("")
    monkeypatch.setattr("understudy.io.atomic.shutil.rmtree", lambda *_, **__: None)
    atomic.remove_files(tmp_path / "old", {"file"})
    (left,) = names(tmp_path)
    assert atomic.is_partial(left)


@posix
def test_nothing_is_removed_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "a").write_text("foreign")
    (tmp_path / "link").symlink_to(tmp_path / "foreign")
    atomic.remove_files(tmp_path / "link", {"a"})
    assert (tmp_path / "foreign" / "a").read_text() == "foreign" and (
        tmp_path / "link"
    ).is_symlink()
