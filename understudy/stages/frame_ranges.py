"""Ranges of frames as text, for people and for files."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from typing import Final

from understudy.errors import BadOption

# The end of a stretch that has none; no footage is that long.
OPEN_END: Final = sys.maxsize


def group_ranges(numbers: Iterable[int], step: int = 1) -> list[list[int]]:
    """Group ascending numbers into [first, last] of every range with that step."""
    result: list[list[int]] = []
    for number in numbers:
        if result and number == result[-1][1] + step:
            result[-1][1] = number
        else:
            result.append([number, number])
    return result


def describe_ranges(ranges: Iterable[Sequence[int]], most: int | None = None) -> str:
    """Return [first, last] of each range as people read it: "13-29, 40".

    most: so many at most, then "…"; None = all.
    """
    told = [f"{first}-{last}" if last > first else f"{first}" for first, last in ranges]
    return ", ".join(told[:most]) + (" …" if most is not None and len(told) > most else "")


def parse_ranges(text: str, where: str) -> tuple[range, ...]:
    """Read the ranges of a text such as "100-120,200,300-", in its order.

    One without an end goes on to `OPEN_END`.

    Args:
        text: The text.
        where: What it stands in, for messages.

    Raises:
        BadOption: It names no frames.
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
    """Read the ranges of a text for footage of `count` frames: ascending, each frame once.

    Args:
        text: The text; empty = all frames.
        count: Frames of the footage.
        where: What the text stands in, for messages.

    Raises:
        BadOption: It names no frames, or none that are there.
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
