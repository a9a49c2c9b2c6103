"""The crossing scene: two people pass each other, and one is hidden for a while."""

from __future__ import annotations

import numpy as np
from synthetic_crossing import crossing

from understudy.stages.demo import load_portrait
from understudy.types import Bytes, Floats


def test_one_passes_before_the_other_and_hides_them() -> None:
    scene = list(crossing(load_portrait(), frames=5, size=(320, 180)))
    assert all(each.image.shape == (180, 320, 3) and each.image.dtype == np.uint8 for each in scene)
    ahead = [each.landmarks[0, 30, 0] < each.landmarks[1, 30, 0] for each in scene]
    assert ahead[0] and ahead[1] and not ahead[3] and not ahead[4]
    hidden = np.stack([each.hidden for each in scene])
    assert (hidden[:, 0] == 0).all() and hidden[0, 1] == hidden[4, 1] == 0 and hidden[2, 1] > 0.9


def test_the_points_lie_on_the_face_of_whoever_is_seen() -> None:
    # Person b's complexion has less blue, so the bridge of the nose tells who is seen; behind a,
    # his true point shows her.
    start, middle, end = (
        [warmth(scene.image, points[27:30]) for points in scene.landmarks]
        for scene in crossing(load_portrait(), frames=3, size=(320, 180))
    )
    assert start[0] < 0.8 * start[1] and end[0] < 0.8 * end[1]
    assert middle[1] < 0.8 * start[1]


def warmth(image: Bytes, points: Floats) -> float:
    """How much more red than blue the picture is at the points."""
    across, down = np.rint(points).astype(int).T
    red, _, blue = image[down, across].astype(float).mean(axis=0)
    return float(red / blue)


def test_the_same_seed_gives_the_same_scene() -> None:
    once, again, other = (
        next(crossing(load_portrait(), 1, (160, 90), seed)).image for seed in (0, 0, 1)
    )
    assert np.array_equal(once, again) and not np.array_equal(once, other)
