import cv2
import numpy as np
import pytest

from understudy.core import image


@pytest.mark.parametrize(
    ("radius", "off"), [(0.7, 1e-4), (2.9, 5e-4), (6.0, 4.5e-4), (13.0, 8.5e-4), (40.0, 6e-3)]
)
def test_it_is_the_gaussian_that_it_stands_for(radius, off):
    picture = cv2.GaussianBlur(
        np.random.default_rng(0).random((300, 280)).astype(np.float32), (0, 0), 3
    )
    picture = (picture - picture.min()) / np.ptp(picture)
    straight = cv2.GaussianBlur(picture, (0, 0), radius, borderType=cv2.BORDER_REPLICATE)
    assert np.abs(image.blur(picture, radius) - straight).mean() < off


def test_it_makes_no_step_when_it_grows():
    """Where it goes over to a smaller size, too."""
    picture = cv2.GaussianBlur(
        np.random.default_rng(1).random((200, 200, 3)).astype(np.float32), (0, 0), 4
    )
    blurred = [image.blur(picture, radius) for radius in np.arange(5, 16, 0.25)]
    steps = np.abs(np.diff(blurred, axis=0)).mean((1, 2, 3))
    assert steps.max() < 4 * np.median(steps)
