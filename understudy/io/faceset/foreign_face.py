"""A face as another tool tells of it: read from its files, and checked value by value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from understudy.errors import BadMedia
from understudy.types import Bytes, Doubles, FaceType, Polygon

# Of pixels of a frame, as face pictures of ours bound them.
MOST_PIXELS: Final = 1e6
MAX_POLYGONS, MAX_POLYGON_POINTS = 64, 1024


@dataclass(frozen=True, slots=True)
class ForeignMask:
    """Where the face is. levels: (H, W) 0..255.

    mask_from_frame: (2, 3) between pixels; None = it covers the face picture.
    """

    levels: Bytes
    mask_from_frame: Doubles | None = None


@dataclass(frozen=True, slots=True)
class ForeignFace:
    """What a file of another tool says of a face; that it all fits is not said yet.

    Attributes:
        tool: Which one.
        face_type: How much of the head the picture is to show.
        landmarks: (68, 2) frame pixels.
        box: (4,) x0 y0 x1 y1 in frame pixels.
        frame_name: File name of the frame, "" = not told.
        face_from_frame: (2, 3) to pixels of the face picture; None = there is no picture.
        face_landmarks: (68, 2) pixels of the face picture, as the file tells them besides.
        mask: Where the face is; None = not told.
        polygons: Drawn by hand, in pixels of the face picture.
    """

    tool: str
    face_type: FaceType
    landmarks: Doubles
    box: Doubles
    frame_name: str = ""
    face_from_frame: Doubles | None = None
    face_landmarks: Doubles | None = None
    mask: ForeignMask | None = None
    polygons: tuple[Polygon, ...] = ()


class ForeignRecord:
    """The named values of a file of another tool, each read with a check.

    where: the file, for messages.
    """

    def __init__(self, held: object, where: str) -> None:
        if not isinstance(held, dict) or not all(isinstance(name, str) for name in held):
            raise BadMedia(f"{where}: no table of named values in it. Leave it out.")
        self.held: Mapping[str, Any] = held
        self.where = where

    def text(self, name: str, default: str = "") -> str:
        """A text as UTF-8 can hold it; the default where there is none. Raises BadMedia."""
        value = self.held.get(name)
        if value is None:
            return default
        if not isinstance(value, str | np.str_) or len(value) > 1024:
            raise self.fault(name, "no text of at most 1024 characters")
        return str(value).encode("utf-8", "replace").decode("utf-8")

    def numbers(self, name: str, shape: tuple[int, ...], value: object = None) -> Doubles | None:
        """An array of finite numbers of that shape, -1 = any length; None where there is none.

        value: in place of what has that name. Raises BadMedia.
        """
        value = self.held.get(name) if value is None else value
        if value is None:
            return None
        try:
            found = np.array(value, np.float64)
        except (ValueError, TypeError, OverflowError):
            raise self.fault(name, "no numbers") from None
        if found.ndim != len(shape) or any(
            want not in (-1, has) for want, has in zip(shape, found.shape, strict=True)
        ):
            wanted = " x ".join("N" if each < 0 else str(each) for each in shape)
            raise self.fault(name, f"{' x '.join(map(str, found.shape))} numbers, not {wanted}")
        if not (np.abs(found) <= MOST_PIXELS).all():
            raise self.fault(name, "numbers that are none, or beyond all bounds")
        return found

    def polygon(self, name: str, includes: object, points: object) -> Polygon | None:
        """An outline of at least three points; None of fewer. Raises BadMedia."""
        if not isinstance(points, list | tuple | np.ndarray) or not len(points):
            return None
        found = self.numbers(name, (-1, 2), points)
        if found is None or len(found) < 3:
            return None
        if len(found) > MAX_POLYGON_POINTS:
            raise self.fault(name, f"an outline of more than {MAX_POLYGON_POINTS} points")
        if not isinstance(includes, int | bool | np.integer) or includes not in (0, 1):
            raise self.fault(name, "an outline that neither includes nor excludes")
        return Polygon(found.astype(np.float32), bool(includes))

    def fault(self, name: str, reason: str) -> BadMedia:
        """The error for a value that is not as it must be."""
        return BadMedia(f"{self.where}: {name}: {reason}. Leave it out.")
