"""The index of a video: with it another process opens the same file without reading it through."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from fractions import Fraction

from understudy.io.footage.base import FootageIndex
from understudy.io.footage.clock import Clock
from understudy.io.footage.options import FootageOptions
from understudy.io.video import packets
from understudy.io.video.orientation import Orientation
from understudy.types import Chroma, Color, FieldOrder, LightLevels


@dataclass(frozen=True)
class VideoIndex(FootageIndex):
    """What opening a video finds out. The fields that `Footage` has mean the same.

    bytes: size of the file. keys: pts of the keyframes. key_bytes: where those lie in the file, of
    kinds that are sought by that. stamps: the times that decoding gives the frames, where those are
    not pts; None = it gives none. is_exact: whether the packets list all frames, so that keyframes
    can be sought. If not, the frames were counted by decoding, and `lost` are those that have a
    time but no picture. coded_size: before `orientation`. field_order: as in
    the file, however it is read. stated_fields: as the container states it for frames that bear no
    mark, before `orientation`.
    """

    bytes: int
    pts: list[int]
    last_duration: int
    fps: Fraction
    time_base: Fraction
    size: tuple[int, int]
    color: Color
    bits: int
    chroma: Chroma
    light: LightLevels | None
    has_audio: bool
    is_cut_off: bool
    pixel_aspect: Fraction
    coded_size: tuple[int, int]
    orientation: Orientation
    clock: Clock
    keys: list[int]
    key_bytes: dict[int, int]
    is_exact: bool
    reading: FootageOptions
    plate_size: tuple[int, int]
    field_order: FieldOrder | None = None
    stated_fields: FieldOrder | None = None
    lost: frozenset[int] = frozenset()
    stamps: list[int | None] | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def place_of(self, key: int) -> packets.Place:
        """Return where to seek the keyframe of that pts."""
        at = bisect.bisect_left(self.pts, key)
        stamp = self.stamps[at] if self.stamps else key
        return packets.Place(key if stamp is None else stamp, self.key_bytes.get(key))
