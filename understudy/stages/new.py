"""`new`: a show from two footages."""

from __future__ import annotations

from pathlib import Path

from understudy.errors import BadMedia
from understudy.io.footage.options import FootageOptions
from understudy.io.video.audio import SoundOptions, choose_sound
from understudy.options import option
from understudy.stages.events import Finished, Note, Saved, Stage
from understudy.stages.footage_notes import footage_notes, sound_notes
from understudy.stages.jobs import verb
from understudy.stages.project import PROJECT_FILE, Project
from understudy.types import Side


class NewOptions(FootageOptions):
    """What `new` asks."""

    consent: str | None = option(
        None,
        "Who agreed to what, and where that is written down; kept in the project file",
        formerly="",
    )


@verb
def new(show: Path, src: Path, dst: Path, options: NewOptions) -> Stage:
    """Make a show: a folder that holds one swap, from footage of the src and of the dst.

    src: the person whose face is used. dst: the footage whose face is replaced. Both a video or a
    folder of pictures.
    """
    project = Project.planned(show, src, dst, options.consent, FootageOptions.of(options))
    sides: tuple[Side, ...] = ("src", "dst")
    for side in sides:
        with project.open_footage(side) as footage:
            if len(footage) == 0:
                raise BadMedia(f"{footage.path}: no frames. Give footage with at least one.")
            width, height = footage.size
            yield Note(
                text=(
                    f"{footage.path.name}: {len(footage)} frames, {width}x{height},"
                    f" {float(footage.fps):g} frames a second"
                )
            )
            yield from footage_notes(footage)
            if side == "dst":
                # As a merge takes it over that is asked nothing else.
                yield from sound_notes(choose_sound(footage, SoundOptions(), ".mp4"), "new")
    project.save_new()
    yield Saved(what="project", path=project.folder / PROJECT_FILE)
    yield Finished(stage="new", summary={"show": str(project.folder)})
