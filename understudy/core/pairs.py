"""Pairs of rows of a sorted table, without a table of all pairs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

_CHUNK: Final = 1 << 16


def pairs(starts: Rows, ends: Rows) -> Iterator[tuple[Rows, Rows]]:
    """Every row i with every row from starts[i] to before ends[i], as two columns, some 65 thousand at a time."""
    counts = np.maximum(ends - starts, 0)
    total = np.concatenate([[0], np.cumsum(counts)])
    first = 0
    while first < len(counts):
        last = max(int(np.searchsorted(total, total[first] + _CHUNK, "right")) - 1, first + 1)
        one = np.repeat(np.arange(first, last), counts[first:last])
        yield one, starts[one] + np.arange(len(one)) - (total[one] - total[first])
        first = last
