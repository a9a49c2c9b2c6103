"""Frames told as stretches, for people and for files."""

from __future__ import annotations

from collections.abc import Iterable


def ranges(numbers: Iterable[int], step: int = 1) -> list[list[int]]:
    """Ascending numbers as [first, last] of every stretch in which one follows the other by `step`."""
    result: list[list[int]] = []
    for number in numbers:
        if result and number == result[-1][1] + step:
            result[-1][1] = number
        else:
            result.append([number, number])
    return result
