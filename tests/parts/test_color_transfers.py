import numpy as np
import pytest
from numpy.typing import NDArray

from understudy.core.compose.options import CompositeOptions
from understudy.parts.color_transfers import color_transfers
from understudy.stages.train.options import TrainOptions

Floats = NDArray[np.float32]
COLOR_TRANSFERS = {name: color_transfers[name]().build() for name in color_transfers}
DFL_TRANSFERS = {name: color_transfers[name]().build_dfl() for name in color_transfers}
REAL = sorted(set(COLOR_TRANSFERS) - {"none"})


@pytest.fixture
def faces() -> tuple[Floats, Floats, Floats]:
    """A face, one under other light, and a mask."""
    rng = np.random.default_rng(1)
    down, across = np.mgrid[:64, :64] / np.float32(64)
    shade = np.stack([down, across, (down + across) / 2], -1)
    face = np.asarray(0.4 + 0.3 * shade + rng.normal(0, 0.01, shade.shape), np.float32)
    like = np.asarray((0.25 + 0.35 * shade[::-1]) * (0.7, 0.9, 1.1), np.float32)
    return (
        face,
        like,
        np.clip(30 - np.hypot(64 * down - 31.5, 64 * across - 31.5), 0, 1).astype(np.float32),
    )


def mean(picture: Floats, weight: Floats) -> Floats:
    return np.asarray(
        np.average(picture.reshape(-1, 3), axis=0, weights=weight.ravel()), np.float32
    )


@pytest.mark.parametrize("name", REAL)
def test_the_face_takes_the_colours_and_keeps_its_shape(
    name: str, faces: tuple[Floats, Floats, Floats]
) -> None:
    face, like, weight = faces
    moved = COLOR_TRANSFERS[name](face, like, weight)
    assert (
        moved.shape == face.shape
        and moved.dtype == np.float32
        and 0 <= moved.min()
        and moved.max() <= 1
    )
    counts = weight if name == "rct" or name.endswith("-m") else np.ones_like(weight)
    left = np.linalg.norm(mean(moved, counts) - mean(like, counts)) / np.linalg.norm(
        mean(face, counts) - mean(like, counts)
    )
    assert left < (0.45 if name.startswith("idt") else 0.1)
    assert (
        np.corrcoef(moved[16:48, 16:48].mean(-1).ravel(), face[16:48, 16:48].mean(-1).ravel())[0, 1]
        > 0.95
    )


@pytest.mark.parametrize("name", COLOR_TRANSFERS)
def test_a_face_that_has_the_colours_already_stays(
    name: str, faces: tuple[Floats, Floats, Floats]
) -> None:
    face, _, weight = faces
    assert np.abs(COLOR_TRANSFERS[name](face, face, weight) - face).max() < 1 / 255


@pytest.mark.parametrize("name", COLOR_TRANSFERS)
def test_flat_pictures_and_empty_masks_give_numbers_and_no_noise(
    name: str, faces: tuple[Floats, Floats, Floats]
) -> None:
    face, like, weight = faces
    rng, transfer = np.random.default_rng(2), COLOR_TRANSFERS[name]
    flat, black = np.full_like(face, 0.5), np.zeros_like(face)
    for one, other in (
        (flat, like),
        (face, flat),
        (flat, flat),
        (black, like),
        (face, black),
        (black, black),
    ):
        assert np.isfinite(transfer(one, other, weight)).all()
    nearly = np.asarray(flat + rng.normal(0, 1e-3, face.shape), np.float32)
    assert transfer(nearly, like, weight)[weight == 1].std(0).max() < 0.02
    if name == "rct" or name.endswith("-m"):
        assert np.array_equal(transfer(face, like, np.zeros_like(weight)), face)


@pytest.mark.parametrize("name", sorted(set(DFL_TRANSFERS) - {"none"}))
def test_dfls_formulas_work_on_any_face(name: str, faces: tuple[Floats, Floats, Floats]) -> None:
    face, like, weight = (each[::2, ::2] for each in faces)
    transfer, black = DFL_TRANSFERS[name], np.zeros_like(face)
    for one, other, mask in (
        (face, like, weight),
        (face, black, weight),
        (black, like, weight),
        (face, like, 0 * weight),
    ):
        moved = transfer(one, other, mask)
        assert (
            moved.shape == face.shape
            and moved.dtype == np.float32
            and 0 <= moved.min()
            and moved.max() <= 1
        )
        assert np.array_equal(transfer(one, other, mask), moved)
    inside = weight > 0
    before, after = (
        np.linalg.norm((each - like)[inside].mean(0))
        for each in (face, transfer(face, like, weight))
    )
    assert after < 0.6 * before


@pytest.mark.parametrize("name", [name for name in REAL if name == "rct" or name.endswith("-m")])
def test_what_lies_outside_the_mask_has_no_say(
    name: str, faces: tuple[Floats, Floats, Floats]
) -> None:
    face, like, weight = faces
    framed, framed_like = face.copy(), like.copy()
    framed[weight == 0], framed_like[weight == 0] = 0, 1
    inside = np.hypot(*(np.mgrid[:64, :64] - 31.5)) < 15
    one, other = (
        COLOR_TRANSFERS[name](*pair, weight)[inside]
        for pair in ((framed, framed_like), (face, like))
    )
    assert np.allclose(one, other, atol=2e-3)


def test_merge_offers_them_all() -> None:
    offered = CompositeOptions.model_json_schema()["properties"]["color_transfer"]["enum"]
    assert offered == list(COLOR_TRANSFERS)


def test_train_offers_those_that_work_on_pixels_alone() -> None:
    offered = TrainOptions.model_json_schema()["properties"]["ct_mode"]["enum"]
    assert offered == ["none", "idt", "lct", "mkl", "rct", "sot"]
