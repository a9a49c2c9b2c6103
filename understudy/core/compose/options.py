"""The options of a composite: one frozen class for flags, file, keyframes and pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Final, Literal

from understudy.core.color.histogram import histogram_match, histogram_match_dfl
from understudy.core.color.transfer import Transfer
from understudy.core.compose.sharpen import SharpenMode
from understudy.options import OptionGroup, Options, option
from understudy.registry import NameIn, NamesOf

Shows = Literal["result", "plate", "square", "mask", "predicted"]

_MASK = OptionGroup("mask", "Size and outline of the new face")
_COLOR = OptionGroup("color", "How it takes colours and light")
_DETAIL = OptionGroup("detail", "How sharp and how grainy it is")


@dataclass(frozen=True, slots=True)
class ModeSettings:
    """What a mode stands for.

    blender: name of a blender. shows: the result; or the untouched plate; or what the model made:
    its whole square on the plate, its mask in white on black, its square on black.
    matches_histogram: the new face takes dst's histogram. is_grey: it loses its colours first.
    """

    blender: str = "overlay"
    shows: Shows = "result"
    matches_histogram: bool = False
    is_grey: bool = False


# The modes that are more than a blender. Each blender is a mode of its own, too.
_MODES: Final[dict[str, ModeSettings]] = {
    "original": ModeSettings(shows="plate"),
    "hist-match": ModeSettings(matches_histogram=True),
    "hist-match-bw": ModeSettings(matches_histogram=True, is_grey=True),
    "seamless-hist-match": ModeSettings("seamless", matches_histogram=True),
    "raw-rgb": ModeSettings(shows="square"),
    "raw-rgb-mask": ModeSettings(shows="square"),
    "raw-mask": ModeSettings(shows="mask"),
    "raw-predict": ModeSettings(shows="predicted"),
}


class CompositeOptions(Options):
    """How a face is laid in; may differ from shot to shot and from person to person.

    Sizes are in percent of the face square's side, so they mean the same in every shot.
    """

    mode: Annotated[str, NameIn("blenders", tuple(_MODES))] = option(
        "overlay",
        "How the new face meets the plate: overlay lays it in; seamless also takes the plate's"
        " light; pyramid joins coarse and fine detail over wide and narrow borders; hist-match fits"
        " its histogram to dst's face, -bw from grey; raw-… show what the model made",
        live=True,
        affects="render",
        usual=True,
    )
    masks: Annotated[tuple[str, ...], NamesOf("maskers")] = option(
        ("learned",),
        "Masks, multiplied; 'a+b' unites two, dst is the hull of the landmarks; xseg-… and fan-…"
        " need the weights of a segmenter",
        live=True,
        affects="render",
        usual=True,
    )
    erode: float = option(
        2,
        "Move the mask's outline inwards; negative = outwards",
        low=-400,
        high=400,
        unit="%",
        live=True,
        affects="render",
        usual=True,
    )
    blur: float = option(
        8,
        "Width of the mask's feathered edge, half of it outside; negative = harden a soft edge",
        low=-400,
        high=400,
        unit="%",
        live=True,
        affects="render",
        usual=True,
    )
    feather: float = option(
        0,
        "Fade from the outline inwards, nothing outside it",
        low=0,
        high=40,
        unit="%",
        live=True,
        affects="render",
        group=_MASK,
    )
    edge_fade: float = option(
        1.5,
        "Fade to nothing at the face square's edge",
        low=0,
        high=20,
        unit="%",
        live=True,
        affects="render",
        group=_MASK,
    )
    steady_mask: int = option(
        0,
        "Average the mask over so many frames before and after",
        low=0,
        high=15,
        unit="frames",
        live=True,
        affects="render",
        group=_MASK,
    )
    color_transfer: Annotated[str, NameIn("color_transfers")] = option(
        "mkl-m",
        "How the new face takes the colours of the one it replaces; -m and rct look within the"
        " mask, the others at the square",
        live=True,
        affects="render",
        usual=True,
    )
    uncover: bool = option(
        True,
        "Measure colours as if nothing stood before dst's face: hands, microphones and hair that"
        " pass do not count",
        live=True,
        affects="render",
        group=_COLOR,
    )
    match_tone: bool = option(
        True,
        "In a plate without colour, grey or toned, the new face has none of its own either",
        live=True,
        affects="render",
        group=_COLOR,
    )
    hist_match_masked: bool = option(
        True,
        "The hist-match modes look within the mask only",
        live=True,
        affects="render",
        group=_COLOR,
    )
    hist_match_threshold: int = option(
        255,
        "The hist-match modes cut off what is brighter than this share of dst; 255 = nothing",
        low=0,
        high=255,
        live=True,
        affects="render",
        group=_COLOR,
    )
    steady: int = option(
        5,
        "Average colour and light over so many frames before and after, within a shot",
        low=0,
        high=15,
        unit="frames",
        live=True,
        affects="render",
        group=_COLOR,
    )
    face_scale: float = option(
        0,
        "Enlarge the new face",
        low=-50,
        high=50,
        unit="%",
        live=True,
        affects="render",
        group=_MASK,
    )
    super_resolution: float = option(
        0,
        "So much of the new face comes from the upscaler",
        low=0,
        high=100,
        unit="%",
        live=True,
        affects="render",
        group=_DETAIL,
    )
    texture: float = option(
        50,
        "Keep so much of the plate's fine texture and grain, finer than the model's",
        low=0,
        high=100,
        unit="%",
        live=True,
        affects="render",
        group=_DETAIL,
    )
    sharpen: float = option(
        100,
        "Sharpen the new face; negative = soften",
        low=-100,
        high=200,
        unit="%",
        live=True,
        affects="render",
        group=_DETAIL,
    )
    sharpen_mode: SharpenMode = option(
        "match",
        "How: match goes so far of the way to dst's own sharpness, unsharp by the face's size, box,"
        " gaussian by pixels",
        live=True,
        affects="render",
        group=_DETAIL,
    )
    motion_blur: float = option(
        0,
        "Blur the new face as it moves; shutter angle, 180 = half a frame",
        low=0,
        high=720,
        unit="degrees",
        live=True,
        affects="render",
        group=_DETAIL,
    )
    grain: float = option(
        100,
        "Give the new face so much of the plate's grain that it lacks; nothing where it is clean",
        low=0,
        high=200,
        unit="%",
        live=True,
        affects="render",
        group=_DETAIL,
    )
    denoise: float = option(
        0,
        "Median filter, in passes; 100 = one whole and nine weaker ones",
        low=0,
        high=500,
        live=True,
        affects="render",
        group=_DETAIL,
    )
    bicubic_degrade: float = option(
        0,
        "Lose detail by scaling down and up",
        low=0,
        high=100,
        unit="%",
        live=True,
        affects="render",
        group=_DETAIL,
    )
    compression_degrade: float = option(
        0,
        "Lose detail as JPEG does",
        low=0,
        high=100,
        unit="%",
        live=True,
        affects="render",
        group=_DETAIL,
    )
    color_degrade: float = option(
        0,
        "Lose colours: 100 = a palette of 256",
        low=0,
        high=100,
        unit="%",
        live=True,
        affects="render",
        group=_DETAIL,
    )
    degrade: Literal["face", "frame"] = option(
        "face",
        "What denoise and the degrades work on: the new face, or the frame around it",
        live=True,
        affects="render",
        group=_DETAIL,
    )
    formulas: Literal["ours", "dfl"] = option(
        "ours",
        "dfl takes colours, masks and units (erode and blur in quarter pixels of the model) as"
        " DeepFaceLab has them",
        live=True,
        affects="render",
    )

    @property
    def shows(self) -> Shows:
        """What the frame shows in the end."""
        return _settings(self.mode).shows

    @property
    def blender(self) -> str:
        """The name of the blender, which makes the face layer from face and plate."""
        return _settings(self.mode).blender

    @property
    def is_grey(self) -> bool:
        """Whether the new face loses its colours first."""
        return _settings(self.mode).is_grey

    @property
    def is_dfl(self) -> bool:
        """Whether formulas and units are DeepFaceLab's."""
        return self.formulas == "dfl"

    @property
    def matches_after_blend(self) -> bool:
        """Whether colours and histogram are matched where the face has the plate's light already.

        DeepFaceLab does so in its seamless modes.
        """
        return self.is_dfl and self.blender == "seamless" and self.shows == "result"

    @property
    def histogram(self) -> Transfer | None:
        """The histogram match that the mode asks for, or None."""
        if not _settings(self.mode).matches_histogram:
            return None
        # There it looks at the whole square, whatever is asked.
        masked = self.hist_match_masked and not self.matches_after_blend
        return _histogram_match(self.is_dfl, masked, self.hist_match_threshold)


def _settings(mode: str) -> ModeSettings:
    return _MODES.get(mode) or ModeSettings(mode)


@cache
def _histogram_match(is_dfl: bool, masked: bool, threshold: int) -> Transfer:
    return (histogram_match_dfl if is_dfl else histogram_match)(masked, threshold)
