"""Pictures without colour, grey or toned, are told from faint and from dark colours."""

import cv2
import numpy as np
import pytest

from understudy.core.color.tone import apply_tone, fit_tone

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def colored(people):
    return [frame.astype(np.float32) / 255 for frame, _ in people["b"]]


def grey(picture):
    return np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)


def sepia(picture):
    return np.clip(grey(picture) * np.float32([1.07, 0.95, 0.8]) + np.float32(0.02), 0, 1)


def noisy(picture, levels=8):
    return np.clip(picture + RNG.normal(0, levels / 255, picture.shape), 0, 1).astype(np.float32)


@pytest.mark.parametrize("change", [grey, lambda picture: noisy(grey(picture))])
def test_grey_pictures_have_a_grey_tone(colored, change):
    tone = fit_tone([change(each) for each in colored])
    assert tone is not None and not tone.any()
    made = apply_tone(colored[0], tone)
    assert (made == made[..., :1]).all()


def test_toned_pictures_give_their_tone(colored):
    tone = fit_tone([noisy(sepia(each), 4) for each in colored])
    made = apply_tone(grey(sepia(colored[0])), tone)
    assert np.abs(made - sepia(colored[0])).max() < 4 / 255


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: picture,
        lambda picture: grey(picture) + np.float32(0.2) * (picture - grey(picture)),
        lambda picture: np.float32(0.15) * picture,
    ],
    ids=["plain", "faint", "dark"],
)
def test_colour_is_no_tone(colored, change):
    assert fit_tone([change(each) for each in colored]) is None


def test_a_few_grey_frames_do_not_make_a_shot_grey(colored):
    assert fit_tone([grey(each) for each in colored[:4]] + colored[4:]) is None
