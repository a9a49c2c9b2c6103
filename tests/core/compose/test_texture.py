import math

import numpy as np
import pytest

from understudy.core import affine, image
from understudy.core.compose.texture import CORE, extract_texture

PITCH = 4.0


@pytest.fixture(scope="module")
def pair():
    """A plate with pores and an edge, and what a model of a quarter of its resolution holds of
    it.
    """
    rng = np.random.default_rng(0)
    plate = np.full((128, 128, 3), 0.5, np.float32) + (
        rng.standard_normal((128, 128, 1)) * 0.006
    ).astype(np.float32)
    plate[:, 64:66] -= 0.35
    small = image.warp(plate, affine.scaling(1 / PITCH), (32, 32), "replicate")
    return plate, image.warp(small, affine.scaling(PITCH), (128, 128), "replicate")


def test_all_of_it_on_dsts_own_face_is_the_plate(pair):
    plate, dst = pair
    np.testing.assert_allclose(
        dst + extract_texture(*pair, 100, PITCH, core=math.inf), plate, atol=1e-6
    )


def test_pores_come_through_and_edges_do_not(pair):
    found, there = extract_texture(*pair, 100, PITCH), pair[0] - pair[1]
    pores, edge = np.s_[:, 8:40], np.s_[:, 62:68]
    assert np.vdot(found[pores], there[pores]) > 0.9 * np.vdot(there[pores], there[pores])
    assert np.abs(found[edge]).max() < 0.02 * np.abs(there[edge]).max()


def test_half_of_it_is_half(pair):
    np.testing.assert_allclose(
        extract_texture(*pair, 50, PITCH), extract_texture(*pair, 100, PITCH) / 2, atol=1e-6
    )


def test_detail_of_the_core_passes_by_half():
    dst = np.full((32, 32, 3), 0.5, np.float32)
    stripes = dst + np.float32(CORE) * np.where(np.arange(32) % 2, 1, -1)[:, None].astype(
        np.float32
    )
    np.testing.assert_allclose(
        extract_texture(stripes, dst, 100, 1.0), (stripes - dst) / 2, atol=1e-5
    )
