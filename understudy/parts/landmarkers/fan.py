"""FAN, the landmark network of the face-alignment project (Bulat and Tzimiropoulos 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from understudy.core import affine
from understudy.core.image import warp
from understudy.io.weights.fetch import weight_path
from understudy.options import option
from understudy.parts.detectors import Detection
from understudy.parts.landmarkers import FaceLandmarks, Landmarker, Locate, landmarkers
from understudy.types import Bytes, Doubles

if TYPE_CHECKING:
    from understudy.nets.pretrained.fan import FAN


@landmarkers.register("fan")
class Fan(Landmarker):
    """Strong on turned and half hidden heads; slow without a GPU.

    Not for commercial use, by its training data.
    """

    dims: Literal["2d", "3d"] = option(
        "2d",
        "2d = the jaw where the face ends in the picture, 3d = where it is on the head, even when"
        " hidden",
    )
    score: float = option(0.2, "How warm the heat maps must be on average", low=0, high=1)
    passes: int = option(
        2, "How often to look; every pass crops by the points of the one before", low=1, high=5
    )
    device: str = option("auto", "Where to compute: auto, cpu, cuda, mps", affects="nothing")

    def build(self) -> Locate:
        """The landmarker, its weights fetched from their publisher (96 MB).

        Raises WeightsMissing, BadOption.
        """
        # Late, here and below: --help need not wait for torch.
        from understudy.nets.pretrained.fan import FAN
        from understudy.nets.pretrained.load import load_pretrained, parse_torch_file

        path = weight_path(f"fan-{self.dims}")
        # Counters of training steps, which some versions of PyTorch wrote and others not.
        tensors = {
            name: each
            for name, each in parse_torch_file(path.read_bytes(), str(path)).items()
            if not name.endswith("num_batches_tracked")
        }
        return self.with_network(load_pretrained(FAN(), tensors, str(path)))

    def with_network(self, network: FAN) -> Locate:
        """The landmarker with any network. Raises BadOption for a device that is not there."""
        import torch

        from understudy.nets.device import resolve_device, to_tensor
        from understudy.nets.pretrained.fan import HEATMAP_SIZE, INPUT_SIZE, heatmap_peaks

        device = resolve_device(self.device)
        network = network.to(device).eval()

        @torch.inference_mode()
        def look(image: Bytes, unit_from_frame: Doubles) -> tuple[Doubles, float]:
            crop = warp(
                image,
                affine.compose(affine.scaling(INPUT_SIZE), unit_from_frame),
                (INPUT_SIZE, INPUT_SIZE),
            )
            cells, heat = heatmap_peaks(network(to_tensor(crop[None], device)).float())
            frame_from_cells = affine.invert(
                affine.compose(affine.scaling(HEATMAP_SIZE), unit_from_frame)
            )
            return affine.apply(frame_from_cells, cells[0].cpu().numpy()), float(
                heat.mean().clamp(0, 1)
            )

        def locate(image: Bytes, detection: Detection) -> FaceLandmarks | None:
            low, high = detection.box[:2].astype(np.float64), detection.box[2:].astype(np.float64)
            unit_from_frame = affine.square_crop(
                (low + high) / 2, _WIDER * float((high - low).sum()), detection.angle, 1
            )
            points, score = look(image, unit_from_frame)
            for _ in range(self.passes - 1):
                if score < self.score:
                    return None
                points, score = look(image, _around(points, detection.angle))
            return FaceLandmarks(points.astype(np.float32), score) if score >= self.score else None

        return locate


def _around(points: Doubles, angle: float) -> Doubles:
    """unit_from_frame of the square around points, as the network's training cut it.

    angle: by which it is turned.
    """
    upright_from_frame = affine.square_crop((0, 0), 1, angle, 1)
    upright = affine.apply(upright_from_frame, points)
    low, high = upright.min(0), upright.max(0)
    across, down = np.maximum(high - low, 1)
    centre = affine.apply(affine.invert(upright_from_frame), (low + high) / 2 - (0, _RAISED * down))
    return affine.square_crop(centre, _WIDER * (across + down), angle, 1)


# Side of the square by width and height together, and how far its middle lies above that of the
# points, by their height: the landmarks leave out the forehead, which a detector's box holds.
_WIDER: Final = 200 / 195
_RAISED: Final = 0.12
