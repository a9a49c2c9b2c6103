"""Between numpy pictures (N, H, W, C) and torch tensors (N, C, H, W), and between option values and
torch settings.
"""

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
Layout = Literal["auto", "on", "off"]

Net = TypeVar("Net", bound=nn.Module)


def tensor(pictures: Array, device: torch.device) -> Tensor:
    """Pictures (N, H, W, C) or masks (N, H, W) as float32 (N, C, H, W); uint8 comes out in 0..1."""
    stacked = sent(np.ascontiguousarray(pictures), device)
    planes = (
        stacked.unsqueeze(1) if stacked.ndim == 3 else stacked.permute(0, 3, 1, 2)
    ).contiguous()
    return planes.float().div_(255) if stacked.dtype == torch.uint8 else planes.float()


def sent(array: Array, device: torch.device) -> Tensor:
    """An array on a device; where that is CUDA it travels while others compute."""
    held = torch.from_numpy(array)
    # Only pinned memory is read without the host's waiting for it.
    return (
        held.pin_memory().to(device, non_blocking=True)
        if device.type == "cuda"
        else held.to(device)
    )


def pictures(planes: Tensor) -> Floats:
    """(N, C, H, W) as float32 (N, H, W, C) on the host, or (N, H, W) when C is 1."""
    found = planes.detach().float().cpu()
    return (
        (found.squeeze(1) if found.shape[1] == 1 else found.permute(0, 2, 3, 1))
        .contiguous()
        .numpy()
    )


def arrays(named: Mapping[str, Tensor]) -> dict[str, Array]:
    """Tensors as host arrays of the same dtype, by the same names; on the CPU they share memory."""
    return {name: value.detach().cpu().contiguous().numpy() for name, value in named.items()}


def device_of(name: str) -> torch.device:
    """The device called `name`. auto: a GPU, where PyTorch can use one, else the CPU; best: of
    several the one with most memory.

    Raises BadOption for one that is not there; best never means the CPU.
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return (
            accelerator
            if accelerator is not None and accelerator.type in ("cuda", "mps", "xpu")
            else torch.device("cpu")
        )
    if name == "best":
        return _best()
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


def answers(device: torch.device) -> bool:
    """Whether the device still computes: one that fell out, or whose driver broke off, fails at
    everything from then on.
    """
    try:
        return float(torch.ones(1, device=device).add_(1).cpu()) == 2
    except RuntimeError:
        return False


def uses_bf16(precision: Precision, device: torch.device) -> bool:
    """Whether to compute in bf16: asked for, or auto on a device that is built for it."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        found = torch.cpu.get_capabilities()
        return bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    return False


def computing(
    precision: Precision, device: torch.device
) -> contextlib.AbstractContextManager[object]:
    """The context in which to run a network; weights stay fp32. bf16 keeps fp32's range, so no
    gradient scaler is needed.
    """
    return (
        torch.autocast(device.type, torch.bfloat16)
        if uses_bf16(precision, device)
        else contextlib.nullcontext()
    )


def laid_out(net: Net, layout: Layout, device: torch.device) -> Net:
    """`net` with the channels of its weights last where that is asked for, or on CUDA; on a CPU it
    measures neutral.
    """
    last = layout == "on" or (layout == "auto" and device.type == "cuda")
    return net.to(memory_format=torch.channels_last) if last else net  # type: ignore[call-overload]


def _best() -> torch.device:
    accelerator = device_of("auto")
    if accelerator.type == "cpu":
        raise BadOption(
            "device: best: there is no GPU that PyTorch can use. Choose auto or cpu; `doctor` lists"
            " what is there."
        )
    if accelerator.type != "cuda":
        return accelerator
    memory = [torch.cuda.mem_get_info(place)[0] for place in range(torch.cuda.device_count())]
    return torch.device("cuda", memory.index(max(memory)))
