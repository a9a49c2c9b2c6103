"""`new`: a show from footage of two people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from understudy.errors import BadMedia
from understudy.io.footage.base import Footage, explain_unreadable
from understudy.io.footage.fingerprint import digest_files
from understudy.io.footage.options import FootageOptions
from understudy.io.video.audio import SoundOptions, choose_sound
from understudy.stages.events import Finished, Note, Saved, Stage, Warned
from understudy.stages.footage_notes import footage_notes, sound_notes
from understudy.stages.jobs import verb
from understudy.stages.project import CONSENT_OPTION, PROJECT_FILE, Consent, Project
from understudy.types import Side


class NewOptions(FootageOptions):
    """What `new` asks."""

    consent: Consent | None = CONSENT_OPTION


@verb
def new(show: Path, src: Path | list[Path], dst: Path, options: NewOptions) -> Stage:
    """Make a show: a folder that holds one swap, from footage of the src and of the dst.

    src: the person whose face is used; --src A --src B for several clips. dst: the footage whose
    face is replaced. Each a video, a folder of pictures, or one picture.
    """
    project = Project.planned(show, src, dst, options.consent, FootageOptions.of(options))
    yield from describe_clips(project, project.footages("src"))
    with project.open_footage("dst") as footage:
        yield from _describe_footage("dst", footage)
        # As a merge takes it over that is asked nothing else.
        yield from sound_notes(choose_sound(footage, SoundOptions(), ".mp4"), "new")
    project.save_new()
    yield Saved(what="project", path=project.folder / PROJECT_FILE)
    yield Finished(stage="new", summary={"show": str(project.folder)})


def describe_clips(project: Project, new: Sequence[Path]) -> Iterator[Note | Warned]:
    """What is told of footage that comes into src. new: which of the show's.

    Raises BadMedia where one has no frames, or is the same as another under another name.
    """
    known: dict[tuple[int, str], Path] = {}
    for path in project.footages("src"):
        if path in new:
            with project.open_footage("src", path) as footage:
                yield from _describe_footage("src", footage)
        elif not path.exists():
            continue
        with explain_unreadable(path):
            digest = digest_files(project.footage_files("src", path))
        if (first := known.setdefault(digest, path)) != path:
            raise BadMedia(f"{path}: the same as {first}. Give each clip once.")


def _describe_footage(side: Side, footage: Footage) -> Iterator[Note | Warned]:
    """What is told of a footage that comes into a show. Raises BadMedia where it has no frames."""
    if len(footage) == 0:
        raise BadMedia(f"{footage.path}: no frames. Give footage with at least one.")
    yield Note(text=f"{footage.path.name}: {_describe(side, footage)}")
    if side == "src" and _is_one_picture(footage):
        yield Note(
            text=(
                f"{footage.path.name}: shows one expression in one light. A model learns"
                " more from a video, or from a folder of photographs."
            )
        )
    yield from footage_notes(footage)


def _describe(side: Side, footage: Footage) -> str:
    """How much there is, how large, and how fast; src's pictures may be of any size."""
    width, height = footage.size
    if _is_one_picture(footage):
        return f"one picture, {width}x{height}"
    if side == "src" and not footage.is_video:
        return f"{len(footage)} pictures, the first {width}x{height}"
    count = "1 frame" if len(footage) == 1 else f"{len(footage)} frames"
    return f"{count}, {width}x{height}, {float(footage.fps):g} frames a second"


def _is_one_picture(footage: Footage) -> bool:
    return len(footage) == 1 and not footage.is_video
