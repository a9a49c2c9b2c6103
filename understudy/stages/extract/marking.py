"""What `extract` leaves for a person who marks faces: marks.json, and pictures to measure on."""

from __future__ import annotations

import io
import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import ValidationError

from understudy.core.drawing.overlay import draw_overlay
from understudy.core.drawing.pixel_grid import draw_pixel_grid
from understudy.core.image import as_bytes
from understudy.io import atomic
from understudy.io.faceset.manual_marks import FrameNames, Marks, read_marks, write_marks
from understudy.io.footage import stills
from understudy.io.footage.base import BadFrame, Footage
from understudy.io.provenance.manifest import Claim
from understudy.stages.events import Event, Order, Progress, Saved, Started, Stop
from understudy.stages.extract.options import ExtractOptions
from understudy.stages.extract.record import ExtractRecord
from understudy.stages.parallel.footage_reader import FootageHandle, open_reader
from understudy.types import Faces

# So many frames wait to be marked at most, evenly over those without a face: a person's work of an
# hour or two. The next run lists others.
MOST: Final = 200
_QUALITY: Final = 90
_OURS: Final = re.compile(r"frame-\d{6,}(-marked)?\.jpg")


@dataclass(frozen=True, slots=True)
class MarkingFiles:
    """Where the marks of a footage lie, and the pictures to measure on.

    state: the folder of what is known of it.
    """

    state: Path

    @property
    def marks(self) -> Path:
        """The file of marks."""
        return self.state / "marks.json"

    @property
    def pictures(self) -> Path:
        """The folder of pictures."""
        return self.state / "marks"

    def read(self, footage: Footage) -> Marks:
        """Return what is marked now. Raises BadMedia."""
        return (
            read_marks(self.marks, FrameNames.of(footage)) if self.marks.exists() else Marks.empty()
        )

    def remove_pictures(self) -> None:
        """Remove the pictures, as when they are of other footage."""
        self._remove_all_but(set())

    def ask(
        self,
        footage: Footage,
        film: FootageHandle,
        bare: Sequence[int],
        faces: Faces,
        claim: Claim | None,
    ) -> Generator[Event, Order | None, int | None]:
        """List frames without a face in the file, and draw pictures of them and of those marked.

        The file is read again before it is written: it may have been filled in meanwhile.

        Args:
            footage: Of the side.
            film: The same, for the processes of the run.
            bare: Frames without a face, ascending.
            faces: Those that were found, to be drawn where they were marked.
            claim: What is signed into the pictures, where the footage is marked as synthetic.

        Returns:
            How many frames wait; None when told to stop.
        """
        known = self.read(footage).known
        waiting = _evenly([frame for frame in bare if frame not in known])
        names = {frame: f"frame-{frame:06d}.jpg" for frame in waiting}
        with_result = _evenly(sorted(set(known) & set(faces.frame.tolist())))
        names |= {frame: f"frame-{frame:06d}-marked.jpg" for frame in with_result}
        self._remove_all_but(set(names.values()))
        # A picture to measure on stays as it is; what came of a mark may be another now.
        drawn = [
            frame
            for frame in sorted(names)
            if frame in known or not (self.pictures / names[frame]).exists()
        ]
        if drawn:
            yield Started(stage="draw frames to mark", total=len(drawn))
        for done, attempt in enumerate(
            open_reader(film, rough=False).iter_frames_or_bad(drawn) if drawn else (), 1
        ):
            frame = attempt.index
            if isinstance(attempt, BadFrame):
                # Nobody can mark what cannot be seen; the frame is told as failed already.
                del names[frame]
                continue
            picture = draw_pixel_grid(as_bytes(attempt.image))
            picture = draw_overlay(picture, faces[np.flatnonzero(faces.frame == frame)])
            data = stills.encode_image(picture, ".jpg", _QUALITY)
            path = self.pictures / names[frame]
            atomic.write_bytes(path, claim.sign_picture(io.BytesIO(data), path) if claim else data)
            order = yield Progress(stage="draw frames to mark", done=done, total=len(drawn))
            if isinstance(order, Stop):
                return None
        before = self.read(footage)
        marks = before.with_blanks(frame for frame in waiting if frame in names)
        if marks != before:
            write_marks(self.marks, marks)
        if marks.frames:
            yield Saved(what="marks", path=self.marks)
        if names:
            yield Saved(what="frames to mark", path=self.pictures)
        return sum(each is None for each in marks.frames.values())

    def _remove_all_but(self, names: set[str]) -> None:
        if self.pictures.is_dir():
            there = {each.name for each in self.pictures.iterdir()}
            atomic.remove_files(
                self.pictures, {name for name in there - names if _OURS.fullmatch(name)}
            )


def keep_finder(state: Path, options: ExtractOptions) -> ExtractOptions:
    """Return the options with what found the faces that are there, in place of nothing but marks.

    `--detector manual --fix` means the frames that are left: other faces would be moved aside.

    Args:
        state: The folder of what is known of the footage.
        options: As they were asked for.
    """
    known = ExtractRecord.load(state)
    if options.redo or not options.fix or options.detector != "manual" or known is None:
        return options
    try:
        former = ExtractOptions.model_validate(known.finding)
    except ValidationError:
        return options
    return options.model_copy(update={name: getattr(former, name) for name in known.finding})


def _evenly(frames: list[int]) -> list[int]:
    """At most so many of the frames as are asked for at once, spread evenly."""
    if len(frames) <= MOST:
        return frames
    return [frames[round(at)] for at in np.linspace(0, len(frames) - 1, MOST).tolist()]
