"""Who is seen in a side's faces, and what is said when it is more than one person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from understudy.errors import BadOption
from understudy.io.faceset.faceset import Faceset
from understudy.io.installation import install_extra
from understudy.stages.events import Warned
from understudy.types import Faces, Side

# Seen in fewer frames, or in a smaller share of them, a second face may be a mistake of the
# detector or a picture on a wall, and the report shows it anyway.
_LEAST_FRAMES: Final = 3
_LEAST_SHARE: Final = 0.02
_MOST_TOLD: Final = 6


@dataclass(frozen=True, slots=True)
class PeopleSeen:
    """Who is in a faceset.

    persons: number and frames of each person that is seen more than in passing, who is seen most
    first; without what tells people apart there are none. crowded: frames with several faces, of
    `frames` with any; most: faces in one frame.
    """

    persons: tuple[tuple[int, int], ...]
    crowded: int
    frames: int
    most: int

    @classmethod
    def of(cls, frame: NDArray[np.int64], person: NDArray[np.int64]) -> Self:
        """Count them, by the frame and the number of each face, -1 = nobody knows who."""
        shown, count = np.unique(frame, return_counts=True)
        if not len(shown):
            return cls((), 0, 0, 0)
        least = max(min(_LEAST_FRAMES, len(shown)), _LEAST_SHARE * len(shown))
        seen = [
            (int(each), len(np.unique(frame[person == each])))
            for each in np.unique(person[person >= 0])
        ]
        return cls(
            tuple(each for each in seen if each[1] >= least),
            int((count > 1).sum()) if (count > 1).sum() >= least else 0,
            len(shown),
            int(count.max()),
        )

    def told(self) -> str:
        """Who is seen and how often, where it is more than one; else nothing."""
        if len(self.persons) > 1:
            listed = [f"person {number} in {frames} frames" for number, frames in self.persons]
            more = len(listed) - _MOST_TOLD
            listed = [*listed[:_MOST_TOLD], *([f"{more} more"] if more > 0 else [])]
            return f"{len(self.persons)} people are seen: {', '.join(listed)}."
        if self.crowded:
            return (
                f"up to {self.most} faces are seen at once, in {self.crowded} of"
                f" {self.frames} frames, and they are not told apart."
            )
        return ""

    @property
    def has_numbers(self) -> bool:
        """Whether people are told apart, so that one can be chosen."""
        return bool(self.persons)


# What each command does with several people, and what to say to it for one of them.
_SRC: Final = "train --src-person 0, or --src-like PICTURE (in swap --train.src-person)"
_DST: Final = "merge --person 0, or --like PICTURE (in swap --merge.person)"
_DOES: Final[dict[tuple[str, Side], tuple[str, str]]] = {
    ("extract", "src"): ("train learns them all as one face", _SRC),
    ("extract", "dst"): ("merge replaces them all", _DST),
    ("train", "src"): ("The model learns them all as one face", _SRC),
    ("train", "dst"): (
        "The model learns them all, as merge replaces them all",
        f"train --dst-person 0, then {_DST}",
    ),
    ("merge", "dst"): ("All are replaced", _DST),
}
_CHOOSES: Final = {"extract": "Unless one is chosen, ", "train": "", "merge": ""}


def warn_of_several_people(
    verb: str, side: Side, frame: NDArray[np.int64], person: NDArray[np.int64]
) -> Iterator[Warned]:
    """Warn when more than one person is seen, with what chooses one.

    verb: extract, train or merge, which speaks. frame, person: of one footage, as for
    `PeopleSeen.of`.
    """
    seen = PeopleSeen.of(frame, person)
    if not (told := seen.told()):
        return
    does, choose = _DOES[verb, side]
    if not seen.has_numbers:
        choose = (
            "extract again with --max-faces 1, which keeps the largest, or with what tells people"
            f" apart ({install_extra('dlib')})"
        )
    yield Warned(
        text=f"{side}: {told} {_CHOOSES[verb]}{does}. For one of them: {choose}; the report of"
        " extract shows who is who."
    )


def warn_of_several_in_faceset(verb: str, side: Side, faceset: Faceset) -> Iterator[Warned]:
    """Warn as `warn_of_several_people`, of a faceset: frames and people count in each footage."""
    faces, crowds = faceset.faces, []
    if len(faceset.footages) <= 1:
        # Those that say of no footage count by themselves where there are no others.
        rows = faces.footage == faces.footage.max(initial=-1)
        yield from warn_of_several_people(verb, side, faces.frame[rows], faces.person[rows])
        return
    for number, footage in enumerate(faceset.footages):
        rows = faces.footage == number
        if told := PeopleSeen.of(faces.frame[rows], faces.person[rows]).told():
            crowds.append(f"in {footage.name}, {told}")
    if crowds:
        more = f" Likewise in {len(crowds) - 1} more clips." if len(crowds) > 1 else ""
        does = _DOES[verb, side][0]
        yield Warned(
            text=f"{side}: {crowds[0]}{more} {does[0].upper()}{does[1:]}. For one of them:"
            " move the pictures of the others away, since each clip numbers its people for"
            " itself."
        )


def known_people(faces: Faces, option: str) -> list[int]:
    """Return the numbers of the people among the faces, ascending.

    Raises BadOption, naming the option, where they are not told apart.
    """
    known = np.unique(faces.person[faces.person >= 0])
    if not len(known):
        raise BadOption(
            f"{option}: people are not told apart in these faces, so nobody can be chosen. Move the"
            f" pictures of the others away, or run {install_extra('dlib')} and extract again."
        )
    return [int(each) for each in known]


def check_person(faces: Faces, person: int, option: str) -> None:
    """Raise BadOption, naming the option, when there is no such person among the faces."""
    known = known_people(faces, option)
    if person not in known:
        numbers = ", ".join(str(each) for each in known[:_MOST_TOLD])
        raise BadOption(
            f"{option}: there is no person {person} among these faces, only {numbers}; the report"
            " of extract shows them."
        )


def telling_rows(rows: NDArray[np.int64], faces: Faces, most: int) -> NDArray[np.int64]:
    """Choose the rows that tell how someone looks, evenly from all `rows` of them.

    Faces that no detector saw tell nothing where there are others.
    """
    seen = rows[~faces.filled[rows]]
    rows = seen if len(seen) else rows
    at = np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)
    return np.asarray(rows[at], np.int64)
