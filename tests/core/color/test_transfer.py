import pickle

import numpy as np
import pytest
from skimage.color import lab2rgb, rgb2lab

from understudy.core.color import maps, sliced_transport, transfer
from understudy.core.color.transfer import UNCHANGED, weighted_mean
from understudy.types import Floats

RCT = transfer.lab_transfer(maps.fit_lab_moments)
MKL = transfer.linear_transfer(maps.fit_monge_kantorovich)
SOT = transfer.table_transfer(sliced_transport.fit_sliced_transport, smooth=1 / 16)
Three = tuple[Floats, Floats, Floats]


@pytest.fixture
def faces() -> Three:
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


def test_rct_equals_an_independent_reference(faces: Three) -> None:
    face, like, weight = faces
    lab, wanted = rgb2lab(face), rgb2lab(like)
    for channel in range(3):
        mean, goal = (np.average(each[..., channel], weights=weight) for each in (lab, wanted))
        spread = np.sqrt(np.average((lab[..., channel] - mean) ** 2, weights=weight))
        spread_goal = np.sqrt(np.average((wanted[..., channel] - goal) ** 2, weights=weight))
        lab[..., channel] = (lab[..., channel] - mean) * np.clip(
            spread_goal / spread, 0.5, 2
        ) + goal
    error = np.abs(RCT(face, like, weight) - np.clip(lab2rgb(lab), 0, 1))[weight > 0.5]
    assert error.max() < 1 / 255


@pytest.mark.parametrize(
    ("each", "shape"), [(RCT, (2, 3)), (MKL, (3, 4)), (SOT, (17, 17, 17, 3)), (UNCHANGED, (0,))]
)
def test_a_transfer_is_its_two_steps_and_travels_between_processes(
    each: transfer.Transfer, shape: tuple[int, ...], faces: Three
) -> None:
    face, like, weight = faces
    there = pickle.loads(pickle.dumps(each))
    found = there.fit(face, like, weight)
    assert found.shape == shape and found.dtype == np.float32
    assert there.fit(face, like, 0 * weight).shape == shape
    assert np.array_equal(there.apply(face, found, weight), each(face, like, weight))


@pytest.mark.parametrize("each", [RCT, SOT, UNCHANGED])
def test_a_face_that_has_the_colours_already_stays_to_the_last_bit(
    each: transfer.Transfer, faces: Three
) -> None:
    face, _, weight = faces
    assert np.array_equal(each(face, face, weight), face)


def test_the_mean_of_equal_parameters_is_exactly_them() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.random((2, 17, 17, 17, 3)).astype(np.float32)
    assert np.array_equal(weighted_mean([one] * 11, list(rng.random(11))), one)
    assert np.allclose(weighted_mean([one, other], [1, 3]), one / 4 + 3 * other / 4, atol=1e-6)


@pytest.mark.parametrize("each", [RCT, MKL, SOT])
def test_mean_parameters_give_the_mean_colours(each: transfer.Transfer, faces: Three) -> None:
    face, like, weight = faces
    darker = like * np.float32(0.8)
    found = [each.fit(face, wanted, weight) for wanted in (like, darker)]
    mean = each.apply(face, weighted_mean(found, [1, 1]), weight)
    expected = (each(face, like, weight) + each(face, darker, weight)) / 2
    # LAB bends between the two, the others do not.
    assert np.abs(mean - expected).max() < (2 / 255 if each is RCT else 1e-5)


def test_a_face_of_other_size_takes_the_same_colours(faces: Three) -> None:
    face, like, weight = faces
    found = SOT.fit(face, like, weight)
    small, twice = (
        SOT.apply(face, found, weight),
        SOT.apply(
            np.kron(face, np.ones((2, 2, 1), np.float32)), found, np.kron(weight, [[1, 1]] * 2)
        ),
    )
    assert np.abs(twice[::2, ::2] - small)[weight == 1].max() < 1 / 255
