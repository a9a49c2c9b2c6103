"""Pictures (N, H, W, C) and tensors (N, C, H, W); devices, autocast and memory format."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from understudy.errors import BadOption
from understudy.types import Array, Floats

Precision = Literal["auto", "fp32", "bf16"]
ChannelsLast = Literal["auto", "on", "off"]

Net = TypeVar("Net", bound=nn.Module)


def to_tensor(pictures: Array, device: torch.device) -> Tensor:
    """Return pictures as a float32 tensor on a device.

    Args:
        pictures: (N, H, W, C), or masks (N, H, W); uint8 is scaled to 0..1.
        device: Where the tensor shall be.

    Returns:
        (N, C, H, W), C = 1 for masks.
    """
    stacked = to_device(np.ascontiguousarray(pictures), device)
    planes = (
        stacked.unsqueeze(1) if stacked.ndim == 3 else stacked.permute(0, 3, 1, 2)
    ).contiguous()
    return planes.float().div_(255) if stacked.dtype == torch.uint8 else planes.float()


def to_device(array: Array, device: torch.device) -> Tensor:
    """Return an array as a tensor on a device; to CUDA it is copied while others compute."""
    held = torch.from_numpy(array)
    # Only pinned memory is read without the host's waiting for it.
    return (
        held.pin_memory().to(device, non_blocking=True)
        if device.type == "cuda"
        else held.to(device)
    )


def to_numpy(planes: Tensor) -> Floats:
    """Return (N, C, H, W) as float32 (N, H, W, C) on the host, or (N, H, W) where C is 1."""
    found = planes.detach().float().cpu()
    return (
        (found.squeeze(1) if found.shape[1] == 1 else found.permute(0, 2, 3, 1))
        .contiguous()
        .numpy()
    )


def tensors_to_numpy(named: Mapping[str, Tensor]) -> dict[str, Array]:
    """Return tensors as host arrays of the same dtype, by name; those of the CPU share memory."""
    return {name: value.detach().cpu().contiguous().numpy() for name, value in named.items()}


def resolve_device(name: str) -> torch.device:
    """Return the device called `name`.

    auto: a GPU that PyTorch can use, else the CPU. best: of several GPUs the one with most free
    memory; never the CPU.

    Raises:
        BadOption: It is not there.
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return (
            accelerator
            if accelerator is not None and accelerator.type in ("cuda", "mps", "xpu")
            else torch.device("cpu")
        )
    if name == "best":
        return _best_gpu()
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first = str(error).strip().splitlines()[0]
        raise BadOption(
            f"device: '{name}' cannot be used here: {first} Choose auto or cpu; `doctor` lists what"
            " is there."
        ) from None
    return device


def is_device_alive(device: torch.device) -> bool:
    """Return whether the device still computes: one that fell out fails at everything."""
    try:
        return float(torch.ones(1, device=device).add_(1).cpu()) == 2
    except RuntimeError:
        return False


def uses_bf16(precision: Precision, device: torch.device) -> bool:
    """Return whether to compute in bf16: asked for, or auto on a device that is built for it."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        found = torch.cpu.get_capabilities()
        return bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    return False


def autocast(
    precision: Precision, device: torch.device
) -> contextlib.AbstractContextManager[object]:
    """Return the context in which to run a network; weights stay fp32.

    bf16 keeps fp32's range, so no gradient scaler is needed.
    """
    return (
        torch.autocast(device.type, torch.bfloat16)
        if uses_bf16(precision, device)
        else contextlib.nullcontext()
    )


def no_autocast(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Return the context in which to compute in fp32 whatever is around."""
    known = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if known else contextlib.nullcontext()


def to_memory_format(net: Net, layout: ChannelsLast, device: torch.device) -> Net:
    """Return `net` with channels last where asked for, or on CUDA; on a CPU it measures neutral."""
    last = layout == "on" or (layout == "auto" and device.type == "cuda")
    return net.to(memory_format=torch.channels_last) if last else net  # type: ignore[call-overload]


def _best_gpu() -> torch.device:
    accelerator = resolve_device("auto")
    if accelerator.type == "cpu":
        raise BadOption(
            "device: best: there is no GPU that PyTorch can use. Choose auto or cpu; `doctor` lists"
            " what is there."
        )
    if accelerator.type != "cuda":
        return accelerator
    memory = [torch.cuda.mem_get_info(place)[0] for place in range(torch.cuda.device_count())]
    return torch.device("cuda", memory.index(max(memory)))
