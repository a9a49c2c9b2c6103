"""SAE: its plans, its mask, its start and its smaller pictures."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from understudy.nets.losses import reconstruction

SAES = [
    {},
    {"archi": "liae"},
    {"archi": "liae", "compat": True, "multiscale_decoder": True},
    {"pixel_loss": True, "multiscale_decoder": True, "d_residual_blocks": False},
    {"archi": "vg", "lighter_encoder": True, "multiscale_decoder": True},
    {"lighter_encoder": True, "remove_gray_border": True},
]


@pytest.mark.parametrize("settings", SAES)
def test_sae_learns_in_every_weight(
    small, shown, learn, reached, settings: dict[str, object]
) -> None:
    model = small("sae", **settings)
    assert set(learn(model, shown)) == {"src", "dst", "mask"}
    assert reached(model) == set(dict(model.named_parameters()))


def test_sae_without_a_learned_mask_paints_faces_alone(small, shown, learn) -> None:
    model = small("sae", learn_mask=False)
    assert "mask" not in learn(model, shown) and not any(
        ".mask." in name for name in dict(model.named_parameters())
    )
    assert model.predict(np.zeros((1, 64, 64, 3), np.float32)).mask.min() == 1


def test_aware_weights_are_asked_of_every_convolution(built) -> None:
    assert [built("sae", ca_weights=on).init for on in (False, True)] == ["glorot", "aware"]


def test_multiscale_learns_faces_at_a_half_and_a_quarter_too(small, shown) -> None:
    plain, more = (
        small("sae", pixel_loss=True),
        small("sae", pixel_loss=True, multiscale_decoder=True),
    )
    more.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        made = more.net(shown.src.input, shown.dst.input).src
        assert made.quarter.shape[2:] == (16, 16) and made.half.shape[2:] == (32, 32)
        extra = float(
            more.losses(shown, "generator")["src"] - plain.losses(shown, "generator")["src"]
        )
        soft = reconstruction.gaussian_blur(shown.src.mask, 2)
        small_ones = [
            50
            * reconstruction.mse(
                face,
                *(
                    functional.interpolate(each, scale_factor=share, mode="area")
                    for each in (shown.src.target, soft)
                ),
            )
            for face, share in ((made.quarter, 0.25), (made.half, 0.5))
        ]
    assert extra == pytest.approx(float(sum(small_ones)), rel=1e-4)
