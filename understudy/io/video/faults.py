"""What PyAV raises over a file that is odd, damaged or hostile, told as an error of our tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import av

from understudy.errors import BadMedia
from understudy.io import system_faults

# FFmpeg's own; ValueError where PyAV knows no name for a value in the file, or meets text in
# another encoding; ArithmeticError for times and ratios that are no numbers, or too large for C;
# MemoryError for what a header asks for.
FOREIGN = (av.FFmpegError, ValueError, ArithmeticError, MemoryError)


@contextmanager
def as_bad_media(path: Path, what: str, now: str) -> Iterator[None]:
    """Raise what the block meets in the file at `path` as BadMedia: "path: what: why. now".

    Where the system refuses the file, or its disk fails, it is that, and what helps against it.
    """
    try:
        yield
    except FOREIGN as error:
        fault = system_faults.reading(error) if isinstance(error, OSError) else ""
        raise BadMedia(f"{path}: {what}: {fault or f'{reason(error)}. {now}'}") from error


def reason(error: BaseException) -> str:
    """Return why a file cannot be used, as a phrase; error: one of `FOREIGN`."""
    if isinstance(error, MemoryError):
        return "it takes more memory than there is"
    for kind, text in _REASONS.items():
        if isinstance(error, kind):
            return text
    if isinstance(error, av.FFmpegError):
        return (error.strerror or "it is damaged").lower().rstrip(".")
    return "it holds a value that makes no sense"


# What FFmpeg says in words that tell people nothing.
_REASONS: Final = {
    av.error.EOFError: "it ends too early",
    av.error.InvalidDataError: "its data is damaged, or of another kind than its name says",
    av.error.ArgumentError: "a value in it does not fit its kind of file, or a setting the codec",
    av.error.DecoderNotFoundError: "nothing here can decode it",
    av.error.EncoderNotFoundError: "this installation of FFmpeg has no such encoder",
    av.error.MuxerNotFoundError: "this installation of FFmpeg writes no such kind of file",
    av.error.PatchWelcomeError: "FFmpeg does not know this variety of its codec yet",
    av.error.ExternalError: "the library of its codec failed",
    av.error.BugError: "FFmpeg made a mistake with it",
}
