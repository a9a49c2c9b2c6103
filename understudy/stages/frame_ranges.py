"""Frames told as stretches, for people and for files."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import Final

from understudy.errors import BadOption

# The end of a stretch that has none; no footage is that long.
OPEN_END: Final = sys.maxsize


def group_ranges(numbers: Iterable[int], step: int = 1) -> list[list[int]]:
    """Ascending numbers as [first, last] of every stretch in which one follows the other by
    `step`.
    """
    result: list[list[int]] = []
    for number in numbers:
        if result and number == result[-1][1] + step:
            result[-1][1] = number
        else:
            result.append([number, number])
    return result


def parse_ranges(text: str, where: str) -> tuple[range, ...]:
    """The stretches that a text such as "100-120,200,300-" names, in its order; one without an end
    goes on to `OPEN_END`.

    where: what the text stands in, for messages. Raises BadOption.
    """
    result = []
    for part in text.split(","):
        found = re.fullmatch(r"(\d{0,9})-(\d{0,9})|(\d{1,9})", part.strip(), re.ASCII)
        if found is None or part.strip() == "-":
            raise BadOption(
                f"{where}: '{part.strip()}' names no frames. Write 200, 100-120, -120 or 300-;"
                " frames count from 0."
            )
        first, last, only = found.groups()
        start = int(only or first or 0)
        stop = int(only or last) + 1 if only or last else OPEN_END
        if start >= stop:
            raise BadOption(
                f"{where}: '{part.strip()}' runs backwards. Write the first frame first."
            )
        result.append(range(start, stop))
    return tuple(result)


def resolve_ranges(text: str | None, count: int, where: str) -> list[range]:
    """The stretches that a text names of footage of `count` frames: ascending, each frame once; all
    of it for None.

    Raises BadOption when the text names no frames, or none that are there.
    """
    named = parse_ranges(text, where) if text else (range(count),)
    chosen: list[range] = []
    for each in sorted(
        (range(each.start, min(each.stop, count)) for each in named), key=lambda each: each.start
    ):
        if chosen and each.start <= chosen[-1].stop:
            chosen[-1] = range(chosen[-1].start, max(chosen[-1].stop, each.stop))
        elif each:
            chosen.append(each)
    if not chosen:
        raise BadOption(
            f"{where}: '{text}' lies beyond the end: there are the frames 0 to {count - 1}. Name"
            " others."
        )
    return chosen
