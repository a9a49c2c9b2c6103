"""What a merge works with, loaded once a process."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Final, Self

import numpy as np

from understudy.core.training.augment import AugmentConfig
from understudy.errors import BadOption
from understudy.io import system
from understudy.io.footage.base import Footage
from understudy.io.model_files import checkpoint
from understudy.io.provenance import manifest
from understudy.parts.dfm_model import DfmModel
from understudy.parts.maskers.polygons import DRAWN
from understudy.parts.maskers.segmented import FAN_DST, FAN_PRD, ON_DST, ON_PRD
from understudy.parts.models import ModelOptions, Predictor, models
from understudy.parts.segmenters.fan import FAN
from understudy.parts.upscalers import Upscale, upscalers
from understudy.stages.events import Event, Note, Warned
from understudy.stages.extract.known_footage import rows_of_footage
from understudy.stages.extract.people import warn_of_several_people
from understudy.stages.merge.appearance import Appearance
from understudy.stages.merge.keyframes import Keyframes
from understudy.stages.merge.options import MergeOptions
from understudy.stages.merge.placement import DstFaces, FacePlacement
from understudy.stages.merge.segmentation import FaceSegmenter
from understudy.stages.project import Project
from understudy.stages.saved_models.segmenters import select_segmenter
from understudy.stages.saved_models.select import describe_model, select_model_path, set_face_type

# Appearances of faces that are in memory at a time.
_APPEARANCES: Final = 16
# Faces by which it is told beforehand whether the plate has colour.
_TONE_FACES: Final = 8
# A share of the frames with faces in which nobody minds a chin that is cut.
_FEW_CHINS: Final = 0.05
# So far training moves the faces of a model that is to follow any jaw: as those of saehd.
_FAR: Final = AugmentConfig(scale=0.15)
# The face type that shows more around the chin.
_WIDER: Final = {"full": "whole", "whole": "head"}


@dataclass(frozen=True, slots=True)
class MergeContext:
    """What a merge works with.

    model_path: the folder or the file that the model lies in. iteration: that its weights are of.
    placements: the faces of every frame. fingerprints: of the weights of model and segmenter.
    warnings: what to look into before the model is used, in words. appearance_of: how a face looks
    by its pictures. likeness: iterations that such a model needs for one, None where nobody knows.
    motion: how far training moved the faces.
    """

    footage: Footage
    options: MergeOptions
    keyframes: Keyframes
    model_path: Path
    model: Predictor
    placements: dict[int, list[FacePlacement]]
    iteration: int = 0
    segmenter: FaceSegmenter | None = None
    upscale: Upscale | None = None
    fingerprints: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    appearance_of: Callable[[tuple[Path, ...]], Appearance] = Appearance.unknown
    likeness: int | None = None
    motion: AugmentConfig = ModelOptions.motion

    @classmethod
    def open(
        cls, project: Project, footage: Footage, options: MergeOptions, keyframes: Keyframes
    ) -> Self:
        """Load all that these options need, and write nothing.

        Raises:
            NoFaces, BadProject, BadOption, WeightsMissing: The message says what to do.
        """
        system.limit_malloc_arenas()
        path, is_best = select_model_path(project, options.model), options.checkpoint == "best"
        # An unknown name is told before any work.
        masks = tuple(sorted(keyframes.masks))
        file = select_segmenter(project, options.segmenter, masks, options)
        faces = DstFaces.load(
            project.faces("dst"),
            with_polygons=DRAWN in masks,
            person=options.person,
            choose=lambda faceset: rows_of_footage(project, "dst", faceset, footage),
        )
        loaded = load_predictor(path, options.device, best=is_best)
        model = loaded.model
        if options.face_type != "auto":
            set_face_type(model, options.face_type)
        segmenter = (
            None if file is None else FaceSegmenter.load(file, options.device, masks, options)
        )
        upscaler = upscalers.configured(options.upscaler, options)
        upscales = max(keyframes.values_of("super_resolution")) > 0
        if options.morph is not None:
            model.set_morph(options.morph)
        return cls(
            footage,
            options,
            keyframes,
            path,
            model,
            faces.place(
                model.face_type,
                model.resolution,
                smooth=options.smooth,
                motion=loaded.motion if options.follow_jaw else None,
            ),
            loaded.iteration,
            segmenter,
            upscaler.build(options.device) if upscales else None,
            (loaded.fingerprint, manifest.fingerprint(file.path) if file else ""),
            loaded.warnings,
            lru_cache(_APPEARANCES)(
                partial(Appearance.of, face_type=model.face_type, size=model.resolution)
            ),
            loaded.kind.likeness,
            loaded.motion,
        )

    @property
    def has_matte(self) -> bool:
        """Whether the masks become a video of their own."""
        return self.options.matte or "raw-rgb-mask" in self.keyframes.values_of("mode")

    @property
    def shows_one_picture(self) -> bool:
        """Whether the footage is a single picture: then people want one back."""
        return len(self.footage) == 1 and not self.footage.is_video

    def remarks(self) -> Iterator[Event]:
        """Yield what the user may want to know, or should look into, before the work begins."""
        for text in self.warnings:
            yield Warned(text=text)
        if max(self.placements) >= len(self.footage):
            yield Warned(
                text=(
                    f"{self.footage.path.name} ends before the last of its faces. Those beyond its"
                    " end are left out."
                )
            )
        found = np.array(
            [(at, face.person) for at, faces in self.placements.items() for face in faces], np.int64
        ).reshape(-1, 2)
        frame, person = found.T
        if self.options.person is None and not self.keyframes.persons:
            yield from warn_of_several_people("merge", "dst", frame, person)
        for entry in self.keyframes.unused(len(self.footage), set(person.tolist())):
            yield Warned(
                text=f"at '{entry}': changes nothing, since no such frame or person is there."
            )
        values_of = self.keyframes.values_of
        if "dfl" in values_of("formulas") and max(values_of("feather")):
            yield Warned(
                text=(
                    "feather: does nothing where the formulas are dfl's, which have none. Take"
                    " --blur, or our formulas."
                )
            )
        yield from self._remarks_on_segmenter()
        yield from self._remarks_on_tone()
        yield from self._remarks_on_chins()
        yield Note(
            text=f"model {self.model_path.name}, {describe_model(self.model, self.iteration)}"
        )

    def _remarks_on_tone(self) -> Iterator[Event]:
        """Say so where new faces lose their colour, by the faces that are seen longest."""
        values_of = self.keyframes.values_of
        if True not in values_of("match_tone") or values_of("formulas") == {"dfl"}:
            return
        shown = Counter(face.pictures for faces in self.placements.values() for face in faces)
        found = [
            self.appearance_of(pictures)
            for pictures, _ in shown.most_common(_TONE_FACES)
            if pictures
        ]
        toned = sum(each.tone is not None for each in found)
        if toned:
            where = "is" if toned == len(found) else "is in part"
            yield Note(
                text=(
                    f"the plate {where} without colour, and so is the new face there;"
                    " --no-match-tone leaves it its own."
                )
            )

    def _remarks_on_chins(self) -> Iterator[Event]:
        """Say so where many chins leave the square further than it may follow."""
        cut = sum(any(face.is_cut for face in faces) for faces in self.placements.values())
        if cut <= _FEW_CHINS * len(self.placements):
            return
        ways = []
        is_near = self.motion.shift < _FAR.shift or self.motion.scale < _FAR.scale
        if is_near and not self.model_path.is_file():
            ways.append(f"train with --shift {_FAR.shift} --scale {_FAR.scale}")
        if wider := _WIDER.get(self.model.face_type):
            ways.append(f"take a model of face type {wider}")
        advice = f" To replace it too, {', or '.join(ways)}." if ways else ""
        yield Note(
            text=(
                f"dst's chin leaves the model's square in {cut} of {len(self.placements)} frames,"
                f" further than the square may follow, and is cut there.{advice}"
            )
        )

    def _remarks_on_segmenter(self) -> Iterator[Event]:
        fan = ", ".join(sorted(self.keyframes.masks & {FAN_PRD, FAN_DST}))
        if fan and self.segmenter is not None and self.segmenter.kind != FAN:
            yield Note(
                text=(
                    f"{fan}: without FANSeg's weights the segmenter {self.segmenter.name}"
                    f" ({self.segmenter.kind}) stands in its place."
                )
            )
        if self.segmenter is not None:
            yield Note(text=f"segmenter {self.segmenter.name}, of {self.segmenter.face_type} faces")
            for text in self.segmenter.coverage_warnings(self.model.face_type):
                yield Warned(text=text)
        elif self.options.segmenter:
            yield Note(
                text=(
                    f"segmenter {self.options.segmenter}: not used, since none of the masks is"
                    f" {ON_PRD} or {ON_DST}."
                )
            )


@dataclass(frozen=True, slots=True)
class LoadedPredictor:
    """A model that is ready to predict.

    iteration: that its weights are of. fingerprint: of its weights and settings. warnings: what to
    look into before it is used, in words. kind: which of our models it is; `ModelOptions` = none,
    or it does not say. motion: how far training moved its faces.
    """

    model: Predictor
    iteration: int
    fingerprint: str
    warnings: tuple[str, ...] = ()
    kind: type[ModelOptions] = ModelOptions
    motion: AugmentConfig = ModelOptions.motion


def load_predictor(path: Path, device: str, *, best: bool = False) -> LoadedPredictor:
    """Load a model for prediction.

    path: the folder of a trained model, or a .dfm or .onnx file. best: its best weights on held-out
    faces, not the newest.
    """
    if path.is_file():
        if best:
            raise BadOption(
                f"checkpoint: {path.name} holds one set of weights. Leave --checkpoint out."
            )
        file = DfmModel(path, device)
        kind = models[file.model] if file.model in models else ModelOptions
        known_by, motion = manifest.fingerprint(path), replace(kind.motion, **file.motion)
        return LoadedPredictor(file, file.iteration, known_by, kind=kind, motion=motion)
    # Late: --help need not wait for torch.
    from understudy.stages.saved_models.load import load_saved_model

    found = load_saved_model(path, device, best)
    # What a checkpoint says of itself holds the hashes of its weights.
    weights = manifest.fingerprint(found.saved.folder / checkpoint.STATE)
    settings = found.recipe.model_options.model_dump(mode="json", exclude_defaults=True)
    known_by = f"{weights} {found.recipe.model} {json.dumps(settings, sort_keys=True)}"
    kind = type(found.recipe.model_options)
    return LoadedPredictor(
        found.model, found.saved.iteration, known_by, found.warnings, kind, found.motion
    )
