"""Learned masks that are none, or none yet: dst's hull is taken instead, and that is told."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from understudy.core import affine
from understudy.core.face import align
from understudy.core.metrics.solidity import MIN_SOLIDITY, measure_solidity
from understudy.io.faceset import face_image
from understudy.parts.maskers import maskers, names_in
from understudy.stages.events import Event, Order, Warned
from understudy.stages.merge.appearance import crop_face
from understudy.stages.merge.context import MergeContext
from understudy.stages.merge.keyframes import Keyframes
from understudy.stages.merge.options import MergeOptions
from understudy.stages.project import Project
from understudy.types import AlignedFace, Doubles, Floats

# So many of the faces that will be replaced are looked at: one batch of a merge.
_FACES: Final = 8
# A share of dst's brows that is seen when the mask misses it.
_MISSED: Final = 0.1
_INSTEAD: Final = ("dst",)
# The modes that show the masks of a model as it made them, good or not.
_SHOWN: Final = frozenset({"raw-mask", "raw-rgb-mask"})


@dataclass(frozen=True)
class _Masks:
    """What a model's two masks are on some of dst's faces.

    solidity: median, of the worse one. is_everything: 1 everywhere, as of models that learn none.
    missed_brows: the share of the points of dst's brows that lie outside of where it sees dst.
    """

    solidity: float
    is_everything: bool
    missed_brows: float


def replace_young_masks(
    project: Project, context: MergeContext, *, are_chosen: bool
) -> Generator[Event, Order | None, MergeContext]:
    """The context with dst's hull in place of learned masks that are none, or none yet.

    Masks that somebody chose stay, and are warned of. So do those that a mode is to show.

    Args:
        project: The show.
        context: What the merge works with.
        are_chosen: Whether `masks` was set, and is no default.
    """
    keyframes, options = context.keyframes, context.options
    if not _any_is_learned(keyframes.masks) or keyframes.values_of("mode") <= _SHOWN:
        return context
    found = _look_at_masks(context)
    if found is None:
        return context
    name = context.model_path.name
    if found.is_everything:
        told, seen = f"{name} learns none", "its whole square is laid in"
        advice = ""
    elif found.solidity < MIN_SOLIDITY:
        told = (
            f"those that {name} learnt are no masks yet (iteration {context.iteration}:"
            f" {found.solidity:.2f} of 1 solid, {MIN_SOLIDITY} are needed)"
        )
        seen, advice = "dst shows through", _advice(project, context)
    else:
        if found.missed_brows > _MISSED and "dst" not in keyframes.masks:
            yield Warned(
                text=(
                    f"masks: those that {name} learnt miss {found.missed_brows:.0%} of dst's"
                    " brows, which show beside the new ones. Take --masks learned+dst, or"
                    f" {_advice(project, context)}."
                )
            )
        return context
    if are_chosen or any(
        _any_is_learned(names_in(each.values.get("masks", ()))) for each in keyframes.entries
    ):
        or_else = f", or {advice}" if advice else ""
        yield Warned(text=f"masks: {told}; {seen}. Take --masks dst{or_else}.")
    if are_chosen or not _any_is_learned(names_in(options.masks)):
        return context
    for_masks = f" For masks: {advice}." if advice else ""
    yield Warned(
        text=f"masks: {told}: dst, the hull of the landmarks, is taken instead.{for_masks}"
    )
    options = _with_hull(options, keyframes)
    return replace(context, options=options, keyframes=Keyframes.parse(options))


def _with_hull(options: MergeOptions, keyframes: Keyframes) -> MergeOptions:
    """The options with dst's hull for masks, but where a mode is to show those of the model."""

    def masks(mode: str) -> tuple[str, ...]:
        return options.masks if mode in _SHOWN else _INSTEAD

    own, at = masks(options.mode), []
    for entry in keyframes.entries:
        other = masks(entry.values.get("mode", options.mode))
        is_same = other == own or "masks" in entry.values
        at.append(entry.text if is_same else f"{entry.text} masks={','.join(other)}")
    return options.model_copy(update={"masks": own, "at": tuple(at)})


def _any_is_learned(names: Iterable[str]) -> bool:
    return any(maskers[name].is_learned for name in names)


def _look_at_masks(context: MergeContext) -> _Masks | None:
    """The model's masks of some of dst's faces; None where no picture shows all that it sees."""
    model = context.model
    pictures = sorted(
        {path for faces in context.placements.values() for face in faces for path in face.pictures}
    )
    rows = np.unique(np.linspace(0, len(pictures) - 1, _FACES).round().astype(int))
    seen = [face_image.read(pictures[row]) for row in rows] if pictures else []
    shown = [face for face in seen if align.contains(face.face_type, model.face_type)]
    if not shown:
        return None
    square = model.face_type, model.resolution
    made = model.predict(np.stack([crop_face(face, *square) for face in shown]))
    solidity = min(
        float(np.median([measure_solidity(np.asarray(mask, np.float32)) for mask in masks]))
        for masks in (made.mask, made.dst_mask)
    )
    missed = [
        _missed_brows(align.face_from_frame(face.face.landmarks, *square), face, mask)
        for face, mask in zip(shown, made.dst_mask, strict=True)
    ]
    least = min(float(made.mask.min()), float(made.dst_mask.min()))
    return _Masks(solidity, least == 1, float(np.mean(missed)))


def _missed_brows(face_from_frame: Doubles, face: AlignedFace, mask: Floats) -> float:
    """The share of the points of the brows that are outside of the mask but in its square."""
    points = np.rint(affine.apply(face_from_frame, face.face.landmarks[17:27])).astype(int)
    x, y = points[((points >= 0) & (points < len(mask))).all(1)].T
    return float((mask[y, x] < 0.5).mean()) if len(x) else 0.0


def _advice(project: Project, context: MergeContext) -> str:
    if context.model_path.is_file():
        return "merge with a model that learnt more"
    return (
        f"train on, then merge again: understudy train {project.folder} --name"
        f" {context.model_path.name}"
    )
