"""What `merge` asks."""

from __future__ import annotations

from typing import Annotated, Literal

from understudy.core.compose.options import CompositeOptions
from understudy.io.video.audio import SoundOptions
from understudy.io.video.encode_options import EncodeOptions
from understudy.options import OptionGroup, option
from understudy.parts.blenders import blenders
from understudy.parts.color_transfers import color_transfers
from understudy.parts.maskers import maskers
from understudy.parts.segmenters import is_pretrained, segmenters
from understudy.parts.upscalers import upscalers
from understudy.registry import NameIn, NamesOf, with_parts
from understudy.stages.extract.known_footage import SameShotOptions
from understudy.stages.parallel.workers import Engine

_CHOICE = OptionGroup("choice", "Which face is laid in, and where")
_OUTPUT = OptionGroup("output", "What is written")
_WORK = OptionGroup("work", "Where the work is done")


@with_parts(blenders, color_transfers, maskers, segmenters, upscalers, affects="render")
class MergeOptions(SoundOptions, SameShotOptions, CompositeOptions):
    """What `merge` asks: the composite, where and when it differs, what is rendered, with what."""

    preset: str | None = option(
        None,
        "Start from a set of options: dfl, hidden-edge, matched-plate, or a file presets/NAME.toml"
        " of the show",
        formerly="",
        usual=True,
    )
    at: tuple[str, ...] = option(
        (),
        "Other options for some frames or one person: '100-120: erode=4 blur=10 ease=12',"
        " 'person=1: masks=learned,dst'; later ones win",
        usual=True,
    )
    frames: str | None = option(
        None, "Only these frames, as in 100-120,200; not set = all", formerly="", usual=True
    )
    preview: bool = option(
        False, "Show these frames, or six spread over the footage, on sheets; no video", usual=True
    )
    debug: bool = option(
        False,
        "Write every step of these frames, or of six, as pictures, with their numbers; no video",
        group=_OUTPUT,
    )
    person: int | None = option(
        None,
        "Replace only this person, as the report of extract numbers them; not set = all",
        low=0,
        usual=True,
    )
    like: str | None = option(
        None, "Replace only the person on this picture; not set = all", group=_CHOICE
    )
    matte: bool = option(
        False, "Also write the mask, as a grey video beside the result", group=_OUTPUT
    )
    pictures: bool = option(
        False,
        "Write the result as pictures, one PNG a frame without loss, in place of a video; so the"
        " mask, too",
        affects="render",
        group=_OUTPUT,
    )

    model: str | None = option(
        None,
        "Name of the model, or the path of a .dfm or .onnx file; not set = the only one that"
        " there is",
        formerly="",
        usual=True,
    )
    checkpoint: Literal["newest", "best"] = option(
        "newest",
        "Which weights of the model: the newest, or the best on held-out faces",
        group=_CHOICE,
    )
    segmenter: Annotated[str | None, NamesOf("segmenters", where=is_pretrained)] = option(
        None,
        "Name of the segmenter for xseg-prd and xseg-dst; not set = the only one of the show. Some"
        " need no training",
        formerly="",
        group=_CHOICE,
    )
    upscaler: Annotated[str, NameIn("upscalers")] = option(
        "realesrgan",
        "What super-resolution draws the new face larger with",
        affects="render",
        group=_CHOICE,
    )
    morph: float | None = option(
        None,
        "How much of the face becomes src's (amp); not set = the model's own",
        low=0,
        high=1,
        affects="render",
        formerly=-1,
        group=_CHOICE,
    )
    face_type: Literal["auto", "half", "mid-full", "full", "whole", "head"] = option(
        "auto",
        "What the faces of a .dfm show that does not tell it; auto = what it tells, else whole",
        affects="render",
        group=_CHOICE,
    )
    smooth: bool = option(True, "Steady the place of the face from frame to frame", group=_CHOICE)
    follow_jaw: bool = option(
        True,
        "Where a wide-open mouth or a turned head takes part of the face out of the model's"
        " square, let the square follow, as far as training moved faces (train --shift, --scale)",
        group=_CHOICE,
    )
    device: str = option("auto", "Where to compute: auto, cpu, cuda, cuda:1, mps, …", group=_WORK)
    workers: int = option(
        1,
        "Processes that share the work; 1 = this one, on all cores",
        low=1,
        high=1024,
        group=_WORK,
    )
    engine: Engine = option(
        "local", "Where they run: local = this machine, ray = a Ray cluster", group=_WORK
    )
    encode: EncodeOptions = option(EncodeOptions(), "How the video is coded", affects="render")
