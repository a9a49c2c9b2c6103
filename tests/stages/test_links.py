"""Nothing outside a show is written or removed, whatever of it is a link."""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fuzzing import rounds

from understudy.errors import BadProject, UnderstudyError
from understudy.io.model_files import checkpoint
from understudy.stages.events import Stage
from understudy.stages.jobs import call
from understudy.stages.project import Project

pytestmark = [
    pytest.mark.usefixtures("small_models", "squares"),
    pytest.mark.skipif(sys.platform == "win32", reason="links need rights there"),
]

FOUND = {
    "detector": "squares",
    "landmarker": "fitted",
    "size": 256,
    "identity": "none",
    "workers": 1,
}
LEARN = {"model": "tiny", "tiny": {"resolution": 64}, "batch": 1, "device": "cpu"}
MERGE = {"model": "tiny", "device": "cpu", "masks": ("full",), "encode": {"preset": "ultrafast"}}
FEW = {**MERGE, "frames": "0-2", "smooth": False, "steady": 0}
Verb = Callable[[Path], Stage]


def train(show: Path) -> Stage:
    saved, _ = checkpoint.load_intact(show / "models" / "tiny" / "checkpoints")
    more = saved[0].iteration + 1 if saved else 1
    return call("train")(show, **LEARN, iterations=more, backup_iterations=1, preview_history=True)


def restore(show: Path) -> Stage:
    oldest = min((show / "models" / "tiny" / "backups").iterdir()).name
    return call("trained_restore")(show, "tiny", oldest)


# By what they write into: each verb as short as can be.
VERBS: dict[str, dict[str, Verb]] = {
    "src": {
        "extract": lambda show: call("extract")(show, "src", **FOUND, redo=True, debug="jpg"),
        "extract to a video": lambda show: call("extract")(show, "src", **FOUND, debug="video"),
        "faces": lambda show: call("faces")(show, "src"),
    },
    "dst": {
        "extract": lambda show: call("extract")(show, "dst", **FOUND, redo=True, debug="jpg"),
        "faces": lambda show: call("faces_check")(show, "dst"),
    },
    "models": {
        "train": train,
        "restore": restore,
        "copy": lambda show: call("trained_copy")(show, "tiny", "copy"),
        "rename": lambda show: call("trained_rename")(show, "copy", "second"),
        "trash": lambda show: call("trained_trash")(show, "second"),
        "history": lambda show: call("history")(show),
    },
    "merged": {
        "merge": lambda show: call("merge")(show, **MERGE, matte=True),
        "preview": lambda show: call("merge")(show, **FEW, preview=True),
        "debug": lambda show: call("merge")(show, **FEW, debug=True),
    },
}
_kept: list[Path] = []


@pytest.fixture
def show(
    film: Film,  # type: ignore[name-defined]  # noqa: F821
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A show in which every verb has left what it leaves."""
    keep = _kept[0] if _kept else tmp_path_factory.mktemp("links")
    monkeypatch.setenv("UNDERSTUDY_CREDENTIALS", str(keep / "credentials"))
    if not _kept:
        for verb in (verb for verbs in VERBS.values() for verb in verbs.values()):
            assert run(verb, film.folder) is None
        best = film.folder / "models" / "tiny" / "best"
        checkpoint.save(best, 1, {"weights": {}}, {"seconds": 1.0, "score": 1.0})
        shutil.copytree(film.folder, keep / "show")
        _kept.append(keep)
    return fresh(film.folder)


def fresh(show: Path) -> Path:
    """The show as it was."""
    shutil.rmtree(show)
    shutil.copytree(_kept[0] / "show", show)
    clip = show.parent / "clip"
    (show / "understudy.toml").write_text(f'schema_version = 1\nsrc = "{clip}"\ndst = "{clip}"\n')
    return show


def run(verb: Verb, show: Path) -> UnderstudyError | None:
    """What of ours a verb ends with; anything else is raised."""
    try:
        for _ in verb(show):
            continue
    except UnderstudyError as error:
        return error
    return None


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """All there is below a folder, with the time of its last change."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


def move_out(path: Path, outside: Path) -> dict[str, tuple[int, bytes]]:
    """Put a link in the place of a file or folder, now outside beside what is not ours at all."""
    shutil.rmtree(outside, ignore_errors=True)
    outside.mkdir()
    shutil.move(path, outside / path.name)
    path.symlink_to(outside / path.name)
    for folder in (outside, outside / path.name):
        if folder.is_dir():
            (folder / "000000123-holiday").mkdir()
            (folder / "000000123-holiday" / "beach.png").write_text("foreign")
            for name in ("000000001.png", "999999999.jpg", f"{'ab' * 16}.segment", "notes.txt"):
                if not (folder / name).exists():
                    (folder / name).write_text("foreign")
    return contents(outside)


@pytest.mark.parametrize("part", VERBS)
def test_no_folder_that_is_a_link_is_written_or_removed_through(show: Path, part: str) -> None:
    outside, rng = show.parent / "outside", random.Random(part)
    folders = sorted(path.relative_to(show) for path in show.rglob("*") if path.is_dir())
    refused, left = 0, rounds(1)
    rng.shuffle(folders)
    for name in folders:
        if name.parts[0] not in (part, ".locks", f"{part}_trash"):
            continue
        before = move_out(fresh(show) / name, outside)
        try:
            Project.load(show)
        except BadProject as error:
            refused += f"{name}: a link" in str(error)
        else:
            # Where nothing is refused every verb runs to its end: a few of those will do.
            left -= 1
            if left < 0:
                continue
        for verb in VERBS[part].values():
            run(verb, show)
            assert contents(outside) == before, name
    assert refused >= 4


@pytest.mark.parametrize("part", VERBS)
def test_no_file_that_is_a_link_is_written_through(show: Path, part: str) -> None:
    outside, rng = show.parent / "outside", random.Random(part)
    files = sorted(path.relative_to(show) for path in show.rglob("*") if path.is_file())
    files = [name for name in files if name.parts[0] in (part, ".locks") or len(name.parts) == 1]
    for name in rng.sample(files, min(len(files), rounds(2))):
        before = move_out(fresh(show) / name, outside)
        for verb in VERBS[part].values():
            run(verb, show)
            assert contents(outside) == before, name


def test_a_folder_that_is_a_link_to_nothing_is_refused_in_words(show: Path) -> None:
    for name in ("dst/faces", "dst", "models/tiny/best", "models/tiny", "merged"):
        shutil.rmtree(show / name)
        for goal in (Path(name).name, "nowhere"):
            (show / name).symlink_to(goal)
            with pytest.raises(BadProject, match=f"{name}: a link"):
                Project.load(show)
            (show / name).unlink()


def test_a_picture_that_is_a_link_to_nothing_is_no_face(show: Path) -> None:
    for number, goal in enumerate(["nowhere", "999991_0.jpg"]):
        (show / "dst" / "faces" / f"99999{number}_0.jpg").symlink_to(goal)
    (show / "notes").symlink_to("notes")
    for verb in VERBS["dst"].values():
        assert run(verb, show) is None


@pytest.mark.parametrize("name", ["result.mp4", "dst/debug.mp4", "dst/faces", "src/debug"])
@pytest.mark.parametrize("is_link", [False, True])
def test_footage_where_runs_write_is_refused(tmp_path: Path, name: str, is_link: bool) -> None:
    show = tmp_path / "show"
    (show / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to(show / name)
    footage = tmp_path / "link" if is_link else name
    (show / "understudy.toml").write_text(f'schema_version = 1\ndst = "{footage}"\n')
    with pytest.raises(BadProject, match="in a place that belongs to what runs make"):
        Project.load(show)
