"""SAEHD of both eras and Quick96: every plan learns in every weight."""

import numpy as np
import pytest
import torch

from understudy.core.training.augment import AugmentConfig
from understudy.nets.losses import reconstruction
from understudy.parts.models import models

ARCHIS = ["df", "liae", "df-u", "df-d", "df-t", "df-c", "liae-u", "liae-dt", "df-udtc", "liae-udtc"]
ARCHIS += ["dfhd", "liaehd"]
EARLY = [
    {"true_face_training": True, "face_style_power": 10, "bg_style_power": 10},
    {"archi": "liae", "ed_ch_dims": 11, "face_style_power": 10},
]


@pytest.mark.parametrize("archi", ARCHIS)
def test_every_letter_of_saehd_learns_in_every_weight(
    small, shown, learn, reached, archi: str
) -> None:
    model = small("saehd", archi=archi)
    told = learn(model, shown)
    assert set(told) == {"src", "dst", "mask"} and np.isfinite(list(told.values())).all()
    assert reached(model) == set(dict(model.named_parameters()))
    with torch.no_grad():
        for face, mask in model.reconstruct(shown.src.target, shown.dst.target).values():
            assert face.shape == (2, 3, 64, 64) and mask.shape == (2, 1, 64, 64)
            assert 0 <= float(face.min()) < float(face.max()) <= 1


def test_an_inter_that_is_frozen_gets_no_gradient(small, shown, learn, reached) -> None:
    liae = small("saehd", archi="liae-ud", train_inter_ab=False)
    learn(liae, shown)
    assert reached(liae) == {
        name for name in dict(liae.named_parameters()) if not name.startswith("net.ab.")
    }


@pytest.mark.parametrize("settings", EARLY)
def test_the_early_saehd_learns_in_every_weight(
    small, shown, learn, reached, settings: dict[str, object]
) -> None:
    model = small("saehd1", **settings)
    told = learn(model, shown)
    terms = {"src", "dst", "mask", "face_style"}
    asked = {"bg_style", "true_face", "code_critic"} if "true_face_training" in settings else set()
    assert set(told) == terms | asked and np.isfinite(list(told.values())).all()
    assert reached(model) == set(dict(model.named_parameters())) and model.init == "aware"


def test_the_early_saehd_counts_structure_and_pixels_under_the_blurred_mask(small, shown) -> None:
    model = small("saehd1", learn_mask=False)
    with torch.no_grad():
        told = model.losses(shown, "generator")
        face, soft = (
            model.net(shown.src.input, shown.dst.input).src.face,
            reconstruction.gaussian_blur(shown.src.mask, 2),
        )
        wanted = 10 * reconstruction.dssim(face, shown.src.target, soft) + 10 * reconstruction.mse(
            face, shown.src.target, soft
        )
    assert set(told) == {"src", "dst"} and float(told["src"]) == pytest.approx(
        float(wanted), rel=1e-5
    )


def test_quick96_learns(built, make_batch) -> None:
    assert set(built("quick96").losses(make_batch(96, "meta"), "generator")) == {
        "src",
        "dst",
        "mask",
    }


def test_quick96_is_fed_as_it_asks() -> None:
    asked = models["quick96"]
    assert (asked.plain_every, asked.motion, asked.lr_dropout) == (
        3,
        AugmentConfig(scale=0.05, flip=False),
        True,
    )
    assert not any(models[name].plain_every for name in models if name != "quick96")
