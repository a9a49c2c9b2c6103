import cv2
import numpy as np

from understudy.core.drawing import plot


def test_a_grid_shows_pictures_and_masks_in_labelled_columns() -> None:
    faces, masks = (
        np.full((3, 16, 16, 3), (1.0, 0, 0), np.float32),
        np.ones((3, 16, 16), np.float32),
    )
    picture = plot.grid({"face": faces, "mask": masks}, gap=2)
    assert picture.shape == (22 + 3 * 18, 2 * 18, 3)
    assert tuple(picture[30, 5]) == (255, 0, 0) and tuple(picture[30, 18 + 5]) == (255, 255, 255)
    assert (picture[:22, :18] < 128).any(), "the column has no name"


def test_a_falling_loss_falls_on_the_picture() -> None:
    x = list(range(1, 101))
    picture = plot.curves({"src": (x, [2 / i for i in x])}, "losses")
    drawn = np.argwhere((picture == plot.COLORS[0]).all(2))
    line = drawn[drawn[:, 1] < picture.shape[1] - plot.RIGHT]
    left, right = line[line[:, 1] < 150, 0].mean(), line[line[:, 1] > 700, 0].mean()
    assert left + 100 < right


def test_values_without_a_logarithm_are_left_out() -> None:
    broken = plot.curves({"src": ([1, 2, 3], [0.0, float("nan"), float("inf")])}, "losses")
    assert broken.shape == plot.curves({}, "losses").shape == (480, 960, 3)


def test_a_flat_loss_of_one_point_can_be_drawn() -> None:
    assert plot.curves({"src": ([1], [0.5])}, "losses").min() < 128


def test_png_keeps_every_pixel() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    back = cv2.imdecode(np.frombuffer(plot.png(picture), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.array_equal(back, picture)


def test_a_mark_stands_where_something_happened() -> None:
    lines = {"src": (list(range(1, 101)), [1.0] * 100)}
    changed = (
        plot.curves(lines, "losses", marks=[(50, "plateau")]) != plot.curves(lines, "losses")
    ).any(axis=(0, 2))
    middle = plot.LEFT + 0.5 * (960 - plot.LEFT - plot.RIGHT)
    assert abs(np.flatnonzero(changed)[0] - middle) <= 1
