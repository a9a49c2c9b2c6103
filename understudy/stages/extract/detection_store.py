"""All detections of a footage as one table: points and signatures on disk, the rest in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from understudy.core.tracking.link import IdentitySamples
from understudy.io.scratch import DiskColumn
from understudy.stages.extract.detections import DetectedFace, Detections
from understudy.types import Floats

_HELD = ("frame", "box", "score", "frame_size", "marked")
_STORED = {
    "landmarks": (68, 2),
    "ahead": (68, 2),
    "ahead_error": (68,),
    "back": (68, 2),
    "back_error": (68,),
}


@dataclass(frozen=True, slots=True)
class DetectionStore:
    """The columns of `Detections` for a whole footage; points are read a few rows at a time.

    identities: that were sampled. signature: of each of `frames`; None when no frame could be
    read.
    """

    frame: NDArray[np.int64]
    box: Floats
    score: Floats
    frame_size: NDArray[np.int64]
    marked: NDArray[np.int64]
    landmarks: DiskColumn
    ahead: DiskColumn
    ahead_error: DiskColumn
    back: DiskColumn
    back_error: DiskColumn
    identities: IdentitySamples
    frames: NDArray[np.int64]
    signature: DiskColumn | None

    @classmethod
    def collect(cls, parts: Iterable[Detections], folder: Path) -> Self:
        """Collect the table of all parts, of which none stays in memory.

        Args:
            parts: In the order of frames.
            folder: Where the stored columns lie.
        """
        stored: dict[str, Any] = {
            name: DiskColumn(folder, shape) for name, shape in _STORED.items()
        }
        held: dict[str, list[Any]] = {name: [] for name in (*_HELD, "frames")}
        rows, vectors, count, signature = list[NDArray[np.int64]](), list[Floats](), 0, None
        for part in parts:
            for name, values in held.items():
                values.append(getattr(part, name))
            for name, column in stored.items():
                column.extend(getattr(part, name))
            if len(part.signature):
                signature = signature or DiskColumn(folder, part.signature.shape[1:])
                signature.extend(part.signature)
            if len(part.identity):
                rows.append(part.known + count)
                vectors.append(part.identity)
            count += len(part.frame)
        nothing = Detections.of([], [], [], [])
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(nothing, name), *values]) for name, values in held.items()
        }
        seen = (
            IdentitySamples(np.concatenate(rows), np.concatenate(vectors))
            if rows
            else IdentitySamples.empty()
        )
        return cls(**columns, **stored, identities=seen, signature=signature)

    def __len__(self) -> int:
        return len(self.frame)

    def append_faces(self, seen: Sequence[DetectedFace]) -> Self:
        """The table with further rows, in frames that were looked at; this one is used up."""
        if not seen:
            return self
        more = Detections.of(seen, [], [], [])
        for name in _STORED:
            getattr(self, name).extend(getattr(more, name))
        held: dict[str, Any] = {
            name: np.concatenate([getattr(self, name), getattr(more, name)]) for name in _HELD
        }
        return replace(self, **held)
