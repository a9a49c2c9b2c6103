"""Numbers in the names of pictures: which frames of a sequence are missing."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

# A hyphen is a sign where another mark, or nothing, is before it: f.-005, and not shot-005.
_NUMBER = re.compile(r"((?:(?<![^._])-)?\d+)")
# How many pictures may be missing for each that is there, and how many of the steps are then the
# usual one at least: names of photographs that somebody chose jump more often. What lies farther
# apart is another matter.
_REGULAR = ((1, 1 / 3), (10, 0.8))
_FAR = _REGULAR[-1][0]
# Where the number of a frame may stand in the parts of a name: last, or before one or two others.
_PLACES = (-2, -4, -6)
# So much of a folder is a sequence where a few others lie among its pictures.
_MOST = 0.9
# A time of day after a date counts seconds, and no frames.
_DATE = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])")
_TIME = re.compile(r"([01]\d|2[0-3])[0-5]\d[0-5]\d")
# So many gaps are told; the rest are counted.
_TOLD = 10


@dataclass(frozen=True, slots=True)
class NumberedNames:
    """Names that differ in one number alone, which grows by the same step but for gaps.

    numbers: by name, ascending. before, after: what is around the number in the first name. digits:
    of the shortest number. others: names in between that are not of the sequence.
    """

    numbers: dict[str, int]
    step: int
    before: str
    after: str
    digits: int
    others: tuple[str, ...] = ()

    @property
    def missing(self) -> list[int]:
        """The numbers that are missing between the first and the last."""
        there = [*self.numbers.values()]
        return sorted(set(range(there[0], there[-1], self.step)).difference(there))

    def name(self, number: int) -> str:
        """What the picture of a number is called, or would be."""
        return f"{self.before}{number:0{self.digits}d}{self.after}"


def read_numbers(names: Sequence[str]) -> NumberedNames | None:
    """Return the sequence that these pictures are; None where they are none, or several.

    A few pictures beside it are passed over.

    Args:
        names: In natural order.
    """
    if (whole := _as_sequence(names)) is not None:
        return whole
    for group in _groups(names, _PLACES[0]):
        if len(group) >= _MOST * len(names) and (found := _as_sequence(group)) is not None:
            return replace(found, others=tuple(set(names).difference(group)))
    return None


def split_numbers(text: str) -> list[str]:
    """Return what a name consists of: a text, which may be empty, a number, a text, and so on."""
    return _NUMBER.split(text)


def split_sequences(names: Sequence[str]) -> list[list[str]]:
    """Return the sequences that lie among these names; none where there is but one, or none.

    The number that counts the frames may stand last (a_v01_1001), or before others (1001_v01).
    """
    for place in _PLACES:
        sequences = [group for group in _groups(names, place) if _as_sequence(group)]
        if len(sequences) > 1:
            return sequences
    return []


def _groups(names: Sequence[str], place: int) -> list[list[str]]:
    """Names that differ in the number at a place alone, which is counted from the end.

    Those whose numbers are far apart are groups of their own.
    """
    groups: dict[tuple[str, ...], list[tuple[int, str]]] = {}
    for name in names:
        stem, end = os.path.splitext(name.lower())
        part = split_numbers(stem)
        if len(part) >= -place:
            key = (*part[:place], "", *part[place + 1 :], end)
            groups.setdefault(key, []).append((int(part[place]), name))
    return [near for group in groups.values() for near in _near(group)]


def _near(group: Sequence[tuple[int, str]]) -> list[list[str]]:
    """The names of a group, apart where their numbers are far from each other."""
    found = [[group[0][1]]]
    steps = [later - earlier for (earlier, _), (later, _) in pairwise(group)]
    far = _FAR * len(group) * min((step for step in steps if step > 0), default=1)
    for step, (_, name) in zip(steps, group[1:], strict=True):
        if step > far:
            found.append([])
        found[-1].append(name)
    return found


def _as_sequence(names: Sequence[str]) -> NumberedNames | None:
    """As `read_numbers`, of all these names."""
    # Pictures of one film may be of several kinds.
    parts = [split_numbers(os.path.splitext(name)[0]) for name in names]
    texts = {tuple(each.lower() for each in part[::2]) for part in parts}
    if len(names) < 3 or len(texts) != 1:
        return None
    varying = [
        place
        for place in range(1, len(parts[0]), 2)
        if len({int(part[place]) for part in parts}) > 1
    ]
    if len(varying) != 1:
        return None
    (place,) = varying
    numbers = [int(part[place]) for part in parts]
    step = _usual_step([later - earlier for earlier, later in pairwise(numbers)])
    if not step or _are_times_of_day(parts, place):
        return None
    return NumberedNames(
        dict(zip(names, numbers, strict=True)),
        step,
        "".join(parts[0][:place]),
        "".join(parts[0][place + 1 :]) + os.path.splitext(names[0])[1],
        min(len(part[place]) for part in parts),
    )


def _usual_step(steps: Sequence[int]) -> int:
    """The step by which numbers of a sequence grow but for gaps; 0 = they are of none."""
    step = math.gcd(*steps)
    if min(steps) <= 0:
        return 0
    missing = sum(steps) // step - len(steps)
    shares = [share for most, share in _REGULAR if missing <= most * (len(steps) + 1)]
    return step if shares and steps.count(step) >= shares[0] * len(steps) else 0


def _are_times_of_day(parts: Sequence[Sequence[str]], place: int) -> bool:
    return (
        place > 1
        and _DATE.fullmatch(parts[0][place - 2]) is not None
        and all(_TIME.fullmatch(part[place]) for part in parts)
    )


def format_ranges(numbers: Sequence[int], step: int = 1, most: int = _TOLD) -> str:
    """Return ascending numbers as text: "1005, 1011 to 1018"; beyond `most` gaps a count."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + step:
            runs[-1].append(number)
        else:
            runs.append([number])
    told = [f"{run[0]} to {run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs[:most]]
    return ", ".join(told) + (f" and {len(runs) - most} more gaps" if len(runs) > most else "")
