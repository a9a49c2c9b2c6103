"""The segments of a merge: ranges of frames, rendered and kept by a key of what they depend on.

A segment is named by a hash of all that went into it. Its record says that it is finished, whoever
made it, and whatever was asked for in between, and how its files are known again. At the end they
are concatenated.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from understudy.core.compose.options import CompositeOptions
from understudy.errors import BadData, BadMedia, CannotWrite
from understudy.io import atomic, data_files, system
from understudy.io.footage.base import Footage
from understudy.io.video import segment_file
from understudy.io.video.concat import EncodedPart
from understudy.io.video.encode_options import EncodeOptions, resolve_encoding
from understudy.stages.merge.context import MergeContext
from understudy.stages.parallel.chunks import split_into_chunks

# What starting an encoder costs does not count in so much time, and what a killed run loses does
# not hurt.
_SECONDS = 4
# Bytes for a pixel that no picture of a camera stays below: at crf 16, and as prores.
_LEAST: Final = {"h264": 0.006, "h265": 0.004, "prores": 0.2}
# The same of a PNG.
_LEAST_PICTURE: Final = 0.3
# To be raised when the same input gives another picture: what was rendered before is then rendered
# again.
_RENDERER: Final = 3
_RECORD: Final = re.compile(r"([0-9a-f]{32})\.(?:json|begun)")


class SegmentRecord(BaseModel):
    """What there is to tell of a finished segment.

    bare: frames without a face. failed: frame and reason. defaults: of the options that affect the
    picture, when it was rendered. A key names only what differs from them. files: name of each file
    and its `segment_file.digest`. check: SHA-256 of all the other values.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bare: tuple[int, ...] = ()
    failed: tuple[tuple[int, str], ...] = ()
    defaults: dict[str, Any] = {}
    files: dict[str, str] = {}
    check: str = ""

    def is_of(self, defaults: Mapping[str, Any]) -> bool:
        """Whether no default has changed since; options that came later did nothing before."""
        return all(self.defaults.get(name, value) == value for name, value in defaults.items())

    def checked(self) -> Self:
        """The same with its `check`."""
        text = self.model_dump_json(exclude={"check"})
        return self.model_copy(update={"check": hashlib.sha256(text.encode()).hexdigest()})


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
        return self.folder / f"{segment.key}{segment_file.SUFFIX}"

    def matte(self, segment: Segment) -> Path:
        """The file of its masks."""
        return self.folder / f"{segment.key}.matte{segment_file.SUFFIX}"

    def record_of(self, segment: Segment) -> SegmentRecord | None:
        """What there is to tell of a segment; None while it is not finished."""
        try:
            record = data_files.read_json_as(self._record(segment), SegmentRecord)
        except BadData:
            # Not there, or damaged: then the segment is rendered again.
            return None
        is_whole = record == record.checked() and all(
            file.name in record.files and file.is_file() and not atomic.is_link(file)
            for file in self._files(segment)
        )
        return record if is_whole and record.is_of(self.defaults) else None

    def finish(self, segment: Segment, record: SegmentRecord) -> None:
        """Declare a segment finished, now that its files are there."""
        files = {file.name: segment_file.digest(file) for file in self._files(segment)}
        record = record.model_copy(update={"defaults": dict(self.defaults), "files": files})
        atomic.write_text(self._record(segment), record.checked().model_dump_json() + "\n")
        self._note(segment.key).unlink(missing_ok=True)

    def invalidate_damaged(self, segments: Sequence[Segment]) -> list[Segment]:
        """Take back that those are finished whose files have changed since; return those."""
        damaged = []
        for segment in segments:
            record = self.record_of(segment)
            if record is None:
                continue
            if all(_is_intact(file, record.files[file.name]) for file in self._files(segment)):
                # A run may have died before it could take the note away.
                if self._note(segment.key).is_file():
                    atomic.remove_files(self.folder, [self._note(segment.key).name])
            else:
                # What it names is still ours to remove.
                void = record.model_copy(update={"check": ""})
                atomic.write_text(self._record(segment), void.model_dump_json() + "\n")
                damaged.append(segment)
        return damaged

    def encoded_part(self, segment: Segment, *, matte: bool) -> EncodedPart:
        """A finished segment as what `concat` takes: its frames, or its masks."""
        record, file = self.record_of(segment), (self.matte if matte else self.video)(segment)
        if record is None:
            raise BadMedia(
                f"{file}: gone or changed since it was written. Run the same command again."
            )
        return EncodedPart(file, segment.frames, record.files[file.name])

    def begin(self, segment: Segment) -> None:
        """Note that its files are written from now on: should the run die, they are known as ours.

        `finish` takes the note away.
        """
        atomic.write_bytes(self._note(segment.key), b"")

    def remove_others(self, keys: Collection[str]) -> None:
        """Remove the files that the records of other segments name, then these records."""
        self._remove(self._found().difference(keys))

    def remove_former(self) -> None:
        """Remove the segments of former versions: films without a mark, and of no use now."""
        self._remove({key for key in self._found() if self._is_former(key)})

    def check_free_space(
        self,
        footage: Footage,
        options: EncodeOptions,
        kept: Sequence[Segment],
        frames: int,
        *,
        as_pictures: bool = False,
    ) -> None:
        """Raise CannotWrite when there is surely no room for so many frames more.

        The result needs room, too, beside the segments.
        """
        width, height = footage.plate_size
        if as_pictures:
            each = _LEAST_PICTURE * width * height
        elif options.bitrate:
            each = options.bitrate * 1e6 / 8 / float(footage.fps)
        else:
            codec = resolve_encoding(options, footage).codec
            share = _LEAST[codec] * (1 if codec == "prores" else 2 ** ((16 - options.crf) / 6))
            each = share * width * height
        new, old = each * frames, sum(self.video(segment).stat().st_size for segment in kept)
        # A video is written twice: without its mark, then with it. A picture is marked in memory.
        copies = 1 if as_pictures else 2
        needed = new + copies * (new + old)
        free = system.free_bytes(self.folder)
        if needed > free:
            raise CannotWrite(
                f"{self.folder}: {free / 1e9:.1f} GB are free, and this merge needs at least"
                f" {needed / 1e9:.1f}. Free some space, or choose a higher --encode.crf, a lower"
                " --encode.bitrate, or no --pictures."
            )

    def _files(self, segment: Segment) -> list[Path]:
        return [self.video(segment), *([self.matte(segment)] if self.has_matte else [])]

    def _found(self) -> set[str]:
        """The keys of all segments that have a record or a note."""
        if not self.folder.is_dir():
            return set()
        names = (path.name for path in self.folder.iterdir())
        return {each[1] for name in names if (each := _RECORD.fullmatch(name))}

    def _remove(self, keys: Collection[str]) -> None:
        if not keys:
            return
        others = {key: self._names(key) for key in keys}
        atomic.remove_files(self.folder, list(itertools.chain(*others.values())))
        records = [(f"{key}.json", self._note(key).name) for key, own in others.items() if own]
        atomic.remove_files(self.folder, list(itertools.chain(*records)))

    def _is_former(self, key: str) -> bool:
        """Whether its record is of a version that named no files in it."""
        try:
            return _is_former(data_files.read_json_as(self.folder / f"{key}.json", SegmentRecord))
        except BadData:
            return False

    def _names(self, key: str) -> list[str]:
        """The names of a segment's files, by its record and its note; none without either."""
        named = []
        if self._note(key).is_file():
            named = [f"{key}{segment_file.SUFFIX}", f"{key}.matte{segment_file.SUFFIX}"]
        with contextlib.suppress(BadData):
            record = data_files.read_json_as(self.folder / f"{key}.json", SegmentRecord)
            former = [f"{key}.mov", f"{key}.matte.mov"] if _is_former(record) else []
            named += record.files or former
        return [name for name in named if name.startswith(f"{key}.")]

    def _note(self, key: str) -> Path:
        return self.folder / f"{key}.begun"

    def _record(self, segment: Segment) -> Path:
        return self.folder / f"{segment.key}.json"


def _is_former(record: SegmentRecord) -> bool:
    """Whether a former version wrote it, which named no files, but these two always."""
    return not record.files and record.model_fields_set >= {"bare", "failed"}


def _is_intact(file: Path, sha256: str) -> bool:
    try:
        return segment_file.digest(file) == sha256
    except BadData:
        return False


def make_segments(context: MergeContext, chosen: Sequence[range]) -> list[Segment]:
    """Cut these ranges of the footage into segments, in their order."""
    return [
        Segment(frames, segment_key(context, frames))
        for frames in split_into_segments(context.footage, chosen)
    ]


def segment_key(context: MergeContext, frames: range) -> str:
    """A hash of all that the pictures of these frames depend on.

    Options go in where they affect the picture and differ from their defaults. So an option
    that comes later changes no key; for defaults that change see `SegmentRecord`. Places of
    faces, model, masks and weights go in as they are found, not by the options that led to
    them. The device does not go in: what it changes is far below what can be seen.
    """
    radius = context.keyframes.averaging.total
    around = range(max(0, frames.start - radius), min(len(context.footage), frames.stop + radius))
    # What holds for each frame, and not what it was before, counts of the composite; and of the
    # encoder what auto means for this footage.
    encode = resolve_encoding(context.options.encode, context.footage)
    resolved = context.options.model_copy(update={"encode": encode})
    options = {
        name: value
        for name, value in resolved.deviating("render").items()
        if name not in CompositeOptions.model_fields
    }
    parts = {
        "renderer": [_RENDERER, version("understudy"), version("av")],
        "footage": context.footage.fingerprint.model_dump(mode="json"),
        "frames": [frames.start, context.footage.pts[frames.start : frames.stop]],
        "weights": [context.iteration, *context.fingerprints],
        "looks": context.keyframes.to_json(around),
        "options": options,
    }
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    for face in _describe_faces(context, around):
        digest.update(face)
    return digest.hexdigest()[:32]


def _describe_faces(context: MergeContext, frames: range) -> Iterator[bytes]:
    """What is known of the faces in these frames, as bytes.

    How many there are elsewhere changes nothing.
    """
    runs: dict[int, int] = {}
    has_motion = max(context.keyframes.values_of("motion_blur")) > 0
    for frame in frames:
        for face in context.placements.get(frame, []):
            drawn = [(each.includes, each.points.tolist()) for each in face.polygons]
            # Which pictures tell its look does not go in: another of fifteen changes nothing that
            # can be seen.
            yield repr((frame, face.person, runs.setdefault(face.run, len(runs)), drawn)).encode()
            neighbours = (face.before, face.after) if has_motion else ()
            for value in (face.landmarks, face.face_from_frame, *neighbours):
                yield value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()


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
