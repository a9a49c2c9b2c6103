"""The report of an extraction: lines for the terminal, report.json, and report.html."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from understudy.core.face.detail import measure_face_detail
from understudy.core.metrics.outliers import find_outliers
from understudy.core.metrics.summary import FootageInfo, Report, summarize
from understudy.io import atomic
from understudy.io.faceset.faceset import Faceset
from understudy.io.provenance.manifest import Claim
from understudy.printable import pluralize
from understudy.stages.extract.report_html import (
    ReportPage,
    describe_marked,
    evenly_spaced,
)
from understudy.stages.frame_ranges import describe_ranges

# The sharpness is read from so many pictures at most, evenly over the set.
SAMPLES = 200


def write_report(
    folder: Path, faceset: Faceset, info: FootageInfo, claim: Claim | None = None
) -> Report:
    """Measure the faces, and write report.json and report.html into `folder`, each all or nothing.

    claim: what is signed into the faces on the page, where the footage is marked.

    Raises:
        CannotWrite: The disk is full, or not writable.
    """
    faces = faceset.faces
    detail = np.full(len(faces), np.nan, np.float32)
    for row in evenly_spaced(np.arange(len(faces)), SAMPLES):
        detail[row] = measure_face_detail(faceset.load(int(row)))
    odd = find_outliers(faces, frame_size=info.size_of(faces.frame), detail=detail)
    result = summarize(faces, info, detail, odd)
    atomic.write_text(folder / "report.json", result.model_dump_json(indent=1) + "\n")
    page = ReportPage(result, faceset, info, detail, odd, claim)
    atomic.write_text(folder / "report.html", page.html())
    return result


def format_report(report: Report) -> str:
    """The report for the terminal: a few lines."""
    people = len([each for each in report.people if each.person >= 0])
    counts = [
        (
            f"{report.source}: {pluralize(report.faces, 'face')} in {report.frames_with_a_face} of"
            f" {pluralize(report.frames, 'frame')}"
        ),
        *([f"{people} {'person' if people == 1 else 'people'}"] if people else []),
        pluralize(len(report.tracks), "track"),
        f"{report.filled} filled",
        f"{pluralize(len(report.failed), 'frame')} failed",
    ]
    lines = [", ".join(counts)]
    if report.gaps:
        lines.append(f"no face in frames {describe_ranges(report.gaps, most=8)}")
    if report.removed:
        lines.append(
            f"every face removed by hand in frames {describe_ranges(report.removed, most=8)}"
        )
    if report.marked:
        lines.append(f"marked by hand: {describe_marked(report.marked)}")
    if report.size is not None and report.detail is not None:
        lines.append(
            f"faces are {report.size.median:.0f} pixels wide and show the detail of"
            f" {report.detail.median:.0f}"
        )
    if report.jitter is not None and report.jitter_raw is not None:
        lines.append(
            f"jitter {report.jitter:.2f} % of the eye distance, {report.jitter_raw:.2f} % before"
            " steadying"
        )
    if report.suspicious:
        lines.append(
            "worth a look: "
            + ", ".join(f"{count} {reason}" for reason, count in report.suspicious.items())
        )
    return "\n".join(lines)
