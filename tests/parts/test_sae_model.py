"""What the models of the SAE line learn from, term by term, and their critics."""

from dataclasses import replace

import pytest
import torch

from understudy.parts.models.base.model import Batch


def test_every_term_is_told_and_teaches_whom_it_should(small, shown, reached) -> None:
    powers = {
        "true_face_power": 0.01,
        "gan_power": 0.1,
        "face_style_power": 0.1,
        "bg_style_power": 2,
        "eyes_mouth_prio": True,
    }
    model = small("saehd", archi="df-ud", blur_out_mask=True, **powers)
    assert list(model.parameter_groups()) == ["generator", "code_critic", "critic"]
    told = model.losses(shown, "generator")
    assert set(told) == {
        "src",
        "dst",
        "mask",
        "face_style",
        "bg_style",
        "true_face",
        "gan",
        "smooth",
    }
    assert all(bool(torch.isfinite(loss)) for loss in told.values())
    parts = {
        "face_style": {"src"},
        "bg_style": {"encoder", "inter", "src"},
        "true_face": {"encoder", "inter"},
        "gan": {"encoder", "inter", "src"},
        "smooth": {"encoder", "inter", "src"},
    }
    for term, taught in parts.items():
        model.zero_grad()
        told[term].backward(retain_graph=True)
        assert {name.split(".")[1] for name in reached(model)} == taught, term
    for group in ("code_critic", "critic"):
        model.zero_grad()
        model.losses(shown, group)[group].backward()
        assert reached(model) == set(model.parameter_groups()[group])


def test_critics_do_not_run_the_generator_again(small, shown, learn, make_batch) -> None:
    model = small("saehd", gan_power=0.1)
    calls: list[int] = []
    model.net.register_forward_hook(lambda *_: calls.append(1))
    learn(model, shown)
    assert len(calls) == 1
    with pytest.raises(AssertionError, match="same batch"):
        model.losses(make_batch(64), "critic")


def test_a_critic_learns_to_tell_true_from_painted(small, shown) -> None:
    model = small("saehd", gan_power=0.1)
    with torch.no_grad():
        model.losses(shown, "generator")
    optimizer = torch.optim.Adam(model.parameter_groups()["critic"].values(), 2e-3)
    told = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = model.losses(shown, "critic")["critic"]
        loss.backward()
        optimizer.step()
        told.append(float(loss.detach()))
    assert told[-1] < 0.8 * told[0]


def test_masked_training_looks_at_faces_alone(small, shown, learn) -> None:
    none = torch.zeros_like(shown.src.mask)
    empty = Batch(*(replace(side, mask=none) for side in (shown.src, shown.dst)))
    alone, all_of_it = (
        learn(small("saehd", masked_training=on), empty)["src"] for on in (True, False)
    )
    assert alone == pytest.approx(0, abs=1e-6) and all_of_it > 0.1


def test_eyes_and_mouth_count_three_hundred_times(small, shown) -> None:
    plain, prior = (small("saehd", eyes_mouth_prio=on) for on in (False, True))
    with torch.no_grad():
        face = plain.net(shown.src.input, shown.dst.input).src.face
        more = float(
            prior.losses(shown, "generator")["src"] - plain.losses(shown, "generator")["src"]
        )
    expected = 300 * ((face - shown.src.target).abs() * shown.src.eyes_mouth).mean()
    assert more == pytest.approx(float(expected), rel=1e-3)


@pytest.mark.parametrize("power", ["bg_style_power", "gan_power"])
def test_compat_keeps_the_slips_of_the_former_tool(small, shown, learn, power: str) -> None:
    term = {"bg_style_power": "bg_style", "gan_power": "smooth"}[power]
    told = [learn(small("saehd", compat=on, **{power: 1}), shown)[term] for on in (False, True)]
    assert told[0] != pytest.approx(told[1], rel=1e-3)
