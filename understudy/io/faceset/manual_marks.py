"""Faces that a person marked by hand: a JSON file of frames, each with its marks.

    {"version": 1, "frames": {"118": [{"box": [210, 80, 330, 230]}], "130": [], "131": null}}

A frame with marks has just these faces, one with none has no face whatever a detector says, and
null is still to be marked. `extract` reads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from understudy.errors import BadData, BadMedia
from understudy.io import atomic, data_files

MAX_FACES = 1000

Pixel = Annotated[float, Field(ge=-1e6, le=1e6)]
Point = tuple[Pixel, Pixel]
Frame = Annotated[int, Field(ge=0, le=2**48)]


class Mark(BaseModel):
    """One face, marked in one of three ways, in frame pixels whose centres lie at whole numbers.

    box: x0 y0 x1 y1 around the face. points5: the eyes, the tip of the nose, the corners of the
    mouth; left first, as seen in the picture. points: all 68, in the iBUG order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    box: tuple[Pixel, Pixel, Pixel, Pixel] | None = None
    points5: tuple[Point, Point, Point, Point, Point] | None = None
    points: Annotated[tuple[Point, ...], Field(min_length=68, max_length=68)] | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"a mark has either box, points5 or points, here: {' and '.join(given) or 'none'}"
            )
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise ValueError("a box is left, top, right, bottom: right of left, bottom below top")
        points = self.points5 or self.points
        if points is not None and len(set(points)) < 3:
            raise ValueError("the points of a face do not coincide")
        return self


class Marks(BaseModel):
    """The marks of a footage by frame; None: that frame is still to be marked."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1] = 1
    frames: dict[Frame, Annotated[list[Mark], Field(max_length=MAX_FACES)] | None] = {}

    def faces_at(self, frame: int) -> list[Mark] | None:
        """Return the marks of a frame, [] when it has no face; None when nothing was said of it."""
        return self.frames.get(frame)

    def with_blanks(self, frames: Iterable[int]) -> Marks:
        """Return these marks, with blanks for those of `frames` that nobody has marked.

        Blanks of other frames go. `extract --fix` leaves them to be filled in.
        """
        known = {frame: marks for frame, marks in self.frames.items() if marks is not None}
        blanks: dict[int, list[Mark] | None] = {
            frame: None for frame in frames if frame not in known
        }
        return Marks(frames=dict(sorted({**known, **blanks}.items())))


def read_marks(path: Path) -> Marks:
    """Return the marks in the file at `path`.

    Raises:
        BadMedia: Missing, unreadable, too large, or not marks; names the place in it.
    """
    try:
        data = data_files.read_bytes(path)
    except BadData as error:
        raise BadMedia(f"{path}: marks {error.reason}. Check the path.") from None
    try:
        return data_files.parse_json_as(data, str(path), Marks)
    except BadData as error:
        raise BadMedia(
            f"{path}: {error.reason}. Mend that entry, or make the file anew: extract --fix."
        ) from None


def write_marks(path: Path, marks: Marks) -> None:
    """Write the marks to `path`, all or nothing, one frame a line. Raises CannotWrite."""
    lines = [
        f'"{frame}": '
        + (
            "null"
            if each is None
            else f"[{', '.join(mark.model_dump_json(exclude_none=True) for mark in each)}]"
        )
        for frame, each in marks.frames.items()
    ]
    frames = ",\n  ".join(lines)
    atomic.write_text(path, f'{{"version": {marks.version}, "frames": {{\n  {frames}\n}}}}\n')
