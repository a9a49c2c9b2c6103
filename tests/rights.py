"""Rights of files as they bind anybody: the administrator, as whom tests may run, reads it all."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator

import pytest

# CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, and the layout of linux/capability.h.
_READS_ALL = 1 << 1 | 1 << 2
_VERSION = 0x20080522


@contextlib.contextmanager
def rights_bind() -> Iterator[None]:
    """Meanwhile this thread, and those that it starts, may do what the rights of files say."""
    if sys.platform == "win32":
        pytest.skip("rights of POSIX")
    if os.geteuid() != 0:
        yield
        return
    if sys.platform != "linux":
        pytest.skip("the administrator reads everything")
    libc = ctypes.CDLL(None, use_errno=True)
    head, sets = (ctypes.c_uint32 * 2)(_VERSION, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(head, sets) == 0
    before, sets[0] = sets[0], sets[0] & ~_READS_ALL
    assert libc.capset(head, sets) == 0
    try:
        yield
    finally:
        sets[0] = before
        assert libc.capset(head, sets) == 0
