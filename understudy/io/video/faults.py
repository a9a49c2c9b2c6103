"""What PyAV raises over a file that is odd, damaged or hostile, told as an error of our tree."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import av

from understudy.errors import BadMedia
from understudy.io import system_faults

# FFmpeg's own; ValueError where PyAV knows no name for a value in the file, or meets text in
# another encoding; ArithmeticError for times and ratios that are no numbers, or too large for C;
# MemoryError for what a header asks for.
FOREIGN = (av.FFmpegError, ValueError, ArithmeticError, MemoryError)
_NO_VIDEO: Final = "cannot be read as a video"
_HEAD: Final = 4096
_MOST_BOXES: Final = 10_000
_PAGE = (
    "it is a web page (HTML), which servers send in place of a file. Fetch it again, signed in"
    " where that is asked for."
)
_LIST = (
    "it is a list of other files, and nothing that it names is opened. Give one of these files, or"
    " a video made of them."
)
_ARCHIVE = "it is an archive. Unpack it, and give the video that is in it."
# How files begin that come in place of a video; letters in lower case.
_BEGINNINGS: Final = (
    (b"<!doctype html", _PAGE),
    (b"<html", _PAGE),
    (
        b"version https://git-lfs",
        "it is a pointer of Git LFS, and the video was not fetched. Run: git lfs pull.",
    ),
    (b"pk\x03\x04", _ARCHIVE),
    (b"rar!", _ARCHIVE),
    (b"7z\xbc\xaf", _ARCHIVE),
    (b"\x1f\x8b", _ARCHIVE),
    (b"#extm3u", _LIST),
    (b"ffconcat", _LIST),
    (b"[playlist]", _LIST),
    (b"<mpd", _LIST),
    (b"<?xml", "it is a text (XML), not a video. Give the video that belongs to it."),
)
_OTHER: Final = "Fetch it again, or give another."


@contextmanager
def as_bad_media(path: Path, what: str, now: str) -> Iterator[None]:
    """Raise what the block meets in the file at `path` as BadMedia: "path: what: why. now".

    Where the system refuses the file, or its disk fails, it is that, and what helps against it.
    """
    try:
        yield
    except FOREIGN as error:
        raise bad_media(path, what, now, error) from error


def bad_media(path: Path, what: str, now: str, error: BaseException) -> BadMedia:
    """Return what `as_bad_media` raises for an error; any of the system, too."""
    fault = system_faults.reading(error) if isinstance(error, OSError) else ""
    return BadMedia(f"{path}: {what}: {fault or f'{reason(error)}. {now}'}")


def reason(error: BaseException) -> str:
    """Return why a file cannot be used, as a phrase. error: one of `FOREIGN`, or the system's."""
    if isinstance(error, MemoryError):
        return "it takes more memory than there is"
    for kind, text in _REASONS.items():
        if isinstance(error, kind):
            return text
    if isinstance(error, av.FFmpegError | OSError):
        return (error.strerror or "it is damaged").lower().rstrip(".")
    return "it holds a value that makes no sense"


def refusal(path: Path, error: BaseException) -> BadMedia:
    """Return the error for a file in which FFmpeg met `error`, one of `faults.FOREIGN`."""
    if (not isinstance(error, OSError) or not system_faults.reading(error)) and (
        told := _what(path)
    ):
        return BadMedia(f"{path}: {_NO_VIDEO}: {told}")
    return bad_media(path, _NO_VIDEO, _OTHER, error)


def list_or_other(path: Path) -> BadMedia:
    """Return the error for a file of a kind that is never opened."""
    told = _what(path) or (
        "it is a list of other files, a single picture, or of a kind that is not read. Give a"
        " video, or the folder that holds the pictures."
    )
    return BadMedia(f"{path}: {_NO_VIDEO}: {told}")


def _what(path: Path) -> str:
    """What the file is, and what now; "" where its bytes do not tell."""
    try:
        with path.open("rb") as file:
            head, size = file.read(_HEAD), file.seek(0, os.SEEK_END)
            if head[4:8] == b"ftyp" and not _has_box(file, b"moov", size):
                return (
                    "its table is missing: it was never closed, as when a camera's battery fails,"
                    " or it is cut off. Fetch it again; the camera maker's repair tool may rebuild"
                    " it."
                )
    except OSError as error:
        # Its disk failed meanwhile: that is what there is to tell.
        return system_faults.reading(error)
    if not head:
        return f"it is empty. {_OTHER}"
    if not any(head):
        return f"it holds zeros, as a copy that was not finished does. {_OTHER}"
    begin = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for beginning, told in _BEGINNINGS:
        if begin.startswith(beginning):
            return told
    is_text = not begin.translate(None, bytes(range(32, 127)) + b"\t\r\n")
    return f"it is a text. {_OTHER}" if is_text else ""


def _has_box(file: BinaryIO, name: bytes, size: int) -> bool:
    """Whether an MP4 or MOV has such a box, among those that lie in no other."""
    place = 0
    for _ in range(_MOST_BOXES):
        if place + 8 > size:
            break
        file.seek(place)
        head = file.read(16)
        if head[4:8] == name:
            return True
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:
            # It goes to the end of the file, or is damaged.
            return False
        place += length
    return False


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
