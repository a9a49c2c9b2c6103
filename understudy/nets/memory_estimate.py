"""How much memory a step of learning takes, told without taking it: on the device meta, tensors are
shapes only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import Tensor, UntypedStorage
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import Parameter

# Bytes a weight: itself, its gradient and two memories of the optimizer in float32, and its copy in
# bf16.
PER_WEIGHT = 4 * 4 + 2


def step_bytes(loss: Callable[[], Tensor], weights: Iterable[Parameter]) -> int:
    """Bytes that one step holds at its height: weights with all that belongs to them, and what the
    way back needs of the way there.

    loss: the way there, on tensors on the device meta; it is computed once. weights: all that
    learn.
    """
    held: dict[int, UntypedStorage] = {}

    def kept(tensor: Tensor) -> Tensor:
        # By memory, not by tensor: a view holds nothing of its own. And held: the number of one
        # that is gone is given away anew.
        storage = tensor.untyped_storage()
        held[storage._cdata] = storage
        return tensor

    with saved_tensors_hooks(kept, lambda tensor: tensor):
        loss()
    learning = list(weights)
    own = {weight.untyped_storage()._cdata for weight in learning}
    activations = sum(storage.nbytes() for key, storage in held.items() if key not in own)
    return activations + PER_WEIGHT * sum(weight.numel() for weight in learning)
