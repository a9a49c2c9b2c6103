"""What `extract` asks, and what of it decides which faces are found and how they are cut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ValidationError

from understudy.options import Affects, OptionGroup, Options, option
from understudy.parts.detectors import Detector, detectors
from understudy.parts.dlib_extra import is_installed
from understudy.parts.identities import identities
from understudy.parts.landmarkers import Landmarker, landmarkers
from understudy.registry import NameIn, with_parts
from understudy.stages.parallel.workers import Engine
from understudy.types import FaceType

Quality = Literal["fast", "default", "best"]

# What a quality means where nothing else is said.
PRESETS: dict[Quality, dict[str, Any]] = {
    "fast": {
        "steady": "filter",
        "blazeface": {"rotations": "none", "tiles": 0},
        "facemesh": {"passes": 2, "crops": 2},
        "sample": 24,
    },
    "default": {},
    "best": {"facemesh": {"crops": 8}, "blazeface": {"tiles": 1}, "format": "png", "sample": 6},
}

_FINDING = OptionGroup("finding", "Where faces are looked for, and what steadies them")
_PICTURES = OptionGroup("pictures", "How face pictures are kept")
_WORK = OptionGroup("work", "Where the work is done")


@with_parts(detectors, landmarkers, identities, affects="detect")
class ExtractOptions(Options):
    """What `extract` asks. The settings of a part stand under its name."""

    quality: Quality = option(
        "default",
        "How thorough: what fast and best set is in the manual; any option set by itself wins",
        usual=True,
    )
    detector: Annotated[str, NameIn("detectors")] = option(
        "blazeface", "What finds faces", affects="detect", usual=True
    )
    landmarker: Annotated[str, NameIn("landmarkers")] = option(
        "facemesh", "What finds the 68 points of a face", affects="detect", usual=True
    )
    region: tuple[float, float, float, float] = option(
        (0, 0, 1, 1),
        "Look for faces only here: left, top, right, bottom",
        unit="shares of the frame",
        affects="detect",
        group=_FINDING,
    )
    identity: Annotated[str, NameIn("identities", ("auto", "none"))] = option(
        "auto",
        "What tells people apart; auto = dlib-resnet where it is installed, none = nothing",
        affects="detect",
        group=_FINDING,
    )
    sample: int = option(
        12,
        "Ask who a face is in every n-th frame, and wherever a face comes up or meets another",
        low=1,
        affects="detect",
        group=_FINDING,
    )
    steady: Literal["flow", "filter", "off"] = option(
        "flow",
        "What takes the tremble out of the points: flow = optical flow, filter = a zero-phase"
        " filter, off = nothing",
        affects="detect",
        group=_FINDING,
    )
    fill: float = option(
        0.25,
        "Carry a face over gaps of up to so long, in which nothing found it",
        low=0,
        high=1,
        unit="seconds",
        affects="detect",
        group=_FINDING,
    )
    every: int = option(1, "Take every n-th frame only", low=1, affects="detect", usual=True)

    face_type: FaceType = option(
        "full",
        "How much of the head the pictures show; a model needs its own type or a wider one",
        affects="crop",
        usual=True,
    )
    size: int = option(
        512, "Side of the pictures", low=256, high=2048, unit="pixels", affects="crop", usual=True
    )
    format: Literal["jpg", "png"] = option(
        "jpg",
        "Kind of picture; png loses nothing and is 4 to 5 times as large",
        affects="crop",
        group=_PICTURES,
    )
    jpg_quality: int = option(
        95, "Quality of jpg", low=1, high=100, affects="crop", group=_PICTURES
    )
    eyes: bool = option(
        True,
        "Measure where the eyes look and how far they are open, and keep it in the pictures",
        affects="crop",
        group=_PICTURES,
    )
    max_faces: int | None = option(
        None,
        "Keep only so many faces of a frame, the largest; not set = all",
        low=1,
        formerly=0,
        affects="crop",
        usual=True,
    )
    person: int | None = option(
        None,
        "Keep only this person, as the report numbers them; not set = all",
        low=0,
        formerly=-1,
        affects="crop",
        usual=True,
    )
    like: str | None = option(
        None,
        "Keep only the person on this picture; not set = all",
        formerly="",
        affects="crop",
        usual=True,
    )
    debug: Literal["off", "jpg", "video"] = option(
        "off",
        "Also draw what was found onto the frames, as pictures or as one video",
        affects="crop",
        usual=True,
    )

    fix: bool = option(
        False,
        "List the frames without a face in marks.json, to be marked by hand, beside pictures to"
        " measure on; marks there are always used",
        usual=True,
    )
    redo_missing: bool = option(
        False,
        "Look again at the frames whose debug picture was deleted, with the options given now",
        group=_FINDING,
    )
    redo: bool = option(
        False, "Start anew; the old faces are moved to faces_old_N beside, not deleted", usual=True
    )
    restore_removed: bool = option(
        False,
        "Bring back the faces that were removed by hand; else they stay removed, whatever else is"
        " asked",
        usual=True,
    )
    same_shot: bool = option(
        False,
        "The footage is the same shot, frame by frame, as the one that was there, in another grade"
        " or encode: what was removed by hand stays removed",
        group=_FINDING,
    )
    workers: int | None = option(
        None,
        "Processes that share the work; not set = one a CPU core",
        low=1,
        high=1024,
        formerly=0,
        group=_WORK,
    )
    engine: Engine = option(
        "local", "Where they run: local = this machine, ray = a Ray cluster", group=_WORK
    )

    def preset(self) -> ExtractOptions:
        """The same with what `quality` says wherever nothing was set."""
        return ExtractOptions.layered(PRESETS[self.quality], self.set_values(), where="extract")

    def with_identity(self) -> ExtractOptions:
        """The same with what tells people apart in place of auto."""
        if self.identity != "auto":
            return self
        identity = "dlib-resnet" if is_installed() else "none"
        return self.model_copy(update={"identity": identity})

    @property
    def follows_flow(self) -> bool:
        """Whether points are followed from frame to frame."""
        return self.steady == "flow" and self.every == 1

    @property
    def asks_for_marks(self) -> bool:
        """Whether frames without a face are listed, to be marked by hand."""
        return self.fix or self.detector == "manual"

    def detector_part(self) -> Detector:
        """The detector with its settings. Raises BadOption."""
        return detectors.configured(self.detector, self)

    def landmarker_part(self) -> Landmarker:
        """The landmarker with its settings. Raises BadOption."""
        return landmarkers.configured(self.landmarker, self)

    def finding(self) -> dict[str, Any]:
        """What decides which faces are found and where their points lie, as plain values.

        Parts that are not in use are left out.
        """
        in_use: list[Options] = [self.detector_part(), self.landmarker_part()]
        if (identity := self.with_identity().identity) != "none":
            in_use.append(identities.configured(identity, self))
        unused = {
            name for name, value in self if isinstance(value, Options) and value not in in_use
        }
        return self._plain("detect", unused)

    def cutting(self) -> dict[str, Any]:
        """What decides which of them become pictures, and how."""
        return self._plain("crop", set())

    @classmethod
    def changes(
        cls, before: Mapping[str, Any], after: Mapping[str, Any], affects: Affects
    ) -> list[str]:
        """Dotted names of the options that differ between two results of `finding` or `cutting`.

        Both are read as options of today. What one does not name has its default there: the option
        came later, or belongs to a part that is not in use.
        """
        try:
            old, new = (
                cls.model_validate(dict(each)).affecting(affects) for each in (before, after)
            )
        except ValidationError as error:
            # An option or a value that is no more: nobody knows what it would be today.
            return sorted({".".join(map(str, each["loc"])) for each in error.errors()})
        return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))

    def _plain(self, affects: Affects, unused: set[str]) -> dict[str, Any]:
        names = {name.partition(".")[0] for name in self.affecting(affects)}
        return self.model_dump(mode="json", include=names - unused)
