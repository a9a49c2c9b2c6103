import numpy as np
import pytest
from skimage.color import lab2rgb, rgb2lab

from understudy.core import color


@pytest.fixture
def faces():
    rng = np.random.default_rng(1)
    smooth = np.linspace(0, 1, 64, dtype=np.float32)
    picture = np.stack([smooth[:, None] + 0 * smooth, 0 * smooth[:, None] + smooth, np.full((64, 64), 0.5)], -1)
    face = (0.3 + 0.3 * picture + rng.normal(0, 0.01, picture.shape)).astype(np.float32)
    like = (0.25 + 0.4 * picture[::-1] * (0.9, 0.7, 0.6)).astype(np.float32)
    across = np.arange(64) - 31.5
    weight = np.clip(30 - np.hypot(across[:, None], across), 0, 1).astype(np.float32)
    return face, like, weight


def test_reinhard_equals_an_independent_reference(faces):
    face, like, weight = faces
    lab, wanted = rgb2lab(face), rgb2lab(like)
    for channel in range(3):
        mean, goal = (np.average(each[..., channel], weights=weight) for each in (lab, wanted))
        spread = np.sqrt(np.average((lab[..., channel] - mean) ** 2, weights=weight))
        spread_goal = np.sqrt(np.average((wanted[..., channel] - goal) ** 2, weights=weight))
        lab[..., channel] = (lab[..., channel] - mean) * np.clip(spread_goal / spread, 0.5, 2) + goal
    expected = np.clip(lab2rgb(lab), 0, 1)
    assert np.abs(color.reinhard(face, like, weight) - expected)[weight > 0.5].max() < 2 / 255


def test_a_face_that_has_the_light_already_stays(faces):
    face, _, weight = faces
    assert np.abs(color.reinhard(face, face, weight) - face).max() < 1 / 255


def test_what_lies_outside_the_mask_has_no_say(faces):
    face, like, weight = faces
    framed, framed_like = face.copy(), like.copy()
    framed[weight == 0], framed_like[weight == 0] = 0, 1
    inside = weight == 1
    assert np.allclose(color.reinhard(framed, framed_like, weight)[inside], color.reinhard(face, like, weight)[inside], atol=1e-5)


def test_a_flat_face_does_not_become_noise(faces):
    _, like, weight = faces
    rng = np.random.default_rng(2)
    flat = (0.5 + rng.normal(0, 1e-3, like.shape)).astype(np.float32)
    moved = color.reinhard(flat, like, weight)
    assert np.isfinite(moved).all()
    assert moved[weight == 1].std(0).max() < 0.02


def test_an_empty_mask_changes_nothing(faces):
    face, like, weight = faces
    assert np.array_equal(color.reinhard(face, like, np.zeros_like(weight)), face)
