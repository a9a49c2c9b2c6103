"""Opens footage: a video file or a folder of pictures, read the same way."""

from __future__ import annotations

from pathlib import Path

from understudy.errors import BadMedia
from understudy.io.footage.base import Footage, FootageIndex
from understudy.io.footage.image_sequence import ImageSequence, ImageSequenceIndex
from understudy.io.video.index import VideoIndex
from understudy.io.video.reader import VideoFootage


def open_footage(
    path: Path,
    *,
    partial: bool = False,
    any_size: bool = False,
    index: FootageIndex | None = None,
    threads: int = 0,
    rough: bool = False,
) -> Footage:
    """Open the footage at `path`: a video file, or a folder of pictures in natural order.

    Args:
        path: 2.png comes before 10.png.
        partial: Take a video that was cut off (a broken download, a full card) as far as it goes.
        any_size: Take pictures of any size; then only `Frame.image` tells how large one is.
        index: The `Footage.index` of the same footage, opened before: nothing is read again.
        threads: Of the decoder; 0 = all cores. Give 1 where several processes share the cores, and
            where damage must show at the same frame every time.
        rough: Colours of videos may be off by a level, decoded at up to five times the speed.

    Raises:
        BadMedia: Nothing is there, nothing can be decoded, it is no video (a picture, sound alone,
            a playlist), it is cut off, too large, or not what the index was made from.
    """
    if path.is_dir():
        return ImageSequence(
            path, any_size=any_size, index=index if isinstance(index, ImageSequenceIndex) else None
        )
    if not path.exists():
        raise BadMedia(f"{path}: no such file or folder. Check the name.")
    return VideoFootage(
        path,
        partial=partial,
        index=index if isinstance(index, VideoIndex) else None,
        threads=threads,
        rough=rough,
    )
