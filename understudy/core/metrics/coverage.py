"""What one set of faces shows that another lacks: by turn, expression, light and gaze."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from understudy.core.face.pixel_measures import PixelMeasures
from understudy.core.face.traits import FaceTraits
from understudy.types import Doubles, Faces

Rows = NDArray[np.int64]

# A face is learnt from more than one picture of its kind: fewer like it than this are a gap.
ENOUGH: Final = 3
# A gap that fewer of dst's faces fall into, or a smaller share of them, is a slip of the landmarks
# or passes unseen.
LEAST_FACES: Final = 3
LEAST_SHARE: Final = 0.002
# Of the faces in a gap this share must be missing for this reason alone: a head in profile is also
# lit from one side.
_OWN_SHARE: Final = 1 / 3
# With so many of those that its share in dst asks for, src has it as rarely as dst.
_AS_RARE: Final = 0.5
# src's faces fill a gap in a mirror when they reach so many of its faces.
_MOSTLY: Final = 0.5
# How much more the difference counts that a nearest face is looked for by.
_ABOVE_ALL: Final = 9.0
# What the eyes of a person measure when they are open: this far up among all that they do. Of that,
# points alone leave so much where eyes are shut.
_OPEN_EYES: Final = 0.8
_SHUT: Final = 0.45
# The same of closed lips, which lie this far apart at most by their points.
_CLOSED_MOUTH: Final = 0.05
_MOST_APART: Final = 0.2
# Stops of light on the darkest skin in ordinary light, 0 = white: V = 0.2.
_DARKEST_SKIN: Final = -5.0


@dataclass(frozen=True, slots=True)
class Shown:
    """What N faces show, (N,) float64 each; NaN = not measured.

    Attributes:
        yaw, pitch: Degrees: towards the left of the picture, and up.
        eyes: 0 = shut, 1 = as open as this person has them.
        mouth: 0 = lips as close as this person has them, 1 = wide open.
        smile: How much wider the mouth is than this person's usually is.
        brows: How much higher the brows are.
        exposure: Stops of light on the face, beside what this person usually has: dark skin is no
            dim light. Where even that is darker than any skin in ordinary light, beside this.
        side: -1..1, how much brighter the face is at its right than at its left.
        below: -1..1, how much brighter it is below than above.
        look_aside, look_down: Where the irises are in the eyes, in eye widths from the middle, to
            the right and down.
        stops: Of light on the face, 0 = white: by its light and by its skin.
    """

    yaw: Doubles
    pitch: Doubles
    eyes: Doubles
    mouth: Doubles
    smile: Doubles
    brows: Doubles
    exposure: Doubles
    side: Doubles
    below: Doubles
    look_aside: Doubles
    look_down: Doubles
    stops: Doubles

    @classmethod
    def of(
        cls,
        faces: Faces,
        traits: FaceTraits,
        pixels: PixelMeasures,
        own: NDArray[np.bool_] | None = None,
        *,
        by_lids: bool = False,
    ) -> Shown:
        """What faces of one person show, by all that was measured of them.

        own: (N,) those that tell what is usual for this person; None = all. by_lids: The traits
        know how far the lids are apart, and not the points alone.
        """
        own = np.ones(len(faces), bool) if own is None else own
        shut = 0.0 if by_lids else _SHUT
        gaze = faces.gaze.astype(np.float64)
        # NaN where neither eye was measured.
        known = np.isfinite(gaze)
        looks = np.where(known, gaze, 0).sum(1) / np.where(known.any(1), known.sum(1), np.nan)
        with np.errstate(divide="ignore"):
            # Of picture values with the usual gamma.
            stops = np.maximum(2.2 * np.log2(pixels.brightness.astype(np.float64)), -12)
        eyes, mouth, wide, brow = (
            each.astype(np.float64)
            for each in (traits.eyes_open, traits.mouth_open, traits.mouth_wide, traits.brow)
        )
        opened = max(_quantile(eyes[own], _OPEN_EYES), 1e-3)
        return cls(
            np.degrees(faces.pose[:, 1].astype(np.float64)),
            np.degrees(faces.pose[:, 0].astype(np.float64)),
            np.maximum((eyes / opened - shut) / (1 - shut), 0),
            mouth - np.clip(_quantile(mouth[own], _CLOSED_MOUTH), -_MOST_APART, _MOST_APART),
            wide - _quantile(wide[own], 0.5),
            brow - _quantile(brow[own], 0.5),
            stops - max(_quantile(stops[own], 0.5), _DARKEST_SKIN),
            pixels.light[:, 0].astype(np.float64),
            pixels.light[:, 1].astype(np.float64),
            looks[:, 0],
            looks[:, 1],
            stops,
        )

    def __len__(self) -> int:
        return len(self.yaw)

    def __getitem__(self, rows: NDArray[np.bool_] | Rows) -> Shown:
        return Shown(*(getattr(self, each.name)[rows] for each in fields(self)))


@dataclass(frozen=True, slots=True)
class Axis:
    """One number of `Shown`, and what its values are called.

    Attributes:
        name: The field.
        title: What it tells, for people.
        reach: So far apart two faces may be that one serves to learn the other.
        below, above: The kinds of faces from the lowest on, each with where it ends; and those
            above the usual, each with where it begins.
        usual: What lies between is called.
        unit: In which values are written; "%" = a hundred times as much.
        mirrors: Whether its sign changes in a mirror.
        widens: By what share of itself the reach grows with each unit away from 0: of two faces
            far from the usual, one serves for the other at a greater distance.
    """

    name: str
    title: str
    reach: float
    below: tuple[tuple[float, str], ...]
    usual: str
    above: tuple[tuple[float, str], ...]
    unit: str = "%"
    mirrors: bool = False
    widens: float = 0.0

    def spread(self, values: Doubles) -> Doubles:
        """Values such that two faces serve for each other when they are less than 1 apart."""
        if not self.widens:
            return np.asarray(values / self.reach)
        far = np.log1p(self.widens * np.abs(values)) / self.widens
        return np.asarray(np.sign(values) * far / self.reach)

    @property
    def edges(self) -> Doubles:
        """Where one kind ends and the next begins, ascending."""
        return np.array([end for end, _ in (*self.below, *self.above)])

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds, from low to high."""
        return (*(kind for _, kind in self.below), self.usual, *(kind for _, kind in self.above))

    def kind_of(self, value: float, nearest: float) -> str:
        """What a value is called that is missing where others come as near as `nearest`.

        Halfway to what is out of the usual on either side of 0 is called so where there is less.
        """
        edges = self.edges
        if value * (value - nearest) > 0 and edges[0] < 0 < edges[-1]:
            edges = np.where(
                (edges == edges[edges > 0].min()) | (edges == edges[edges < 0].max()),
                edges / 2,
                edges,
            )
        return self.kinds[int(np.searchsorted(edges, value, side="right"))]

    def written(self, low: float, high: float | None = None) -> str:
        """A value with its unit, or from one to another."""
        first, last = (self._number(each) for each in (low, low if high is None else high))
        unit = self.unit if self.unit == "°" else f" {self.unit}"
        return f"{last}{unit}" if first == last else f"{first} to {last}{unit}"

    def _number(self, value: float) -> str:
        if self.unit == "stops":
            return f"{value:.1f}"
        # Adding 0 makes -0 a 0.
        return f"{round(value if self.unit == '°' else 100 * value) + 0}"


AXES: Final = (
    Axis(
        "yaw",
        "turned left",
        8,
        ((-50, "profile to the right"), (-20, "turned right")),
        "turned to the camera",
        ((20, "turned left"), (50, "profile to the left")),
        "°",
        mirrors=True,
        widens=0.015,
    ),
    Axis(
        "pitch",
        "looking up",
        8,
        ((-15, "looking down"),),
        "looking level",
        ((15, "looking up"),),
        "°",
        widens=0.015,
    ),
    Axis(
        "eyes",
        "eyes open",
        0.2,
        ((0.25, "closed eyes"), (0.55, "half-closed eyes")),
        "open eyes",
        ((1.4, "eyes wide open"),),
    ),
    Axis(
        "mouth",
        "mouth open",
        0.12,
        (),
        "closed mouth",
        ((0.15, "open mouth"), (0.45, "mouth wide open")),
        widens=1.0,
    ),
    Axis(
        "smile",
        "mouth broad",
        0.3,
        ((-0.3, "pursed lips"),),
        "lips at rest",
        ((0.3, "broad smile"),),
    ),
    Axis(
        "brows",
        "brows raised",
        0.35,
        ((-0.35, "lowered brows"),),
        "brows at rest",
        ((0.35, "raised brows"),),
    ),
    Axis(
        "exposure",
        "light",
        1.2,
        ((-3.0, "darkness"), (-1.5, "dim light")),
        "ordinary light",
        ((0.8, "glaring light"),),
        "stops",
    ),
    Axis(
        "side",
        "light from the right",
        0.13,
        ((-0.2, "light from the left"),),
        "light from the front",
        ((0.2, "light from the right"),),
        mirrors=True,
    ),
    Axis(
        "below",
        "light from below",
        0.13,
        ((-0.2, "light from above"),),
        "light from the front",
        ((0.2, "light from below"),),
    ),
    Axis(
        "look_aside",
        "eyes to the right",
        0.1,
        ((-0.12, "eyes to the left"),),
        "eyes ahead",
        ((0.12, "eyes to the right"),),
        mirrors=True,
    ),
    Axis(
        "look_down",
        "eyes lowered",
        0.08,
        ((-0.1, "raised eyes"),),
        "eyes level",
        ((0.1, "lowered eyes"),),
    ),
)


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that dst shows and src lacks.

    Attributes:
        axis: By what.
        kind: What it is called.
        rows: dst's faces that fall into it, ascending.
        low, high: Between which values they lie.
        nearest: The value of src's faces that comes nearest.
        src_faces: How many of src's faces come near: fewer than `ENOUGH`.
        is_mirrored: Whether src's faces would fill it in a mirror.
    """

    axis: Axis
    kind: str
    rows: Rows
    low: float
    high: float
    nearest: float
    src_faces: int
    is_mirrored: bool

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class KindCount:
    """How many faces of each side are of a kind."""

    axis: Axis
    kind: str
    dst: int
    src: int


def find_gaps(src: Shown, dst: Shown) -> list[Gap]:
    """What dst shows and src lacks, the largest first: the fewest reasons that explain all.

    A face of dst that is out of src's reach for several reasons counts for the one that most of
    dst's faces share.
    """
    least = max(LEAST_FACES, math.ceil(LEAST_SHARE * len(dst)))
    found = [gap for axis in AXES for gap in _gaps_along(axis, src, dst)]
    kept: list[Gap] = []
    explained = np.zeros(len(dst), bool)
    while found:
        own = [int((~explained[gap.rows]).sum()) for gap in found]
        best = int(np.argmax(own))
        gap = found.pop(best)
        if own[best] >= max(least, _OWN_SHARE * len(gap)):
            kept.append(gap)
            explained[gap.rows] = True
    return sorted(kept, key=lambda gap: -len(gap))


def lacking_rows(gaps: Sequence[Gap], count: int, axes: Sequence[str] = ()) -> NDArray[np.bool_]:
    """(count,) which of dst's faces fall into a gap. axes: only into gaps by these; () = by any."""
    lacks = np.zeros(count, bool)
    for gap in gaps:
        if not axes or gap.axis.name in axes:
            lacks[gap.rows] = True
    return lacks


def count_kinds(src: Shown, dst: Shown) -> list[KindCount]:
    """How many faces of each side are of each kind out of the usual that any of them shows."""
    counts = []
    for axis in AXES:
        of_src, of_dst = (
            np.bincount(kind[kind >= 0], minlength=len(axis.kinds))
            for kind in (kind_numbers(axis, shown) for shown in (src, dst))
        )
        counts += [
            KindCount(axis, kind, int(of_dst[number]), int(of_src[number]))
            for number, kind in enumerate(axis.kinds)
            if kind != axis.usual and (of_src[number] or of_dst[number])
        ]
    return counts


def kind_numbers(axis: Axis, shown: Shown) -> Rows:
    """(N,) of which of an axis' kinds each face is; -1 = not measured."""
    values = getattr(shown, axis.name)
    known = np.isfinite(values)
    return np.where(known, np.searchsorted(axis.edges, values, side="right"), -1).astype(np.int64)


def nearest_rows(src: Shown, dst: Shown, row: int, count: int, most: Axis) -> Rows:
    """The rows of src's `count` faces that show most nearly what a face of dst does.

    most: By this above all.
    """
    far = np.zeros(len(src))
    for axis in AXES:
        wanted = axis.spread(getattr(dst, axis.name)[row : row + 1])
        apart = axis.spread(getattr(src, axis.name)) - wanted
        far += np.where(np.isfinite(apart), apart, 0) ** 2 * (_ABOVE_ALL if axis is most else 1)
    return np.argsort(far, kind="stable")[:count].astype(np.int64)


def _gaps_along(axis: Axis, src: Shown, dst: Shown) -> list[Gap]:
    """The gaps by one number: one for each stretch of values that src does not reach."""
    known = getattr(src, axis.name)[np.isfinite(getattr(src, axis.name))]
    values = getattr(dst, axis.name)
    if not len(known):
        return []
    have, wanted = np.sort(axis.spread(known)), axis.spread(values)
    rows = np.flatnonzero(np.isfinite(values))
    stretch = _stretches_out_of_reach(have, wanted[rows])
    gaps = []
    for number in np.unique(stretch[stretch >= 0]):
        inside = rows[stretch == number]
        near = int(_count_near(have, wanted[inside]).max())
        # As rare in src as it is in dst.
        if near and near >= _AS_RARE * len(inside) / len(rows) * len(have):
            continue
        middle = float(np.median(values[inside]))
        nearest = float(known[np.abs(known - middle).argmin()])
        mirrored = _count_near(np.sort(-have), wanted[inside]) >= _enough(have)
        gaps.append(
            Gap(
                axis,
                axis.kind_of(middle, nearest),
                inside,
                float(values[inside].min()),
                float(values[inside].max()),
                nearest,
                near,
                axis.mirrors and float(mirrored.mean()) > _MOSTLY,
            )
        )
    return gaps


def _stretches_out_of_reach(have: Doubles, values: Doubles) -> Rows:
    """(N,) in which stretch of values that too few of `have` (sorted) reach; -1 = in none."""
    enough = _enough(have)
    # Enough of them reach what lies around each run of so many of them, where that is short.
    low, high = have[enough - 1 :] - 1, have[: len(have) - enough + 1] + 1
    within = low <= high
    low, high = low[within], high[within]
    if not len(low):
        return np.zeros(len(values), np.int64)
    # Both ascend; runs that overlap reach as one.
    starts = np.append(True, low[1:] > high[:-1])
    first, last = low[starts], high[np.append(starts[1:], True)]
    place = np.searchsorted(first, values, side="right")
    reached = (place > 0) & (values <= last[np.maximum(place - 1, 0)])
    return np.where(reached, -1, place).astype(np.int64)


def _count_near(have: Doubles, values: Doubles) -> Rows:
    """(N,) how many of `have` (sorted) are in reach of each value."""
    ends = np.searchsorted(have, values + 1, side="right")
    return np.asarray(ends - np.searchsorted(have, values - 1, side="left"), np.int64)


def _enough(have: Doubles) -> int:
    return min(ENOUGH, len(have))


def _quantile(values: ArrayLike, share: float) -> float:
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    return float(np.quantile(known, share)) if len(known) else 1.0
