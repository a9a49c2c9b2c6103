"""What many tests need: clips of two synthetic people, made once a run, and the real clips where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from understudy.core import synthetic
from understudy.core.synthetic_sound import voice
from understudy.io.clip_writer import write_clip
from understudy.stages.demo import portrait
from understudy.types import Bytes, Floats

Clip = list[tuple[Bytes, Floats]]

SIZE, FRAMES = (320, 240), 10


@pytest.fixture(scope="session")
def people() -> dict[str, Clip]:
    """Person "a" and "b": ten frames of (picture 240 x 320, true landmarks) each."""
    return {name: list(synthetic.clip(portrait(), name, FRAMES, SIZE)) for name in ("a", "b")}


@pytest.fixture(scope="session")
def clips(people: dict[str, Clip], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same as video files with sound: "src" shows person a, "dst" person b. Do not write to them."""
    folder = tmp_path_factory.mktemp("clips")
    sound = voice(np.sin(np.arange(FRAMES, dtype=np.float32)) ** 2)
    paths = {}
    for side, name in (("src", "a"), ("dst", "b")):
        paths[side] = folder / f"{side}.mp4"
        for _ in write_clip(paths[side], (image for image, _ in people[name]), SIZE, 25, sound):
            pass
    return paths


@pytest.fixture(scope="session")
def footage_folder() -> Path:
    """The folder of real clips; the test is skipped where there is none."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "footage"
    folder = Path(os.environ.get("UNDERSTUDY_FOOTAGE", beside))
    if not folder.is_dir():
        pytest.skip(f"no real footage in {folder}")
    return folder
