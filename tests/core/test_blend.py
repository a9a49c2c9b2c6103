import cv2
import numpy as np
import pytest

from understudy.core import blend


def disc(height, width, y, x, radius):
    rows, columns = np.mgrid[:height, :width]
    return (rows - y) ** 2 + (columns - x) ** 2 < radius**2


def laplace(values, inside):
    """The exact solution, by a dense solve."""
    index = -np.ones(inside.shape, int)
    index[inside] = np.arange(inside.sum())
    matrix, right = np.zeros((inside.sum(), inside.sum())), np.zeros((inside.sum(), values.shape[2]))
    for (y, x), row in zip(np.argwhere(inside), range(inside.sum()), strict=True):
        for ny, nx in ((y, x + 1), (y, x - 1), (y + 1, x), (y - 1, x)):
            if 0 <= ny < inside.shape[0] and 0 <= nx < inside.shape[1]:
                matrix[row, row] += 1
                if inside[ny, nx]:
                    matrix[row, index[ny, nx]] -= 1
                else:
                    right[row] += values[ny, nx]
    solved = values.astype(float).copy()
    solved[inside] = np.linalg.solve(matrix, right)
    return solved


@pytest.mark.parametrize(
    "inside",
    [
        disc(41, 37, 20, 18, 15),
        disc(41, 37, 5, 9, 15),  # cut by two borders
        disc(40, 40, 20, 20, 17) & ~disc(40, 40, 24, 15, 4),  # with a hole
        disc(8, 8, 4, 4, 1.2),  # five pixels
        disc(31, 60, 15, 30, 400) & disc(31, 60, 15, 59, 58),  # touches top, bottom and right
    ],
    ids=["disc", "cut", "hole", "tiny", "band"],
)
def test_the_membrane_solves_laplaces_equation(inside):
    rng = np.random.default_rng(0)
    values = rng.normal(0, 0.1, (*inside.shape, 3)).astype(np.float32)
    solved = blend.membrane(values, inside)
    assert np.array_equal(solved[~inside], values[~inside])
    assert np.abs(solved - laplace(values, inside)).max() < 0.002


def test_seamless_undoes_a_change_of_light():
    rng = np.random.default_rng(0)
    plate = cv2.GaussianBlur(rng.random((90, 80, 3)).astype(np.float32), (0, 0), 2)
    matte = disc(90, 80, 45, 40, 30).astype(np.float32)
    assert np.abs(blend.seamless(plate, plate + np.float32([0.1, -0.1, 0.05]), matte) - plate).max() < 1e-3


def test_seamless_agrees_with_opencv():
    """Where the light differs by a slope; OpenCV works with 8 bits and a mask that it shrinks by itself."""
    rng = np.random.default_rng(3)
    texture = cv2.GaussianBlur(rng.random((120, 120, 3)).astype(np.float32), (0, 0), 3)
    slope = np.linspace(0, 0.2, 120, dtype=np.float32)[:, None, None]
    plate, face = 0.3 + 0.4 * texture, 0.3 + 0.4 * texture + slope + 0.05
    inside = disc(120, 120, 60, 60, 40)
    ours = blend.seamless(plate, face, inside.astype(np.float32))
    eight = [np.rint(each * 255).astype(np.uint8) for each in (face, plate)]
    theirs = cv2.seamlessClone(*eight, inside.astype(np.uint8) * 255, (60, 60), cv2.NORMAL_CLONE) / 255
    assert np.abs(ours - theirs)[disc(120, 120, 60, 60, 35)].max() < 5 / 255


def test_seamless_keeps_the_faces_detail():
    plate = np.full((80, 80, 3), 0.5, np.float32)
    face = plate.copy()
    face[38:42, 30:50] = 0.1
    result = blend.seamless(plate, face + 0.2, disc(80, 80, 40, 40, 30).astype(np.float32))
    assert np.abs(result[40, 40] - 0.1).max() < 0.01


def test_seamless_without_a_border_or_a_face_is_the_overlay():
    face, plate = np.full((9, 9, 3), 0.8, np.float32), np.full((9, 9, 3), 0.2, np.float32)
    for matte in (np.ones((9, 9), np.float32), np.full((9, 9), 0.05, np.float32)):
        assert np.array_equal(blend.seamless(plate, face, matte), face)


def test_seamless_is_finer_than_eight_bits():
    plate = np.broadcast_to(np.linspace(0.5, 0.51, 100, dtype=np.float32)[:, None, None], (100, 100, 3))
    result = blend.seamless(plate, np.full_like(plate, 0.7), disc(100, 100, 50, 50, 40).astype(np.float32))
    assert len(np.unique(np.rint(result[10:90, 50, 0] * 65535))) > 40
