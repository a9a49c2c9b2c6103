"""Looks at what healthy models paint from the first iteration on: none is ever taken for a
collapsed one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from understudy.core.face import align
from understudy.io.faceset.faceset import Faceset
from understudy.stages.project import Project, ProjectFile
from understudy.stages.saved_models.recipe import ModelRecipe
from understudy.stages.train.callbacks.collapse_check import CollapseCheck
from understudy.stages.train.callbacks.compile_tuner import CompileTuner
from understudy.stages.train.data import input_pipeline
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.state import TrainState
from understudy.stages.train.train_step import train_step
from understudy.stages.train.trainable import TrainableModel
from understudy.types import AlignedFace, Bytes, Face, Floats

SAEHD = {
    "resolution": 64,
    "archi": "liae-ud",
    "ae_dims": 32,
    "e_dims": 16,
    "d_dims": 16,
    "d_mask_dims": 16,
}


def troubles(
    show: Path, model: str, settings: dict[str, object], lr: float, checks: Sequence[int]
) -> list[str]:
    """What each check finds while a model learns."""
    given = {
        "model": model,
        "batch": 2,
        "device": "cpu",
        "precision": "fp32",
        "lr": lr,
        model: settings,
    }
    options = TrainOptions.layered(given)
    recipe, cpu = ModelRecipe(model=model, settings=settings), torch.device("cpu")
    state = TrainState(options, TrainableModel(recipe, options, cpu))
    tuner = CompileTuner(("off",), cpu)
    tuner.attach(state.model)
    faces = input_pipeline.load_faces(Project.load(show), options, recipe)
    batches, check, found = input_pipeline.make_batches(state, *faces), CollapseCheck(*faces), []
    for number in range(checks[-1] + 1):
        if number in checks:
            found.append(check.find_trouble(state.model, number))
        state, _ = train_step(state, batches.make(number), tuner)
    return found


@pytest.mark.usefixtures("small_models")
def test_a_healthy_young_model_is_never_taken_for_a_collapsed_one(show: Path) -> None:
    assert set(troubles(show, "tiny", {"resolution": 64}, 1e-3, range(0, 31, 5))) == {""}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "settings", "last"), [("tiny", {"resolution": 64}, 500), ("saehd", SAEHD, 150)]
)
def test_on_a_clip_the_first_minutes_give_no_alarm(
    model: str,
    settings: dict[str, object],
    last: int,
    people: dict[str, list[tuple[Bytes, Floats]]],
    tmp_path: Path,
) -> None:
    Project(tmp_path, ProjectFile(src="a.mp4", dst="b.mp4")).save()
    for side, name in (("src", "a"), ("dst", "b")):
        faces = Faceset(tmp_path / side / "faces")
        for frame, (picture, points) in enumerate(people[name]):
            faces.add(cut(frame, picture, points.astype(np.float32)), suffix=".png")
    # Closest where a model changes most; the cheap one until after the 500 from which on more is
    # asked of any.
    checks = [*range(0, 100, 10), *range(100, last + 1, 50)]
    assert set(troubles(tmp_path, model, settings, 0, checks)) == {""}


def cut(frame: int, picture: Bytes, points: Floats) -> AlignedFace:
    face_from_frame = align.face_from_frame(points, "full", 160)
    image = cv2.warpAffine(picture, face_from_frame, (160, 160)).astype(np.uint8)
    box = np.array([*points.min(0), *points.max(0)], np.float32)
    face = Face(frame, box, points, 1.0, 0, np.zeros(3, np.float32))
    return AlignedFace(face, image, face_from_frame, "full", None, "clip.mp4", frame / 25)
