"""FANSeg comes into a show: the weights of DeepFaceLab 1's segmenter, where somebody has them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from understudy.errors import BadMedia, BadOption
from understudy.io.dfl import safe_pickle
from understudy.io.model_files import segmenter_file
from understudy.io.model_files.segmenter_file import SUFFIX, SegmenterFile
from understudy.parts.segmenters.fan import FAN
from understudy.stages.events import Finished, Note, Saved, Stage
from understudy.stages.project import Project
from understudy.stages.saved_models.recipe import validate_name
from understudy.types import Array

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
    goal = project.folder / "segmenters" / f"{validate_name(name or FAN)}{SUFFIX}"
    with project.lock("segmenters"):
        if goal.exists():
            raise BadOption(
                f"{goal}: is there already. Choose another name, or move that file away."
            )
        tensors = _convert_weights(path)
        origin = f"DeepFaceLab 1, {path.name}"
        segmenter_file.write(SegmenterFile(goal, FAN, "full", 256, origin, tensors))
    yield Note(
        text=(
            f"{path.name}: all {len(tensors)} tensors are used, those alike in the order of the"
            " file. No file of the original was at hand to compare masks with: look at them first"
            " (merge --preview --masks fan-dst)."
        )
    )
    yield Saved(what="segmenter", path=goal)
    yield Finished(stage="trained_import", summary={"segmenter": goal.stem, "face_type": "full"})


def _convert_weights(path: Path) -> dict[str, Array]:
    """The tensors of a weight file under our names. Raises BadMedia."""
    # Late: --help need not wait for torch.
    import torch

    from understudy.nets.pretrained import dfl_weights
    from understudy.nets.pretrained.dfl_names import DflPart, module_slots
    from understudy.nets.pretrained.fanseg import FanSeg

    with torch.device("meta"):
        part = DflPart(module_slots(FanSeg(), "", colors=False), [])
    return dfl_weights.convert_weights(part, safe_pickle.load_arrays(path), str(path)).weights
