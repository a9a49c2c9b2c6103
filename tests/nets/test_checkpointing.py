import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from understudy.nets import checkpointing
from understudy.nets.autoencoder.blocks import (
    Down,
    HighResResidual,
    ResBlock,
    ScaledResidual,
    Up,
    init_weights,
)
from understudy.nets.autoencoder.decoders import CrossFedSteps
from understudy.nets.device import Precision, autocast


def net() -> nn.Module:
    made = nn.Sequential(
        Down(3, 16),
        ResBlock(16),
        nn.Sequential(ScaledResidual(16), HighResResidual(16)),
        CrossFedSteps(16, (8, 4)),
        Up(4, 8),
        nn.Conv2d(8, 3, 3),
    )
    init_weights(made, "kaiming", torch.Generator().manual_seed(0))
    return made


def learnt(model: nn.Module, precision: Precision) -> tuple[list[Tensor | None], int]:
    """Gradients of one step, and the bytes of what is kept for the way back besides the weights."""
    kept: dict[int, int] = {}
    own = {weight.data_ptr() for weight in model.parameters()}

    def count(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in own:
            kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    faces = torch.rand((2, 3, 32, 32), generator=torch.Generator().manual_seed(1))
    with (
        saved_tensors_hooks(count, lambda tensor: tensor),
        autocast(precision, torch.device("cpu")),
    ):
        loss = model(faces).float().square().mean()
    loss.backward()
    return [weight.grad for weight in model.parameters()], sum(kept.values())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_gradients_are_the_same_bit_for_bit_with_less_memory(precision: Precision) -> None:
    plain, forgetful = net(), net()
    checkpointing.enable_checkpointing(forgetful)
    assert plain.state_dict().keys() == forgetful.state_dict().keys()
    (ours, little), (theirs, much) = learnt(forgetful, precision), learnt(plain, precision)
    assert all(
        one is not None and torch.equal(one, other) for one, other in zip(ours, theirs, strict=True)
    )
    assert little < 0.6 * much
    with torch.inference_mode():
        assert torch.equal(plain(torch.ones(1, 3, 16, 16)), forgetful(torch.ones(1, 3, 16, 16)))
