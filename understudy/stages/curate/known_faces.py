"""What extraction did not keep is asked of the pictures: who each face is, how its eyes are."""

from __future__ import annotations

import functools
from collections.abc import Generator
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from understudy.core import affine
from understudy.errors import WeightsMissing
from understudy.io.faceset.faceset import Faceset
from understudy.io.faceset.pixel_cache import MeasuredPictures
from understudy.parts.dlib_extra import is_installed
from understudy.parts.identities import Embed, identities
from understudy.parts.iris import load_eye_network
from understudy.stages.curate.measuring import Measurement, measure_missing
from understudy.stages.events import Event, Order, Warned
from understudy.stages.extract.people import telling_rows
from understudy.types import Array, Bytes, Doubles, Faces, Floats, Marking

# So many looks at a track say who it is; each takes a tenth of a second and more.
_LOOKS: Final = 6
_IDENTITY: Final = 128

Known = Generator[Event, Order | None, Faces | None]


def know_eyes(faceset: Faceset, workers: int | None = None) -> Known:
    """The faces of a set with gaze and lids of those whose pictures do not say; None when stopped.

    Faces that nobody saw have none. Without the network the points must do, and a warning says so.
    """
    faces = faceset.faces
    lacks = np.isnan(faces.lids).any(axis=1) & ~faces.filled & (faces.marked != Marking.LAID)
    if not lacks.any():
        return faces
    try:
        load_eye_network()
    except WeightsMissing as error:
        yield Warned(
            text=f"{faceset.folder}: how far the eyes are open is judged by points alone: {error}"
        )
        return faces
    known = MeasuredPictures(faceset.folder, faceset.names, faceset.facts, _EYES.name, _EYES.empty)
    missing = np.flatnonzero(lacks & ~known.is_known)
    if not (yield from measure_missing(_EYES, faceset, missing, workers, known, {})):
        return None
    gaze, lids = faces.gaze.copy(), faces.lids.copy()
    gaze[lacks], lids[lacks] = known.columns["gaze"][lacks], known.columns["lids"][lacks]
    return replace(faces, gaze=gaze, lids=lids)


def know_people(faceset: Faceset, workers: int | None = None) -> Known:
    """The faces of a set with the identities of those whose pictures do not say; None when stopped.

    Some pictures of each track are asked, and all that are on none. Without the extra `dlib` nobody
    can be asked.
    """
    faces = faceset.faces
    own = np.full((len(faces), _IDENTITY), np.nan, np.float32)
    if faces.identity is not None:
        own = faces.identity.copy()
    lacks = np.isnan(own).any(axis=1)
    if not lacks.any() or own.shape[1] != _IDENTITY or not is_installed():
        return faces
    tracks = np.where(lacks, faces.footage_tracks, -1)
    asked = np.flatnonzero(lacks & (tracks < 0))
    for rows in _rows_of_each(tracks):
        asked = np.concatenate([asked, telling_rows(rows, faces, _LOOKS)])
    known = MeasuredPictures(
        faceset.folder, faceset.names, faceset.facts, _PEOPLE.name, _PEOPLE.empty
    )
    missing = np.sort(asked[~known.is_known[asked]])
    if not (yield from measure_missing(_PEOPLE, faceset, missing, workers, known, {})):
        return None
    found = known.columns["identity"].astype(np.float64)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    for rows in _rows_of_each(tracks):
        vectors = found[rows][np.isfinite(found[rows]).all(axis=1)]
        if len(vectors):
            found[rows] = vectors.mean(axis=0)
    own[lacks] = found[lacks]
    return replace(faces, identity=own)


def _rows_of_each(tracks: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows of each track, ascending; -1 = on none."""
    order = np.argsort(tracks, kind="stable")
    order = order[np.searchsorted(tracks[order], 0) :]
    if not len(order):
        return []
    return np.split(order, np.flatnonzero(np.diff(tracks[order])) + 1)


def _empty_eyes(count: int) -> dict[str, Array]:
    return {
        "gaze": np.full((count, 2, 2), np.nan, np.float32),
        "lids": np.full((count, 2), np.nan, np.float32),
    }


def _measure_eyes(
    image: Bytes, landmarks: Floats, face_from_frame: Doubles
) -> dict[str, ArrayLike]:
    points = affine.apply(face_from_frame, landmarks).astype(np.float32)
    gaze, lids = load_eye_network()(image, points)
    return {"gaze": gaze, "lids": lids}


def _empty_people(count: int) -> dict[str, Array]:
    return {"identity": np.full((count, _IDENTITY), np.nan, np.float32)}


def _measure_person(
    image: Bytes, landmarks: Floats, face_from_frame: Doubles
) -> dict[str, ArrayLike]:
    points = affine.apply(face_from_frame, landmarks).astype(np.float32)
    return {"identity": _embedder()(image, points)}


@functools.lru_cache(maxsize=1)
def _embedder() -> Embed:
    return identities["dlib-resnet"]().build()


_EYES: Final = Measurement("eyes", _empty_eyes, _measure_eyes)
_PEOPLE: Final = Measurement("people", _empty_people, _measure_person, chunk=4)
