"""Numbers in the names of pictures: which frames of a sequence are missing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

# It is a sequence where at least so many of the steps are the usual one. Names of photographs that
# somebody chose jump more often.
_REGULAR = 2 / 3
# Where the number of a frame may stand in the parts of a name: last, or before one or two others.
_PLACES = (-2, -4, -6)
# So many gaps are told; the rest are counted.
_TOLD = 10


@dataclass(frozen=True, slots=True)
class NumberedNames:
    """Names that differ in one number alone, which grows by the same step but for gaps.

    before, after: what is around the number in the first name. digits: of the shortest number.
    """

    numbers: tuple[int, ...]
    step: int
    before: str
    after: str
    digits: int

    @property
    def missing(self) -> list[int]:
        """The numbers that are missing between the first and the last."""
        every = range(self.numbers[0], self.numbers[-1] + 1, self.step)
        return sorted(set(every).difference(self.numbers))

    def name(self, number: int) -> str:
        """What the picture of a number is called, or would be."""
        return f"{self.before}{number:0{self.digits}d}{self.after}"


def read_numbers(names: Sequence[str]) -> NumberedNames | None:
    """Return the numbers of a sequence of pictures; None where the names are no such sequence.

    names: in natural order. A sequence has no more gaps than pictures, and more pictures than two.
    """
    parts = [re.split(r"(\d+)", name) for name in names]
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
    numbers = tuple(int(part[place]) for part in parts)
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
        numbers,
        step,
        "".join(parts[0][:place]),
        "".join(parts[0][place + 1 :]),
        min(len(part[place]) for part in parts),
    )


def split_sequences(names: Sequence[str]) -> list[list[str]]:
    """Return the sequences that lie among these names; none where they are one, or no sequence.

    The number that counts the frames may stand last (a_v01_1001), or before others (1001_v01).
    """
    parts = [re.split(r"(\d+)", name.lower()) for name in names]
    for place in _PLACES:
        groups: dict[tuple[str, ...], list[str]] = {}
        for name, part in zip(names, parts, strict=True):
            if len(part) >= -place:
                key = (*part[:place], "", *part[place + 1 :])
                groups.setdefault(key, []).append(name)
        sequences = [group for group in groups.values() if read_numbers(group)]
        if len(sequences) > 1:
            return sequences
    return []


def format_ranges(numbers: Sequence[int], step: int = 1) -> str:
    """Return ascending numbers as text: "1005, 1011 to 1018"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + step:
            runs[-1].append(number)
        else:
            runs.append([number])
    told = [f"{run[0]} to {run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs[:_TOLD]]
    return ", ".join(told) + (f" and {len(runs) - _TOLD} more gaps" if len(runs) > _TOLD else "")
