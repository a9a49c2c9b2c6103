"""Faces as detected in single frames, and their flow into the frames beside: one table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from understudy.core.tracking.optical_flow import TrackedPoints
from understudy.io import data_files
from understudy.types import Array, Floats, Marking

_POINTS = (68, 2)


@dataclass(slots=True)
class DetectedFace:
    """A face in a frame: a row of `Detections`; None = flow not followed, identity not sampled."""

    frame: int
    box: Floats
    landmarks: Floats
    score: float
    frame_size: tuple[int, int]
    ahead: TrackedPoints | None = None
    back: TrackedPoints | None = None
    identity: Floats | None = None
    marked: Marking = Marking.NONE


@dataclass(frozen=True, slots=True)
class Detections:
    """A table of detected faces, in the order of frames, within a frame the largest first.

    Attributes:
        frame: (N,) int64.
        box: (N, 4) frame pixels, as all places here.
        landmarks: (N, 68, 2) not smoothed.
        score: (N,).
        frame_size: (N, 2) int64 width, height.
        marked: (N,) int64 `Marking`.
        ahead: (N, 68, 2) where the points lie in the next frame, by optical flow. Where it was not
            followed the points stand still, and the error is inf.
        ahead_error: (N, 68) how far the flow there and back misses, in pixels.
        back: (N, 68, 2) likewise in the previous frame.
        back_error: (N, 68).
        known: (M,) int64 rows, ascending, whose identity was sampled.
        identity: (M, D).
        frames: (T,) int64 that were looked at.
        signature: (T, K) for `core.tracking.shots`.
        failed: Frame and reason.
    """

    frame: NDArray[np.int64]
    box: Floats
    landmarks: Floats
    score: Floats
    frame_size: NDArray[np.int64]
    marked: NDArray[np.int64]
    ahead: Floats
    ahead_error: Floats
    back: Floats
    back_error: Floats
    known: NDArray[np.int64]
    identity: Floats
    frames: NDArray[np.int64]
    signature: Floats
    failed: tuple[tuple[int, str], ...] = ()

    @classmethod
    def of(
        cls,
        seen: Sequence[DetectedFace],
        frames: Sequence[int],
        signatures: Sequence[Floats],
        failed: Sequence[tuple[int, str]],
    ) -> Self:
        """Make the table of detected faces, given in order.

        Args:
            seen: The faces.
            frames: Those that were looked at.
            signatures: (K,) of each of them.
            failed: Frame and reason.
        """
        ahead, back = (
            [getattr(each, way) or _no_flow(each) for each in seen] for way in ("ahead", "back")
        )
        named = [(row, each.identity) for row, each in enumerate(seen) if each.identity is not None]
        real = np.float32
        return cls(
            frame=np.array([each.frame for each in seen], np.int64),
            box=_stack([each.box for each in seen], (4,)),
            landmarks=_stack([each.landmarks for each in seen], _POINTS),
            score=np.array([each.score for each in seen], real),
            frame_size=np.array([each.frame_size for each in seen], np.int64).reshape(-1, 2),
            marked=np.array([each.marked for each in seen], np.int64),
            ahead=_stack([each.points for each in ahead], _POINTS),
            ahead_error=_stack([each.error for each in ahead], (68,)),
            back=_stack([each.points for each in back], _POINTS),
            back_error=_stack([each.error for each in back], (68,)),
            known=np.array([row for row, _ in named], np.int64),
            identity=_stack([vector for _, vector in named], (0,)),
            frames=np.array(frames, np.int64),
            signature=_stack(list(signatures), (0,)),
            failed=tuple(failed),
        )

    @classmethod
    def read(cls, columns: dict[str, Any], notes: dict[str, str]) -> Self:
        """Make the table from its columns and notes.

        Raises:
            BadData: They are not such a table.
        """
        source = "detections"
        failed = data_files.parse_json_as(notes.get("failed", ""), source, _FAILED)
        held = {name: columns.get(name) for name in _COLUMNS}
        if held["marked"] is None and held["frame"] is not None:
            # Tables from before faces said whether they were marked.
            held["marked"] = np.zeros(len(held["frame"]), np.int64)
        lengths: dict[str, int] = {}
        for name, (kind, counted, shape) in _COLUMNS.items():
            column = held[name]
            if column is None or column.dtype != kind or not _has_shape(column, shape):
                raise data_files.bad_data(source, f"no such column as {name} is to be")
            if lengths.setdefault(counted, len(column)) != len(column):
                raise data_files.bad_data(source, f"{name} has another length")
        found = cls(**held, failed=failed)  # type: ignore[arg-type]
        if not found._is_plausible():
            raise data_files.bad_data(source, "numbers beyond all bounds")
        return found

    def _is_plausible(self) -> bool:
        """Whether all numbers are such as detection gives; errors of the flow may be inf."""
        numbers = (self.box, self.landmarks, self.score, self.ahead, self.back, self.identity)
        whole = (self.frame, self.frames, self.known)
        return (
            all(bool(np.isfinite(column).all()) for column in (*numbers, self.signature))
            and not np.isnan(self.ahead_error).any()
            and not np.isnan(self.back_error).any()
            and all(_is_within(column, 0, _LAST) for column in whole)
            and _is_within(self.frame_size, 1, _LARGEST)
            and _is_within(self.marked, 0, max(Marking))
            and bool((self.known < len(self.frame)).all())
        )

    def columns(self) -> dict[str, Array]:
        """The columns by name, for `io.tables`."""
        return {
            column.name: getattr(self, column.name)
            for column in fields(self)
            if column.name != "failed"
        }

    def notes(self) -> dict[str, str]:
        """What is not an array."""
        return {"failed": json.dumps(self.failed)}

    def attempted_frames(self) -> set[int]:
        """Every frame that was tried, those that failed too."""
        return {*self.frames.tolist(), *(frame for frame, _ in self.failed)}

    def select(self, rows: NDArray[np.bool_], frames: NDArray[np.bool_]) -> Detections:
        """Select rows, by a mask (N,), and frames that were looked at, by a mask (T,)."""
        place = np.cumsum(rows) - 1
        kept = rows[self.known]
        looked = set(self.frames[frames].tolist())
        columns = {name: getattr(self, name)[rows] for name in _ROWS}
        return Detections(
            **columns,
            known=place[self.known[kept]],
            identity=self.identity[kept],
            frames=self.frames[frames],
            signature=self.signature[frames],
            failed=tuple(each for each in self.failed if each[0] in looked),
        )

    def before(self, frame: int) -> Detections:
        """The rows and frames before a frame; they share the memory of this table."""
        row, place = (int(np.searchsorted(column, frame)) for column in (self.frame, self.frames))
        columns = {name: getattr(self, name)[:row] for name in _ROWS}
        count = int(np.searchsorted(self.known, row))
        return Detections(
            **columns,
            known=self.known[:count],
            identity=self.identity[:count],
            frames=self.frames[:place],
            signature=self.signature[:place],
            failed=tuple(each for each in self.failed if each[0] < frame),
        )

    def drop_frames(self, frames: set[int]) -> Detections:
        """The table as if those frames had not been looked at."""
        gone = np.array(sorted(frames), np.int64)
        return self.select(~np.isin(self.frame, gone), ~np.isin(self.frames, gone))


def concat_detections(parts: Sequence[Detections]) -> Detections:
    """Make one table of several, in the order of frames."""
    return _concatenate(
        list(
            drop_shared_frames(
                sorted(
                    (part for part in parts if len(part.frames)),
                    key=lambda part: int(part.frames[0]),
                )
            )
        )
    )


def drop_shared_frames(parts: Iterable[Detections]) -> Iterator[Detections]:
    """Yield the parts, in the order of frames, without the frame that two of them share.

    A part may end with the frame that the next one starts with, since it followed the flow into it.
    That frame counts once, with the way back that only the former part knows. One part is held at a
    time.
    """
    before: Detections | None = None
    for part in parts:
        if not len(part.frames):
            continue
        if before is not None:
            shared = int(part.frames[0])
            if before.frames[-1] == shared:
                part = _with_backward_flow(part, before, shared)
                before = before.before(shared)
            yield before
        before = part
    if before is not None:
        yield before


def _with_backward_flow(part: Detections, before: Detections, frame: int) -> Detections:
    ours, theirs = part.frame == frame, before.frame == frame
    if ours.sum() != theirs.sum():
        return part
    back, back_error = part.back.copy(), part.back_error.copy()
    back[ours], back_error[ours] = before.back[theirs], before.back_error[theirs]
    return replace(part, back=back, back_error=back_error)


def _concatenate(parts: Sequence[Detections]) -> Detections:
    if not parts:
        return Detections.of([], [], [], [])
    starts = np.cumsum([0, *(len(part.frame) for part in parts)])
    known = np.concatenate([part.known + start for part, start in zip(parts, starts, strict=False)])
    named = [part.identity for part in parts if len(part.identity)]
    signed = [part.signature for part in parts if len(part.signature)]
    rows = np.argsort(np.concatenate([part.frame for part in parts]), kind="stable")
    times = np.argsort(np.concatenate([part.frames for part in parts]), kind="stable")
    known = np.argsort(rows)[known]
    asked = np.argsort(known)
    # Already in order, as they nearly always are, they are not copied a second time: long films
    # make large tables.
    moved = slice(None) if np.array_equal(rows, np.arange(len(rows))) else rows
    return Detections(
        **{name: np.concatenate([getattr(part, name) for part in parts])[moved] for name in _ROWS},
        known=known[asked],
        identity=np.concatenate(named)[asked] if named else parts[0].identity,
        frames=np.concatenate([part.frames for part in parts])[times],
        signature=np.concatenate(signed)[times] if signed else parts[0].signature,
        failed=tuple(sorted(each for part in parts for each in part.failed)),
    )


def _no_flow(face: DetectedFace) -> TrackedPoints:
    return TrackedPoints(face.landmarks, np.full(68, np.inf, np.float32))


def _stack(values: Sequence[Floats], shape: tuple[int, ...]) -> Floats:
    return np.stack(values).astype(np.float32) if values else np.zeros((0, *shape), np.float32)


def _has_shape(column: Array, shape: tuple[int, ...]) -> bool:
    """Whether rows are of that shape; 0 stands for any length."""
    return column.ndim == 1 + len(shape) and all(
        wanted in (0, side) for side, wanted in zip(column.shape[1:], shape, strict=True)
    )


def _is_within(column: Array, low: int, high: int) -> bool:
    return not column.size or bool(column.min() >= low and column.max() <= high)


# By name: the kind of numbers, what a row stands for, and its shape, 0 = any.
_COLUMNS: Final[dict[str, tuple[type, str, tuple[int, ...]]]] = {
    "frame": (np.int64, "face", ()),
    "box": (np.float32, "face", (4,)),
    "landmarks": (np.float32, "face", _POINTS),
    "score": (np.float32, "face", ()),
    "frame_size": (np.int64, "face", (2,)),
    "marked": (np.int64, "face", ()),
    "ahead": (np.float32, "face", _POINTS),
    "ahead_error": (np.float32, "face", (68,)),
    "back": (np.float32, "face", _POINTS),
    "back_error": (np.float32, "face", (68,)),
    "known": (np.int64, "sample", ()),
    "identity": (np.float32, "sample", (0,)),
    "frames": (np.int64, "frame", ()),
    "signature": (np.float32, "frame", (0,)),
}
_FAILED: Final = TypeAdapter(tuple[tuple[int, str], ...])
# No footage has more frames, or larger ones.
_LAST: Final = 2**48
_LARGEST: Final = 2**16
_ROWS = (
    "frame",
    "box",
    "landmarks",
    "score",
    "frame_size",
    "marked",
    "ahead",
    "ahead_error",
    "back",
    "back_error",
)
