"""How a missing package gets installed: a line to type that works where it is told."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from understudy.io import installation

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with what run.py sets up, whose Python runs."""
    folder = tmp_path / "a clone"
    for name in ("run.py", "pyproject.toml", "constraints.txt"):
        (folder / ".venv").mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    monkeypatch.setattr(installation, "ROOT", folder)
    monkeypatch.setattr(sys, "prefix", str(folder / ".venv"))
    return folder


def test_in_a_clone_run_py_brings_an_extra(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = shlex.split(installation.install_extra("dlib"))
    assert told[1:] == [str(clone / "run.py"), "--with", "dlib"]
    monkeypatch.chdir(clone)
    assert installation.install_extra("dlib").endswith(" run.py --with dlib")
    monkeypatch.setenv("UNDERSTUDY_CALLED_AS", "python3.12 ../run.py")
    assert installation.install_extra("dlib") == "python3.12 ../run.py --with dlib"


def test_another_python_gets_the_packages_and_no_name_that_no_index_has(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", "/usr")
    words = shlex.split(installation.install_extra("dlib"))
    assert words[:4] == [sys.executable, "-m", "pip", "install"]
    assert words[4:6] == ["-c", str(clone / "constraints.txt")]
    assert any(each.startswith("dlib-bin>=") for each in words) and "understudy" not in words


def test_a_copy_without_a_clone_needs_no_file_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "ROOT", tmp_path)
    assert "constraints" not in installation.install_extra("onnx")
    monkeypatch.setattr(installation, "_version", lambda name: None if name == "av" else "1")
    words = shlex.split(installation.install_missing())
    assert [each for each in words[4:] if not each.startswith("av")] == [] and len(words) == 5


def test_shells_of_windows_get_quotes_that_they_know(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("understudy.io.installation.os.name", "nt")
        assert installation.pip("install", "ray>=2").endswith(' "ray>=2"')
    assert installation.pip("install", "ray>=2").endswith(" 'ray>=2'")


def test_every_extra_that_is_advised_is_declared() -> None:
    declared = installation.requirements()
    for source in (REPOSITORY / "understudy").rglob("*.py"):
        for part in source.read_text(encoding="utf-8").split("install_extra(")[1:]:
            name = part.partition(")")[0].strip("\"'")
            assert name in declared or name in ("extra", "extra: str"), f"{source}: {name}"


def test_nothing_names_a_package_that_no_index_has() -> None:
    told = [*(REPOSITORY / "understudy").rglob("*.py"), *REPOSITORY.glob("*.md")]
    for page in [*told, *(REPOSITORY / "docs").glob("*.md")]:
        text = page.read_text(encoding="utf-8")
        assert "understudy[" not in text and "pip install understudy" not in text, page
