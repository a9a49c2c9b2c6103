"""A long table block by block: its rows, and pairs of rows without a table of all pairs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

_CHUNK: Final = 1 << 12


def iter_row_blocks(count: int, size: int = 1024) -> Iterator[Rows]:
    """Yield the rows of a table in blocks.

    Args:
        count: Rows of the table.
        size: Rows of a block at most.

    Yields:
        (n,) int64, ascending; together 0 to `count` - 1.
    """
    for first in range(0, count, size):
        yield np.arange(first, min(first + size, count))


def iter_row_pairs(starts: Rows, ends: Rows) -> Iterator[tuple[Rows, Rows]]:
    """Yield pairs of rows: every row i with every row from starts[i] to before ends[i].

    Args:
        starts: (N,) int64.
        ends: (N,) int64.

    Yields:
        Two columns (n,) int64, some four thousand pairs at a time.
    """
    counts = np.maximum(ends - starts, 0)
    total = np.concatenate([[0], np.cumsum(counts)])
    first = 0
    while first < len(counts):
        last = max(int(np.searchsorted(total, total[first] + _CHUNK, "right")) - 1, first + 1)
        one = np.repeat(np.arange(first, last), counts[first:last])
        yield one, starts[one] + np.arange(len(one)) - (total[one] - total[first])
        first = last
