"""`new`: a show from footage of two people."""

from __future__ import annotations

from pathlib import Path

from understudy.errors import BadMedia
from understudy.io.footage.base import Footage
from understudy.io.footage.options import FootageOptions
from understudy.io.video.audio import SoundOptions, choose_sound
from understudy.stages.events import Finished, Note, Saved, Stage
from understudy.stages.footage_notes import footage_notes, sound_notes
from understudy.stages.jobs import verb
from understudy.stages.project import CONSENT_OPTION, PROJECT_FILE, Consent, Project
from understudy.types import Side


class NewOptions(FootageOptions):
    """What `new` asks."""

    consent: Consent | None = CONSENT_OPTION


@verb
def new(show: Path, src: Path, dst: Path, options: NewOptions) -> Stage:
    """Make a show: a folder that holds one swap, from footage of the src and of the dst.

    src: the person whose face is used. dst: the footage whose face is replaced. Each a video, a
    folder of pictures, or one picture.
    """
    project = Project.planned(show, src, dst, options.consent, FootageOptions.of(options))
    sides: tuple[Side, ...] = ("src", "dst")
    for side in sides:
        with project.open_footage(side) as footage:
            if len(footage) == 0:
                raise BadMedia(f"{footage.path}: no frames. Give footage with at least one.")
            yield Note(text=f"{footage.path.name}: {_describe(footage)}")
            if side == "src" and _is_one_picture(footage):
                yield Note(
                    text=(
                        f"{footage.path.name}: shows one expression in one light. A model learns"
                        " more from a video, or from a folder of photographs."
                    )
                )
            yield from footage_notes(footage)
            if side == "dst":
                # As a merge takes it over that is asked nothing else.
                yield from sound_notes(choose_sound(footage, SoundOptions(), ".mp4"), "new")
    project.save_new()
    yield Saved(what="project", path=project.folder / PROJECT_FILE)
    yield Finished(stage="new", summary={"show": str(project.folder)})


def _describe(footage: Footage) -> str:
    """How much there is, how large, and how fast."""
    width, height = footage.size
    if _is_one_picture(footage):
        return f"one picture, {width}x{height}"
    count = "1 frame" if len(footage) == 1 else f"{len(footage)} frames"
    return f"{count}, {width}x{height}, {float(footage.fps):g} frames a second"


def _is_one_picture(footage: Footage) -> bool:
    return len(footage) == 1 and not footage.is_video
