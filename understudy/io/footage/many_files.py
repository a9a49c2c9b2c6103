"""The same question to many files, several at a time: files of a share answer late."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

Answer = TypeVar("Answer")

# So many files are asked at a time, each reader so many in a row: handing over one by one would
# take longer than most answers.
_READERS, _AT_ONCE = 8, 128


def map_files(ask: Callable[[Path], Answer], files: Sequence[Path]) -> Iterator[Answer]:
    """Yield the answer of each file, in their order. Raises what `ask` raises."""
    groups = [files[start : start + _AT_ONCE] for start in range(0, len(files), _AT_ONCE)]
    if len(groups) < 2:
        yield from map(ask, files)
        return
    with ThreadPoolExecutor(_READERS) as readers:
        for answers in readers.map(lambda group: list(map(ask, group)), groups):
            yield from answers
