"""The coverage of a show as one HTML page: what src lacks, with pictures, maps and plots."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from understudy.core.drawing import comparison
from understudy.core.image import resize
from understudy.core.metrics.coverage import AXES, Axis, Gap, lacking_rows, nearest_rows
from understudy.core.metrics.coverage_report import (
    POSE,
    CoverageReport,
    GapRow,
    SideFaces,
    describe_shape,
    describe_sharpness,
)
from understudy.core.metrics.shape_fit import ShapeFit
from understudy.io.faceset.faceset import Faceset
from understudy.io.footage import stills
from understudy.stages.extract.report_html import evenly_spaced
from understudy.stages.frame_ranges import describe_ranges
from understudy.stages.html_page import render_page

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
class CoveragePage:
    """The page of a report: its numbers, gaps by dst's rows, and both sides."""

    show: str
    report: CoverageReport
    gaps: Sequence[Gap]
    shape: ShapeFit | None
    src: FaceSide
    dst: FaceSide

    def html(self) -> str:
        """Render the whole page."""
        src, dst = self.src.told.shown, self.dst.told.shown
        lacks = lacking_rows(self.gaps, len(dst), POSE)
        return render_page(
            "coverage.html",
            show=self.show,
            side=_SIDE,
            report=self.report,
            tiles=self._tiles(),
            gaps=[
                self._gap(gap, row) for gap, row in zip(self.gaps, self.report.gaps, strict=True)
            ],
            map=comparison.draw_pose_map((src.yaw, src.pitch), (dst.yaw, dst.pitch), lacks),
            plots=[each for axis in AXES if (each := self._plot(axis)) is not None],
            shape=None
            if self.shape is None
            else comparison.draw_two_shapes(self.shape.src, self.shape.dst),
            shape_told=describe_shape(self.report.shape),
            sharpness=describe_sharpness(self.report),
            others=self._others(),
        )

    def _tiles(self) -> list[dict[str, str]]:
        report = self.report
        tiles = [
            ("of dst is covered", f"{100 * report.covered:.0f} %", f"{report.dst.faces:,} faces"),
            ("faces of src", f"{report.src.faces:,}", f"{report.src.duplicates:,} near duplicates"),
        ]
        if report.sharpness is not None:
            tiles.append(("of dst's detail", f"{100 * report.sharpness:.0f} %", "in src"))
        if report.shape is not None:
            tiles.append(("src_scale", f"{report.shape.src_scale:+.2f}", "fits best"))
        if report.src.wrong_person:
            tiles.append(("look like others", f"{report.src.wrong_person:,}", "faces of src"))
        return [{"name": name, "value": value, "note": note} for name, value, note in tiles]

    def _gap(self, gap: Gap, row: GapRow) -> dict[str, Any]:
        values = getattr(self.dst.told.shown, gap.axis.name)
        # The pictures that show it best: from the far end back to where it begins.
        far = gap.rows[np.argsort(-np.abs(values[gap.rows] - gap.nearest), kind="stable")]
        shown = np.sort(evenly_spaced(far, _OF_DST))
        usable = np.flatnonzero(self.src.told.usable)
        near = nearest_rows(self.src.told.shown[usable], self.dst.told.shown, int(far[0]), _OF_SRC)
        return {
            "row": row,
            "frames": describe_ranges(row.frames, most=_RANGES),
            "dst": self._pictures(self.dst, shown, gap.axis),
            "src": self._pictures(self.src, usable[near], gap.axis),
        }

    def _plot(self, axis: Axis) -> dict[str, str] | None:
        """How often each value occurs on both sides; None where it is not measured."""
        src, dst = (getattr(each.told.shown, axis.name) for each in (self.src, self.dst))
        if not (np.isfinite(src).any() and np.isfinite(dst).any()):
            return None
        lacks = np.zeros(len(dst), bool)
        for gap in self.gaps:
            if gap.axis is axis:
                lacks[gap.rows] = True
        factor, unit = (1.0, axis.unit) if axis.unit != "%" else (100.0, "%")
        drawn = comparison.draw_two_histograms(src, dst, lacks, factor, unit)
        return {"name": f"{axis.title}, {unit}", "svg": drawn}

    def _others(self) -> list[dict[str, Any]]:
        """Faces that look like somebody else, and near duplicates, of each side."""
        groups = []
        for name, side in (("src", self.src), ("dst", self.dst)):
            for what, rows in (
                ("look like somebody else", ~side.told.usable),
                ("are near duplicates of others", side.told.duplicate & side.told.usable),
            ):
                if rows.any():
                    shown = evenly_spaced(np.flatnonzero(rows), _OTHERS)
                    groups.append(
                        {
                            "what": f"{int(rows.sum()):,} faces of {name} {what}",
                            "faces": self._pictures(side, shown),
                        }
                    )
        return groups

    def _pictures(
        self, side: FaceSide, rows: NDArray[np.int64], axis: Axis | None = None
    ) -> list[dict[str, str]]:
        pictures = []
        for row in rows.tolist():
            small = resize(side.faceset.load(row).image, (_SIDE, _SIDE))
            data = base64.b64encode(stills.encode_image(small, ".jpg", _JPG_QUALITY)).decode(
                "ascii"
            )
            value = (
                ""
                if axis is None
                else axis.written(float(getattr(side.told.shown, axis.name)[row]))
            )
            pictures.append(
                {
                    "data": f"data:image/jpeg;base64,{data}",
                    "name": side.told.names[row],
                    "caption": f"frame {side.told.frame[row]}{', ' if value else ''}{value}",
                }
            )
        return pictures
