"""The report as one HTML page that holds all it shows: no script, no network, light and dark."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.core.drawing import svg
from understudy.core.image import resize
from understudy.core.metrics.outliers import Outlier
from understudy.core.metrics.summary import FootageInfo, Report, face_widths
from understudy.io.faceset.faceset import Faceset
from understudy.io.footage import stills
from understudy.io.provenance.manifest import Claim
from understudy.printable import pluralize
from understudy.stages.html_page import render_page
from understudy.types import Faces, Floats

_SIDE = 112
_JPG_QUALITY = 82
# More of these would make the page heavy and nobody reads them; what is left out is counted.
_MAX_PEOPLE, _FACES_PER_PERSON = 24, 8
_MAX_TRACKS, _FACES_PER_TRACK = 40, 3
_FACES_PER_REASON = 16
_MAX_GAPS = 200


@dataclass(frozen=True, slots=True)
class _Picture:
    """A face on the page. data: its picture as an address; name: its file's."""

    data: str
    name: str
    heading: str = ""
    caption: str = ""


class ReportPage:
    """The page of a report.

    Args:
        report: The numbers.
        faceset: The N faces that it is about.
        info: The footage.
        detail: (N,) as for `summarize`.
        outliers: The faces worth a look.
        claim: What is signed into the faces, where the footage is marked.
    """

    def __init__(
        self,
        report: Report,
        faceset: Faceset,
        info: FootageInfo,
        detail: Floats,
        outliers: Sequence[Outlier],
        claim: Claim | None = None,
    ) -> None:
        self._report, self._faceset, self._info = report, faceset, info
        self._detail, self._outliers, self._claim = detail, outliers, claim
        self._faces: Faces = faceset.faces
        self._paths = faceset.paths
        self._encoded_rows: dict[int, str] = {}

    def html(self) -> str:
        """Render the whole page."""
        report = self._report
        return render_page(
            "report.html",
            source=report.source,
            side=_SIDE,
            tiles=self._tiles(),
            timeline=self._timeline(),
            outliers=self._outlier_groups(),
            people=self._people(),
            people_left_out=len(report.people) - _MAX_PEOPLE,
            poses=self._poses() if len(self._faces) else None,
            quality=self._quality(),
            tracks=self._tracks(),
            tracks_left_out=len(report.tracks) - _MAX_TRACKS,
            gaps=_few(report.gaps),
            gaps_left_out=len(report.gaps) - _MAX_GAPS,
            removed=_few(report.removed),
            removed_left_out=len(report.removed) - _MAX_GAPS,
            failed=report.failed[:_MAX_GAPS],
        )

    def _tiles(self) -> list[dict[str, str]]:
        report = self._report
        people = len([each for each in report.people if each.person >= 0])
        share = 100 * report.frames_with_a_face / max(report.frames, 1)
        notes = [
            *([f"{report.filled:,} of them filled"] if report.filled else []),
            *([f"by hand: {describe_marked(report.marked)}"] if report.marked else []),
        ]
        tiles = [
            ("faces", f"{report.faces:,}", "; ".join(notes)),
            (
                "frames with a face",
                f"{share:.4g} %",
                f"{report.frames_with_a_face:,} of {report.frames:,}",
            ),
            _count_tile(people, "person", "people"),
            _count_tile(len(report.tracks), "track", "tracks"),
            ("worth a look", f"{len({each.row for each in self._outliers}):,}", ""),
        ]
        if report.jitter is not None:
            raw = report.jitter_raw
            before = "" if raw is None else f"{raw:.2f} % before steadying"
            tiles.append(("jitter", f"{report.jitter:.2f} %", before))
        if report.failed:
            first = f"the first: {report.failed[0][0]}"
            tiles.append(("frames failed", f"{len(report.failed):,}", first))
        return [{"name": name, "value": value, "note": note} for name, value, note in tiles]

    def _timeline(self) -> str:
        faces, looked = self._faces, self._info.frames
        if not len(looked):
            return ""
        bars = [
            self._bar(np.flatnonzero(faces.track == track), track)
            for track in np.unique(faces.track)
        ]
        bars.sort(key=lambda bar: int(np.concatenate([bar.solid, bar.pale]).min()))
        without = np.setdiff1d(looked, faces.frame)
        return svg.draw_timeline(bars, without, (int(looked.min()), int(looked.max())), "no face")

    def _bar(self, rows: NDArray[np.int64], track: int) -> svg.Bar:
        frame, person = self._faces.frame[rows], int(self._faces.person[rows[0]])
        name = (
            f"track {track}, {_who(person)}, {pluralize(len(rows), 'face')}"
            if track >= 0
            else f"{pluralize(len(rows), 'face')} without a track"
        )
        looked = self._info.frames
        whole = looked[(looked >= frame.min()) & (looked <= frame.max())] if track >= 0 else frame
        return svg.Bar(name, person if track >= 0 else -1, frame[~self._faces.filled[rows]], whole)

    def _outlier_groups(self) -> list[dict[str, Any]]:
        """The faces worth a look, by reason, the worst first."""
        groups = []
        for reason, count in self._report.suspicious.items():
            each = [one for one in self._outliers if one.reason == reason]
            # Too low a value is as far off as too high a one.
            each.sort(key=lambda one: -abs(one.value - one.bound))
            faces = [
                self._picture(one.row, self._paths[one.row].name, _measured(one))
                for one in each[:_FACES_PER_REASON]
            ]
            groups.append({"reason": reason, "count": count, "faces": faces})
        return groups

    def _people(self) -> list[dict[str, Any]]:
        people = []
        for each in sorted(self._report.people, key=lambda each: -each.faces)[:_MAX_PEOPLE]:
            of_person = np.flatnonzero(self._faces.person == each.person)
            rows = evenly_spaced(of_person, _FACES_PER_PERSON)
            tracks = f"{pluralize(each.tracks, 'track')}, " if each.tracks else ""
            people.append(
                {
                    "person": each.person,
                    "name": _who(each.person),
                    "about": (
                        f"{pluralize(each.faces, 'face')}, {tracks}frames {each.first}–{each.last}"
                    ),
                    "faces": [
                        self._picture(int(row), caption=f"frame {self._faces.frame[row]}")
                        for row in rows
                    ],
                }
            )
        return people

    def _poses(self) -> dict[str, Any]:
        pitch, yaw = np.degrees(self._faces.pose[:, 0]), np.degrees(self._faces.pose[:, 1])
        furthest = {
            "left": (int(yaw.argmax()), yaw),
            "right": (int(yaw.argmin()), yaw),
            "up": (int(pitch.argmax()), pitch),
            "down": (int(pitch.argmin()), pitch),
        }
        return {
            "map": svg.draw_heatmap(yaw, pitch, 5, (45, 30), ("left", "right", "up", "down")),
            "furthest": [
                self._picture(row, caption=f"furthest {side}, {abs(angles[row]):.0f}°")
                for side, (row, angles) in furthest.items()
            ],
        }

    def _quality(self) -> list[dict[str, str]]:
        faces = self._faces
        detail = (
            "So wide a perfectly sharp picture, brows to chin, would be. Left: blurred or small."
        )
        size = "So wide the face is in its frame, brows to chin."
        score = "How sure detector and landmarker were, 0 to 1."
        plots = [
            ("Detail", detail, svg.draw_histogram(self._detail, "pixels", low=0)),
            ("Size", size, svg.draw_histogram(face_widths(faces), "pixels", low=0)),
            (
                "Certainty",
                score,
                svg.draw_histogram(faces.score[~faces.filled], "", low=0, high=1.0),
            ),
        ]
        return [{"name": name, "note": note, "svg": drawn} for name, note, drawn in plots]

    def _tracks(self) -> list[dict[str, Any]]:
        tracks = []
        for each in sorted(self._report.tracks, key=lambda each: -each.faces)[:_MAX_TRACKS]:
            of_track = np.flatnonzero(self._faces.track == each.track)
            jitter = (
                f"{_shown(each.jitter_raw)} → {_shown(each.jitter)}"
                if each.jitter is not None
                else "–"
            )
            cells = [
                f"{each.first}–{each.last}",
                f"{each.faces:,}",
                f"{each.filled:,}",
                f"{each.score:.2f}",
                _shown(each.detail, 0),
                jitter,
            ]
            rows = evenly_spaced(of_track, _FACES_PER_TRACK)
            pictures = [self._picture(int(row)) for row in rows]
            tracks.append(
                {"person": each.person, "track": each.track, "faces": pictures, "cells": cells}
            )
        return tracks

    def _picture(self, row: int, heading: str = "", caption: str = "") -> _Picture:
        if row not in self._encoded_rows:
            small = resize(self._faceset.load(row).image, (_SIDE, _SIDE))
            data = stills.encode_image(small, ".jpg", _JPG_QUALITY)
            if self._claim:
                name = self._paths[row].with_suffix(".jpg")
                data = self._claim.sign_picture(io.BytesIO(data), name)
            self._encoded_rows[row] = (
                f"data:image/jpeg;base64,{base64.b64encode(data).decode('ascii')}"
            )
        return _Picture(self._encoded_rows[row], self._paths[row].name, heading, caption)


def evenly_spaced(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Take at most `count` of the rows (N,), evenly, the first and the last among them."""
    return (
        rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))]
        if len(rows)
        else rows
    )


def describe_marked(counts: Mapping[str, int]) -> str:
    """What became of the faces that were marked by hand; counts: of `Report.marked`."""
    words = {
        "points": "by all 68 points",
        "refined": "refined by the landmarker",
        "laid in": "laid in, since the landmarker saw none there",
    }
    return ", ".join(f"{count:,} {words[how]}" for how, count in counts.items())


def _few(ranges: Sequence[tuple[int, int]]) -> list[str]:
    """The first ranges of frames, as they are shown."""
    return [f"{first}–{last}" if last > first else f"{first}" for first, last in ranges[:_MAX_GAPS]]


def _count_tile(count: int, one: str, many: str) -> tuple[str, str, str]:
    name = one if count == 1 else many
    return (name, f"{count:,}", "") if count else (name, "–", "not known")


def _measured(odd: Outlier) -> str:
    if odd.reason in ("filled", "laid in", "same person twice"):
        return ""
    return f"{odd.value:.2g}, bound {odd.bound:.2g}"


def _who(person: int) -> str:
    return f"person {person}" if person >= 0 else "unknown"


def _shown(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
