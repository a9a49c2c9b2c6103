"""Which frame another tool means by a name, and the name that it would have for a frame."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

from understudy.io.footage.base import Footage
from understudy.io.footage.image_sequence import ImageSequence

_LAST_NUMBER: Final = re.compile(r"(\d{1,12})(?!.*\d)", re.ASCII)
_MOST_FRAMES: Final = 2**40


class FrameNumbers:
    """The frames that names tell, where there is no footage to look them up in.

    DeepFaceLab and faceswap count the frames of a video from 1, we from 0.
    """

    def __init__(self, names: Iterable[str], first: int | None) -> None:
        """first: the number of the first frame; None = 1, or 0 where a name has that."""
        each = {name: _number(name) for name in names}
        numbers = {number for number in each.values() if number is not None}
        self.first = first if first is not None else 0 if 0 in numbers else 1
        known = {name: number - self.first for name, number in each.items() if number is not None}
        # Those without a number, or before the first, come behind the others, in their order.
        after = max(known.values(), default=-1) + 1
        others = sorted(name for name in each if known.get(name, -1) < 0)
        self.unnumbered = len([name for name in others if name])
        self._frames = known | {name: max(after, 0) + at for at, name in enumerate(others)}

    def __getitem__(self, name: str) -> int:
        return self._frames[name]


class FramesOfFootage:
    """The frames of a footage by their names: of its pictures, or of a video's numbers from 1.

    any_stem: whether what stands before the number of a video's frame makes no difference.
    """

    def __init__(self, footage: Footage, *, any_stem: bool = True) -> None:
        self._any_stem = any_stem
        self._count, self._stem, self._suffix = (
            len(footage),
            footage.path.stem,
            footage.path.suffix,
        )
        self._names = list(footage.frame_names) if isinstance(footage, ImageSequence) else []
        self._by_stem = {Path(name).stem: at for at, name in enumerate(self._names)}

    def find(self, name: str) -> int | None:
        """The frame of that name; None where there is none."""
        if self._names:
            return self._by_stem.get(stem_of(name))
        number, stem = _number(name), stem_of(name)
        if not self._any_stem and stem.rstrip("0123456789") != f"{self._stem}_":
            return None
        return None if number is None or not 1 <= number <= self._count else number - 1

    def dfl_name(self, frame: int) -> str:
        """What DeepFaceLab would call a frame; where there are other footages, of which it is."""
        if self._names:
            return self._names[frame]
        return numbered_frame(frame) if self._any_stem else f"{self._stem}_{numbered_frame(frame)}"

    def faceswap_name(self, frame: int) -> str:
        """What faceswap would call a frame."""
        if self._names:
            return self._names[frame]
        return f"{self._stem}_{frame + 1:06d}{self._suffix}"


def numbered_frame(frame: int) -> str:
    """The name of a frame of a video that DeepFaceLab took apart."""
    return f"{frame + 1:05d}.png"


def stem_of(name: str) -> str:
    """The name without folders, whichever system wrote it, and without its ending."""
    return PurePosixPath(PureWindowsPath(name).name).stem


def _number(name: str) -> int | None:
    """The last number in a name, without its ending."""
    found = _LAST_NUMBER.search(stem_of(name))
    return int(found[1]) if found and int(found[1]) < _MOST_FRAMES else None
