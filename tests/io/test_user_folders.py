"""Caches and keys lie where each system has them, and where earlier versions put them."""

from __future__ import annotations

import sys
from pathlib import Path

import platformdirs
import pytest
from platformdirs import macos, unix, windows

from understudy.io import user_folders
from understudy.io.provenance import signing_key
from understudy.io.weights import fetch

VARIABLES = (
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "LOCALAPPDATA",
    "UNDERSTUDY_CACHE",
    "UNDERSTUDY_CREDENTIALS",
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a user who has set nothing."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


def on(system: str, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Let platformdirs and us believe that this is another system."""
    kinds = {"linux": unix.Unix, "darwin": macos.MacOS, "win32": windows.Windows}
    monkeypatch.setattr(platformdirs, "PlatformDirs", kinds[system])
    monkeypatch.setattr(sys, "platform", system)
    # Windows itself says where its folders are, whatever the variables say.
    monkeypatch.setattr(windows, "get_win_folder", lambda name: str(home / "AppData/Local"))


@pytest.mark.skipif(sys.platform == "win32", reason="paths of other systems")
@pytest.mark.parametrize(
    ("system", "weights", "credentials"),
    [
        ("linux", ".cache/understudy/weights", ".local/share/understudy/credentials"),
        (
            "darwin",
            "Library/Caches/understudy/weights",
            "Library/Application Support/understudy/credentials",
        ),
        (
            "win32",
            "AppData/Local/understudy/weights",
            "AppData/Local/understudy/credentials",
        ),
    ],
)
def test_each_system_keeps_its_places(
    system: str, weights: str, credentials: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(system, monkeypatch, home)
    assert fetch.weights_folder() == home / weights
    assert signing_key.credentials_folder() == home / credentials


def test_the_variables_of_linux_are_obeyed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on("linux", monkeypatch, home)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "c"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "d"))
    assert fetch.weights_folder() == home / "c/understudy/weights"
    assert signing_key.credentials_folder() == home / "d/understudy/credentials"


@pytest.mark.skipif(sys.platform == "win32", reason="paths of other systems")
def test_a_key_that_an_earlier_version_made_is_found_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on("darwin", monkeypatch, home)
    former = home / "Library/Application Support/understudy/credentials"
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "d"))
    assert signing_key.credentials_folder() == home / "d/understudy/credentials"
    former.mkdir(parents=True)
    (home / "d/understudy").mkdir(parents=True)
    assert signing_key.credentials_folder() == former
    (home / "d/understudy/credentials").mkdir()
    assert signing_key.credentials_folder() == home / "d/understudy/credentials"


@pytest.mark.skipif(sys.platform == "win32", reason="paths of other systems")
def test_the_old_variable_of_windows_still_finds_its_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on("win32", monkeypatch, home)
    monkeypatch.setenv("LOCALAPPDATA", str(home / "else"))
    (home / "else/understudy/weights").mkdir(parents=True)
    assert user_folders.cache_folder("weights") == home / "else/understudy/weights"
    (home / ".local/share/understudy/credentials").mkdir(parents=True)
    monkeypatch.delenv("LOCALAPPDATA")
    assert user_folders.data_folder("credentials") == home / ".local/share/understudy/credentials"
