"""What the system says of a file that is there and cannot be read: why, and what now."""

from __future__ import annotations

import errno
from typing import Final

_RIGHTS: Final = (
    "permission denied. Ask its owner for the right to read it, or change its rights (chmod)."
)
_FAILS: Final = (
    "the disk fails (input/output error). Check the disk and its cable, or use a copy of the file."
)
_GONE: Final = (
    "the disk no longer answers. Check it and its connection, and run the same command again."
)
_FILES: Final = (
    "too many files are open. Close other programs, or raise the limit (ulimit -n), and run the"
    " same command again."
)
_READING: Final = {
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EIO: _FAILS,
    errno.ESTALE: _GONE,
    errno.ENODEV: _GONE,
    errno.ENXIO: _GONE,
    errno.ENOTCONN: _GONE,
    errno.ETIMEDOUT: _GONE,
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
}


def reading(error: OSError) -> str:
    """Return why a file that is there cannot be read, and what now; "" for any other fault."""
    return _READING.get(error.errno or 0, "")
