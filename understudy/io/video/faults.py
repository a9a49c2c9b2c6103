"""What PyAV raises over a file that is odd, damaged or hostile, told as an error of our tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av

from understudy.errors import BadMedia

# FFmpeg's own; ValueError where PyAV knows no name for a value in the file, or meets text in
# another encoding; ArithmeticError for times and ratios that are no numbers, or too large for C;
# MemoryError for what a header asks for.
FOREIGN = (av.FFmpegError, ValueError, ArithmeticError, MemoryError)


@contextmanager
def as_bad_media(path: Path, what: str, now: str) -> Iterator[None]:
    """Raise what the block meets in the file at `path` as BadMedia: "path: what: why. now"."""
    try:
        yield
    except FOREIGN as error:
        raise BadMedia(f"{path}: {what}: {reason(error)}. {now}") from error


def reason(error: BaseException) -> str:
    """Return why a file cannot be used, as a phrase; error: one of `FOREIGN`."""
    if isinstance(error, MemoryError):
        return "it takes more memory than there is"
    if isinstance(error, av.FFmpegError):
        return (error.strerror or "it is damaged").lower().rstrip(".")
    return "it holds a value that makes no sense"
