"""A model from a file predicts as a trained one does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.errors import BadMedia, BadOption
from understudy.parts.dfm_model import DfmModel
from understudy.types import Floats

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

DfmFile = Callable[..., Path]


def faces(count: int) -> Floats:
    return np.random.default_rng(count).random((count, 32, 32, 3), np.float32)


def test_a_red_face_is_red_in_the_file_and_comes_back_red(dfm_file: DfmFile) -> None:
    red = np.zeros((1, 32, 32, 3), np.float32)
    red[..., 0] = 1
    made = DfmModel(dfm_file(), "cpu").predict(red)
    assert np.array_equal(made.image, red)
    # The file's dst mask is what it takes for red, its other mask what it takes for blue.
    assert made.dst_mask.min() == 1 and made.mask.max() == 0


@pytest.mark.parametrize("batch", [1, 3, 8, "N"])
@pytest.mark.parametrize("count", [0, 1, 5, 17])
def test_any_number_of_faces_goes_through_any_batch(
    dfm_file: DfmFile, batch: int | str, count: int
) -> None:
    seen = faces(count)
    made = DfmModel(dfm_file(batch=batch), "cpu").predict(seen)
    assert np.array_equal(made.image, seen)
    assert made.mask.shape == made.dst_mask.shape == (count, 32, 32)


def test_the_morph_reaches_the_file(dfm_file: DfmFile) -> None:
    model = DfmModel(dfm_file(morph=True), "cpu")
    assert model.predict(faces(1)).mask.mean() == 1
    model.set_morph(0.25)
    assert np.allclose(model.predict(faces(1)).mask, 0.25)
    with pytest.raises(BadOption, match="takes no morph_value"):
        DfmModel(dfm_file(), "cpu").set_morph(0.25)


def told(face_type: str, iteration: str = "7") -> Callable[[Any], None]:
    def edit(model: Any) -> None:
        model.metadata_props.add(key="understudy.face_type", value=face_type)
        model.metadata_props.add(key="understudy.iteration", value=iteration)
        model.metadata_props.add(key="understudy.model", value="tiny")

    return edit


def test_the_face_type_is_what_the_file_says_or_else_what_it_is_told(dfm_file: DfmFile) -> None:
    ours, foreign = DfmModel(dfm_file(edit=told("head")), "cpu"), DfmModel(dfm_file(), "cpu")
    assert (ours.face_type, ours.iteration, ours.has_face_type) == ("head", 7, True)
    assert ours.model == "tiny"
    assert (foreign.face_type, foreign.has_face_type) == ("whole", False)
    foreign.set_face_type("full")
    ours.set_face_type("head")
    assert foreign.face_type == "full"
    with pytest.raises(BadOption, match="says that it shows head, not full"):
        ours.set_face_type("full")


def test_nonsense_about_itself_is_refused(dfm_file: DfmFile) -> None:
    with pytest.raises(BadMedia, match="says '1e999' of itself"):
        DfmModel(dfm_file(edit=told("head", "1e999")), "cpu")
