"""A side's faces in memory, decoded once and cropped for a model, with what surrounds them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.core import affine, image
from understudy.core.face import align, mask
from understudy.core.training import split
from understudy.errors import BadProject
from understudy.io import scratch
from understudy.io.faceset.faceset import Faceset
from understudy.types import AlignedFace, Bytes, Doubles, FaceType, Floats

# Stored pixels for each pixel of the model: enough that looking between them costs no sharpness.
OVERSAMPLING = 1.25


@dataclass(frozen=True, slots=True)
class FaceStore:
    """A side's faces, decoded once.

    Attributes:
        pictures: (N, P, P, 4) uint8, RGB and mask.
        landmarks: (N, 68, 2) in their pixels.
        store_from_face: (2, 3) from the model's pixels.
        held_out: (N,) bool, faces that the model is measured on.
        yaw: (N,) how far the heads turn, in radians; sampling by yaw needs it.
        excluded: (N,) bool, faces that are neither trained on nor held out; empty = none.
    """

    pictures: Bytes
    landmarks: Floats
    store_from_face: Doubles
    held_out: NDArray[np.bool_]
    yaw: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    excluded: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))

    @property
    def train_yaw(self) -> Floats:
        """The yaw of `train_rows`."""
        return self.yaw[self.train_rows]

    @property
    def train_rows(self) -> NDArray[np.int64]:
        """Rows to train on."""
        return np.flatnonzero(
            ~(self.held_out | self.excluded) if len(self.excluded) else ~self.held_out
        )

    def aligned(self, rows: NDArray[np.int64], size: int) -> tuple[Floats, Floats]:
        """Faces as the model sees them when it merges, without augmentation.

        Returns:
            Faces (n, size, size, 3) and masks (n, size, size), both 0..1.
        """
        seen: Floats = np.stack(
            [warp_face(self.pictures[row], self.store_from_face, size) for row in rows]
        ).astype(np.float32)
        seen /= 255
        return seen[..., :3], seen[..., 3]


def load_face_store(
    faceset: Faceset,
    face_type: FaceType,
    resolution: int,
    margin: float,
    person: int | None = None,
) -> FaceStore:
    """Load every face of a set for a model, into memory or, as `scratch.zeros` decides, on disk.

    Args:
        margin: How much around each face is kept, in face widths.
        person: Only the faces of that person; None = all.

    Raises:
        BadProject: They show too little of the face.
        CannotWrite: There is no room.
    """
    if not align.contains(faceset.face_type, face_type):
        raise BadProject(
            f"{faceset.folder}: the pictures show {faceset.face_type} faces, this model needs"
            f" {face_type}. Extract again with --face-type {face_type}, or train a model for less"
            " of the face."
        )
    inner = round(resolution * OVERSAMPLING)
    rim = int(np.ceil(margin * inner)) + 2
    store_from_inner = np.array([[1.0, 0, rim], [0, 1, rim]])

    chosen = np.arange(len(faceset))
    if person is not None:
        chosen = np.flatnonzero(faceset.faces.person == person)
    size = inner + 2 * rim
    pictures, points = (
        scratch.zeros(faceset.folder, (len(chosen), size, size, 4)),
        np.zeros((len(chosen), 68, 2), np.float32),
    )

    def fill(row: int) -> None:
        face = faceset.load(int(chosen[row]))
        store_from_face = affine.compose(
            store_from_inner, align.face_from_face(face, face_type, inner)
        )
        points[row] = affine.apply(store_from_face, face.landmarks)
        pictures[row] = _face_with_mask(face, points[row], store_from_face, size)

    with ThreadPoolExecutor() as pool:
        for _ in pool.map(fill, range(len(chosen))):
            pass
    store_from_model = affine.compose(store_from_inner, affine.scaling(inner / resolution))
    faces = faceset.faces[chosen]
    held_out, excluded = split.split_held_out(faces.footage_tracks, faces.footage)
    return FaceStore(pictures, points, store_from_model, held_out, faces.pose[:, 1], excluded)


def warp_face(stored: Bytes, store_from_picture: Doubles, size: int) -> Bytes:
    """Resample a stored face (P, P, C) to a picture of (size, size, C)."""
    # Cubic, since this is the target: linear interpolation would teach the model to be soft.
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        stored, store_from_picture, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )  # type: ignore[return-value]


def _face_with_mask(
    face: AlignedFace, points: Floats, store_from_face: Doubles, size: int
) -> Bytes:
    """A face picture with its mask, (size, size, 4).

    The mask is the one that it carries, else the hull of its landmarks, `points` in this picture.
    """
    picture = image.warp(face.image, store_from_face, (size, size), "replicate")
    if face.mask is None:
        matte = mask.hull_mask(points, (size, size))
    else:
        matte = image.warp(face.mask, store_from_face, (size, size))
    return np.dstack([picture, image.as_bytes(matte)])
