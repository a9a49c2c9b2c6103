"""Detector, landmarker and identity put together, made once a process."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from understudy.core import affine
from understudy.core.face import align
from understudy.core.image import as_bytes
from understudy.errors import BadOption, NoFaces
from understudy.io import data_files
from understudy.io.faceset.manual_marks import Marks
from understudy.io.footage.stills import read_image
from understudy.io.installation import install_extra
from understudy.parts.detectors import Detect, Detection
from understudy.parts.identities import Embed, Identity, identities
from understudy.parts.landmarkers import FaceLandmarks, Locate
from understudy.stages.extract.detections import DetectedFace
from understudy.stages.extract.marked_faces import drop_marked, place_mark
from understudy.stages.extract.options import ExtractOptions
from understudy.types import Bytes, Floats

Analyse = Callable[[int, Bytes], list[DetectedFace]]

# Points that overlap by this much lie on one face, or of which the fewer lie so far within the
# others: two people cheek to cheek stand side by side.
_SAME_FACE, _WITHIN = 0.5, 0.9


def make_analyser(options: ExtractOptions, marks: Marks | None = None) -> Analyse:
    """Make a function from a frame's number and picture to its faces, largest first, each once.

    A face that is marked stands in place of what the detector sees there; it comes before the
    others, and those that are marked come in the order of `marks`.

    Raises:
        BadOption: No such part.
        WeightsMissing: A part's weights are not there.
    """
    detect, locate = _parts(options.model_dump_json())

    def look(index: int, image: Bytes) -> list[DetectedFace]:
        marked = None if marks is None else marks.at(index)
        if marked is not None and not marked:
            return []
        by_hand = [
            place_mark(index, image, mark, locate)
            for mark in marked or ()
            if mark.kind != "no_face"
        ]
        found = []
        for detection in _detect_within(detect, image, options.region):
            points = locate(image, detection)
            if points is not None and _fits(points, detection):
                score = min(detection.score, points.score)
                found.append(
                    DetectedFace(index, detection.box, points.landmarks, score, _size(image))
                )
        return by_hand + drop_marked(_drop_duplicates(found), marked or ())

    return look


def make_landmarker(options: ExtractOptions) -> Locate:
    """Make the landmarker that the options ask for. Raises BadOption, WeightsMissing."""
    return _parts(options.model_dump_json())[1]


def make_embedder(options: ExtractOptions) -> Embed | None:
    """What tells people apart; None where nothing shall. identity: resolved, not auto."""
    if options.identity == "none":
        return None
    return _embed(identities.configured(options.identity, options))


def identify_picture(path: Path, options: ExtractOptions) -> Floats:
    """Return the identity of the largest face on a picture, (D,). identity: resolved, not auto.

    Raises:
        NoFaces: There is none on it.
        BadOption: Nothing tells people apart.
    """
    embed = make_embedder(options)
    if embed is None:
        raise BadOption(
            f"like {path}: nothing tells people apart here. Leave --identity at auto, and run:"
            f" {install_extra('dlib')}."
        )
    image = as_bytes(read_image(path))
    shown = make_analyser(options)(0, image)
    if not shown:
        raise NoFaces(
            f"{path}: no face found on it. Give a picture that shows the person's face clearly."
        )
    return embed(image, shown[0].landmarks)


@functools.lru_cache(maxsize=2)
def _embed(identity: Identity) -> Embed:
    return identity.build()


@functools.lru_cache(maxsize=2)
def _parts(settings: str) -> tuple[Detect, Locate]:
    """The detector and the landmarker that the options, as JSON, ask for."""
    options = data_files.parse_json_as(settings, "options", ExtractOptions)
    return options.detector_part().build(), options.landmarker_part().build()


def _detect_within(
    detect: Detect, image: Bytes, region: tuple[float, float, float, float]
) -> list[Detection]:
    """The detections in a region of the frame, largest first, in the frame's pixels."""
    height, width = image.shape[:2]
    left, top = int(region[0] * width), int(region[1] * height)
    part = image[
        top : max(top + 1, round(region[3] * height)),
        left : max(left + 1, round(region[2] * width)),
    ]
    shift = np.array([left, top], np.float32)
    found = detect(part if part.shape == image.shape else np.ascontiguousarray(part))
    moved = [
        Detection(each.box + np.tile(shift, 2), each.score, each.angle, each.keypoints + shift)
        for each in found
    ]
    return sorted(moved, key=lambda each: _area(each.box), reverse=True)


def _drop_duplicates(faces: list[DetectedFace]) -> list[DetectedFace]:
    """The faces in their order, without those whose points cover the place of a surer one.

    Two detections of one face are common; the landmarks then settle on the same features.
    """
    kept: list[DetectedFace] = []
    for face in sorted(faces, key=lambda each: each.score, reverse=True):
        if not any(
            _on_one_face(affine.bounding_box(face.landmarks), affine.bounding_box(other.landmarks))
            for other in kept
        ):
            kept.append(face)
    return [face for face in faces if any(face is other for other in kept)]


def _on_one_face(one: Floats, other: Floats) -> bool:
    shared = np.clip(
        np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None
    ).prod()
    return bool(
        affine.iou(one, other) > _SAME_FACE or shared > _WITHIN * min(_area(one), _area(other))
    )


def _fits(found: FaceLandmarks, detection: Detection) -> bool:
    """Whether the points span about what was detected; else they slipped onto something else.

    The half-face square covers 0.4 to 1.0 of a BlazeFace box on real faces; the bounds leave room
    for other detectors.
    """
    half = 1 / affine.scale_of(align.face_from_frame(found.landmarks, "half", 1)) ** 2
    return 0.15 * _area(detection.box) < half < 2 * _area(detection.box)


def _size(image: Bytes) -> tuple[int, int]:
    return image.shape[1], image.shape[0]


def _area(box: Floats) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))
