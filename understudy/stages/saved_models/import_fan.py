"""FANSeg comes into a show: the weights of DeepFaceLab 1's segmenter, where somebody has them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

from understudy.errors import BadMedia
from understudy.io.dfl import safe_pickle
from understudy.io.model_files.segmenter_file import SegmenterFile
from understudy.parts.segmenters.fan import FAN
from understudy.stages.events import Note, Stage, Warned
from understudy.stages.project import Project
from understudy.stages.saved_models.segmenters import Converted, add_segmenter

# How its files are called: FANSeg_256_full_face.npy, and .h5 in older ones.
_NAME: Final = "FANSeg"


def is_fan(path: Path) -> bool:
    """Whether a file bears the name of FANSeg's weights."""
    return path.is_file() and path.name.lower().startswith(_NAME.lower())


def import_fan(project: Project, path: Path, name: str | None) -> Stage:
    """Import FANSeg's weights into the show as a segmenter.

    Args:
        project: The show.
        path: FANSeg_256_full_face.npy.
        name: What the segmenter shall be called; empty = fan.

    Raises:
        BadMedia: It does not fit; the message names what.
        BadOption: The name is taken.
    """
    if path.suffix.lower() != ".npy":
        raise BadMedia(
            f"{path}: FANSeg's weights are read from .npy alone, as DeepFaceLab 2 kept them at"
            " first. Give that file, or let another segmenter stand in its place: merge"
            " --segmenter multiclass needs no training."
        )
    yield from add_segmenter(project, name or FAN, partial(_convert, path))


def _convert(path: Path, goal: Path) -> Converted:
    # Late: --help need not wait for torch.
    import torch

    from understudy.nets.pretrained import dfl_weights
    from understudy.nets.pretrained.dfl_names import DflPart, module_slots
    from understudy.nets.pretrained.fanseg import FanSeg

    with torch.device("meta"):
        part = DflPart(module_slots(FanSeg(), "", colors=False), [])
    found = dfl_weights.convert_weights(part, safe_pickle.load_arrays(path), str(path))
    told = (
        f"{path.name}: all {len(found.weights)} tensors are used, those alike in the order of the"
        " file. No file of the original was at hand to compare masks with: look at them first"
        " (merge --preview --masks fan-dst)."
    )
    file = SegmenterFile(goal, FAN, "full", 256, f"DeepFaceLab 1, {path.name}", found.weights)
    return file, [Note(text=told), *(Warned(text=doubt) for doubt in found.doubts)]
