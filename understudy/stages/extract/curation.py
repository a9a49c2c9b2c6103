"""What people removed of the faces that were cut out: it stays removed. `pictures.safetensors`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from understudy.core import affine
from understudy.core.tracking.places import lies_on, match_places, places_of
from understudy.errors import BadData, BadProject
from understudy.io import data_files, tables
from understudy.io.faceset.faceset import Faceset
from understudy.io.faceset.manual_marks import Mark
from understudy.io.footage.fingerprint import FootageFingerprint
from understudy.types import Array, Floats

# A face that is to be cut out in this run, one that was there when it began, one removed by hand,
# and one that was kept when it was cut out, but was not asked for since.
PLANNED, WRITTEN, REMOVED, FORMER = 0, 1, 2, 3
# From so many pictures of a track on it counts as removed where all of them were.
_TRACK: Final = 3


class CutFootage(NamedTuple):
    """A footage that faces were cut out of. key: of its fingerprint. frames, width, height: its."""

    key: str
    frames: int
    width: int
    height: int

    @classmethod
    def of(cls, source: FootageFingerprint) -> CutFootage:
        """The footage of a fingerprint."""
        return cls(source.key, source.frames, *source.size)


@dataclass(frozen=True, slots=True)
class CutFaces:
    """The faces that became pictures, in the order in which they are written, and those removed.

    A face is known by its footage, its frame and its place there: not by the name of a picture.

    Attributes:
        frame: (N,) int64.
        place: (N, 4) float32, the box around its points.
        chunk: (N,) int64, the first frame of the chunk that it is cut with.
        state: (N,) int64: PLANNED, WRITTEN, REMOVED or FORMER.
        clip: (N,) int64 rows of `footages`.
        footages: Of which they are. Other footage may have been here before.
        order: What the pictures were asked for, see `order_key`.
    """

    frame: NDArray[np.int64]
    place: Floats
    chunk: NDArray[np.int64]
    state: NDArray[np.int64]
    clip: NDArray[np.int64]
    footages: tuple[CutFootage, ...] = ()
    order: str = ""

    @classmethod
    def empty(cls) -> CutFaces:
        """Nothing was cut out yet."""
        none = np.zeros(0, np.int64)
        return cls(none, np.zeros((0, 4), np.float32), none, none, none)

    @classmethod
    def load(cls, state: Path) -> CutFaces:
        """Load what is known of a footage's faces; nothing where that was never written.

        state: the folder of what is known of the footage.

        Raises:
            BadProject: It is damaged.
            CannotRead: It is there, but not for this user.
        """
        path = cut_faces_path(state)
        if not path.exists():
            return cls.empty()
        read = tables.read_table(path)
        try:
            if read is None:
                raise data_files.bad_data(path, "damaged")
            return cls._checked(*read, str(path))
        except BadData as error:
            raise BadProject(
                f"{path}: {error.reason}, so nobody knows which faces were removed by hand. Put it"
                " back from a copy; or delete it, and removed faces may come back."
            ) from None

    @classmethod
    def _checked(cls, columns: dict[str, Array], notes: dict[str, str], where: str) -> CutFaces:
        """Raises BadData where they are not such a table."""
        order, footages = data_files.parse_json_as(notes.get("about", ""), where, _ABOUT)
        count = len(columns.get("frame", ()))
        for name, kind in _COLUMNS.items():
            column = columns.get(name)
            shape = (count, 4) if name == "place" else (count,)
            if column is None or column.dtype != kind or column.shape != shape:
                raise data_files.bad_data(where, f"no such column as {name} is to be")
        result = cls(
            **{name: columns[name] for name in _COLUMNS},  # type: ignore[arg-type]
            footages=footages,
            order=order,
        )
        bounds = (
            (result.frame, 2**48),
            (result.chunk, 2**48),
            (result.state, FORMER),
            (result.clip, len(footages) - 1),
        )
        if (
            any(len(each) and (each.min() < 0 or each.max() > most) for each, most in bounds)
            or not (np.abs(result.place) <= 1e6).all()
        ):
            raise data_files.bad_data(where, "numbers beyond all bounds")
        return result

    def save(self, state: Path) -> None:
        """Write it into `state`, all or nothing. Raises CannotWrite."""
        columns = {name: getattr(self, name) for name in _COLUMNS}
        # One note: of several the order in the file would be by chance.
        notes = {"about": json.dumps([self.order, self.footages])}
        tables.write_table(cut_faces_path(state), columns, notes)

    def __len__(self) -> int:
        return len(self.frame)

    def removed(self, source: FootageFingerprint) -> NDArray[np.int64]:
        """The rows of the faces of a footage that were removed by hand, (M,)."""
        return np.flatnonzero(self._is_of(source) & (self.state == REMOVED))

    def notice(
        self,
        faceset: Faceset,
        source: FootageFingerprint,
        cut: Collection[int],
        open_: Collection[int],
    ) -> CutFaces:
        """Return it with what is no longer in the folder as removed, and what came back as there.

        A picture that was never written does not count, and where none is left nothing does: then
        the folder was emptied, which says nothing of single faces.

        Args:
            faceset: The pictures of that footage.
            source: Of which the faces were cut.
            cut: The first frames of the chunks that are through.
            open_: Frames whose pictures are being replaced.
        """
        rows, state = np.flatnonzero(self._is_of(source)), self.state.copy()
        there = np.zeros(len(self), bool)
        there[rows[self._present(faceset, rows)]] = True
        if not there.any():
            return self
        state[there] = WRITTEN
        is_new = self.state == PLANNED
        was_written = ((state == WRITTEN) | (is_new & np.isin(self.chunk, list(cut)))) & ~np.isin(
            self.frame, list(open_)
        )
        # The pictures of a chunk are written one after the other, so those before one that is
        # there were written too.
        chunks, number = np.unique(self.chunk, return_inverse=True)
        last = np.full(len(chunks), -1)
        np.maximum.at(last, number[there & is_new], np.flatnonzero(there & is_new))
        was_written |= is_new & (np.arange(len(self)) < last[number])
        state[self._is_of(source) & was_written & ~there] = REMOVED
        return self if np.array_equal(state, self.state) else replace(self, state=state)

    def finish(self) -> CutFaces:
        """Return it with all pictures as written."""
        return replace(self, state=np.where(self.state == PLANNED, WRITTEN, self.state))

    def is_empty_of(self, faceset: Faceset, source: FootageFingerprint) -> bool:
        """Whether pictures were cut of that footage, and none of them is in the folder any more."""
        rows = np.flatnonzero(self._is_of(source))
        was_cut = np.isin(self.state[rows], (PLANNED, WRITTEN))
        return bool(was_cut.any()) and not len(self._present(faceset, rows))

    def removed_before(self, source: FootageFingerprint, *, alike: bool) -> NDArray[np.int64]:
        """Find the rows of faces that were removed of other footage, (M,).

        alike: only of that length and size.
        """
        rows = self._former(source, alike)
        return np.asarray(rows[self.state[rows] == REMOVED])

    def adopt(self, source: FootageFingerprint) -> CutFaces:
        """Return it with what was removed of other footage of that length and size, of this, too.

        The same where that is known already.
        """
        former = self.removed_before(source, alike=True)
        if (self._match(former, self.removed(source)) >= 0).all():
            return self
        # What was kept there tells a face that was removed from a track that was.
        kept = self._former(source, alike=True)
        taken = np.union1d(former, kept[self._match(kept, self.removed(source)) < 0])
        new = self.keep(np.isin(np.arange(len(self)), taken))
        state = np.where(new.state == REMOVED, REMOVED, FORMER)
        return self.plan(source, self.order, new.frame, new.place, new.chunk, state)

    def allow_marked(
        self, source: FootageFingerprint, marks: Mapping[int, Sequence[Mark]]
    ) -> CutFaces:
        """Return it without the removed faces that somebody has marked since, by frame."""
        removed, gone = self.removed(source), np.zeros(len(self), bool)
        for frame, marked in marks.items():
            rows = removed[self.frame[removed] == frame]
            for mark in marked:
                if mark.kind != "no_face":
                    gone[rows[lies_on(affine.bounding_box(mark.places), self.place[rows])]] = True
        return self.keep(~gone) if gone.any() else self

    def keep(self, rows: NDArray[np.bool_]) -> CutFaces:
        """Return it with those rows, (N,), alone."""
        return replace(self, **{name: getattr(self, name)[rows] for name in _COLUMNS})

    def stays_removed(
        self,
        source: FootageFingerprint,
        frame: NDArray[np.int64],
        place: Floats,
        track: NDArray[np.int64],
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Tell which of the faces that were found now were removed by hand.

        Args:
            source: Their footage.
            frame: (N,).
            place: (N, 4).
            track: (N,) as told now.

        Returns:
            (N,) those that lie where one was removed; and (N,) those in frames or places without a
            face before, on tracks of which every picture was removed.
        """
        rows = np.flatnonzero(self._is_of(source))
        match = match_places(frame, place, self.frame[rows], self.place[rows])
        gone = np.zeros(len(frame), bool)
        gone[match >= 0] = self.state[rows[match[match >= 0]]] == REMOVED
        count = track.max(initial=-1) + 1
        known, lost = (np.bincount(track[each], minlength=count) for each in (match >= 0, gone))
        return gone, (match < 0) & ((lost >= _TRACK) & (lost == known))[track]

    def plan(
        self,
        source: FootageFingerprint,
        order: str,
        frame: NDArray[np.int64],
        place: Floats,
        chunk: NDArray[np.int64],
        state: NDArray[np.int64],
    ) -> CutFaces:
        """Return it with these faces, (N,), in place of those that were cut before.

        What was removed stays, of every footage, and with it, as former, what was kept there. Other
        footage without anything removed is forgotten.
        """
        both = self._with_footage(source)
        is_new = match_places(self.frame, self.place, frame, place) >= 0
        both = both.keep((self.state == REMOVED) | ~(is_new & self._is_of(source)))
        both = replace(both, state=np.where(both.state == REMOVED, REMOVED, FORMER))
        both = both._with_needed(source)
        clip = np.full(len(frame), both.footages.index(CutFootage.of(source)))
        return CutFaces(
            np.concatenate([both.frame, frame]),
            np.concatenate([both.place, place]),
            np.concatenate([both.chunk, chunk]),
            np.concatenate([both.state, state]),
            np.concatenate([both.clip, clip]),
            both.footages,
            order,
        )

    def _present(self, faceset: Faceset, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which of the rows have a picture, by their place among `rows`."""
        faces = faceset.faces
        place = places_of(faces.landmarks, np.arange(len(faces)))
        found = match_places(faces.frame, place, self.frame[rows], self.place[rows])
        return np.unique(found[found >= 0])

    def _former(self, source: FootageFingerprint, alike: bool) -> NDArray[np.int64]:
        """The rows of other footage; alike: only of that length and size."""
        now = CutFootage.of(source)
        others = [
            at
            for at, each in enumerate(self.footages)
            if each.key != now.key and (not alike or each[1:] == now[1:])
        ]
        return np.flatnonzero(np.isin(self.clip, others))

    def _match(self, rows: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
        """For each of the rows the place among the others of the one in its place, or -1."""
        return match_places(
            self.frame[rows], self.place[rows], self.frame[others], self.place[others]
        )

    def _is_of(self, source: FootageFingerprint) -> NDArray[np.bool_]:
        mine = [at for at, each in enumerate(self.footages) if each.key == source.key]
        return np.isin(self.clip, mine)

    def _with_needed(self, source: FootageFingerprint) -> CutFaces:
        """It without other footage of which nothing was removed."""
        needed = [
            at
            for at, each in enumerate(self.footages)
            if each.key == source.key or (self.state[self.clip == at] == REMOVED).any()
        ]
        held = self.keep(np.isin(self.clip, needed))
        footages = tuple(self.footages[at] for at in needed)
        return replace(held, clip=np.searchsorted(needed, held.clip), footages=footages)

    def _with_footage(self, source: FootageFingerprint) -> CutFaces:
        now = CutFootage.of(source)
        known = self.footages if now in self.footages else (*self.footages, now)
        return replace(self, footages=known)


def cut_faces_path(state: Path) -> Path:
    """Where it is kept which faces of a footage were cut out, and which were removed."""
    return state / "pictures.safetensors"


def order_key(finding: dict[str, Any], cutting: dict[str, Any]) -> str:
    """Return what tells pictures apart that were asked for with other options."""
    return hashlib.sha256(json.dumps([finding, cutting], sort_keys=True).encode()).hexdigest()[:32]


_ABOUT: Final = TypeAdapter(tuple[str, tuple[CutFootage, ...]])
_COLUMNS: Final[dict[str, type]] = {
    "frame": np.int64,
    "place": np.float32,
    "chunk": np.int64,
    "state": np.int64,
    "clip": np.int64,
}
