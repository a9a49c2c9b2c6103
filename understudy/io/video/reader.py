"""A video file as footage, through PyAV (FFmpeg's libraries)."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import av

from understudy.core.plate import as_seen
from understudy.errors import BadMedia
from understudy.io import memory_limit
from understudy.io.footage.base import BadFrame, Footage, explain_unreadable
from understudy.io.footage.options import FootageOptions
from understudy.io.video import color, faults, packets
from understudy.io.video.faults import FOREIGN, as_bad_media, reason
from understudy.io.video.fields import mark_fields, read_fields
from understudy.io.video.index import VideoIndex
from understudy.io.video.read_index import read_index
from understudy.types import Frame

# What opening may take, in bytes: the frames a decoder holds, and tables that a header asks for.
_INDEX_MEMORY = 900 << 20


class VideoFootage(Footage):
    """A video file as `Footage`. Frames that edit lists hide do not count."""

    def __init__(
        self,
        path: Path,
        *,
        reading: FootageOptions | None = None,
        index: VideoIndex | None = None,
        threads: int = 0,
        rough: bool = False,
    ) -> None:
        self.path = path
        self._threads, self._rough = threads, rough
        self._random: tuple[int, Generator[Frame]] | None = None
        with explain_unreadable(path):
            size = path.stat().st_size
        if index is not None and index.bytes != size:
            raise BadMedia(
                f"{path}: this is not the file that was looked at before. Start again with the file"
                " as it is now."
            )
        if index is None:
            try:
                with memory_limit.at_most(_INDEX_MEMORY):
                    index = read_index(path, reading or FootageOptions())
            except FOREIGN as error:
                raise faults.refusal(path, error) from error
        known = index
        self._index = known
        self.size, self.fps, self.time_base = known.size, known.fps, known.time_base
        self.pts, self.last_duration = known.pts, known.last_duration
        self.clock = known.clock
        self.color, self.bits, self.pixel_aspect = known.color, known.bits, known.pixel_aspect
        self.chroma, self.light = known.chroma, known.light
        self._plate_size = known.plate_size
        if known.field_order and known.reading.deinterlace != "off":
            self.choices = (f"deinterlace {known.reading.deinterlace}",)
        self.field_order = None if known.reading.deinterlace == "weave" else known.field_order
        self.has_audio, self.is_cut_off = known.has_audio, known.is_cut_off
        self.warnings, self.notes = known.warnings, known.notes
        own = known.stamps or known.pts
        self._places = {time: place for place, time in enumerate(own) if time is not None}
        self._keys = sorted({0, *(bisect.bisect_left(known.pts, key) for key in known.keys)})

    @property
    def index(self) -> VideoIndex:
        return self._index

    @property
    def plate_size(self) -> tuple[int, int]:
        return self._plate_size

    @property
    def keyframes(self) -> list[int]:
        return self._keys if self._index.is_exact else [0]

    def iter_frames_or_bad(self, indices: Iterable[int]) -> Generator[Frame | BadFrame]:
        wanted = iter(indices)
        index = next(wanted, None)
        if index is None:
            return
        for at, found in self._iter_checked(index):
            while index == at:
                yield self._convert(at, found)
                # Zip-like: the same index twice is legal, and costs only a conversion.
                index = next(wanted, None)
            if index is None:
                return

    def close(self) -> None:
        if self._random is not None:
            self._random[1].close()
        self._random = None

    def _frame(self, index: int) -> Frame:
        if self._random is None or self._random[0] != index:
            self.close()
            self._random = (index, self.iter_frames(range(index, len(self))))
        frames = self._random[1]
        self._random = None
        frame = next(frames)
        self._random = (index + 1, frames)
        return frame

    def _iter_checked(self, first: int) -> Generator[tuple[int, av.VideoFrame | str]]:
        """Frame `first` and all that follow, without a gap; for a bad one, what is wrong."""
        spoilt_from = spoilt_to = 0
        for at, frame in self._iter_numbered(first):
            why = (
                "it cannot be decoded"
                if frame is None
                else "its data is damaged"
                if frame.is_corrupt
                else ""
            )
            if why and at in self._keys:
                spoilt_from, spoilt_to = at, self._next_keyframe(at)
            elif at < spoilt_to:
                why = f"it builds on frame {spoilt_from}, which is damaged"
            elif why and self._next_keyframe(at) > at + 1:
                why += f", and those up to {self._next_keyframe(at) - 1} may be smeared"
            if at >= first:
                yield at, why if frame is None or why else frame

    def _iter_numbered(self, first: int) -> Generator[tuple[int, av.VideoFrame | None]]:
        """The frames from a keyframe at or before `first` on, numbered; None for a missing one."""
        at, frames = self._seek(first)
        for frame in frames:
            place = self._index_of(frame, at)
            if place is None:
                continue
            yield from ((missing, None) for missing in range(at, place))
            yield place, frame
            at = place + 1
        yield from ((missing, None) for missing in range(at, len(self)))

    def _index_of(self, frame: av.VideoFrame, least: int) -> int | None:
        """The number of a decoded frame; None when the index has none like it from `least` on."""
        if self._index.is_exact:
            place = self._index_at(frame.pts)
            if place is None and least < len(self) and self._own_time(least) is None:
                return least
            return None if place is None or place < least else place
        return next(
            (place for place in range(least, len(self)) if place not in self._index.lost), None
        )

    def _index_at(self, time: int | None) -> int | None:
        """The number of the frame to which decoding gives that time, if there is one."""
        return None if time is None else self._places.get(time)

    def _own_time(self, place: int) -> int | None:
        """The time that decoding gives the frame of that number."""
        stamps = self._index.stamps
        return self.pts[place] if stamps is None else stamps[place]

    def _seek(self, first: int) -> tuple[int, Iterator[av.VideoFrame]]:
        """A number at or before `first`, and the frames from there on; sought where possible."""
        keys = self._index.keys
        at, back = bisect.bisect_right(keys, self.pts[first]) - 1, 1
        while self._index.is_exact and first and at > 0:
            key_place = bisect.bisect_left(self.pts, keys[at])
            frames = self._decode(self._index.place_of(keys[at]))
            begin = next(frames, None)
            place = None if begin is None else self._index_at(begin.pts)
            # Only from a sound keyframe: on a damaged one the frames after it cannot build.
            if begin is not None and place is not None and place <= key_place:
                return place, itertools.chain([begin], frames)
            # The steps back grow, so that a long dead stretch is not walked key by key.
            at, back = at - back, back * 2
        return 0, self._decode()

    def _decode(self, seek_to: packets.Place | None = None) -> Generator[av.VideoFrame]:
        # Several threads lose a whole frame or two before one that is broken.
        is_sound = self._index.is_exact and not self._index.is_cut_off
        threads = self._threads if is_sound else 1
        with as_bad_media(
            self.path, "cannot be read any more", "Check that it is still there and whole."
        ):
            for _, frames in packets.decode_packets(self.path, self.clock, seek_to, threads):
                yield from frames or ()

    def _convert(self, index: int, found: av.VideoFrame | str) -> Frame | BadFrame:
        why = found if isinstance(found, str) else self._size_mismatch(found)
        if not isinstance(found, str) and not why:
            known = self._index
            try:
                fields = self.field_order and read_fields(
                    found, known.orientation, known.stated_fields
                )
                if known.stated_fields:
                    # The colour of each field is its own.
                    found = mark_fields(found, known.stated_fields)
                plate = color.to_rgb(
                    found, known.color, known.bits, known.orientation, known.coded_size, self._rough
                )
                image = as_seen(plate, self.size, fields)
                return Frame(
                    index,
                    image,
                    self.pts[index],
                    self.time_base,
                    self.color,
                    None if image is plate else plate,
                    fields,
                )
            except FOREIGN as error:
                why = reason(error)
        what_now = (
            "Fetch the file again, or keep the part before it with understudy cut FOOTAGE OUT."
        )
        return BadFrame(index, f"{self.path}, frame {index}: {why}. {what_now}")

    def _size_mismatch(self, frame: av.VideoFrame) -> str:
        """Why the frame cannot stand beside the first one, or "". Another scale alone is fine."""
        width, height = self._index.coded_size
        if abs(frame.width * height - frame.height * width) <= 0.02 * frame.height * width:
            return ""
        return f"its shape changes from {width}x{height} to {frame.width}x{frame.height}"

    def _next_keyframe(self, at: int) -> int:
        """The first keyframe after frame `at`, or the end."""
        after = bisect.bisect_right(self._keys, at)
        return self._keys[after] if after < len(self._keys) else len(self)
