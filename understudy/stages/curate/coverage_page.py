"""The coverage of a show as one HTML page: what src lacks, with pictures, maps and plots."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from understudy.core.drawing import comparison
from understudy.core.image import resize
from understudy.core.metrics.coverage import AXES, Axis, Gap, lacking_rows, nearest_rows
from understudy.core.metrics.coverage_report import (
    LEAST_SCALE,
    POSE,
    CoverageReport,
    SideFaces,
    describe_light,
    describe_shape,
    describe_sharpness,
)
from understudy.core.metrics.shape_fit import ShapeFit
from understudy.io.faceset.faceset import Faceset
from understudy.io.footage import stills
from understudy.stages.extract.report_html import evenly_spaced
from understudy.stages.frame_ranges import describe_ranges
from understudy.stages.html_page import render_page
from understudy.types import Side

_SIDE: Final = 112
_JPG_QUALITY: Final = 82
# Pictures of each gap, of dst and what src has nearest; and of others that are shown.
_OF_DST, _OF_SRC, _OTHERS = 8, 4, 16
_RANGES: Final = 8


@dataclass(frozen=True, slots=True)
class FaceSide:
    """The pictures of a side, and what was found of them, row by row."""

    faceset: Faceset
    told: SideFaces


@dataclass(frozen=True, slots=True)
class _Strip:
    """Faces that are shown beside each other. axis: whose values stand below them."""

    side: Side
    rows: NDArray[np.int64]
    axis: Axis | None = None


class CoveragePage:
    """The page of a report.

    Args:
        show: What it is called.
        report: The numbers.
        gaps: Of the report, by rows of dst.
        shape: Both faces; None = not known.
        sides: Their pictures.
    """

    def __init__(
        self,
        show: str,
        report: CoverageReport,
        gaps: Sequence[Gap],
        shape: ShapeFit | None,
        sides: Mapping[Side, FaceSide],
    ) -> None:
        self._show, self._report, self._gaps, self._shape = show, report, gaps, shape
        self._sides = sides
        self._gap_strips = [(self._dst_strip(gap), self._src_strip(gap)) for gap in gaps]
        self._other_strips = list(self._others())

    def shown(self) -> Iterator[tuple[Side, int]]:
        """The pictures that the page shows: of which side, and which row."""
        strips = [each for pair in self._gap_strips for each in pair]
        strips += [strip for _, strip in self._other_strips]
        seen = {(strip.side, row) for strip in strips for row in strip.rows.tolist()}
        yield from sorted(seen)

    def small_picture(self, side: Side, row: int) -> bytes:
        """A picture as the page shows it: a small JPG. Raises BadMedia."""
        small = resize(self._sides[side].faceset.load(row).image, (_SIDE, _SIDE))
        return stills.encode_image(small, ".jpg", _JPG_QUALITY)

    def html(self, pictures: Mapping[tuple[Side, int], bytes]) -> str:
        """Render the whole page. pictures: those that it shows, as JPGs."""
        src, dst = (self._sides[side].told.shown for side in ("src", "dst"))
        lacks = lacking_rows(self._gaps, len(dst), POSE)
        gaps = [
            {
                "row": row,
                "frames": describe_ranges(row.frames, most=_RANGES),
                "dst": self._drawn(of_dst, pictures),
                "src": self._drawn(of_src, pictures),
            }
            for row, (of_dst, of_src) in zip(self._report.gaps, self._gap_strips, strict=True)
        ]
        return render_page(
            "coverage.html",
            show=self._show,
            side=_SIDE,
            report=self._report,
            tiles=self._tiles(),
            gaps=gaps,
            map=comparison.draw_pose_map((src.yaw, src.pitch), (dst.yaw, dst.pitch), lacks),
            plots=[each for axis in AXES if (each := self._plot(axis)) is not None],
            shape=None
            if self._shape is None
            else comparison.draw_two_shapes(self._shape.src, self._shape.dst),
            shape_told=describe_shape(self._report.shape),
            sharpness=describe_sharpness(self._report),
            light=describe_light(self._report),
            others=[
                {"what": what, "faces": self._drawn(strip, pictures)}
                for what, strip in self._other_strips
            ],
        )

    def _tiles(self) -> list[dict[str, str]]:
        report = self._report
        tiles = [
            ("of dst is covered", f"{100 * report.covered:.0f} %", f"{report.dst.faces:,} faces"),
            ("faces of src", f"{report.src.faces:,}", f"{report.src.duplicates:,} near duplicates"),
        ]
        if report.sharpness is not None:
            tiles.append(("of dst's detail", f"{100 * report.sharpness:.0f} %", "in src"))
        if report.shape is not None and abs(report.shape.src_scale) >= LEAST_SCALE:
            tiles.append(("src_scale", f"{report.shape.src_scale:+g}", "fits best"))
        if report.src.wrong_person:
            tiles.append(("look like others", f"{report.src.wrong_person:,}", "faces of src"))
        return [{"name": name, "value": value, "note": note} for name, value, note in tiles]

    def _dst_strip(self, gap: Gap) -> _Strip:
        return _Strip("dst", np.sort(evenly_spaced(self._furthest(gap), _OF_DST)), gap.axis)

    def _src_strip(self, gap: Gap) -> _Strip:
        """What src has that comes nearest to the face of dst that shows the gap most."""
        src, dst = (self._sides[side].told for side in ("src", "dst"))
        usable = np.flatnonzero(src.usable)
        row = int(self._furthest(gap)[0])
        near = nearest_rows(src.shown[usable], dst.shown, row, _OF_SRC, gap.axis)
        return _Strip("src", usable[near], gap.axis)

    def _furthest(self, gap: Gap) -> NDArray[np.int64]:
        """The rows of a gap, the furthest from what src has first."""
        values = getattr(self._sides["dst"].told.shown, gap.axis.name)[gap.rows]
        order = np.argsort(-np.abs(values - gap.nearest), kind="stable")
        return np.asarray(gap.rows[order], np.int64)

    def _plot(self, axis: Axis) -> dict[str, str] | None:
        """How often each value occurs on both sides; None where it is not measured."""
        src, dst = (getattr(self._sides[side].told.shown, axis.name) for side in ("src", "dst"))
        if not (np.isfinite(src).any() and np.isfinite(dst).any()):
            return None
        lacks = lacking_rows(self._gaps, len(dst), (axis.name,))
        factor, unit = (100.0, "%") if axis.unit == "%" else (1.0, axis.unit)
        drawn = comparison.draw_two_histograms(src, dst, lacks, factor, unit)
        return {"name": f"{axis.title}, {unit}", "svg": drawn}

    def _others(self) -> Iterator[tuple[str, _Strip]]:
        """Faces that look like somebody else, and near duplicates, of each side."""
        for side, each in self._sides.items():
            told = each.told
            for what, rows in (
                ("look like somebody else", ~told.usable),
                ("are near duplicates of others", told.duplicate & told.usable),
            ):
                if rows.any():
                    shown = evenly_spaced(np.flatnonzero(rows), _OTHERS)
                    yield f"{int(rows.sum()):,} faces of {side} {what}", _Strip(side, shown)

    def _drawn(
        self, strip: _Strip, pictures: Mapping[tuple[Side, int], bytes]
    ) -> list[dict[str, str]]:
        told, axis, drawn = self._sides[strip.side].told, strip.axis, []
        for row in strip.rows.tolist():
            data = base64.b64encode(pictures[strip.side, row]).decode("ascii")
            caption = f"frame {told.frame[row]}"
            if axis is not None:
                caption += f", {axis.written(float(getattr(told.shown, axis.name)[row]))}"
            drawn.append(
                {
                    "data": f"data:image/jpeg;base64,{data}",
                    "name": told.names[row],
                    "caption": caption,
                }
            )
        return drawn
