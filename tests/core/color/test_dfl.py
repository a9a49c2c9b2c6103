import numpy as np
import pytest
from scipy.linalg import sqrtm
from skimage.color import lab2rgb, rgb2lab

from understudy.core.color import dfl
from understudy.core.color.lab import lab_from_rgb, weighted_mean_std
from understudy.types import Floats

Three = tuple[Floats, Floats, Floats]


@pytest.fixture
def faces() -> Three:
    """A face, one under other light, and a mask."""
    rng = np.random.default_rng(1)
    down, across = np.mgrid[:48, :48] / 48
    weight = np.clip(22 - np.hypot(48 * down - 23.5, 48 * across - 23.5), 0, 1)
    face = np.stack(
        [0.4 + 0.3 * down, 0.35 + 0.2 * across, 0.3 + 0.1 * down * across], -1
    ) + rng.normal(0, 0.005, (48, 48, 3))
    like = np.stack([0.3 + 0.2 * across, 0.3 + 0.25 * down, 0.35 + 0.1 * across], -1) + rng.normal(
        0, 0.005, (48, 48, 3)
    )
    return face.astype(np.float32), like.astype(np.float32), weight.astype(np.float32)


def test_rct_counts_what_lies_outside_as_nothing(faces: Three) -> None:
    face, like, weight = faces
    lab, goal = (
        np.where((weight >= 0.5)[..., None], rgb2lab(each), 0).reshape(-1, 3)
        for each in (face, like)
    )
    moved = (rgb2lab(face) - lab.mean(0)) * goal.std(0) / lab.std(0) + goal.mean(0)
    error = np.abs(dfl.rct()(face, like, weight) - np.clip(lab2rgb(moved), 0, 1))[weight >= 0.5]
    assert error.max() < 2 / 255
    # That the black counts must be seen.
    inside = (dfl.rct()(face, like, weight) - like)[weight >= 0.5].mean(0)
    assert np.abs(inside).max() > 0.5 / 255


def test_rct_stretches_without_limit_but_not_a_flat_face(faces: Three) -> None:
    face, like, weight = faces
    flat, whole = np.full_like(face, 0.5), np.ones_like(weight)
    assert np.array_equal(dfl.rct().fit(flat, like, whole)[0], [1, 1, 1])
    assert dfl.rct().fit(0.5 + 0.1 * (face - 0.5), like, whole)[0].max() > 4


def test_lct_and_mkl_equal_their_formulas_to_a_hundred_thousandth(faces: Three) -> None:
    face, like, weight = faces
    ours, theirs = (each.reshape(-1, 3).astype(np.float64) for each in (face, like))
    regular = 1e-5 * np.eye(3)
    spread, wanted = (np.cov(each.T, ddof=0) + regular for each in (ours, theirs))
    lct = (ours - ours.mean(0)) @ (sqrtm(wanted) @ np.linalg.inv(sqrtm(spread))).T + theirs.mean(0)
    assert np.abs(dfl.lct()(face, like, weight).reshape(-1, 3) - np.clip(lct, 0, 1)).max() < 1e-5
    for masked in (False, True):
        area = (weight > 0).reshape(-1, 1) if masked else np.ones((48 * 48, 1))
        spread, wanted = (np.cov((each * area).T) for each in (ours, theirs))
        root = sqrtm(spread)
        turn = np.linalg.inv(root) @ sqrtm(root @ wanted @ root) @ np.linalg.inv(root)
        mkl = (ours - (ours * area).mean(0)) @ turn + (theirs * area).mean(0)
        error = np.abs(
            dfl.mkl(masked=masked)(face, like, weight).reshape(-1, 3) - np.clip(mkl, 0, 1)
        )
        assert error[area[:, 0] > 0].max() < 1e-5


def test_idt_goes_two_thirds_of_the_way(faces: Three) -> None:
    face, like, weight = faces
    moved = dfl.idt(masked=False)(face, like, weight)
    left = np.linalg.norm((moved - like).mean((0, 1))) / np.linalg.norm((face - like).mean((0, 1)))
    assert abs(left - 0.95**20) < 0.05
    inside = weight > 0
    moved = dfl.idt(masked=True)(face, like, weight)
    left = np.linalg.norm((moved - like)[inside].mean(0)) / np.linalg.norm(
        (face - like)[inside].mean(0)
    )
    assert left < 0.5


def test_sot_brings_the_distribution_and_not_the_detail(faces: Three) -> None:
    face, like, weight = faces
    moved = dfl.sot(masked=False)(face, like, weight)
    assert np.abs((moved - like).mean((0, 1))).max() < 1 / 255
    fine, own = (each - np.roll(each, 1, 1) for each in (moved, face))
    assert np.corrcoef(fine[8:-8, 8:-8].ravel(), own[8:-8, 8:-8].ravel())[0, 1] > 0.99


def test_mix_takes_lightness_by_spread_and_chroma_by_distribution(faces: Three) -> None:
    face, like, weight = faces
    whole = np.ones_like(weight)
    lab, wanted = (lab_from_rgb(each) for each in (dfl.mix(masked=True)(face, like, whole), like))
    for mine, theirs in zip(
        weighted_mean_std(lab, whole), weighted_mean_std(wanted, whole), strict=True
    ):
        assert abs(mine[0] - theirs[0]) < 1
    assert np.abs(lab[..., 1:].mean((0, 1)) - wanted[..., 1:].mean((0, 1))).max() < 1.5


def test_a_face_of_other_size_moves_alike(faces: Three) -> None:
    face, like, weight = faces
    transfer = dfl.idt(masked=True)
    assert not transfer.averages
    found = transfer.fit(face, like, weight)
    twice = transfer.apply(np.kron(face, np.ones((2, 2, 1), np.float32)), found, weight)
    assert (
        np.abs(
            twice.reshape(48, 2, 48, 2, 3).mean((1, 3)) - transfer.apply(face, found, weight)
        ).mean()
        < 1 / 255
    )
