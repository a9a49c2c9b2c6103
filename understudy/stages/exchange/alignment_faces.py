"""Faces out of alignments of faceswap: found again in the footage, checked, and cut from it."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping, Sequence
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
from understudy.stages.exchange.foreign_pictures import face_in_frame, warped_mask
from understudy.stages.exchange.frame_names import FramesOfFootage
from understudy.stages.parallel.prefetch import map_on_threads
from understudy.types import AlignedFace, FaceType, Frame

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


def match_frames(path: Path, footage: Footage) -> tuple[dict[int, list[ForeignFace]], list[str]]:
    """Return the faces in a file of alignments by frame of the footage, and what does not fit.

    Raises:
        BadMedia: It is no such file, or none of its frames is one of the footage.
    """
    named, problems = read_alignments(path)
    frames, found = FramesOfFootage(footage), dict[int, list[ForeignFace]]()
    unknown = []
    for name, faces in named.items():
        frame = frames.find(name)
        if frame is None:
            unknown.append(name)
            continue
        for at, face in enumerate(faces):
            if reason := _misfit(face, footage.size):
                problems.append(f"{path}, {name[:80]}, face {at}: {reason}. Leave it out.")
            else:
                found.setdefault(frame, []).append(face)
    if named and len(unknown) == len(named):
        raise BadMedia(
            f"{path}: none of its {len(named)} frames ({', '.join(unknown)[:60]}…) is one of"
            f" {footage.path.name}. Set the footage that it was made from."
        )
    problems += [
        f"{path}, {name[:80]}: no frame of {footage.path.name}. Leave it out." for name in unknown
    ]
    return found, problems


def cut_alignments(
    footage: Footage, faces: Mapping[int, Sequence[ForeignFace]], form: PictureForm
) -> Generator[tuple[int, list[bytes], str], None, None]:
    """Yield each frame with the pictures of its faces, or with why there are none."""
    name, key, is_video = footage.path.name, footage.fingerprint.key, footage.is_video
    seconds = {frame: float(footage.seconds(frame)) if is_video else None for frame in faces}

    def cut(frame: Frame | BadFrame) -> tuple[int, list[bytes], str]:
        if isinstance(frame, BadFrame):
            return frame.index, [], frame.reason
        image, made = as_bytes(frame.image), []
        size = (image.shape[1], image.shape[0])
        for each in faces[frame.index]:
            points = each.landmarks.astype(np.float32)
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
        return frame.index, made, ""

    frames = footage.iter_frames_or_bad(sorted(faces))
    with contextlib.closing(map_on_threads(frames, cut, cpu_count(), _AHEAD)) as results:
        yield from results


def _misfit(face: ForeignFace, size: tuple[int, int]) -> str:
    """Why a face does not fit its frame; "" where it does."""
    outside = (face.landmarks < -0.5) | (face.landmarks > np.array(size) - 0.5)
    if (count := int(outside.any(axis=1).sum())) > _MOST_OUTSIDE:
        return f"{count} of its landmarks lie outside the frame of {size[0]}x{size[1]}"
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
