"""Footage in: a video file or a folder of pictures, read the same way."""

from __future__ import annotations

from pathlib import Path

from understudy.errors import BadMedia
from understudy.io.pictures import PictureFootage
from understudy.io.sequence import Footage
from understudy.io.video import VideoFootage

__all__ = ["Footage", "open_footage"]


def open_footage(path: Path, *, partial: bool = False) -> Footage:
    """The footage at `path`: a video file, or a folder of pictures in natural order (2.png before 10.png).

    partial: take a video that was cut off (a broken download, a full card) as far as it goes. Raises BadMedia when nothing
    is there, nothing can be decoded, it is no video (a picture, sound alone, a playlist), it is cut off, or too large.
    """
    if path.is_dir():
        return PictureFootage(path)
    if not path.exists():
        raise BadMedia(f"{path}: no such file or folder. Check the name.")
    return VideoFootage(path, partial=partial)
