"""AMP: how much of the face becomes src's is a choice for later."""

import numpy as np
import pytest
import torch

from understudy.errors import BadOption


def test_amp_learns_in_every_weight(small, shown, learn, reached) -> None:
    model = small("amp", gan_power=0.1)
    assert set(learn(model, shown)) == {"src", "dst", "mask", "backdrop", "gan", "smooth", "critic"}
    assert reached(model) == set(dict(model.named_parameters()))


def test_inters_that_are_frozen_get_no_gradient(small, shown, learn, reached) -> None:
    amp = small("amp", train_inters=False)
    learn(amp, shown)
    assert reached(amp) == {
        name
        for name in dict(amp.named_parameters())
        if not name.startswith(("net.src.", "net.dst."))
    }


def test_a_prediction_follows_the_morph_of_the_model_or_the_one_it_is_told(small, shown) -> None:
    faces = shown.dst.target.permute(0, 2, 3, 1).numpy()
    whole, none = (small("amp", morph=morph).predict(faces).image for morph in (1, 0))
    assert float(np.abs(whole - none).mean()) > 1e-3
    model = small("amp", morph=0.4)
    model.set_morph(1.0)
    assert np.array_equal(model.predict(faces).image, whole)


def test_a_model_without_a_morph_refuses_one(small) -> None:
    with pytest.raises(BadOption, match=r"morph.*Leave --morph out"):
        small("saehd").set_morph(0.5)


@torch.no_grad()
def test_previews_show_every_morph_and_what_is_rebuilt_does_not_depend_on_it(small, shown) -> None:
    made = {
        morph: small("amp", morph=morph).reconstruct(shown.src.target, shown.dst.target)
        for morph in (1, 0.5)
    }
    assert list(made[1]) == ["ss", "dd", "sd", "sd 0.25", "sd 0.5", "sd 0.65", "sd 0.75", "sd 1.0"]
    for name in ("ss", "dd", "sd 0.25", "sd 1.0"):
        assert torch.allclose(made[1][name][0], made[0.5][name][0], atol=1e-6)
    for morph, same in ((1, "sd 1.0"), (0.5, "sd 0.5")):
        assert torch.allclose(made[morph]["sd"][0], made[morph][same][0], atol=1e-6)
    far = [
        float((made[1][name][0] - made[1]["dd"][0]).abs().mean())
        for name in ("sd 0.25", "sd 0.65", "sd 1.0")
    ]
    assert 0 < far[0] < far[1] < far[2]
