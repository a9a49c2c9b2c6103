"""The segments of a merge: ranges of frames that are rendered, encoded and kept by themselves.

A segment's file is named by a hash of all that went into it. That it is there says that it is
finished, whoever made it, and whatever was asked for in between. At the end they are concatenated.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from understudy.errors import CannotWrite
from understudy.io import atomic, system
from understudy.io.footage.base import Footage
from understudy.io.video.concat import EncodedPart
from understudy.io.video.writer import EncodeOptions
from understudy.stages.parallel.chunks import split_into_chunks

# What starting an encoder costs does not count in so much time, and what a killed run loses does
# not hurt.
_SECONDS = 4
# Bytes for a pixel that no picture of a camera stays below: at crf 16, and as prores.
_LEAST_CRF, _LEAST_PRORES = 0.006, 0.2


class SegmentRecord(BaseModel):
    """What there is to tell of a finished segment.

    bare: frames without a face. failed: frame and reason. defaults: of the options that affect the
    picture, when it was rendered. A key names only what differs from them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bare: tuple[int, ...] = ()
    failed: tuple[tuple[int, str], ...] = ()
    defaults: dict[str, Any] = {}

    def is_of(self, defaults: Mapping[str, Any]) -> bool:
        """Whether no default has changed since; options that came later did nothing before."""
        return all(self.defaults.get(name, value) == value for name, value in defaults.items())


@dataclass(frozen=True, slots=True)
class Segment:
    """A range of frames. key: the hash of all that its pictures depend on."""

    frames: range
    key: str


@dataclass(frozen=True, slots=True)
class SegmentStore:
    """Where finished segments lie.

    has_matte: whether each comes with its masks as a second video. defaults: of the options that
    affect the picture.
    """

    folder: Path
    has_matte: bool
    defaults: Mapping[str, Any]

    def video(self, segment: Segment) -> Path:
        """The file of its frames."""
        return self.folder / f"{segment.key}.mov"

    def matte(self, segment: Segment) -> Path:
        """The file of its masks."""
        return self.folder / f"{segment.key}.matte.mov"

    def record_of(self, segment: Segment) -> SegmentRecord | None:
        """What there is to tell of a segment; None while it is not finished."""
        files = [self.video(segment), *([self.matte(segment)] if self.has_matte else [])]
        try:
            record = SegmentRecord.model_validate_json(self._record(segment).read_bytes())
        except (OSError, ValidationError):
            return None
        is_whole = all(file.is_file() for file in files)
        return record if is_whole and record.is_of(self.defaults) else None

    def finish(self, segment: Segment, record: SegmentRecord) -> None:
        """Declare a segment finished, now that its files are there."""
        record = record.model_copy(update={"defaults": dict(self.defaults)})
        atomic.write_text(self._record(segment), record.model_dump_json() + "\n")

    def remove_others(self, keys: Collection[str]) -> None:
        """Remove the files of other segments."""
        for file in self.folder.iterdir() if self.folder.is_dir() else ():
            if file.name.partition(".")[0] not in keys:
                file.unlink(missing_ok=True)

    def check_free_space(
        self, footage: Footage, options: EncodeOptions, kept: Sequence[Segment], frames: int
    ) -> None:
        """Raise CannotWrite when there is surely no room for so many frames more.

        The result needs room, too, beside the segments.
        """
        width, height = footage.size
        if options.bitrate:
            each = options.bitrate * 1e6 / 8 / float(footage.fps)
        else:
            share = (
                _LEAST_PRORES
                if options.codec == "prores"
                else _LEAST_CRF * 2 ** ((16 - options.crf) / 6)
            )
            each = share * width * height
        new, old = each * frames, sum(self.video(segment).stat().st_size for segment in kept)
        # The result is written twice: first without its mark.
        needed, free = 3 * new + 2 * old, system.free_bytes(self.folder)
        if needed > free:
            raise CannotWrite(
                f"{self.folder}: {free / 1e9:.1f} GB are free, and this merge needs at least"
                f" {needed / 1e9:.1f}. Free some space, or choose a higher --encode.crf or a lower"
                " --encode.bitrate."
            )

    def _record(self, segment: Segment) -> Path:
        return self.folder / f"{segment.key}.json"


def split_into_segments(footage: Footage, chosen: Sequence[range]) -> list[range]:
    """Cut ranges of the footage where segments begin.

    The same footage is always cut in the same places.
    """
    pieces = [
        chunk.frames
        for chunk in split_into_chunks(footage, 1, max(24, round(_SECONDS * footage.fps)))
    ]
    cut = (
        range(max(one.start, other.start), min(one.stop, other.stop))
        for one in chosen
        for other in pieces
    )
    return [frames for frames in cut if frames]


def group_consecutive(segments: Sequence[Segment]) -> list[list[Segment]]:
    """The segments in groups of those that follow one another."""
    result: list[list[Segment]] = []
    for before, segment in itertools.pairwise([None, *segments]):
        assert segment is not None
        if before is None or before.frames.stop != segment.frames.start:
            result.append([])
        result[-1].append(segment)
    return result


def as_encoded_parts(
    segments: Sequence[Segment], store: SegmentStore, *, matte: bool
) -> list[EncodedPart]:
    """The segments as what `join` takes: their frames, or their masks."""
    return [
        EncodedPart((store.matte if matte else store.video)(segment), segment.frames)
        for segment in segments
    ]
