"""`faces recrop`: faces as another type or size, out of their footage where that is there."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from understudy.core import affine
from understudy.core.face import align
from understudy.core.face.recrop import compare_with_cut, lies_within, recrop
from understudy.core.image import as_bytes, warp
from understudy.errors import BadMedia, BadOption, DegeneratePoints
from understudy.io.faceset import face_image
from understudy.io.faceset.faceset import Faceset
from understudy.io.footage.base import BadFrame, Footage
from understudy.options import Options, option
from understudy.printable import name_some
from understudy.stages.curate.faceset_notes import faceset_notes, reading_events
from understudy.stages.curate.new_pictures import (
    NewFaces,
    NewPicture,
    events_after_change,
    make_pictures,
    picture_key,
    require_made,
)
from understudy.stages.events import Event, Finished, Note, Order, Stage, Warned
from understudy.stages.extract.known_footage import match_footage
from understudy.stages.jobs import verb
from understudy.stages.parallel.prefetch import prefetch
from understudy.stages.project import Project
from understudy.types import Bytes, Doubles, FaceType, Frame, Side

# Frames that are decoded ahead.
_DEPTH: Final = 4
# How a picture was made: out of the footage, or of the old picture; whether the old one had been
# changed since it was cut, and that stays or is lost; whether its frame could not be read, and
# whether its mask ends where the old picture ended.
_FOOTAGE, _PICTURE, _KEPT, _LOST, _BROKEN, _MASK_CUT = "f", "p", "k", "x", "b", "m"
# More than the rounding of a matrix.
_ENLARGED: Final = 1.02


class RecropOptions(Options):
    """What `faces recrop` asks."""

    face_type: FaceType | None = option(
        None, "How much of the head the new pictures show; not set = as now", usual=True
    )
    size: int | None = option(
        None,
        "Side of the new pictures; not set = as now",
        low=64,
        high=2048,
        unit="pixels",
        usual=True,
    )
    source: Literal["auto", "footage", "pictures"] = option(
        "auto",
        "What they are cut out of: auto = the footage where it is there and shows what the picture"
        " shows, else the picture",
        usual=True,
    )
    jpg_quality: int = option(95, "Quality of jpg", low=1, high=100)


@verb
def faces_recrop(show: Path, side: Side, *, options: RecropOptions) -> Stage:
    """Cut the faces of a side out anew, as another face type or at another size.

    side: whose faces. Masks, polygons and names stay. The old pictures go to faces_trash; `faces
    undo` takes it back.
    """
    project = Project.load(show)
    options = project.options("faces_recrop", options)
    if options.face_type is None and options.size is None and options.source != "footage":
        raise BadOption(
            "faces recrop: nothing to change. Say how much the pictures shall show (--face-type"
            " head), how large they shall be (--size 768), or both."
        )
    with project.lock(side) as notes, contextlib.ExitStack() as opened:
        yield from notes
        faceset = Faceset(project.faces(side))
        yield from reading_events(faceset)
        yield from faceset_notes(faceset)
        clips = yield from _open_clips(project, side, options, opened)
        plan = _Plan.of(faceset, _clip_of_faces(project, side, faceset, clips), options)
        yield from plan.notes()
        if not len(plan.rows):
            return
        count = len(faceset)
        key = picture_key(
            faceset.names,
            faceset.facts,
            "recrop",
            options.model_dump(),
            [clip.fingerprint.key for clip in clips],
        )
        new = NewFaces(faceset.folder, faceset.paths, key)
        made = new.open()
        left = np.array([row for row in plan.rows if row not in made], np.int64)
        failed = yield from make_pictures(
            "recrop",
            new.folder,
            _iter_faces(plan, clips, left),
            _Cutter(plan, faceset, new, options),
            total=len(plan.rows),
            done=len(made),
        )
        if failed is None:
            return
        require_made(faceset.folder, failed)
        how = new.how()
        yield from _notes_on_made(how)
        what = " ".join(sorted({f"{kind} {size}" for kind, size in plan.wanted()}))
        new.put_in_place(
            f"recrop: {len(plan.rows)} faces as {what}",
            {row: faceset.paths[row].name for row in plan.rows.tolist()},
            faceset.with_copies(np.isin(np.arange(len(faceset)), plan.rows)),
        )
        yield from events_after_change(faceset)
    yield Finished(
        stage="faces_recrop",
        summary={
            "faces": len(plan.rows),
            "from_footage": how[_FOOTAGE],
            "from_pictures": how[_PICTURE],
            "as_before": count - len(plan.rows),
        },
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which faces are cut anew.

    Attributes:
        rows: (M,) of the faceset.
        kinds, sides: By row of the faceset (N), what is wanted.
        frame: (N,) int64.
        clip: (N,) int64 which of the clips shows the face; -1 = none.
        shown: (N,) bool, the old picture shows all that the new one will.
        enlarged: (N,) float64, how much larger the new one shows it than the old one.
    """

    rows: NDArray[np.int64]
    kinds: list[FaceType]
    sides: NDArray[np.int64]
    frame: NDArray[np.int64]
    clip: NDArray[np.int64]
    shown: NDArray[np.bool_]
    enlarged: Doubles

    @classmethod
    def of(cls, faceset: Faceset, clip: NDArray[np.int64], options: RecropOptions) -> _Plan:
        """The plan for a faceset. Raises BadOption where some faces cannot be cut like that."""
        count = len(faceset)
        kinds = [options.face_type or each for each in faceset.face_types]
        sides = faceset.sides if options.size is None else np.full(count, options.size, np.int64)
        shown, enlarged = np.zeros(count, bool), np.ones(count)
        old, points = faceset.face_from_frame, faceset.faces.landmarks
        for row in range(count):
            size, kind = int(sides[row]), kinds[row]
            was_whole_frame = faceset.face_types[row] == "mark-only"
            if kind == "mark-only":
                shown[row], enlarged[row] = was_whole_frame, size / faceset.sides[row]
                continue
            try:
                new = align.face_from_frame(points[row], kind, size)
            except DegeneratePoints as error:
                raise BadMedia(f"{faceset.paths[row]}: {error}") from None
            new_from_old = affine.compose(new, affine.invert(old[row]))
            # Beyond the frame's edge there is nothing to be had.
            shown[row] = was_whole_frame or lies_within(new_from_old, int(faceset.sides[row]), size)
            enlarged[row] = affine.scale_of(new_from_old)
        is_so = np.array([a == b for a, b in zip(kinds, faceset.face_types, strict=True)], bool)
        is_so &= sides == faceset.sides
        if options.source == "footage":
            # What is as it shall be is cut anew, where that can be, and nothing out of pictures.
            is_so, shown = is_so & (clip < 0), np.zeros(count, bool)
        rows = np.flatnonzero(~is_so)
        plan = cls(rows, kinds, sides, faceset.faces.frame, clip, shown, enlarged)
        plan._require_sources(faceset)
        faceset.require_loose(~is_so)
        return plan

    def wanted(self) -> set[tuple[FaceType, int]]:
        """The types and sizes that come of it."""
        return {(self.kinds[row], int(self.sides[row])) for row in self.rows.tolist()}

    def notes(self) -> Iterator[Event]:
        """What is told before the work."""
        framed, enlarged = self.clip[self.rows] >= 0, self.enlarged[self.rows]
        out = enlarged[~framed]
        if not len(self.rows):
            yield Note(text="all faces are like that already; nothing to do.")
        else:
            ways = [
                f"{count} are cut out of their {way}"
                for count, way in ((int(framed.sum()), "footage"), (len(out), "pictures"))
                if count
            ]
            yield Note(text=f"{len(framed)} faces: {', '.join(ways)}.")
        if (out > _ENLARGED).any():
            yield Warned(
                text=(
                    f"{int((out > _ENLARGED).sum())} of the pictures are enlarged, by up to"
                    f" {out.max():.2g} times: that adds pixels, and no detail."
                )
            )

    def _require_sources(self, faceset: Faceset) -> None:
        lost = self.rows[~((self.clip >= 0) | self.shown)[self.rows]]
        if len(lost):
            names = name_some([faceset.paths[row].name for row in lost.tolist()])
            kinds = " and ".join(sorted({self.kinds[row] for row in lost.tolist()}))
            raise BadOption(
                f"{faceset.folder}: the footage of {len(lost)} faces ({names}) is not at hand, and"
                f" their pictures do not show all that {kinds} shows, or may not serve. Put the"
                " footage back, or choose a face type that lies within theirs."
            )


@dataclass(frozen=True, slots=True)
class _Cutter:
    """Makes the new pictures of the faces of one frame, or of one face without its frame."""

    plan: _Plan
    faceset: Faceset
    new: NewFaces
    options: RecropOptions

    def __call__(self, item: tuple[list[int], Frame | BadFrame | None]) -> list[NewPicture]:
        rows, frame = item
        image = as_bytes(frame.image) if isinstance(frame, Frame) else None
        fault = frame.reason if isinstance(frame, BadFrame) else ""
        return [self._cut(row, image, fault) for row in rows]

    def _cut(self, row: int, image: Bytes | None, fault: str) -> NewPicture:
        path = self.faceset.paths[row]
        try:
            old = face_image.read(path)
        except BadMedia as error:
            return NewPicture("", b"", path, str(error))
        how, can_do = "", bool(self.plan.shown[row])
        if image is not None:
            cut = warp(image, old.face_from_frame, (old.size, old.size), "replicate")
            found = compare_with_cut(old.image, cut)
            if found == "other" and (not can_do or self.options.source == "footage"):
                return NewPicture(
                    "",
                    b"",
                    path,
                    f"{path}: frame {old.face.frame} of the footage shows something else.",
                )
            if found != "same":
                stays = can_do and self.options.source == "auto"
                how, image = (_KEPT, None) if stays else (_LOST, image)
        elif not can_do:
            return NewPicture("", b"", path, f"{path}: frame {old.face.frame}: {fault}.")
        elif fault:
            how = _BROKEN
        kind, size = self.plan.kinds[row], int(self.plan.sides[row])
        if kind == "mark-only" and image is None:
            matrix = affine.compose(affine.scaling(size / old.size), old.face_from_frame)
        else:
            frame_size = None if image is None else (image.shape[1], image.shape[0])
            matrix = align.face_from_frame(old.face.landmarks, kind, size, frame_size)
        made = recrop(old, matrix, kind, size, image)
        how += _PICTURE if image is None else _FOOTAGE
        if old.mask is not None and not can_do:
            how += _MASK_CUT
        data = face_image.encode(made, path.suffix, self.options.jpg_quality)
        return NewPicture(self.new.name(row, how), data, path)


def _iter_faces(
    plan: _Plan, clips: list[Footage], rows: NDArray[np.int64]
) -> Generator[tuple[list[int], Frame | BadFrame | None]]:
    """The rows of each frame of the clips with that frame, then those without one."""
    for number, clip in enumerate(clips):
        by_frame: dict[int, list[int]] = {}
        for row in rows[plan.clip[rows] == number].tolist():
            by_frame.setdefault(int(plan.frame[row]), []).append(row)
        frames = prefetch(clip.iter_frames_or_bad(sorted(by_frame)), _DEPTH)
        with contextlib.closing(frames):
            for frame in frames:
                yield by_frame[frame.index], frame
    for row in rows[plan.clip[rows] < 0].tolist():
        yield [row], None


def _open_clips(
    project: Project, side: Side, options: RecropOptions, opened: contextlib.ExitStack
) -> Generator[Event, Order | None, list[Footage]]:
    """The footages of a side that can be opened; a note tells of others, which need not be."""
    clips = list[Footage]()
    for path in [] if options.source == "pictures" else project.footages(side):
        try:
            clips.append(opened.enter_context(project.open_footage(side, path)))
        except BadMedia as error:
            if options.source == "footage":
                raise
            yield Note(text=f"{error} Until then the pictures have to serve.")
    return clips


def _clip_of_faces(
    project: Project, side: Side, faceset: Faceset, clips: list[Footage]
) -> NDArray[np.int64]:
    """(N,) which of the clips shows each face, -1 = none."""
    result = np.full(len(faceset), -1, np.int64)
    for number, clip in enumerate(clips):
        ours = match_footage(project, side, faceset, clip)
        result[ours & (faceset.faces.frame < len(clip))] = number
    return result


def _notes_on_made(how: Counter[str]) -> Iterator[Event]:
    """What only the pictures told."""
    other = "pictures show something else than the footage, or were graded or retouched since:"
    if kept := how[_KEPT]:
        yield Warned(
            text=(
                f"{kept} {other} they are cut out of the pictures, so that this stays. To have them"
                " out of the footage: --source footage."
            )
        )
    if lost := how[_LOST]:
        yield Warned(
            text=(
                f"{lost} {other} that is not in the new ones, which come out of the footage. The"
                " old pictures are in faces_trash; faces undo brings them back."
            )
        )
    if broken := how[_BROKEN]:
        yield Warned(
            text=f"{broken} faces are cut out of their pictures, for their frames cannot be read."
        )
    if cut := how[_MASK_CUT]:
        yield Warned(
            text=(
                f"{cut} masks end where the old pictures ended: what the new ones show beyond is"
                " outside of them."
            )
        )
