"""What passes before a face is found, and does not count as the face's colour."""

import cv2
import numpy as np
import pytest

from understudy.core.color.occlusion import TypicalFace, uncover

SIDE = 96
EVERYWHERE = np.ones((SIDE, SIDE), np.float32)
OBJECTS = {"dark": (0.05, 0.05, 0.05), "bright": (0.95,) * 3, "skin": (0.85, 0.66, 0.55)}


def face(number):
    """A soft face that moves a little and is lit a little otherwise in each picture."""
    rng = np.random.default_rng(7)
    soft = cv2.GaussianBlur(rng.random((SIDE, SIDE, 3)).astype(np.float32), (0, 0), 9)
    soft = 0.3 + 0.3 * (soft - soft.min()) / np.ptp(soft) * np.float32([1, 0.8, 0.7])
    moved = np.float32([[1, 0, np.sin(number)], [0, 1, np.cos(number)]])
    lit = np.float32(1 + 0.06 * np.sin(0.7 * number))
    return lit * cv2.warpAffine(soft, moved, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)


def covered(picture, color, radius):
    shape = cv2.circle(np.zeros((SIDE, SIDE), np.float32), (50, 60), radius, 1, -1, cv2.LINE_AA)
    return picture + (np.float32(color) - picture) * shape[..., None], shape


USUAL = TypicalFace.of([face(number) for number in range(15)])


@pytest.mark.parametrize("radius", [14, 30])
@pytest.mark.parametrize("color", OBJECTS.values(), ids=OBJECTS)
def test_what_passes_gives_way_to_the_usual_look(color, radius):
    plain = face(3.5)
    seen, shape = covered(plain, color, radius)
    found, shown = uncover(seen, USUAL, EVERYWHERE)
    assert shown[shape == 1].max() < 0.3 and shown[cv2.blur(shape, (25, 25)) == 0].min() == 1
    before, after = (np.abs(each.mean((0, 1)) - plain.mean((0, 1))).max() for each in (seen, found))
    assert after < 0.1 * before


def test_a_plain_face_stays_as_it_is():
    plain = face(3.5)
    found, shown = uncover(plain, USUAL, EVERYWHERE)
    assert found is plain and shown.min() == 1


def test_other_light_is_no_object():
    _, shown = uncover(np.float32(0.7) * face(3.5) + np.float32(0.1), USUAL, EVERYWHERE)
    assert shown.min() == 1


def test_what_is_there_in_most_pictures_is_the_face():
    bearded = TypicalFace.of(
        [covered(face(number), (0.1, 0.08, 0.05), 25)[0] for number in range(9)]
    )
    _, shown = uncover(covered(face(3.5), (0.1, 0.08, 0.05), 25)[0], bearded, EVERYWHERE)
    assert shown.min() == 1


def test_only_the_weight_is_looked_at():
    mask = EVERYWHERE.copy()
    mask[40:] = 0
    _, shown = uncover(covered(face(3.5), (1, 1, 1), 14)[0], USUAL, mask)
    assert shown.min() == 1


def test_too_small_a_mask_says_nothing():
    nothing = np.zeros((SIDE, SIDE), np.float32)
    seen, _ = covered(face(0), (1, 1, 1), 14)
    assert uncover(seen, USUAL, nothing)[0] is seen
