"""Faces that a person marked by hand: a JSON file of frames, each with its marks (docs/marks.md).

    {"version": 1, "frames": {"118": [{"box": [210, 80, 330, 230]}], "130": [], "131": null}}

A frame with marks has those faces, whatever a detector sees in their place; one with none has no
face at all; null is still to be marked. `extract` reads it. It is read as people write it: frames
by number or by the name of their picture, one face or a list of them, pairs or plain numbers.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from understudy.errors import BadData, BadMedia
from understudy.io import data_files
from understudy.io.atomic import write_text
from understudy.io.footage.base import Footage
from understudy.io.footage.image_sequence import ImageSequence
from understudy.types import Doubles

MAX_FACES: Final = 1000
_FARTHEST: Final = 1e6

Kind = Literal["box", "eyes", "points5", "points", "no_face"]
# How many points each kind has; a box is two corners.
_COUNTS: Final[dict[Kind, int]] = {"box": 2, "eyes": 2, "points5": 5, "points": 68, "no_face": 2}
_WANTED: Final[dict[Kind, str]] = {
    "box": "a box is four numbers, left, top, right and bottom",
    "eyes": "eyes are two points [x, y], the left one of the picture first",
    "points5": (
        "points5 are five points [x, y]: both eyes, the tip of the nose, both corners of the mouth,"
        " the left ones of the picture first"
    ),
    "points": "points are 68 points [x, y] in the iBUG order",
    "no_face": "no_face is a box of four numbers, left, top, right and bottom",
}
# A frame's number, alone or as it stands in the name of a picture that we made of it.
_NUMBER: Final = re.compile(
    r"(?:frame[-_ ]?)?(\d{1,15})(?:_\d+|-marked)?(?:\.(?:jpe?g|png))?", re.IGNORECASE
)
# What is left behind where the last entry of a list was taken out; a name without quotes.
_LOOSE_COMMA: Final = re.compile(r",(\s*[\]}])")
_BARE_NAME: Final = re.compile(r"([{,]\s*)(\w+)(\s*:)")
_COLUMN: Final = re.compile(r"( line \d+) column \d+")


@dataclass(frozen=True, slots=True)
class Mark:
    """A face, or with no_face a place without one, in frame pixels whose centres lie at integers.

    points: of a box and of no_face the corners left top and right bottom; of eyes, left first as
    seen in the picture; of points5 the eyes, the tip of the nose, the corners of the mouth, left
    first; of points all 68, in the iBUG order.
    """

    kind: Kind
    points: tuple[tuple[float, float], ...]

    @property
    def places(self) -> Doubles:
        """The points as (K, 2)."""
        return np.array(self.points, np.float64)

    def plain(self) -> dict[str, list[Any]]:
        """The mark as it is written in JSON."""
        pairs = [[_short(each) for each in point] for point in self.points]
        is_box = self.kind in ("box", "no_face")
        return {self.kind: [*pairs[0], *pairs[1]] if is_box else pairs}


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of a footage by frame, ascending; None: that frame is still to be marked."""

    frames: Mapping[int, tuple[Mark, ...] | None]

    @classmethod
    def empty(cls) -> Marks:
        """Nothing is marked."""
        return cls({})

    def at(self, frame: int) -> tuple[Mark, ...] | None:
        """Return the marks of a frame, () when it has no face; None when nothing was said of it."""
        return self.frames.get(frame)

    @property
    def known(self) -> dict[int, tuple[Mark, ...]]:
        """The frames of which something is said."""
        return {frame: marks for frame, marks in self.frames.items() if marks is not None}

    def with_blanks(self, frames: Iterable[int]) -> Marks:
        """Return these marks, with blanks for those of `frames` that nobody has marked.

        Blanks of other frames go. `extract --fix` leaves them to be filled in.
        """
        known = self.known
        blanks: dict[int, tuple[Mark, ...] | None] = {
            frame: None for frame in frames if frame not in known
        }
        return Marks(dict(sorted({**known, **blanks}.items())))


@dataclass(frozen=True, slots=True)
class FrameNames:
    """The frames of a footage by all that people call them.

    count: how many there are. footage: what it is called. names: of the pictures of a folder, by
    frame.
    """

    count: int
    footage: str = "the footage"
    names: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, footage: Footage) -> FrameNames:
        """Those of a footage."""
        names = footage.frame_names if isinstance(footage, ImageSequence) else ()
        by_name = {name: frame for frame, name in enumerate(names)}
        return cls(len(footage), footage.path.name, by_name)

    def number(self, name: object) -> int:
        """The number of the frame that is called so. Raises BadData."""
        text = str(name).strip()
        match = _NUMBER.fullmatch(text)
        counted = int(match[1]) if match else None
        named = self.names.get(text)
        if counted is not None and named is not None and counted != named:
            raise _fault(
                f'"{text}" may be frame {counted}, or the picture of that name, which is frame'
                f" {named}",
                "Write the number of the frame",
            )
        frame = counted if named is None else named
        if frame is None or isinstance(name, bool | float):
            raise _fault(
                f"{_show(name)} is no frame of {self.footage}",
                f"Write a number from 0 to {self.count - 1}, or the name of its picture",
            )
        if frame >= self.count:
            raise _fault(
                f"frame {frame} is not in {self.footage}",
                f"It has frames 0 to {self.count - 1}; take that entry out, or correct it",
            )
        return frame


def read_marks(path: Path, frames: FrameNames) -> Marks:
    """Return the marks in the file at `path`.

    Args:
        path: Of the file.
        frames: Those of the footage that was marked.

    Raises:
        BadMedia: Missing, unreadable, too large, or not marks; names the place in it.
    """
    try:
        text = _as_json(data_files.decode_text(data_files.read_bytes(path), str(path)))
        value = data_files.parse_json(text, str(path))
    except BadData as error:
        # The column is that of the text as it was mended here.
        reason = _COLUMN.sub(r"\1", error.reason)
        raise BadMedia(
            f"{path}: marks {reason}. Mend it there, or take the file away; --fix makes a new one."
            f" {_EXAMPLE}"
        ) from None
    found: dict[int, tuple[Mark, ...] | None] = {}
    try:
        for key, again in data_files.doubled_keys(text):
            raise _fault(
                f"{_show(key)} is there twice, then as {_show(again)}",
                "Keep one, or put its marks into one list",
            )
        for name, faces in _entries(value):
            frame = frames.number(name)
            if frame in found:
                raise _fault(f"frame {frame} is there twice", "Put its marks into one list")
            found[frame] = parse_faces(faces, f"frame {frame}")
    except BadData as error:
        raise BadMedia(f"{path}: {error.reason}. {_EXAMPLE}") from None
    return Marks(dict(sorted(found.items())))


def parse_faces(value: object, where: str) -> tuple[Mark, ...] | None:
    """Return the marks that JSON says of one frame: one mark, a list of them, or null.

    where: the frame, for the message. Raises BadData.
    """
    if value is None:
        return None
    single = isinstance(value, dict) or _is_bare(value)
    faces = [value] if single else value
    if not isinstance(faces, list) or len(faces) > MAX_FACES:
        raise _fault(
            f"{where}: no marks of faces: {_show(value)}",
            f"Write a list of at most {MAX_FACES} marks, [] for no face, or null",
        )
    many = len(faces) > 1
    return tuple(
        _parse_mark(each, f"{where}, face {number}" if many else where)
        for number, each in enumerate(faces, 1)
    )


def write_marks(path: Path, marks: Marks) -> None:
    """Write the marks to `path`, all or nothing, one frame a line. Raises CannotWrite."""
    lines = [
        f'"{frame}": ' + json.dumps(None if each is None else [mark.plain() for mark in each])
        for frame, each in marks.frames.items()
    ]
    frames = ",\n  ".join(lines)
    write_text(path, f'{{"version": 1, "frames": {{\n  {frames}\n}}}}\n')


def _as_json(text: str) -> str:
    """The text without what JSON forbids and hands write all the same."""
    text = text if '"' in text else text.replace("'", '"')
    return _BARE_NAME.sub(r'\1"\2"\3', _LOOSE_COMMA.sub(r"\1", text))


def _entries(value: object) -> Iterator[tuple[object, object]]:
    """Each frame as it is called, and what is said of it. Raises BadData."""
    if isinstance(value, dict) and ("frames" in value or "version" in value):
        if value.get("version", 1) != 1 or isinstance(value.get("version"), bool):
            raise _fault(
                f"version {_show(value['version'])} is not known, only 1",
                "Update Understudy, or write 1",
            )
        if others := sorted(set(value) - {"version", "frames"}):
            raise _fault(f"{_show(others[0])} stands beside the frames", 'Put it into "frames"')
        value = value.get("frames", {})
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        for number, each in enumerate(value, 1):
            if not isinstance(each, dict) or "frame" not in each:
                raise _fault(f"entry {number} does not say of which frame it is", "Add a frame")
            rest = {name: item for name, item in each.items() if name != "frame"}
            yield each["frame"], rest.get("faces", []) if set(rest) <= {"faces"} else rest
    else:
        raise _fault(f"no marks: {_show(value)}", "Write an object of frames")


def _parse_mark(value: object, where: str) -> Mark:
    if _is_bare(value):
        # Four numbers are a box; two, five or 68 pairs say by their count what they are.
        value = {"box" if _is_numbers(value) else "points": value}
    if not isinstance(value, dict):
        raise _fault(f"{where}: no mark: {_show(value)}", "Write a box, eyes, points5 or points")
    given = {name: item for name, item in value.items() if item is not None}
    if len(given) != 1 or not set(given) <= set(_COUNTS):
        wrong = sorted(set(given) - set(_COUNTS))
        raise _fault(
            f"{where}: a mark has one of box, eyes, points5, points and no_face, here:"
            f" {', '.join(map(_show, wrong or given)) or 'none'}",
            "Two faces of a frame are two marks in a list"
            if given and not wrong
            else 'Write, say, {"eyes": [[240, 130], [300, 131]]}',
        )
    kind, points = next(iter(given.items()))
    pairs = _pairs(points, where, kind)
    if kind == "points" and len(pairs) in (2, 5):
        kind = "eyes" if len(pairs) == 2 else "points5"
    if len(pairs) != _COUNTS[kind]:
        numbers = 2 * len(pairs) if kind in ("box", "no_face") else len(pairs)
        raise _fault(f"{where}: {_WANTED[kind]}, here are {numbers}", "Correct it")
    _check_shape(kind, pairs, where)
    return Mark(kind, tuple(pairs))


def _check_shape(kind: Kind, pairs: list[tuple[float, float]], where: str) -> None:
    (x0, y0), (x1, y1) = pairs[:2]
    if kind in ("box", "no_face"):
        if x0 < x1 and y0 < y1:
            return
        hint = "Correct it"
        if x1 > 0 and y1 > 0:
            as_sides = ", ".join(str(_short(each)) for each in (x0, y0, x0 + x1, y0 + y1))
            hint = f"If these are left, top, width and height, write {as_sides}"
        raise _fault(
            f"{where}: {_WANTED[kind]}: right of left, below top; here"
            f" {_show([_short(each) for each in (x0, y0, x1, y1)])}",
            hint,
        )
    if len(set(pairs)) < min(len(pairs), 3):
        raise _fault(f"{where}: the points of a face do not coincide", "Correct it")


def _pairs(value: object, where: str, kind: str) -> list[tuple[float, float]]:
    """Points as pairs, from pairs, from plain numbers, or from {"x": …, "y": …}."""
    if _is_numbers(value) and isinstance(value, list):
        if len(value) % 2:
            wanted = next(text for name, text in _WANTED.items() if name == kind)
            raise _fault(f"{where}: {wanted}, here are {len(value)} numbers", "Correct it")
        value = [value[at : at + 2] for at in range(0, len(value), 2)]
    if not isinstance(value, list):
        raise _fault(f"{where}, {kind}: no list of numbers: {_show(value)}", "Correct it")
    points = []
    for each in value:
        if isinstance(each, dict) and set(each) == {"x", "y"}:
            each = [each["x"], each["y"]]
        if not (isinstance(each, list) and len(each) == 2 and _is_numbers(each)):
            raise _fault(f"{where}, {kind}: not a point [x, y]: {_show(each)}", "Correct it")
        x, y = float(each[0]), float(each[1])
        if not (abs(x) <= _FARTHEST and abs(y) <= _FARTHEST):
            raise _fault(f"{where}, {kind}: far outside any picture: {_show(each)}", "Correct it")
        points.append((x, y))
    return points


def _is_numbers(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(
            isinstance(each, int | float) and not isinstance(each, bool) and math.isfinite(each)
            for each in value
        )
    )


def _is_bare(value: object) -> bool:
    """Whether a face is given by its numbers or points alone, without a word what they are."""
    if not isinstance(value, list) or not value:
        return False
    return _is_numbers(value) or all(_is_numbers(each) and len(each) == 2 for each in value)


def _short(number: float) -> float | int:
    return int(number) if number == int(number) else number


def _show(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _fault(what: str, advice: str) -> BadData:
    return data_files.bad_data("marks", f"{what}. {advice}")


_EXAMPLE: Final = (
    'A line reads, say, "118": {"box": [210, 80, 330, 230]}; the manual page marks has all forms.'
)
