"""The memory of a training step, estimated on the device meta, where tensors have no data."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import Tensor, UntypedStorage
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import Parameter

# Bytes a weight: itself, its gradient and two memories of the optimizer in float32, and its copy in
# bf16.
BYTES_PER_WEIGHT = 4 * 4 + 2


def estimate_step_bytes(
    losses: Iterable[Callable[[], Tensor]], weights: Iterable[Parameter]
) -> int:
    """Return the bytes that one step holds at its peak: weights, optimizer state and activations.

    losses: each computes the loss of one pass on tensors on the device meta, and is called once, in
    this order; the passes follow one another, so the largest counts. weights: all that train.
    """
    learning = list(weights)
    own = {weight.untyped_storage()._cdata for weight in learning}
    activations = max(_kept_bytes(loss, own) for loss in losses)
    return activations + BYTES_PER_WEIGHT * sum(weight.numel() for weight in learning)


def _kept_bytes(loss: Callable[[], Tensor], own: set[int]) -> int:
    """Bytes that a pass keeps for its way back, but for storages in `own`."""
    held: dict[int, UntypedStorage] = {}

    def kept(tensor: Tensor) -> Tensor:
        # By memory, not by tensor: a view holds nothing of its own. And held: the number of one
        # that is gone is given away anew.
        storage = tensor.untyped_storage()
        held[storage._cdata] = storage
        return tensor

    with saved_tensors_hooks(kept, lambda tensor: tensor):
        loss()
    return sum(storage.nbytes() for key, storage in held.items() if key not in own)
