"""Real-ESRGAN: four times the size, learnt from photographs that were spoilt on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from understudy.io.weights import ncnn
from understudy.io.weights.fetch import weight_path
from understudy.parts.upscalers import Upscale, Upscaler, upscalers
from understudy.types import Floats

if TYPE_CHECKING:
    from torch import Tensor

# Pixels that pass the network at once: the memory that this takes is 64 maps at four times their
# size.
_PIXELS: Final = 2**16
# So often what was lost of the face is put back: after three the difference is under half a level.
_ROUNDS: Final = 3


@upscalers.register("realesrgan")
class RealEsrgan(Upscaler):
    """Real-ESRGAN x4plus, for photographs.

    By itself it repaints: eyes glare, colours wander. So what its result, made small again, differs
    by from the face is taken off again (back-projection after Irani and Peleg, 1991). It adds
    detail, and no light and no colour.
    """

    def build(self, device: str) -> Upscale:
        # Late: --help need not wait for torch.
        import torch

        from understudy.nets.device import resolve_device, to_memory_format, to_numpy, to_tensor
        from understudy.nets.pretrained.load import load_pretrained
        from understudy.nets.pretrained.rrdb import RRDB, SCALE

        place = resolve_device(device)
        path = weight_path("realesrgan")
        with torch.device("meta"):
            empty = RRDB()
        shapes = {name: tuple(value.shape) for name, value in empty.state_dict().items()}
        tensors = ncnn.read_tensors(path, shapes)
        net = load_pretrained(empty.to_empty(device=place), tensors, str(path))
        # Its weights are published in fp16. Next to fp32 its pictures differ by 0.6 of 255 levels;
        # those of bf16 by 2.6.
        kind = torch.float16 if place.type == "cuda" else torch.float32
        net = to_memory_format(net.to(kind), "auto", place)

        def upscale(faces: Floats) -> Floats:
            side = faces.shape[1]
            larger = np.empty((len(faces), SCALE * side, SCALE * side, 3), np.float32)
            at_once = max(1, _PIXELS // side**2)
            with torch.inference_mode():
                for start in range(0, len(faces), at_once):
                    some = to_tensor(faces[start : start + at_once], place)
                    larger[start : start + at_once] = to_numpy(
                        put_back(some, net(some.to(kind)).float())
                    )
            return larger

        return upscale


def put_back(faces: Tensor, larger: Tensor) -> Tensor:
    """`larger` so changed that it is `faces` again when made small.

    Args:
        faces: (N, 3, S, S) in 0..1.
        larger: (N, 3, k S, k S).

    Returns:
        (N, 3, k S, k S) in 0..1.
    """
    from torch.nn import functional

    scale = larger.shape[-1] // faces.shape[-1]
    for _ in range(_ROUNDS):
        lost = faces - functional.avg_pool2d(larger, scale)
        larger = larger + functional.interpolate(lost, scale_factor=float(scale), mode="bilinear")
    return larger.clamp(0, 1)
