"""All that goes into the frames of a merge, loaded once a process, and the hash by which finished
frames are known again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Final, Self

import numpy as np

from understudy.io import system
from understudy.io.footage.base import Footage
from understudy.io.model_files import checkpoint
from understudy.io.provenance import manifest
from understudy.parts.maskers import asked
from understudy.parts.maskers.polygons import DRAWN
from understudy.parts.maskers.segmented import ON_DST, ON_PRD
from understudy.parts.upscalers import upscalers
from understudy.stages.events import Event, Note, Warned
from understudy.stages.merge.drawn_masks import Painted
from understudy.stages.merge.keyframes import Looks
from understudy.stages.merge.options import MergeOptions
from understudy.stages.merge.placement import Placed, Scene
from understudy.stages.merge.predict import Recipe
from understudy.stages.merge.segmentation import Segmenting
from understudy.stages.merge.segments import Segment, split
from understudy.stages.parallel.footage_reader import Source
from understudy.stages.project import Project
from understudy.stages.saved_models.recipe import BEST, CHECKPOINTS, OPTIONS_FILE
from understudy.stages.saved_models.segmenters import asked_for
from understudy.stages.saved_models.select import described, model_place, show_type

# To be raised when the same input gives another picture: what was rendered before is then rendered
# again.
_RENDERER: Final = 1


@dataclass(frozen=True, slots=True)
class Workshop:
    """What a merge works with.

    model: the folder or the file that it lies in. segmenter: its name, "" without one. places: the
    faces of every frame.
    """

    footage: Footage
    options: MergeOptions
    model: Path
    scene: Scene
    looks: Looks
    recipe: Recipe
    segmenter: str
    painted: Painted | None
    places: dict[int, list[Placed]]
    _prints: tuple[str, ...]

    @classmethod
    def open(cls, project: Project, footage: Footage, options: MergeOptions) -> Self:
        """For a merge of the footage with these options, writing nothing. Raises NoFaces,
        BadProject, BadOption, WeightsMissing.
        """
        system.limit_malloc_arenas()
        model = model_place(project, options.model)
        looks = Looks.of(options)
        # An unknown name is told before any work.
        masks = tuple(sorted(asked([name for names in looks.uses("masks") for name in names])))
        file = asked_for(project, options.segmenter, masks)
        scene = Scene.of(project.faces("dst"), smooth=options.smooth)
        painted = Painted.of(project.faces("dst")) if DRAWN in masks else None
        recipe = Recipe.load(model, options.device, looks, options.checkpoint == "best")
        if options.face_type != "auto":
            show_type(recipe.model, options.face_type)
        if file is not None:
            recipe = replace(recipe, segmenting=Segmenting.load(file, options.device, masks))
        if painted is not None:
            recipe = replace(recipe, painted=painted)
        if max(looks.uses("super_resolution")):
            recipe = replace(recipe, upscale=upscalers[options.upscaler](options.device))
        if options.morph is not None:
            recipe.model.set_morph(options.morph)
        places = scene.placed(recipe.model.face_type, recipe.model.resolution)
        prints = (
            _weights(model, options.checkpoint == "best"),
            manifest.fingerprint(file.path) if file else "",
        )
        return cls(
            footage,
            options,
            model,
            scene,
            looks,
            recipe,
            file.path.stem if file else "",
            painted,
            places,
            prints,
        )

    @property
    def has_matte(self) -> bool:
        """Whether the masks become a video of their own."""
        return self.options.matte or "raw-rgb-mask" in self.looks.uses("mode")

    def remarks(self) -> Iterator[Event]:
        """What the user may want to know, or should look into, before the work begins."""
        if self.scene.last_frame >= len(self.footage):
            yield Warned(
                text=(
                    f"{self.footage.path.name} ends before the last of its faces. Those beyond its"
                    " end are left out."
                )
            )
        persons = np.unique(self.scene.faces.person).tolist()
        for entry in self.looks.unused(len(self.footage), persons):
            yield Warned(
                text=f"at '{entry}': changes nothing, since no such frame or person is there."
            )
        if "dfl" in self.looks.uses("formulas") and max(self.looks.uses("feather")):
            yield Warned(
                text=(
                    "feather: does nothing where the formulas are dfl's, which have none. Take"
                    " --blur, or our formulas."
                )
            )
        if self.recipe.segmenting is not None:
            yield Note(
                text=f"segmenter {self.segmenter}, of {self.recipe.segmenting.face_type} faces"
            )
            yield from (
                Warned(text=each)
                for each in self.recipe.segmenting.limits(self.recipe.model.face_type)
            )
        elif self.options.segmenter:
            yield Note(
                text=(
                    f"segmenter {self.options.segmenter}: not used, since none of the masks is"
                    f" {ON_PRD} or {ON_DST}."
                )
            )
        yield Note(
            text=f"model {self.model.name}, {described(self.recipe.model, self.recipe.iteration)}"
        )

    def segments(self, stretches: Sequence[range]) -> list[Segment]:
        """The segments that make up these stretches of the footage, in their order."""
        return [Segment(frames, self.key(frames)) for frames in split(self.footage, stretches)]

    def key(self, frames: range) -> str:
        """A hash of all that the pictures of these frames depend on.

        Not of the device: what it changes is far below what can be seen.
        """
        reach = self.recipe.reach.frames
        around = range(max(0, frames.start - reach), min(len(self.footage), frames.stop + reach))
        settings = ("upscaler", "morph", "face_type", "encode")
        said = {
            "renderer": [_RENDERER, version("understudy"), version("av")],
            "footage": Source.of(self.footage.path, len(self.footage)).model_dump(mode="json"),
            "frames": [frames.start, self.footage.pts[frames.start : frames.stop]],
            "weights": [self.recipe.iteration, *self._prints],
            "looks": self.looks.said(around),
            "options": self.options.model_dump(mode="json", include=set(settings)),
        }
        digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
        for part in self._faces(around):
            digest.update(part)
        return digest.hexdigest()[:32]

    def _faces(self, frames: range) -> Iterator[bytes]:
        """What is known of the faces in these frames, as bytes; how many there are elsewhere
        changes nothing.
        """
        runs: dict[int, int] = {}
        has_motion = max(self.looks.uses("motion_blur")) > 0
        for frame in frames:
            for face in self.places.get(frame, []):
                outlines = self.painted.polygons[face.row] if self.painted else ()
                drawn = [(each.includes, each.points.tolist()) for each in outlines]
                yield repr(
                    (frame, face.person, runs.setdefault(face.run, len(runs)), drawn)
                ).encode()
                neighbours = (face.before, face.after) if has_motion else ()
                for value in (face.landmarks, face.face_from_frame, *neighbours):
                    yield value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()


def _weights(model: Path, best: bool) -> str:
    """A hash of a model's weights and of its options."""
    if model.is_file():
        return manifest.fingerprint(model)
    saved = checkpoint.peek(model / (BEST if best else CHECKPOINTS))
    # What a checkpoint says of itself holds the hashes of its weights.
    said = manifest.fingerprint(saved.folder / checkpoint.STATE) if saved else ""
    return f"{said} {manifest.fingerprint(model / OPTIONS_FILE)}"
