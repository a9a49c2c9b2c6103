import cv2
import numpy as np
import pytest
import torch

from understudy.core.color import maps
from understudy.core.color.maps import Pixels
from understudy.nets import augment
from understudy.nets import device as torch_device
from understudy.parts.color_transfers import color_transfers

CPU = torch.device("cpu")


def smooth(seed: int, low: float, high: float) -> np.ndarray:
    drawn = cv2.GaussianBlur(
        np.random.default_rng(seed).random((48, 48, 3)).astype(np.float32), (0, 0), 2
    )
    return low + (high - low) * (drawn - drawn.min()) / np.ptp(drawn)


FITS = [name for name in color_transfers if color_transfers[name].fits_pixels]


@pytest.mark.parametrize("name", FITS)
def test_a_table_gives_a_picture_the_colours_that_the_map_gives(name: str) -> None:
    face, like = smooth(0, 0.15, 0.8), smooth(1, 0.1, 0.6)
    wanted = color_transfers[name]().pixel_fit()(
        *(Pixels(each.reshape(-1, 3), np.ones(48 * 48, np.float32)) for each in (face, like))
    )
    table = torch.from_numpy(maps.tabulate(wanted, 17))[None]
    seen = torch_device.to_numpy(augment.apply_lut(torch_device.to_tensor(face[None], CPU), table))[
        0
    ]
    expected = np.clip(wanted(face.reshape(-1, 3)), 0, 1).reshape(face.shape)
    error = np.abs(seen - expected)
    assert error.mean() < 0.5 / 255 and error.max() < 6 / 255


def test_every_picture_has_its_own_table() -> None:
    plain, inverse = (
        maps.tabulate(wanted, 2) for wanted in (lambda colors: colors, lambda colors: 1 - colors)
    )
    picture = torch_device.to_tensor(np.stack([smooth(0, 0, 1)] * 2), CPU)
    seen = augment.apply_lut(picture, torch.from_numpy(np.stack([plain, inverse])))
    assert torch.allclose(seen[0], picture[0], atol=1e-6) and torch.allclose(
        seen[1], 1 - picture[0], atol=1e-6
    )


def test_hue_saturation_and_value_move_as_opencv_has_it() -> None:
    pictures = np.random.default_rng(0).random((2, 9, 7, 3)).astype(np.float32)
    pictures[0, 0, :4] = [[0.5, 0.5, 0.5], [0, 0, 0], [1, 1, 1], [1, 0, 0]]
    shifts = ((20.0, 0.1, -0.1), (-50.0, -0.1, 0.1))
    seen = torch_device.to_numpy(
        augment.shift_hsv(
            torch_device.to_tensor(pictures, CPU),
            *(torch.tensor(each) for each in zip(*shifts, strict=True)),
        )
    )
    for picture, shift, mine in zip(pictures, shifts, seen, strict=True):
        hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV) + np.float32(shift)
        hsv[..., 0] %= 360
        hsv[..., 1:] = np.clip(hsv[..., 1:], 0, 1)
        assert np.abs(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) - mine).max() < 1e-5
