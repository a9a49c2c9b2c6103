"""TrueFace: what a face does comes from dst, whose it is from src, by a critic from the start."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from understudy.nets import checkpointing, linear_conv
from understudy.nets.autoencoder.translator import Translator
from understudy.nets.losses.critics import ClassCritic
from understudy.nets.optim import optimizers as optim_optimizers
from understudy.parts.models.base.model import Batch, Model, Samples
from understudy.parts.models.base.translator_model import TranslatorModel

SIDE = 32
RED, BLUE = (0.9, 0.4, 0.3), (0.3, 0.5, 0.9)


def drawn(color: tuple[float, float, float], turns: Tensor) -> Samples:
    """Faces of one colour on grey, lit from one side from `turns` on, 0..1 of their width."""
    at = (torch.arange(SIDE) + 0.5) / SIDE
    face = ((at - 0.5) ** 2 + (at[:, None] - 0.5) ** 2 < 0.16).float()[None, None]
    light = 0.15 + 0.85 * (30 * (at - turns[:, None, None])).sigmoid()[:, None]
    pictures = face * torch.tensor(color)[:, None, None] * light + (1 - face) * 0.5
    mask = face.expand(len(turns), 1, SIDE, SIDE)
    return Samples(pictures, pictures, mask, mask, mask)


def test_trueface_learns_in_every_weight(small, shown, learn, reached) -> None:
    model = small("trueface")
    told = learn(model, shown)
    assert set(told) == {"src", "dst", "mask", "features", "gan", "critic", "penalty"}
    assert all(np.isfinite(value) for value in told.values())
    assert reached(model) == set(dict(model.named_parameters()))
    assert set(model.parameter_groups()) == {"generator", "critic"}


def test_without_a_mask_all_of_the_picture_is_face(small, shown, learn) -> None:
    model = small("trueface", learn_mask=False)
    assert "mask" not in learn(model, shown)
    made = model.predict(shown.dst.target.permute(0, 2, 3, 1).numpy())
    assert (made.mask == 1).all() and (made.dst_mask == 1).all()


def test_a_swap_keeps_how_dst_is_turned_in_the_colours_of_src() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    model = TranslatorModel(Translator(8, True), ClassCritic(2, 8, 4), SIDE, "full", pixel=10)
    model.initialise(torch.Generator().manual_seed(0))
    rng, rebuilt = torch.Generator().manual_seed(1), []
    groups = model.parameter_groups()
    optimizers = optim_optimizers.build_optimizers("rmsprop", groups, 1e-3)
    for _ in range(50):
        turns = 0.35 + 0.3 * torch.rand(2, 4, generator=rng)
        batch = Batch(drawn(RED, turns[0]), drawn(BLUE, turns[1]))
        for group, optimizer in optimizers.items():
            losses = model.losses(batch, group)
            assert all(bool(torch.isfinite(loss)) for loss in losses.values())
            torch.stack(list(losses.values())).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
            if group == "generator":
                rebuilt.append(float((losses["src"] + losses["dst"]).detach()))
    torch.set_num_threads(before)
    assert np.mean(rebuilt[-5:]) < 0.5 * np.mean(rebuilt[:5])
    turns = torch.tensor([0.35, 0.65])
    src, dst = drawn(RED, turns.flip(0)), drawn(BLUE, turns)
    with torch.no_grad():
        swapped = model.reconstruct(src.target, dst.target)["sd"][0]
    wanted, as_src, as_dst = (
        float((swapped - each.target).abs().mean()) for each in (drawn(RED, turns), src, dst)
    )
    assert wanted < 0.85 * as_src and wanted < 0.7 * as_dst


def test_a_swap_takes_the_mean_of_src_and_no_batch_of_its_own(small, shown) -> None:
    model = small("trueface")
    for _ in range(3):
        model.losses(shown, "generator")
    faces = shown.dst.target.permute(0, 2, 3, 1).numpy()
    both = model.predict(faces)
    for row in range(2):
        alone = model.predict(faces[row : row + 1])
        assert np.allclose(alone.image[0], both.image[row], atol=1e-5)
    # The mean goes with the weights.
    other = small("trueface")
    assert np.abs(other.predict(faces).image - both.image).max() > 1e-3
    other.load_state_dict(model.state_dict())
    assert np.array_equal(other.predict(faces).image, both.image)


@pytest.mark.parametrize(
    ("change", "precision"),
    [
        (checkpointing.enable_checkpointing, None),
        (linear_conv.enable_matmul, torch.bfloat16),
    ],
)
def test_what_saves_memory_and_time_leaves_the_critic_its_slopes(
    small, shown, change: Callable[[Model], None], precision: torch.dtype | None
) -> None:
    plain, changed = small("trueface"), small("trueface")
    change(changed)
    for model in (plain, changed):
        for group in model.parameter_groups():
            with torch.autocast("cpu", precision, enabled=precision is not None):
                losses = model.losses(shown, group)
            torch.stack(list(losses.values())).sum().backward()
    for one, other in zip(plain.critic.parameters(), changed.critic.parameters(), strict=True):
        assert one.grad is not None and other.grad is not None
        if precision is None:
            assert torch.equal(one.grad, other.grad)
        else:
            assert torch.allclose(one.grad, other.grad, rtol=0.1, atol=0.1)
