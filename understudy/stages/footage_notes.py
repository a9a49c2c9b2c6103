"""What is told of footage when a stage begins with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from understudy.io.footage.base import Footage
from understudy.io.video.audio import SoundPlan
from understudy.io.video.sound_encoder import Coding
from understudy.io.video.sound_tracks import SoundTrack
from understudy.stages.events import Note, Warned


def footage_notes(footage: Footage, prefix: str = "") -> Iterator[Note | Warned]:
    """Yield what is missing of the footage as warnings, and what else is odd about it as notes."""
    yield from (Warned(text=prefix + each) for each in footage.warnings)
    yield from (Note(text=prefix + each) for each in footage.notes)


def sound_notes(
    plan: SoundPlan | None, verb: Literal["new", "merge", "cut", "denoise"]
) -> Iterator[Note | Warned]:
    """Yield what becomes of each sound track in what the verb writes, where that needs a word.

    `new` tells of tracks that are copied, too. A track that is left out is a warning.
    """
    if plan is None:
        return
    for track in plan.tracks:
        head = f"{plan.sound.path.name}: sound track {track.number} ({track.told})"
        if track.is_empty:
            yield Note(text=f"{head} is left out: {track.why}.")
        elif track.becomes is None:
            yield Warned(text=f"{head} is left out: {track.why}. {_other_way(track, verb)}")
        elif isinstance(track.becomes, Coding):
            how = f"is coded anew as {track.becomes.told}"
            yield Note(text=f"{head} {how}: {track.why}. {_other_way(track, verb)}")
        elif verb == "new":
            yield Note(text=f"{head} is copied as it is.")


def sound_losses(plan: SoundPlan | None) -> Iterator[Warned]:
    """Yield what turned out to be lost of the sound while it was written."""
    yield from (Warned(text=text) for text in (plan.losses if plan else ()))


def _other_way(track: SoundTrack, verb: str) -> str:
    if verb in ("cut", "denoise") and track.kept_in:
        return f"Name the new file {track.kept_in} to keep it as it is."
    if track.kept_in == ".mov":
        return "To keep it as it is, merge with --encode.codec prores, which writes a .mov."
    if track.becomes is None:
        return "To keep it, convert it to AAC with the program that wrote it, or lay it in later."
    return f"For no sound at all: {'merge' if verb == 'new' else verb} --audio-track none."
