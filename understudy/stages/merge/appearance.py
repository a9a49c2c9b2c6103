"""How dst's faces look along a shot, from some of their face pictures."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from understudy.core import image
from understudy.core.color.occlusion import TypicalFace
from understudy.core.color.tone import fit_tone
from understudy.core.face import align
from understudy.io.faceset import face_image
from understudy.types import AlignedFace, FaceType, Floats

# Of so many pictures some may show something before the face; reading them takes a tenth of a
# second.
PICTURES: Final = 15
_THREADS: Final = 4


@dataclass(frozen=True, slots=True)
class Appearance:
    """How a face looks along a shot.

    usual: without what passes before it; None where its pictures show less than the model sees.
    tone: see `fit_tone`; None where it has colours of its own.
    """

    usual: TypicalFace | None
    tone: Floats | None

    @classmethod
    def of(cls, pictures: Sequence[Path], face_type: FaceType, size: int) -> Self:
        """Read it off face pictures, at least one.

        face_type, size: of the squares that the model sees.
        """
        with ThreadPoolExecutor(_THREADS) as pool:
            faces = list(pool.map(face_image.read, pictures))
        tone = fit_tone([image.as_float(face.image) for face in faces])
        if not all(align.contains(face.face_type, face_type) for face in faces):
            return cls(None, tone)
        return cls(TypicalFace.of([crop_face(face, face_type, size) for face in faces]), tone)

    @classmethod
    def unknown(cls, pictures: Sequence[Path]) -> Self:
        """What is known without looking: nothing."""
        return cls(None, None)


def crop_face(face: AlignedFace, face_type: FaceType, size: int) -> Floats:
    """The square that a model sees, cut from a face picture: (size, size, 3) in 0..1."""
    matrix = align.face_from_face(face, face_type, size)
    return image.as_float(image.warp(face.image, matrix, (size, size), "replicate"))
