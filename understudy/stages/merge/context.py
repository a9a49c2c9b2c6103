"""What a merge works with, loaded once a process, and the hash that marks finished frames."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final, Self

import numpy as np

from understudy.core.compose.options import CompositeOptions
from understudy.errors import BadOption
from understudy.io import system
from understudy.io.footage.base import Footage
from understudy.io.model_files import checkpoint
from understudy.io.provenance import manifest
from understudy.parts.dfm_model import DfmModel
from understudy.parts.maskers import names_in
from understudy.parts.maskers.polygons import DRAWN
from understudy.parts.maskers.segmented import ON_DST, ON_PRD
from understudy.parts.models import Predictor
from understudy.parts.upscalers import Upscale, upscalers
from understudy.stages.events import Event, Note, Warned
from understudy.stages.merge.keyframes import Keyframes
from understudy.stages.merge.options import MergeOptions
from understudy.stages.merge.placement import DstFaces, FacePlacement
from understudy.stages.merge.segmentation import FaceSegmenter
from understudy.stages.merge.segments import Segment, split_into_segments
from understudy.stages.parallel.footage_reader import FootageFingerprint
from understudy.stages.project import Project
from understudy.stages.saved_models.recipe import BEST, CHECKPOINTS, read_recipe
from understudy.stages.saved_models.segmenters import select_segmenter
from understudy.stages.saved_models.select import describe_model, select_model_path, set_face_type

# To be raised when the same input gives another picture: what was rendered before is then rendered
# again.
_RENDERER: Final = 1


@dataclass(frozen=True, slots=True)
class MergeContext:
    """What a merge works with.

    model_path: the folder or the file that the model lies in. iteration: that its weights are of.
    placements: the faces of every frame. fingerprints: of the weights of model and segmenter.
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
        named = [name for names in keyframes.values_of("masks") for name in names]
        masks = tuple(sorted(names_in(named)))
        file = select_segmenter(project, options.segmenter, masks, options)
        faces = DstFaces.load(project.faces("dst"), with_polygons=DRAWN in masks)
        model, iteration = load_predictor(path, options.device, best=is_best)
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
            faces.place(model.face_type, model.resolution, smooth=options.smooth),
            iteration,
            segmenter,
            upscaler.build(options.device) if upscales else None,
            (_weights(path, is_best), manifest.fingerprint(file.path) if file else ""),
        )

    @property
    def has_matte(self) -> bool:
        """Whether the masks become a video of their own."""
        return self.options.matte or "raw-rgb-mask" in self.keyframes.values_of("mode")

    def remarks(self) -> Iterator[Event]:
        """Yield what the user may want to know, or should look into, before the work begins."""
        if max(self.placements) >= len(self.footage):
            yield Warned(
                text=(
                    f"{self.footage.path.name} ends before the last of its faces. Those beyond its"
                    " end are left out."
                )
            )
        persons = {face.person for faces in self.placements.values() for face in faces}
        for entry in self.keyframes.unused(len(self.footage), persons):
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
        yield Note(
            text=f"model {self.model_path.name}, {describe_model(self.model, self.iteration)}"
        )

    def _remarks_on_segmenter(self) -> Iterator[Event]:
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

    def segments(self, chosen: Sequence[range]) -> list[Segment]:
        """Cut these ranges of the footage into segments, in their order."""
        return [
            Segment(frames, self.key(frames))
            for frames in split_into_segments(self.footage, chosen)
        ]

    def key(self, frames: range) -> str:
        """A hash of all that the pictures of these frames depend on.

        Options go in where they affect the picture and differ from their defaults. So an option
        that comes later changes no key; for defaults that change see `SegmentRecord`. Places of
        faces, model, masks and weights go in as they are found, not by the options that led to
        them. The device does not go in: what it changes is far below what can be seen.
        """
        radius = self.keyframes.averaging.total
        around = range(max(0, frames.start - radius), min(len(self.footage), frames.stop + radius))
        # What holds for each frame, and not what it was before, counts of the composite.
        options = {
            name: value
            for name, value in self.options.deviating("render").items()
            if name not in CompositeOptions.model_fields
        }
        parts = {
            "renderer": [_RENDERER, version("understudy"), version("av")],
            "footage": FootageFingerprint.of(self.footage.path, len(self.footage)).model_dump(
                mode="json"
            ),
            "frames": [frames.start, self.footage.pts[frames.start : frames.stop]],
            "weights": [self.iteration, *self.fingerprints],
            "looks": self.keyframes.to_json(around),
            "options": options,
        }
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
        for face in self._faces(around):
            digest.update(face)
        return digest.hexdigest()[:32]

    def _faces(self, frames: range) -> Iterator[bytes]:
        """What is known of the faces in these frames, as bytes.

        How many there are elsewhere changes nothing.
        """
        runs: dict[int, int] = {}
        has_motion = max(self.keyframes.values_of("motion_blur")) > 0
        for frame in frames:
            for face in self.placements.get(frame, []):
                drawn = [(each.includes, each.points.tolist()) for each in face.polygons]
                yield repr(
                    (frame, face.person, runs.setdefault(face.run, len(runs)), drawn)
                ).encode()
                neighbours = (face.before, face.after) if has_motion else ()
                for value in (face.landmarks, face.face_from_frame, *neighbours):
                    yield value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()


def load_predictor(path: Path, device: str, *, best: bool = False) -> tuple[Predictor, int]:
    """Load a model for prediction, and say of which iteration its weights are.

    path: the folder of a trained model, or a .dfm or .onnx file. best: its best weights on held-out
    faces, not the newest.
    """
    if path.is_file():
        if best:
            raise BadOption(
                f"checkpoint: {path.name} holds one set of weights. Leave --checkpoint out."
            )
        file = DfmModel(path, device)
        return file, file.iteration
    # Late: --help need not wait for torch.
    from understudy.stages.saved_models.load import load_model

    model = load_model(path, device, best)
    saved, _ = checkpoint.load_intact(path / (BEST if best else CHECKPOINTS))
    return model, saved[0].iteration if saved else 0


def _weights(model: Path, best: bool) -> str:
    """What a model's weights and settings are known by."""
    if model.is_file():
        return manifest.fingerprint(model)
    saved = checkpoint.peek(model / (BEST if best else CHECKPOINTS))
    # What a checkpoint says of itself holds the hashes of its weights.
    weights = manifest.fingerprint(saved.folder / checkpoint.STATE) if saved else ""
    recipe = read_recipe(model)
    settings = recipe.model_options.model_dump(mode="json", exclude_defaults=True)
    return f"{weights} {recipe.model} {json.dumps(settings, sort_keys=True)}"
