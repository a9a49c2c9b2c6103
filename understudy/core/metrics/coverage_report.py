"""Whether src's faces are good enough for a shot: a report in numbers, and its verdict in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from understudy.core.metrics.coverage import (
    AXES,
    ENOUGH,
    Gap,
    Shown,
    count_kinds,
    find_gaps,
    kind_numbers,
    lacking_rows,
)
from understudy.core.metrics.coverage_pairs import find_pairs
from understudy.core.metrics.shape_fit import ShapeFit
from understudy.types import Doubles, Floats

Answer = Literal["yes", "mostly", "no"]

# From which share of dst's faces like some of src's on a shot is covered, and mostly covered.
_COVERED: Final = (0.98, 0.85)
# The axes of the map.
POSE: Final = ("yaw", "pitch")
# Below these shares of dst's detail a result is softer than the plate, and plainly so.
_SHARP: Final = (0.75, 0.4)
# dst is as sharp as so many of its faces are not.
_SHARP_DST: Final = 0.75
# Fewer different faces than these are few, and too few.
_DIFFERENT: Final = (150, 30)
# From this share on faces of somebody else spoil src.
_WRONG: Final = 0.02
# A scale that changes less than this is not worth it.
LEAST_SCALE: Final = 0.025
# As wide, or as long: within this share.
_ALIKE: Final = 0.03
# As bright: within so many stops.
_AS_BRIGHT: Final = 0.8
_STEP: Final = 15
# Of yaw, on the map as text: more columns would be wider than a terminal.
_WIDEST: Final = 90
_TOLD: Final = 3


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SideRow(_Part):
    """The faces of a side.

    duplicates: near duplicates of others. wrong_person: those that look like somebody else, None =
    nobody can tell; no face is in both. width, detail: median pixels across a face in its frame,
    covered and seen; light: median stops of light on the face, 0 = white; None = not measured.
    unreadable: pictures that could not be read.
    """

    faces: int
    duplicates: int
    wrong_person: int | None
    width: float
    detail: float | None
    light: float | None = None
    unreadable: int = 0


class GapRow(_Part):
    """What dst shows and src lacks.

    faces, share: of dst's faces, how many and which part. low, high: between which values of
    `axis` they lie; nearest: src's that comes nearest. src_faces: how many of src's come near.
    frames: of dst, ranges. files: dst's pictures. advice: what helps, beside other footage of src.
    """

    axis: str
    kind: str
    faces: int
    share: float
    low: float
    high: float
    nearest: float
    range: str
    src_faces: int
    frames: list[tuple[int, int]]
    files: list[str]
    advice: str


class KindRow(_Part):
    """How many faces of each side are of a kind out of the usual."""

    axis: str
    kind: str
    dst: int
    src: int


class PairRow(_Part):
    """Two kinds that dst shows together and src only apart, and how many of dst's faces do."""

    kinds: tuple[str, str]
    faces: int
    frames: list[tuple[int, int]]


class MapCell(_Part):
    """Faces of one kind in all: how far turned and looking up, how they act and are lit.

    yaw, pitch: degrees, from and to. dst, src: how many of each side. lacks: how many of dst's
    turn as none of src's do.
    """

    yaw: tuple[float, float]
    pitch: tuple[float, float]
    expression: str
    light: str
    dst: int
    src: int
    lacks: int = 0


class ShapeRow(_Part):
    """src's face beside dst's: how many times as wide and as long; what scale fits best."""

    width: float
    length: float
    src_scale: float


class CoverageReport(_Part):
    """What coverage.json holds.

    answer, verdict: whether src is good enough for this shot, and in a sentence. covered: the
    share of dst's faces that some of src's show as well. sharpness: src's detail as a share of
    dst's; None = not measured. shape: None = not known. together: what is in no gap, and
    yet shown by src only apart; the verdict does not count it. map: every kind of face that either
    side shows.
    """

    version: Literal[1] = 1
    answer: Answer
    verdict: str
    covered: float
    src: SideRow
    dst: SideRow
    sharpness: float | None
    shape: ShapeRow | None
    gaps: list[GapRow]
    together: list[PairRow] = []
    kinds: list[KindRow]
    map: list[MapCell]


@dataclass(frozen=True, slots=True)
class SideFaces:
    """N faces of a side as a report needs them.

    Attributes:
        shown: What they show.
        names, frame: Of the pictures; index in the footage.
        width, detail: (N,) pixels in the frame; NaN = not measured.
        duplicate: (N,) near duplicates of others.
        wrong: (N,) those that look like somebody else; None = nobody can tell.
        unreadable: Pictures beside these that could not be read.
    """

    shown: Shown
    names: list[str]
    frame: NDArray[np.int64]
    width: Floats
    detail: Floats
    duplicate: NDArray[np.bool_]
    wrong: NDArray[np.bool_] | None
    unreadable: int = 0

    def __len__(self) -> int:
        return len(self.names)

    @property
    def usable(self) -> NDArray[np.bool_]:
        """(N,) what is not somebody else."""
        return np.ones(len(self), bool) if self.wrong is None else ~self.wrong


def report_coverage(
    src: SideFaces, dst: SideFaces, shape: ShapeFit | None
) -> tuple[CoverageReport, list[Gap]]:
    """Compare src's faces with dst's. Faces of somebody else count on neither side."""
    ours, theirs = src.shown[src.usable], dst.shown[dst.usable]
    rows = np.flatnonzero(dst.usable)
    gaps = [
        Gap(
            gap.axis,
            gap.kind,
            rows[gap.rows],
            gap.low,
            gap.high,
            gap.nearest,
            gap.src_faces,
            gap.is_mirrored,
        )
        for gap in find_gaps(ours, theirs)
    ]
    covered = _covered(gaps, rows, len(dst))
    # What src has in a mirror is one flag away.
    flipped = _covered([gap for gap in gaps if not gap.is_mirrored], rows, len(dst))
    told = [_gap_row(gap, dst, len(rows)) for gap in gaps]
    sides = _side_row(src), _side_row(dst)
    sharpness = _sharpness(src, dst)
    answer, verdict = _verdict((covered, flipped), told, sides, sharpness)
    report = CoverageReport(
        answer=answer,
        verdict=verdict,
        covered=round(covered, 4),
        src=sides[0],
        dst=sides[1],
        sharpness=sharpness,
        shape=_shape_row(shape),
        gaps=told,
        kinds=[
            KindRow(axis=each.axis.name, kind=each.kind, dst=each.dst, src=each.src)
            for each in count_kinds(ours, theirs)
        ],
        together=[
            PairRow(
                kinds=pair.kinds,
                faces=len(pair.rows),
                frames=_frame_ranges(dst.frame[rows[pair.rows]]),
            )
            for pair in find_pairs(ours, theirs, lacking_rows(gaps, len(dst))[rows])
        ],
        map=_map_cells(ours, theirs, lacking_rows(gaps, len(dst), POSE)[rows]),
    )
    return report, gaps


def describe_gap(gap: GapRow) -> str:
    """A gap in a line: what, and how much of dst."""
    return f"{gap.kind}: {gap.range}; {gap.faces:,} of dst's ({_percent(gap.share)})"


def describe_shape(shape: ShapeRow | None) -> str:
    """Whether src's face is wider or narrower, and what would fit, in a sentence."""
    if shape is None:
        return "not known: too few faces look ahead with the mouth closed"
    told = [
        _compared(shape.width, "wider", "narrower"),
        _compared(shape.length, "longer", "shorter"),
    ]
    named = " and ".join(each for each in told if each)
    if not named:
        return "src's face is as wide and as long as dst's; it needs no --src-scale"
    if abs(shape.src_scale) < LEAST_SCALE:
        unlike = all(told) or abs(shape.width - 1) > 2 * _ALIKE
        hint = "; saehd with archi liae follows dst's shape" if unlike else ""
        return f"src's face is {named} than dst's; no --src-scale would fit better{hint}"
    return f"src's face is {named} than dst's; --src-scale {shape.src_scale:g} would fit best"


def describe_sharpness(report: CoverageReport) -> str:
    """Whether src is sharp enough for dst's size, in a sentence."""
    ours, theirs, share = report.src.detail, report.dst.detail, report.sharpness
    if ours is None or theirs is None or share is None:
        return "not measured"
    said = (
        "sharp enough"
        if share >= _SHARP[0]
        else "softer than the plate"
        if share >= _SHARP[1]
        else "much softer than the plate"
    )
    return (
        f"{said}: src shows the detail of {ours:.0f} pixels across a face, dst's sharper faces"
        f" {ours / share:.0f}"
    )


def describe_light(report: CoverageReport) -> str:
    """Whether src's faces are as bright as dst's, in a sentence."""
    ours, theirs = report.src.light, report.dst.light
    if ours is None or theirs is None:
        return "not measured"
    apart = abs(ours - theirs)
    if apart < _AS_BRIGHT:
        return "src's faces are as bright as dst's"
    return (
        f"src's faces are {apart:.1f} stops {'brighter' if ours > theirs else 'darker'} than"
        " dst's, by their skin or their light; train --ct-mode rct gives them dst's"
    )


def draw_pose_text(report: CoverageReport) -> list[str]:
    """Where both sides look as lines of text: a letter for every step of yaw and pitch."""
    counts: dict[tuple[int, int], tuple[int, int, int]] = {}
    is_cut = False
    for cell in report.map:
        yaw = round(sum(cell.yaw) / 2)
        at = (round(sum(cell.pitch) / 2), min(max(yaw, -_WIDEST), _WIDEST))
        is_cut |= at[1] != yaw
        dst, src, lacks = counts.get(at, (0, 0, 0))
        counts[at] = dst + cell.dst, src + cell.src, lacks + cell.lacks
    if not counts:
        return []
    pitches, yaws = (sorted({at[axis] for at in counts}) for axis in (0, 1))
    across = range(max(yaws), min(yaws) - 1, -_STEP)
    lines = ["".rjust(10) + "".join(f"{yaw:+5d}" for yaw in across)]
    for pitch in range(max(pitches), min(pitches) - 1, -_STEP):
        letters = [_letter(*counts.get((pitch, yaw), (0, 0, 0))) for yaw in across]
        lines.append(f"pitch {pitch:+4d}" + "".join(each.rjust(5) for each in letters))
    return [
        *lines,
        "across: turned to the picture's left, in degrees; down: from looking up to down",
        "both: dst shows it, and src or nearly so; dst: src lacks it; src: src alone",
        *([f"faces that are turned further than {_WIDEST} degrees stand at {_WIDEST}"] * is_cut),
    ]


def _letter(dst: int, src: int, lacks: int) -> str:
    return ("dst" if 2 * lacks > dst else "both") if dst else "src" if src else "."


def _covered(gaps: Sequence[Gap], rows: NDArray[np.int64], count: int) -> float:
    """The share of the rows of dst, of `count`, that fall into none of the gaps."""
    return 1 - float(lacking_rows(gaps, count)[rows].mean()) if len(rows) else 1.0


def _verdict(
    covered: tuple[float, float],
    gaps: Sequence[GapRow],
    sides: tuple[SideRow, SideRow],
    sharpness: float | None,
) -> tuple[Answer, str]:
    """The answer to "is my src good enough for this shot?", and a sentence.

    covered: as src is, and with its mirror image.
    """
    src, dst = sides
    faults: list[str] = []
    as_it_is, flipped = (sum(share < bound for bound in _COVERED) for share in covered)
    grades = [max(flipped, min(as_it_is, 1))]
    if gaps:
        named = [f"{gap.kind} ({_percent(gap.share)})" for gap in gaps[:_TOLD]]
        more = f" and {len(gaps) - _TOLD} more" if len(gaps) > _TOLD else ""
        lacking = _percent(1 - covered[0])
        faults.append(f"{lacking} of dst's faces show what src lacks: {', '.join(named)}{more}")
        if flipped < as_it_is:
            faults.append("train --src-flip gives most of it")
    if sharpness is not None and sharpness < _SHARP[0]:
        grades.append(sum(sharpness < bound for bound in _SHARP))
        faults.append(f"src has only {_percent(sharpness)} of dst's detail")
    different = src.faces - src.duplicates - (src.wrong_person or 0)
    if different < _DIFFERENT[0] and different < dst.faces - dst.duplicates:
        grades.append(sum(different < bound for bound in _DIFFERENT))
        faults.append(f"src has only {different:,} different faces")
    if src.wrong_person and src.wrong_person >= _WRONG * src.faces:
        grades.append(1)
        faults.append(f"{src.wrong_person:,} of src's faces look like somebody else")
    said = "; ".join(faults)
    worst = max(grades)
    if worst == 0:
        but = (
            f", but for a little: {said}"
            if said
            else f": it shows all that dst's {dst.faces:,} faces do"
        )
        return "yes", f"src is good enough for this shot{but}."
    if worst == 1:
        return "mostly", f"src is good enough for most of this shot: {said}."
    return "no", f"src is not good enough for this shot yet: {said}."


def _gap_row(gap: Gap, dst: SideFaces, count: int) -> GapRow:
    return GapRow(
        axis=gap.axis.name,
        kind=gap.kind,
        faces=len(gap),
        share=round(len(gap) / count, 4),
        low=round(gap.low, 4),
        high=round(gap.high, 4),
        nearest=round(gap.nearest, 4),
        range=(
            f"{gap.axis.written(gap.low, gap.high)}, src's nearest {gap.axis.written(gap.nearest)}"
        ),
        src_faces=gap.src_faces,
        frames=_frame_ranges(dst.frame[gap.rows]),
        files=[dst.names[row] for row in gap.rows],
        advice=_advice(gap),
    )


def _advice(gap: Gap) -> str:
    if gap.is_mirrored:
        return "src has it in a mirror: train --src-flip"
    return _ADVICE.get(gap.axis.name, "")


_ADVICE: Final = {
    "mouth": "the model tiny carries dst's mouth over, open ones included",
    "exposure": "train --ct-mode rct gives src dst's light, --random-color 0.2 varies it",
    "side": "src in such light, or train --ct-mode rct",
    "below": "src in such light, or train --ct-mode rct",
}


def _side_row(side: SideFaces) -> SideRow:
    return SideRow(
        faces=len(side),
        duplicates=int((side.duplicate & side.usable).sum()),
        wrong_person=None if side.wrong is None else int(side.wrong.sum()),
        width=round(float(np.median(side.width[side.usable])), 1),
        detail=_rounded(_middle(side.detail[side.usable])),
        light=_rounded(_middle(side.shown.stops[side.usable])),
        unreadable=side.unreadable,
    )


def _sharpness(src: SideFaces, dst: SideFaces) -> float | None:
    have = _middle(src.detail[src.usable & ~src.duplicate])
    need = _middle(dst.detail[dst.usable], _SHARP_DST)
    return None if have is None or not need else round(have / need, 4)


def _shape_row(shape: ShapeFit | None) -> ShapeRow | None:
    if shape is None:
        return None
    return ShapeRow(
        width=round(shape.width, 4), length=round(shape.length, 4), src_scale=round(shape.scale, 3)
    )


def _map_cells(src: Shown, dst: Shown, lacks: NDArray[np.bool_]) -> list[MapCell]:
    """Every kind of face that either side shows, by turn, expression and light."""
    labels = [cell_numbers(shown) for shown in (src, dst)]
    both = np.concatenate(labels)
    cells, place = np.unique(both, axis=0, return_inverse=True)
    ours, theirs = np.split(place.reshape(-1), [len(src)])
    counts = [np.bincount(each, minlength=len(cells)) for each in (ours, theirs, theirs[lacks])]
    return [
        MapCell(
            yaw=((yaw - 0.5) * _STEP, (yaw + 0.5) * _STEP),
            pitch=((pitch - 0.5) * _STEP, (pitch + 0.5) * _STEP),
            expression=_named((eyes, "eyes"), (mouth, "mouth")),
            light=_named((exposure, "exposure"), (side, "side")),
            dst=int(counts[1][number]),
            src=int(counts[0][number]),
            lacks=int(counts[2][number]),
        )
        for number, (yaw, pitch, eyes, mouth, exposure, side) in enumerate(cells)
    ]


def cell_numbers(shown: Shown) -> NDArray[np.int64]:
    """(N, 6) of each face: steps of yaw and pitch, kinds of eyes, mouth, exposure, side."""
    turns = [np.round(each / _STEP) for each in (shown.yaw, shown.pitch)]
    kinds = [kind_numbers(_BY_NAME[name], shown) for name in ("eyes", "mouth", "exposure", "side")]
    return np.column_stack([*turns, *kinds]).astype(np.int64)


def _named(*kinds: tuple[int, str]) -> str:
    """What is out of the usual among kinds of some axes; "usual" = nothing."""
    told = [
        _BY_NAME[name].kinds[number]
        for number, name in kinds
        if number >= 0 and _BY_NAME[name].kinds[number] != _BY_NAME[name].usual
    ]
    return ", ".join(told) or "usual"


_BY_NAME: Final = {axis.name: axis for axis in AXES}


def _frame_ranges(frames: NDArray[np.int64]) -> list[tuple[int, int]]:
    each = np.unique(frames)
    runs = np.split(each, np.flatnonzero(np.diff(each) > ENOUGH) + 1)
    return [(int(run[0]), int(run[-1])) for run in runs if len(run)]


def _compared(ratio: float, more: str, less: str) -> str:
    if abs(ratio - 1) < _ALIKE:
        return ""
    return f"{abs(ratio - 1) * 100:.0f} % {more if ratio > 1 else less}"


def _percent(share: float) -> str:
    return "under 1 %" if 0 < share < 0.01 else f"{100 * share:.0f} %"


def _middle(values: Floats | Doubles, share: float = 0.5) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.quantile(known, share)) if len(known) else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
