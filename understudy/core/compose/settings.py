"""What decides how a face is laid into a frame, and the face itself: plain data for `laying` and
`composite`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from understudy.core.color.transfer import UNCHANGED, Transfer
from understudy.core.compose import blend
from understudy.core.compose.blend import Blend
from understudy.core.compose.sharpen import SharpenMode
from understudy.types import Doubles, Floats

Shows = Literal["result", "plate", "square", "mask", "predicted"]


@dataclass(frozen=True, slots=True)
class Look:
    """How a face is laid in. Sizes in percent of the face square's side, shares in percent.

    shows: the result; or the untouched plate; or what the model made: its whole square on the
    plate, its mask in white on black, its square on black. transfer, histogram: see
    `core.color.transfer`. is_grey: the face loses its colours first. steady, steady_mask: frames
    before and after that colour and light, and the mask, are averaged over; who lays in a single
    frame does without. dfl: formulas and units of DeepFaceLab. The rest as in
    `stages.merge.look_options`.
    """

    blend: Blend = blend.overlay
    transfer: Transfer = UNCHANGED
    histogram: Transfer | None = None
    is_grey: bool = False
    shows: Shows = "result"
    masks: tuple[str, ...] = ("learned",)
    erode: float = 0.0
    blur: float = 0.0
    feather: float = 0.0
    edge_fade: float = 1.5
    steady: int = 0
    steady_mask: int = 0
    scale: float = 0.0
    super_resolution: float = 0.0
    texture: float = 0.0
    sharpen: float = 0.0
    sharpen_mode: SharpenMode = "unsharp"
    motion_blur: float = 0.0
    grain: float = 0.0
    denoise: float = 0.0
    bicubic: float = 0.0
    compression: float = 0.0
    palette: float = 0.0
    degrade: Literal["face", "frame"] = "face"
    dfl: bool = False


PLAIN: Final = Look()


@dataclass(frozen=True, slots=True)
class Swap:
    """One face to lay in, all over the same face square.

    face_from_frame: (2, 3), into the pixels of dst. dst: (S, S, 3) float32 in 0..1, the face that
    is replaced. face: (K, K, 3) float32 in 0..1, the new face, K a multiple of S. mask: (S, S)
    float32 in 0..1, where it shows. before, after: face_from_frame of the same face in the frames
    around, None where it is not there.
    """

    face_from_frame: Doubles
    face: Floats
    dst: Floats
    mask: Floats
    look: Look = PLAIN
    before: Doubles | None = None
    after: Doubles | None = None
