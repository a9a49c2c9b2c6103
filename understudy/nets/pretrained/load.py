"""Networks filled with published weights: every tensor must be there and fit, and no other."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from understudy.errors import WeightsMissing
from understudy.types import Array

Net = TypeVar("Net", bound=nn.Module)


def load_pretrained(net: Net, tensors: Mapping[str, Tensor | Array], source: str) -> Net:
    """Return `net` with these tensors in it, ready to predict.

    source: what the tensors came from, for the message.

    Raises:
        WeightsMissing: Names the first tensor that does not fit.
    """
    wanted = net.state_dict()
    given = {name: torch.as_tensor(value) for name, value in tensors.items()}
    for name in sorted({*wanted, *given}):
        problem = _mismatch(wanted.get(name), given.get(name))
        if problem:
            raise WeightsMissing(
                f"{source}: tensor '{name}' {problem}. This is not the file for this network;"
                " remove it."
            )
    net.load_state_dict(given)
    return net.requires_grad_(False).eval()


def parse_torch_file(data: bytes, source: str) -> dict[str, Tensor]:
    """Return the named tensors in the bytes of a file that `torch.save` wrote; nothing is run.

    source: the file, for the message.

    Raises:
        WeightsMissing: It holds anything else.
    """
    try:
        found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:
        # Torch tells of a file that is damaged, or holds more than tensors, in a dozen ways.
        raise WeightsMissing(
            f"{source}: not a file of tensors ({type(error).__name__}). Remove it; it is fetched"
            " again."
        ) from error
    if not isinstance(found, dict) or not all(
        isinstance(value, Tensor) for value in found.values()
    ):
        raise WeightsMissing(
            f"{source}: holds something other than named tensors. Remove it; it is fetched again."
        )
    return found


def _mismatch(wanted: Tensor | None, given: Tensor | None) -> str:
    if given is None:
        return "is missing"
    if wanted is None:
        return "is not known here"
    if wanted.shape != given.shape:
        return f"has the shape {tuple(given.shape)}, expected {tuple(wanted.shape)}"
    return (
        ""
        if given.is_floating_point()
        else f"holds {given.dtype}, expected numbers with a fraction"
    )
