"""Events that a stage yields while it runs, and orders that it takes; both travel as JSON lines.

A stage is a generator: `for event in stage(...)`. An order goes in by `.send()`; a stage looks at
it when it is safe to.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from understudy.core.metrics.outliers import Reason
from understudy.printable import as_message
from understudy.types import FaceType

# One line for people, whatever it repeats of a name or of an error that is not ours.
Message = Annotated[str, AfterValidator(as_message)]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Started(_Message):
    """A stage begins.

    total: steps in all, or None when nobody can know. done: of former runs. unit: what a step is
    ("frame", "iteration").
    """

    event: Literal["started"] = "started"
    stage: str
    total: int | None = None
    done: int = 0
    unit: str = "frame"


class Progress(_Message):
    """`done` steps are through. values: named numbers worth showing, e.g. losses."""

    event: Literal["progress"] = "progress"
    stage: str
    done: int
    total: int | None = None
    values: dict[str, float] = {}


class Note(_Message):
    """Something worth reading that needs no action."""

    event: Literal["note"] = "note"
    text: Message


class Warned(_Message):
    """Something that the user should look into; the run goes on."""

    event: Literal["warned"] = "warned"
    text: Message


class FailedFrame(_Message):
    """A frame that could not be done: passed through or left out; the exit code is not zero."""

    event: Literal["failed-frame"] = "failed-frame"
    frame: int
    text: Message


class Saved(_Message):
    """A file that a user may want to open now lies at `path`.

    what: "result", "preview", "checkpoint", "faceset", …
    """

    event: Literal["saved"] = "saved"
    what: str
    path: Path


class FaceRow(_Message):
    """One face of a faceset, as `Face` has it.

    pts: seconds, or None in stills. pose: pitch, yaw, roll. file: the picture. source: name of the
    footage that frame and track are of, "" = not known. marked: what became of a mark by hand,
    "points", "refined" or "laid in"; "" without one. gaze, lids: as `Faces` has them, None = not
    measured.
    """

    event: Literal["face"] = "face"
    frame: int
    pts: float | None
    box: tuple[float, ...]
    landmarks: tuple[tuple[float, float], ...]
    raw: tuple[tuple[float, float], ...]
    score: float
    track: int
    person: int
    pose: tuple[float, ...]
    face_type: FaceType
    filled: bool
    file: str
    source: str = ""
    marked: str = ""
    gaze: tuple[tuple[float, float], ...] | None = None
    lids: tuple[float, float] | None = None


class Suspicious(_Message):
    """A face worth a look.

    reason: see `core.metrics.outliers`. value: what was measured. bound: what it went over, or
    under.
    """

    event: Literal["suspicious"] = "suspicious"
    frame: int
    track: int
    person: int
    file: str
    reason: Reason
    value: float
    bound: float


class FaceGap(_Message):
    """Something that dst shows and src lacks.

    kind: what. faces, share: how many of dst's faces, and which part of them. axis, low, high: by
    what (see `core.metrics.coverage`), and between which values. nearest: src's nearest value.
    src_faces: how many of src's come near. frames: of dst, ranges. text: the same for people.
    """

    event: Literal["gap"] = "gap"
    kind: str
    faces: int
    share: float
    axis: str
    low: float
    high: float
    nearest: float
    src_faces: int
    frames: tuple[tuple[int, int], ...]
    text: Message


class Measured(_Message):
    """A row of a model's history.

    values: losses, or measurements on held-out faces. text: what happened, such as a change.
    """

    event: Literal["measured"] = "measured"
    model: str
    iteration: int
    values: dict[str, float] = {}
    text: Message = ""


class Finished(_Message):
    """A stage is through. summary: what it did, as plain values."""

    event: Literal["finished"] = "finished"
    stage: str
    summary: dict[str, Any] = {}


Event = (
    Started
    | Progress
    | Note
    | Warned
    | FailedFrame
    | Saved
    | FaceRow
    | Suspicious
    | FaceGap
    | Measured
    | Finished
)


class Stop(_Message):
    """Save what there is and end, as after Ctrl-C."""

    order: Literal["stop"] = "stop"


class Save(_Message):
    """Save now and go on."""

    order: Literal["save"] = "save"


class Backup(_Message):
    """Save now and keep that state until somebody deletes it."""

    order: Literal["backup"] = "backup"


class Change(_Message):
    """Change options that are marked live. options: nested values, e.g. {"save_minutes": 5}."""

    order: Literal["change"] = "change"
    options: dict[str, Any]


Order = Stop | Save | Backup | Change
Stage = Generator[Event, Order | None, None]

read_event: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])
read_order: TypeAdapter[Order] = TypeAdapter(Annotated[Order, Field(discriminator="order")])
