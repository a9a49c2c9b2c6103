import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.core import affine
from understudy.errors import DegeneratePoints

POINTS = np.random.default_rng(1).uniform(0, 500, (20, 2))


@given(st.floats(-3, 3), st.floats(0.05, 20), st.floats(-900, 900), st.floats(-900, 900))
def test_similarity_recovers_the_map_that_moved_the_points(angle, scale, right, down):
    turn = scale * np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    true = np.hstack([turn, [[right], [down]]])
    assert np.allclose(affine.fit_similarity(POINTS, affine.apply(true, POINTS)), true, atol=1e-6)


def test_similarity_never_mirrors():
    mirrored = POINTS * (-1, 1)
    assert np.linalg.det(affine.fit_similarity(POINTS, mirrored)[:, :2]) > 0


@pytest.mark.parametrize(
    "bad", [np.full((20, 2), 7.0), np.full((20, 2), np.nan), POINTS[:1], POINTS[:, :1]]
)
def test_points_without_a_fit_are_refused(bad):
    with pytest.raises(DegeneratePoints):
        affine.fit_similarity(bad, POINTS[: len(bad), : bad.shape[1]])
    with pytest.raises(DegeneratePoints):
        affine.fit_similarity(POINTS[: len(bad), : bad.shape[1]], bad)


def test_a_chain_of_maps_reads_from_right_to_left_and_back():
    a_from_b = affine.square_crop((40, 30), 55, 0.3, 128)
    b_from_c = affine.scaling(3)
    there = affine.compose(a_from_b, b_from_c)
    assert np.allclose(
        affine.apply(there, POINTS), affine.apply(a_from_b, affine.apply(b_from_c, POINTS))
    )
    assert np.allclose(affine.apply(affine.invert(there), affine.apply(there, POINTS)), POINTS)
    assert affine.scale_of(there) == pytest.approx(3 * 128 / 55)


def test_a_flat_map_has_no_way_back():
    with pytest.raises(DegeneratePoints):
        affine.invert([[1, 1, 0], [1, 1, 0]])


def test_areas_correspond_not_pixel_centres():
    whole = affine.square_crop((49.5, 49.5), 100, 0, 25)
    assert np.allclose(affine.apply(whole, affine.corners((100, 100))), affine.corners((25, 25)))
    assert np.allclose(
        affine.apply(affine.scaling(4), affine.corners((10, 20))), affine.corners((40, 80))
    )


def test_a_square_turned_clockwise_looks_down_on_its_right_side():
    quarter = affine.invert(affine.square_crop((50, 50), 20, math.pi / 2, 20))
    assert np.allclose(affine.apply(quarter, [19.5, 9.5]), (50, 60))
