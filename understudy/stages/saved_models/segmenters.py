"""The segmenters of a show: brought in from DeepFaceLab, found again for a merge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from understudy.core import affine, image
from understudy.core.face import align, mask
from understudy.errors import BadMedia, BadOption, WeightsMissing
from understudy.io.dfl import safe_pickle
from understudy.io.faceset.faceset import Faceset
from understudy.io.model_files import segmenter_file
from understudy.io.model_files.segmenter_file import SUFFIX, SegmenterFile
from understudy.options import Options
from understudy.parts.maskers import names_in
from understudy.parts.maskers.segmented import FAN_DST, FAN_PRD, LOOKS_AT_DST, LOOKS_AT_PRD
from understudy.parts.segmenters import pretrained, segmenters
from understudy.parts.segmenters.fan import FAN
from understudy.stages.events import Finished, Note, Saved, Stage, Warned
from understudy.stages.project import Project
from understudy.stages.saved_models.dfl_settings import FACE_TYPES
from understudy.stages.saved_models.recipe import validate_name
from understudy.types import Array, FaceType, Floats

if TYPE_CHECKING:
    from understudy.nets.pretrained.dfl_names import DflPart

# A segmenter as it is written, and what there is to tell of it.
Converted = tuple[SegmenterFile, list[Note | Warned]]

# After an import so many dst faces are looked at; below this overlap with the hull of the landmarks
# a mask is of no use.
_LOOKED_AT, _FOLLOWS = 32, 0.5


def import_segmenter(project: Project, path: Path, name: str | None) -> Stage:
    """Import a trained XSeg into the show, and measure how well it follows dst's faces.

    Args:
        project: The show.
        path: XSeg_256.npy, or the folder that it lies in.
        name: What the segmenter shall be called; empty = xseg.

    Raises:
        BadMedia: It does not fit; the message names what.
        BadOption: The name is taken.
    """
    weights = _weights(path)

    def convert(goal: Path) -> Converted:
        face_type, told = _face_type(weights.with_name("XSeg_data.dat"))
        tensors, found = _convert_weights(weights)
        origin = f"DeepFaceLab 2, {weights.name}"
        return SegmenterFile(goal, "xseg", face_type, 256, origin, tensors), [told, *found]

    yield from add_segmenter(project, name or "xseg", convert)


def add_segmenter(project: Project, name: str, convert: Callable[[Path], Converted]) -> Stage:
    """Write a segmenter that came in into the show, and measure how well it follows dst's faces.

    convert: makes what is written, for its path, and says what there is to tell. Raises BadOption
    where the name is taken.
    """
    goal = _path(project, validate_name(name))
    with project.lock("segmenters"):
        if goal.exists():
            raise BadOption(
                f"{goal}: is there already. Choose another name, or move that file away."
            )
        file, told = convert(goal)
        segmenter_file.write(file)
    yield from told
    yield Saved(what="segmenter", path=goal)
    overlap = measure_overlap(project, file)
    if overlap is not None:
        yield from _report_overlap(file, overlap)
    summary = {"segmenter": goal.stem, "face_type": file.face_type} | (
        {} if overlap is None else {"overlap": round(overlap, 3)}
    )
    yield Finished(stage="trained_import", summary=summary)


def select_segmenter(
    project: Project, name: str | None, masks: Sequence[str], settings: Options
) -> SegmenterFile | None:
    """The segmenter of that name, or the only one of the show; None when no mask asks for one.

    Where the show has none of that name it may be one that needs no training.

    Raises:
        WeightsMissing: There is none, or it is damaged.
        BadOption: There are several and none was named.
    """
    wanted = names_in(masks) & (LOOKS_AT_PRD | LOOKS_AT_DST)
    if not wanted:
        return None
    asks_for_fan = wanted <= {FAN_PRD, FAN_DST}
    folder = project.folder / "segmenters"
    names = sorted(path.stem for path in folder.glob(f"*{SUFFIX}") if not path.name.startswith("."))
    ready = pretrained()
    if name and name not in names and name in ready:
        return segmenters.configured(name, settings).pretrained_file()
    if name and name not in names:
        raise WeightsMissing(
            f"{folder}: there is no segmenter '{name}'. There are: {', '.join([*names, *ready])}."
        )
    if asks_for_fan and not name and (own := _of_kind(project, names, FAN)):
        names = own
    if not names and asks_for_fan:
        raise WeightsMissing(
            f"{folder}: no FANSeg, and a mask asks for it. Import its weights (understudy trained"
            f" import {project.folder} FANSeg_256_full_face.npy), or let another segmenter stand in"
            f" its place: {ready[0]} needs no training (--segmenter {ready[0]})."
        )
    if not names:
        raise WeightsMissing(
            f"{folder}: no segmenter, and a mask asks for one. Import one (understudy trained"
            f" import {project.folder} PATH), take one that needs no training (--segmenter"
            f" {ready[0]}), or take other --masks."
        )
    if not name and len(names) > 1:
        raise BadOption(
            f"{folder}: several segmenters ({', '.join(names)}). Choose one with --segmenter."
        )
    return segmenter_file.read(_path(project, name or names[0]))


def _of_kind(project: Project, names: Sequence[str], kind: str) -> list[str]:
    """Those of the show's segmenters that are of a kind."""
    return [name for name in names if segmenter_file.read(_path(project, name)).kind == kind]


def find_segmenter(project: Project, name: str) -> SegmenterFile:
    """The segmenter of the show of that name. Raises WeightsMissing, BadOption."""
    path = _path(project, validate_name(name))
    if not path.is_file():
        there = sorted(each.stem for each in path.parent.glob(f"*{SUFFIX}"))
        raise WeightsMissing(
            f"{path.parent}: there is no segmenter '{name}'. There are:"
            f" {', '.join(there) or 'none yet'}."
        )
    return segmenter_file.read(path)


def measure_overlap(project: Project, file: SegmenterFile) -> float | None:
    """Measure how well a segmenter follows dst's faces; None without faces.

    Returns:
        Intersection over union with the hull of the landmarks, the mean of up to 32 faces.
    """
    folder = project.faces("dst")
    faceset = Faceset(folder)
    if not faceset.is_there or not len(faceset):
        return None
    seen, hulls = [], []
    for row in np.unique(np.linspace(0, len(faceset) - 1, _LOOKED_AT).round().astype(int)):
        face = faceset.load(int(row))
        seen_from_frame = align.face_from_frame(
            face.face.landmarks, file.face_type, file.resolution
        )
        matrix = affine.compose(seen_from_frame, affine.invert(face.face_from_frame))
        size = (file.resolution, file.resolution)
        seen.append(image.as_float(image.warp(face.image, matrix, size, "replicate")))
        hulls.append(
            mask.hull_mask(
                affine.apply(seen_from_frame, face.face.landmarks).astype(np.float32), size
            )
        )
    return _overlap(segmenters[file.kind]().build(file, "auto")(np.stack(seen)), np.stack(hulls))


def _report_overlap(file: SegmenterFile, overlap: float) -> Stage:
    told = (
        f"{file.path.stem}: its masks overlap the hull of the landmarks on dst's faces by"
        f" {overlap:.2f} (intersection over union)"
    )
    if overlap < _FOLLOWS:
        yield Warned(
            text=(
                f"{told}: it does not follow these faces. Look at a merge with --masks"
                f" {file.kind}-dst before you use it."
            )
        )
    else:
        yield Note(text=f"{told}.")


def _overlap(masks: Floats, hulls: Floats) -> float:
    one, other = masks > 0.5, hulls > 0.5
    return float(np.mean((one & other).sum((1, 2)) / np.maximum((one | other).sum((1, 2)), 1)))


def _path(project: Project, name: str) -> Path:
    return project.folder / "segmenters" / f"{name}{SUFFIX}"


def _weights(path: Path) -> Path:
    """The weight file at `path`, or in that folder. Raises BadMedia."""
    if not path.is_dir():
        return path
    found = sorted(each for each in path.glob("XSeg_*.npy") if not each.stem.endswith("_opt"))
    if len(found) != 1:
        there = (
            f"several weight files of XSeg ({', '.join(each.name for each in found)})"
            if found
            else "no XSeg_256.npy in it"
        )
        raise BadMedia(f"{path}: {there}. Give the file itself.")
    return found[0]


def _face_type(data: Path) -> tuple[FaceType, Note | Warned]:
    """The face type that XSeg learnt from, by the file beside its weights; and what to say."""
    assumed = "Taken as trained on whole faces, XSeg's own default."
    if not data.is_file():
        return "whole", Note(text=f"{data}: not there. {assumed}")
    try:
        held = safe_pickle.loads(safe_pickle.read_file(data), str(data))
    except BadMedia as error:
        return "whole", Warned(text=f"{error} {assumed}")
    options = held.get("options") if isinstance(held, dict) else None
    said = str(options.get("face_type")) if isinstance(options, dict) else ""
    if said not in FACE_TYPES:
        return "whole", Warned(
            text=f"{data}: names no face type that is known ({said!r:.40}). {assumed}"
        )
    return FACE_TYPES[said], Note(text=f"{data.name}: trained on {FACE_TYPES[said]} faces.")


def _convert_weights(path: Path) -> tuple[dict[str, Array], list[Note | Warned]]:
    """The tensors of a weight file under our names, and how they were found. Raises BadMedia."""
    # Late: --help need not wait for torch.
    from understudy.nets.pretrained import dfl_layers, dfl_weights

    layers = dfl_layers.group_layers(safe_pickle.load_arrays(path), str(path))
    upwards = dfl_layers.is_up_path_reversed(layers)
    part = xseg_part(upwards)
    filled = dfl_weights.convert_layers(part, layers, str(path))
    all_used = f"{path.name}: all {len(filled.weights)} tensors are used"
    if filled.named == len(part.slots):
        return filled.weights, [Note(text=f"{all_used}, each found by its name.")]
    by_order = (
        "Layers that are alike are taken in the order of the file, those of the way up from"
        f" {'the full size' if upwards else 'the smallest maps'} on."
    )
    if not filled.named:
        return filled.weights, [Note(text=f"{all_used}. {by_order}")]
    return filled.weights, [
        Note(
            text=(
                f"{all_used}; {filled.named} of {len(part.slots)} layers are found by their names."
                f" {by_order}"
            )
        ),
        *(Warned(text=doubt) for doubt in filled.doubts),
    ]


def xseg_part(upwards: bool = False) -> DflPart:
    """XSeg's layers, and what they are called there; see `dfl_names.xseg_part`."""
    import torch

    from understudy.nets.pretrained import dfl_names
    from understudy.nets.pretrained.xseg import XSeg

    with torch.device("meta"):
        return dfl_names.xseg_part(XSeg(), upwards)
