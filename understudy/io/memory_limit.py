"""A bound on what this process takes while a library reads a file that may be hostile."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform == "linux":
    import resource

_STATUS = Path("/proc/self/status")


@contextmanager
def at_most(more: int) -> Iterator[None]:
    """Refuse memory beyond what is taken now and `more` bytes; Linux alone can.

    A library then meets what a machine without memory shows it: MemoryError, or an error of its
    own. It holds for all threads, so the block should be short; a bound that is there already and
    lower stays.
    """
    if sys.platform != "linux" or not _STATUS.exists():
        yield
        return
    taken = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmData"))
    bound = (int(taken.split()[1]) << 10) + more
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if soft != resource.RLIM_INFINITY and soft <= bound:
        yield
        return
    resource.setrlimit(resource.RLIMIT_DATA, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
