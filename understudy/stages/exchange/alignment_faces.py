"""Faces out of alignments of faceswap: found again in the footage, checked, and cut from it."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from understudy.core import affine
from understudy.core.face.align import FITTED_POINTS, TEMPLATE, face_from_frame
from understudy.core.face.pose import estimate_pose
from understudy.core.image import as_bytes, warp
from understudy.errors import BadMedia, DegeneratePoints
from understudy.io.faceset import face_image
from understudy.io.faceset.foreign_face import ForeignFace
from understudy.io.faceswap.alignments import read_alignments
from understudy.io.footage.base import BadFrame, Footage
from understudy.io.system import cpu_count
from understudy.printable import name_some
from understudy.stages.exchange.foreign_pictures import face_in_frame, warped_mask
from understudy.stages.exchange.frame_names import FramesOfFootage
from understudy.stages.parallel.prefetch import map_on_threads
from understudy.types import AlignedFace, FaceType, Floats, Frame

_AHEAD: Final = 8
# So many of the points may lie outside the frame: a face that its edge cuts has some there.
_MOST_OUTSIDE: Final = 34
# How far points may lie from where a mean face has them, root mean square, in its widths: a face in
# profile reaches 0.12.
_ODD: Final = 0.25


@dataclass(frozen=True, slots=True)
class PictureForm:
    """How faces are to be cut and kept. suffix: of the file. quality: of a JPG."""

    face_type: FaceType
    size: int
    suffix: str
    quality: int


@dataclass(frozen=True, slots=True)
class AlignedFrames:
    """The faces of alignments by frame of a footage, and what does not fit."""

    footage: Footage
    faces: dict[int, list[ForeignFace]]
    problems: list[str]


def match_frames(path: Path, footages: Sequence[Footage]) -> AlignedFrames:
    """Find which footage alignments are of, and the frame of each of their faces.

    Raises:
        BadMedia: They are no such file, or none of their frames is one of any of these.
    """
    named, problems = read_alignments(path)
    is_only = len(footages) == 1
    finders = [FramesOfFootage(each, any_stem=is_only) for each in footages]
    # Most alignments are of one footage all through.
    matched = [sum(each.find(name) is not None for name in named) for each in finders]
    best = int(np.argmax(matched))
    if named and not matched[best]:
        names = name_some([each.path.name for each in footages])
        raise BadMedia(
            f"{path}: none of its {len(named)} frames ({name_some(list(named))}) is one of"
            f" {names}. Set the footage that it was made from."
        )
    found = dict[int, list[ForeignFace]]()
    for name, faces in named.items():
        frame = finders[best].find(name)
        if frame is None:
            problems.append(
                f"{path}, {name[:80]}: no frame of {footages[best].path.name}. Leave it out."
            )
            continue
        for at, face in enumerate(faces):
            if reason := _misfit(face):
                problems.append(f"{path}, {name[:80]}, face {at}: {reason}. Leave it out.")
            else:
                found.setdefault(frame, []).append(face)
    return AlignedFrames(footages[best], found, problems)


def cut_alignments(
    matched: AlignedFrames, form: PictureForm
) -> Generator[tuple[int, list[bytes], list[str]], None, None]:
    """Yield each frame with the pictures of its faces, and why there are none of some."""
    footage, faces = matched.footage, matched.faces
    name, key, is_video = footage.path.name, footage.fingerprint.key, footage.is_video
    seconds = {frame: float(footage.seconds(frame)) if is_video else None for frame in faces}

    def cut(frame: Frame | BadFrame) -> tuple[int, list[bytes], list[str]]:
        if isinstance(frame, BadFrame):
            return frame.index, [], [frame.reason]
        image, made, problems = as_bytes(frame.image), list[bytes](), list[str]()
        size = (image.shape[1], image.shape[0])
        for each in faces[frame.index]:
            points = each.landmarks.astype(np.float32)
            if reason := _outside(points, size):
                problems.append(f"{name}, {each.frame_name[:80]}: {reason}. Leave it out.")
                continue
            matrix = face_from_frame(points, form.face_type, form.size, size)
            face = AlignedFace(
                face=face_in_frame(each, frame.index, -1, estimate_pose(points, size)),
                # What lies outside the frame is as its edge, as in `extract`.
                image=warp(image, matrix, (form.size, form.size), "replicate"),
                face_from_frame=matrix,
                face_type=form.face_type,
                mask=warped_mask(each, matrix, form.size),
                source=name,
                pts=seconds[frame.index],
                footage=key,
            )
            made.append(face_image.encode(face, form.suffix, form.quality))
        return frame.index, made, problems

    frames = footage.iter_frames_or_bad(sorted(faces))
    with contextlib.closing(map_on_threads(frames, cut, cpu_count(), _AHEAD)) as results:
        yield from results


def _outside(points: Floats, size: tuple[int, int]) -> str:
    """Why points do not fit a frame of that size; "" where they do."""
    outside = (points < -0.5) | (points > np.array(size) - 0.5)
    count = int(outside.any(axis=1).sum())
    if count <= _MOST_OUTSIDE:
        return ""
    return f"{count} of its landmarks lie outside the frame of {size[0]}x{size[1]}"


def _misfit(face: ForeignFace) -> str:
    """Why points and box are not those of a face; "" where they are."""
    low, high = face.box[:2], face.box[2:]
    middle = face.landmarks.mean(0)
    if not ((low - (high - low) / 2 <= middle) & (middle <= high + (high - low) / 2)).all():
        return "its landmarks lie outside its box"
    try:
        unit = affine.fit_similarity(face.landmarks[FITTED_POINTS], TEMPLATE[FITTED_POINTS - 17])
    except DegeneratePoints:
        return "its landmarks all coincide"
    off = affine.apply(unit, face.landmarks[17:]) - TEMPLATE
    if float(np.sqrt((off**2).sum(1).mean())) > _ODD:
        return "its landmarks are not in the shape of a face"
    return ""
