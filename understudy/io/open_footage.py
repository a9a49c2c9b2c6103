"""Opens footage: a video file, a folder of pictures or one picture, read the same way."""

from __future__ import annotations

import stat
from pathlib import Path

from understudy.errors import BadMedia
from understudy.io.footage import stills
from understudy.io.footage.base import Footage, FootageIndex, explain_unreadable
from understudy.io.footage.image_sequence import ImageSequence, ImageSequenceIndex
from understudy.io.footage.options import FootageOptions
from understudy.io.image_headers import count_pictures
from understudy.io.image_segments import Damaged
from understudy.io.picture_kinds import ANIMATED_AVIF, kind_of
from understudy.io.video.bob import BobFootage
from understudy.io.video.index import VideoIndex
from understudy.io.video.reader import VideoFootage


def open_footage(
    path: Path,
    *,
    reading: FootageOptions | None = None,
    any_size: bool = False,
    index: FootageIndex | None = None,
    threads: int = 0,
    rough: bool = False,
) -> Footage:
    """Open the footage at `path`: a video, a folder of pictures in natural order, or one picture.

    Args:
        path: 2.png comes before 10.png. A video that was cut off (a broken download, a full card)
            or breaks off is taken as far as it goes, and its notes say how far.
        reading: How it is read where there is a choice; None = by default. Of no effect with an
            index, which knows.
        any_size: Take pictures of any size; then only `Frame.image` tells how large one is.
        index: The `Footage.index` of the same footage, opened before: nothing is read again.
        threads: Of the decoder; 0 = all cores. Give 1 where several processes share the cores, and
            where damage must show at the same frame every time.
        rough: Colours of videos may be off by a level, decoded at up to five times the speed.

    Raises:
        BadMedia: Nothing is there, nothing can be decoded, it is no video (a picture, sound alone,
            a playlist, a device), it is too large, or not what the index was made from.
    """
    with explain_unreadable(path):
        mode = path.stat().st_mode
    if stat.S_ISREG(mode) and index is None:
        is_picture = _is_picture(path)
    else:
        is_picture = stat.S_ISDIR(mode) or isinstance(index, ImageSequenceIndex)
    if is_picture:
        return ImageSequence(
            path,
            reading=reading,
            any_size=any_size,
            index=index if isinstance(index, ImageSequenceIndex) else None,
        )
    if not stat.S_ISREG(mode):
        raise BadMedia(f"{path}: neither a file nor a folder, but a device or a pipe. Give a file.")
    video = VideoFootage(
        path,
        reading=reading,
        index=index if isinstance(index, VideoIndex) else None,
        threads=threads,
        rough=rough,
    )
    splits = video.index.reading.deinterlace == "bob" and video.field_order is not None
    return BobFootage(video) if splits else video


def _is_picture(path: Path) -> bool:
    """Whether a file is one picture. Raises BadMedia where it is one of a kind that is not read."""
    with explain_unreadable(path):
        kind = kind_of(path)
    if kind is None:
        # What calls itself a picture is told as one that is damaged.
        return path.suffix.lower() in stills.SUFFIXES
    if kind.name in ("GIF", "video"):
        return False
    if not kind.is_read and kind.name != ANIMATED_AVIF:
        raise BadMedia(
            f"{path}: holds {kind.name}, whatever its name, and that is not read. Convert it to JPG"
            " or PNG."
        )
    try:
        is_animated = (
            kind.name in ("PNG", "WebP") and count_pictures(stills.read_bytes(path)) > 1
        ) or kind.name == ANIMATED_AVIF
    except Damaged:
        is_animated = False
    if is_animated and kind.name != "PNG":
        raise BadMedia(
            f"{path}: an animation ({kind.name}), which is not read as footage. Convert it to a"
            " video (MP4), or to pictures in a folder."
        )
    return not is_animated
