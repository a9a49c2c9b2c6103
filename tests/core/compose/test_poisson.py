import cv2
import numpy as np
import pytest

from understudy.core.compose import poisson


def disc(height, width, y, x, radius):
    rows, columns = np.mgrid[:height, :width]
    return (rows - y) ** 2 + (columns - x) ** 2 < radius**2


def texture(height, width, seed, fine=3.0):
    soft = cv2.GaussianBlur(
        np.random.default_rng(seed).random((height, width, 3)).astype(np.float32), (0, 0), fine
    )
    return 0.35 + 0.3 * soft


def opencv(plate, face, inside):
    """OpenCV's clone, (H, W, 3) in 0..1; what it cuts off in going to 8 bits is given back on
    average.
    """
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    middle = tuple(int(each[0] + (each[-1] + 1 - each[0]) // 2) for each in (columns, rows))
    cloned = cv2.seamlessClone(face, plate, inside.astype(np.uint8) * 255, middle, cv2.NORMAL_CLONE)
    return np.where(cloned == plate, cloned, cloned + 0.5) / 255


def cloned(plate, face, inside):
    """What OpenCV's clone computes, in float64: forward differences, those of the face where the
    mask, eroded by 3, is set.
    """
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    core = cv2.erode(inside.astype(np.uint8), np.ones((7, 7), np.uint8))[box][..., None]
    apart = face[box].astype(float) - plate[box]
    across, down = np.zeros_like(apart), np.zeros_like(apart)
    across[:, :-1], down[:-1] = np.diff(apart, axis=1), np.diff(apart, axis=0)
    across, down = across * core, down * core
    sources = (across + down)[1:-1, 1:-1] - across[1:-1, :-2] - down[:-2, 1:-1]
    steps = [np.arange(1, count + 1) for count in sources.shape[:2]]
    sines_y, sines_x = (
        np.sqrt(2 / (len(k) + 1)) * np.sin(np.pi * np.outer(k, k) / (len(k) + 1)) for k in steps
    )
    bend_y, bend_x = (2 * np.cos(np.pi * k / (len(k) + 1)) - 2 for k in steps)
    strength = (
        np.einsum("yi,yxc,xj->ijc", sines_y, sources, sines_x, optimize=True)
        / (bend_y[:, None] + bend_x)[..., None]
    )
    layer = plate.astype(float)
    layer[box][1:-1, 1:-1] += np.einsum("yi,ijc,xj->yxc", sines_y, strength, sines_x, optimize=True)
    return layer


def exact(plate, face, core):
    """The layer by a dense solve in float64: zero half a pixel outside the picture, `core` (H, W)
    of 0 and 1.
    """
    height, width = core.shape
    matrix, right = np.zeros((height * width, height * width)), np.zeros((height * width, 3))
    apart = (face - plate).astype(float)
    for y in range(height):
        for x in range(width):
            for ny, nx in ((y, x + 1), (y, x - 1), (y + 1, x), (y - 1, x)):
                here = y * width + x
                if not (0 <= ny < height and 0 <= nx < width):
                    matrix[here, here] -= (
                        2  # the value at the edge is 0, so the one beyond it is the opposite
                    )
                    continue
                matrix[here, here] -= 1
                matrix[here, ny * width + nx] += 1
                right[here] += (apart[ny, nx] - apart[y, x]) * (core[y, x] + core[ny, nx]) / 2
    return plate + np.linalg.solve(matrix, right).reshape(height, width, 3)


def test_it_solves_poissons_equation():
    """Small enough for the grid to hold every pixel."""
    plate, face = texture(36, 38, 0), texture(36, 38, 1)
    matte = np.pad(disc(30, 32, 15, 16, 14), 3).astype(np.float32)
    rows, columns = np.flatnonzero(matte.any(1)), np.flatnonzero(matte.any(0))
    box = np.s_[rows[0] + 1 : rows[-1], columns[0] + 1 : columns[-1]]
    core = cv2.erode(matte, np.ones((7, 7), np.uint8))
    layer = face + poisson.solve_light(plate, face, matte)
    assert np.abs(layer[box] - exact(plate[box], face[box], core[box])).max() < 1e-4


def scene(size, turn):
    """A plate, another face in another light, and an ellipse."""
    slope = np.linspace(-0.1, 0.15, size, dtype=np.float32)[:, None, None]
    axes = (int(0.3 * size), int(0.4 * size))
    inside = (
        cv2.ellipse(
            np.zeros((size, size), np.uint8), (size // 2, size // 2), axes, turn, 0, 360, 1, -1
        )
        > 0
    )
    return texture(size, size, 0, 5), texture(size, size, 1, 5) + slope, inside


@pytest.mark.parametrize("size", [120, 300, 600])
@pytest.mark.parametrize("turn", [0, 25])
def test_it_is_within_a_level_of_opencvs_solution(size, turn):
    """Computed in float64, with OpenCV's rim and pixel for pixel; the worst pixels lie at the
    rim.
    """
    plate, face, inside = scene(size, turn)
    off = (
        255
        * np.abs(
            face
            + poisson.solve_light(plate, face, inside.astype(np.float32))
            - cloned(plate, face, inside)
        )[inside]
    )
    assert off.mean() < 0.15
    assert off.max() < 1


@pytest.mark.parametrize("size", [120, 300, 600])
def test_it_agrees_with_opencv_itself(size):
    """As far as OpenCV's 8 bits let one tell: they make a quarter of a level on average, and up to
    one.
    """
    plate, face, inside = scene(size, 25)
    eight = [np.rint(255 * each).astype(np.uint8) for each in (plate, face)]
    plate, face = ((each / 255).astype(np.float32) for each in eight)
    off = (
        255
        * np.abs(
            face
            + poisson.solve_light(plate, face, inside.astype(np.float32))
            - opencv(*eight, inside)
        )[inside]
    )
    assert off.mean() < 0.4
    assert np.quantile(off, 0.99) < 1.15


def test_it_keeps_the_faces_detail():
    plate = np.full((80, 80, 3), 0.5, np.float32)
    face = plate.copy()
    face[38:42, 30:50] = 0.1
    layer = (
        face
        + 0.2
        + poisson.solve_light(plate, face + 0.2, disc(80, 80, 40, 40, 30).astype(np.float32))
    )
    assert np.abs(layer[40, 40] - 0.1).max() < 0.01


def test_a_face_cut_by_the_frame_runs_on_level():
    """As if the frame were a mirror there: no border is made up."""
    plate, face = texture(90, 60, 0), texture(90, 60, 1)
    matte = disc(90, 60, 45, 10, 36).astype(np.float32)
    for turns in range(4):
        turned = [np.ascontiguousarray(np.rot90(each, turns)) for each in (plate, face, matte)]
        mirrored = [
            np.ascontiguousarray(np.rot90(np.concatenate([each[:, ::-1], each], axis=1), turns))
            for each in (plate, face, matte)
        ]
        cut, whole = (np.rot90(poisson.solve_light(*each), -turns) for each in (turned, mirrored))
        assert np.abs(cut - whole[:, 60:]).max() < 1e-4


def test_a_face_larger_than_the_frame_takes_its_light_from_what_is_left_of_the_plate():
    plate, face = texture(60, 70, 0), texture(60, 70, 1) + np.float32(0.1)
    corner = disc(60, 70, 0, 0, 20)
    added = face + poisson.solve_light(plate, face, 1 - corner.astype(np.float32)) - plate
    assert np.abs(added[corner].mean(0)).max() < 0.01
    assert added[~corner].mean() < 0.05


def test_without_a_border_or_a_face_there_is_no_light():
    face, plate = np.full((9, 9, 3), 0.8, np.float32), np.full((9, 9, 3), 0.2, np.float32)
    for matte in (np.ones((9, 9), np.float32), np.full((9, 9), 0.05, np.float32)):
        assert not poisson.solve_light(plate, face, matte).any()


def test_it_is_finer_than_eight_bits():
    plate = np.broadcast_to(
        np.linspace(0.5, 0.51, 100, dtype=np.float32)[:, None, None], (100, 100, 3)
    )
    face = np.full_like(plate, 0.7)
    layer = face + poisson.solve_light(plate, face, disc(100, 100, 50, 50, 40).astype(np.float32))
    assert len(np.unique(np.rint(layer[10:90, 50, 0] * 65535))) > 40
