"""Numbers in the names of pictures: which frames of a sequence are missing."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

# It is a sequence where at least so many of the steps are the usual one. Names of photographs that
# somebody chose jump more often.
_REGULAR = 2 / 3
# Where the number of a frame may stand in the parts of a name: last, or before one or two others.
_PLACES = (-2, -4, -6)
# So much of a folder is a sequence where a few others lie among its pictures.
_MOST = 0.9
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
    """Names that differ in the number at a place alone, which is counted from the end."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        stem, end = os.path.splitext(name.lower())
        part = re.split(r"(\d+)", stem)
        if len(part) >= -place:
            groups.setdefault((*part[:place], "", *part[place + 1 :], end), []).append(name)
    return list(groups.values())


def _as_sequence(names: Sequence[str]) -> NumberedNames | None:
    """As `read_numbers`, of all these names. It has no more gaps than pictures."""
    # Pictures of one film may be of several kinds.
    parts = [re.split(r"(\d+)", os.path.splitext(name)[0]) for name in names]
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
    steps = [later - earlier for earlier, later in pairwise(numbers)]
    ((step, count),) = Counter(steps).most_common(1)
    is_sequence = (
        min(steps) > 0
        and count >= _REGULAR * len(steps)
        and not any(each % step for each in steps)
        and sum(steps) // step < 2 * len(names)
    )
    if not is_sequence:
        return None
    return NumberedNames(
        dict(zip(names, numbers, strict=True)),
        step,
        "".join(parts[0][:place]),
        "".join(parts[0][place + 1 :]) + os.path.splitext(names[0])[1],
        min(len(part[place]) for part in parts),
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
