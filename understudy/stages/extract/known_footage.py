"""Whether a show's footage is still what its faces were found in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from understudy.core.tracking.places import match_places, places_of
from understudy.errors import BadMedia, BadProject
from understudy.io.faceset.faceset import Faceset
from understudy.io.footage.base import Footage, explain_unreadable
from understudy.io.footage.fingerprint import FootageFingerprint
from understudy.options import Options, option
from understudy.printable import name_some
from understudy.stages.events import Note
from understudy.stages.extract.clip import Clip
from understudy.stages.extract.clips import clip_of, find_clips
from understudy.stages.extract.record import ExtractRecord, frame_sizes
from understudy.stages.project import Project
from understudy.types import Doubles, Faces, Side


class SameShotOptions(Options):
    """What is asked where faces are used together with the footage that they were found in."""

    same_shot: bool = option(
        False,
        "Take a dst that is not the file its faces were extracted from, but the same shot frame by"
        " frame: another grade or encode. It must have as many frames, as large",
    )


def require_known_footage(
    project: Project, side: Side, footage: Footage, *, same_shot: bool = False
) -> Iterator[Note]:
    """Raise BadProject when the faces of a side were found in other footage than this.

    Faces that were not extracted in this show are believed. same_shot: footage of the same length
    and size is taken, and a note says so.
    """
    record = ExtractRecord.load(clip_of(project, side, footage.path).state)
    if record is None:
        return
    known, now = record.with_source_of(footage).source, footage.fingerprint
    if known == now:
        return
    changed = [f"{now.frames} frames, were {known.frames}"] if now.frames != known.frames else []
    if isinstance(known, FootageFingerprint) and now.size != known.size:
        changed.append("{}x{} pixels, were {}x{}".format(*now.size, *known.size))
    if same_shot and not changed:
        yield Note(
            text=(
                f"{footage.path.name}: another file than the faces of {side} were found in, taken"
                " as the same shot (--same-shot)"
            )
        )
        return
    way = (
        ""
        if changed
        else (
            " If it is the same shot frame by frame, in another grade or encode, take it as it is:"
            " --same-shot."
        )
    )
    raise BadProject(
        f"{footage.path}: not the footage in which the faces of {side} were found"
        f" ({', '.join(changed) or 'other files, though as many frames of that size'}), so they"
        " would come to lie in the wrong places. Extract them again: understudy extract"
        f" {project.folder} {side}; or put back the footage that was there.{way}"
    )


def rows_of_footage(
    project: Project, side: Side, faceset: Faceset, footage: Footage
) -> NDArray[np.bool_]:
    """(N,) which faces of a side were found in its footage; others were gathered from elsewhere.

    Faces that are all of one footage are believed, as those that were not extracted in this show.
    Raises BadProject when they are of several, and none of them is this one.
    """
    ours = match_footage(project, side, faceset, footage)
    if not ours.any() and len(faceset):
        names = name_some([each.name for each in faceset.footages])
        raise BadProject(
            f"{faceset.folder}: faces of several clips ({names}), none of which is"
            f" {footage.path.name}, so nobody knows which of its frames they belong in. Extract"
            f" them again: understudy extract {project.folder} {side}."
        )
    return ours


def rows_of_clips(
    project: Project, side: Side, faceset: Faceset, clips: Sequence[Footage]
) -> list[NDArray[np.bool_]]:
    """As `rows_of_footage`, of each clip of a side. Raises BadProject where no face is of any."""
    if len(clips) == 1:
        return [rows_of_footage(project, side, faceset, clips[0])]
    ours = [match_footage(project, side, faceset, clip) for clip in clips]
    if not np.any(ours):
        raise BadProject(
            f"{faceset.folder}: no face of any of {side}'s {len(clips)} clips. Extract them:"
            f" understudy extract {project.folder} {side}."
        )
    return ours


def match_footage(
    project: Project, side: Side, faceset: Faceset, footage: Footage
) -> NDArray[np.bool_]:
    """(N,) as `rows_of_footage`; none, where the faces are of several footages and none is this."""
    clip = clip_of(project, side, footage.path)
    if len(faceset.footages) <= 1 and clip.is_only:
        return _believed(faceset.faces)
    record, keys = ExtractRecord.load(clip.state), {footage.fingerprint.key}
    known = None if record is None else record.with_source_of(footage).source
    if isinstance(known, FootageFingerprint):
        keys.add(known.key)
    ours = [
        number
        for number, each in enumerate(faceset.footages)
        if each.key in keys or (not each.key and each.name == footage.path.name)
    ]
    return np.isin(faceset.faces.footage, ours)


def _believed(faces: Faces) -> NDArray[np.bool_]:
    """(N,) which of these are taken to be of one footage.

    All, but of those that say of none what lies where another does: the same face, imported.
    """
    result = faces.footage >= 0
    unknown = np.flatnonzero(~result)
    place = places_of(faces.landmarks, np.arange(len(faces)))
    found = match_places(faces.frame[unknown], place[unknown], faces.frame[result], place[result])
    result[unknown[found < 0]] = True
    return result


def known_frame_sizes(project: Project, side: Side, faceset: Faceset) -> Doubles:
    """How large the frame of each face is, (N, 2); NaN where nobody knows."""
    result = np.full((len(faceset), 2), np.nan)
    for clip in find_clips(project, side):
        # Of footage that cannot be read, nothing is known.
        with contextlib.suppress(BadMedia):
            if knows_clip(project, side, clip) is False:
                continue
            with project.open_footage(side, clip.footage) as footage:
                rows = match_footage(project, side, faceset, footage)
                # Photographs may each have a size of their own.
                has_sizes = side == "src" and not footage.is_video and len(footage) > 1
                frames = faceset.faces.frame[rows]
                result[rows] = (
                    frame_sizes(clip.state, int(frames.max(initial=0)) + 1)[frames]
                    if has_sizes
                    else footage.size
                )
    return result


def notes_on_gathered(faceset: Faceset, ours: NDArray[np.bool_], what: str) -> Iterator[Note]:
    """Note that faces of other footage are passed over; what: is done with the faces of it."""
    if not ours.all():
        others = np.unique(faceset.faces.footage[~ours])
        names = name_some([faceset.footages[each].name for each in others if each >= 0])
        yield Note(
            text=(
                f"{faceset.folder.parent.name}/{faceset.folder.name}: {int((~ours).sum())} faces"
                f" are of other footage ({names or 'nobody knows which'}); {what}."
            )
        )


def knows_footage(project: Project, side: Side) -> bool | None:
    """Whether a side's footage is what its faces were found in; told fast. None = nobody can tell.

    So it is where no footage is set or there, where the faces came from elsewhere, and with records
    of former versions. Of several clips it is told of all together.
    """
    if getattr(project.file, side) is None:
        return None
    told = [knows_clip(project, side, clip) for clip in find_clips(project, side)]
    return False if False in told else None if None in told else True


def knows_clip(project: Project, side: Side, clip: Clip) -> bool | None:
    """As `knows_footage`, of one clip."""
    record = ExtractRecord.load(clip.state)
    if record is None or not isinstance(record.source, FootageFingerprint):
        return None
    if not clip.footage.exists():
        return None
    with explain_unreadable(clip.footage):
        return record.source.has_same_files(project.footage_files(side, clip.footage))
