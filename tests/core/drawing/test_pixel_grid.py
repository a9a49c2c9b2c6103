"""A frame to measure on: what is read off the grid is where it is in the frame."""

import numpy as np
import pytest

from understudy.core.drawing.pixel_grid import draw_pixel_grid


@pytest.mark.parametrize(
    ("size", "step"), [((360, 640), 50), ((720, 1280), 100), ((90, 120), 10), ((1, 1), 10)]
)
def test_numbered_lines_lie_on_their_pixels(size, step):
    image = np.full((*size, 3), 200, np.uint8)
    drawn = draw_pixel_grid(image).astype(int)
    assert drawn.shape == image.shape and (image == 200).all()
    row = drawn[size[0] // 2 + 3, :, 0] if size[0] > 1 else drawn[0, :, 0]
    plain = [x for x in np.flatnonzero(row < 130) if 40 < x < size[1] - 40]
    assert plain == list(range(-(-41 // step) * step, size[1] - 40, step))


def test_a_dark_frame_is_made_visible_and_its_lines_light():
    image = np.random.default_rng(0).integers(0, 9, (120, 160, 3), np.uint8)
    drawn = draw_pixel_grid(image)
    assert drawn[65:68, 63:65].mean() > 60
    assert drawn[60, 60:64].mean() > drawn[61, 61:64].mean()
