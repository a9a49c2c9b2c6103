"""The report as one HTML page that holds all it shows: no script, no network, light and dark."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from understudy.core.drawing import svg
from understudy.core.image import resize
from understudy.core.metrics import summary as numbers
from understudy.core.metrics.outliers import Outlier
from understudy.core.metrics.summary import FootageInfo, Report
from understudy.io.faceset.faceset import Faceset
from understudy.io.footage import stills
from understudy.stages.html_style import STYLE
from understudy.types import Faces, Floats

_SIDE = 112
_JPG_QUALITY = 82
# More of these would make the page heavy and nobody reads them; what is left out is counted.
_MOST_PEOPLE, _A_PERSON = 24, 8
_MOST_TRACKS, _A_TRACK = 40, 3
_A_REASON = 16
_MOST_GAPS = 200


class Page:
    """The page of a report. detail: (N,) as in `report`; odd: the faces worth a look."""

    def __init__(
        self,
        report: Report,
        faceset: Faceset,
        facts: FootageInfo,
        detail: Floats,
        odd: Sequence[Outlier],
    ) -> None:
        self._report, self._faceset, self._facts, self._detail, self._odd = (
            report,
            faceset,
            facts,
            detail,
            odd,
        )
        self._faces: Faces = faceset.faces
        self._paths = faceset.paths
        self._encoded_rows: dict[int, str] = {}

    def html(self) -> str:
        """The whole page."""
        title = f"Faces of {escape(self._report.source)}"
        sections = [
            ("Over time", self._timeline()),
            ("Worth a look", self._suspicious()),
            ("People", self._people()),
            ("Which way they look", self._poses()),
            ("How good the pictures are", self._quality()),
            ("Tracks", self._tracks()),
            ("Frames without a face", self._gaps()),
        ]
        body = "".join(
            f"<section><h2>{name}</h2>{content}</section>" for name, content in sections if content
        )
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport"'
            f' content="width=device-width, initial-scale=1"><title>{title}</title>'
            f"<style>{STYLE}</style></head><body><header><h1>{title}</h1>{self._tiles()}</header>"
            f"{body}<footer>The same numbers for programs: report.json beside this page."
            " To delete a face, delete its file.</footer></body></html>\n"
        )

    def _tiles(self) -> str:
        report = self._report
        people = len([each for each in report.people if each.person >= 0])
        share = 100 * report.frames_with_a_face / max(report.frames, 1)
        tiles = [
            (
                "faces",
                f"{report.faces:,}",
                f"{report.filled:,} of them filled" if report.filled else "",
            ),
            (
                "frames with a face",
                f"{share:.4g} %",
                f"{report.frames_with_a_face:,} of {report.frames:,}",
            ),
            (
                "person" if people == 1 else "people",
                f"{people:,}" if people else "–",
                "" if people else "not known",
            ),
            (
                "track" if len(report.tracks) == 1 else "tracks",
                f"{len(report.tracks):,}" if report.tracks else "–",
                "" if report.tracks else "not known",
            ),
            ("worth a look", f"{len({each.row for each in self._odd}):,}", ""),
        ]
        if report.jitter is not None:
            before = (
                "" if report.jitter_raw is None else f"{report.jitter_raw:.2f} % before steadying"
            )
            tiles.append(("jitter", f"{report.jitter:.2f} %", before))
        if report.failed:
            tiles.append(
                ("frames failed", f"{len(report.failed):,}", f"the first: {report.failed[0][0]}")
            )
        cells = (
            f'<div class="tile"><b>{value}</b><span>{name}</span><small>{note}</small></div>'
            for name, value, note in tiles
        )
        return f'<div class="tiles">{"".join(cells)}</div>'

    def _timeline(self) -> str:
        faces, looked = self._faces, self._facts.frames
        if not len(looked):
            return ""
        bars = [
            self._bar(np.flatnonzero(faces.track == track), track)
            for track in np.unique(faces.track)
        ]
        bars.sort(key=lambda bar: int(np.concatenate([bar.solid, bar.pale]).min()))
        without = np.setdiff1d(looked, faces.frame)
        note = (
            '<p class="note">One bar a track, in the colour of its person; pale where the face was'
            " lost or filled.</p>"
        )
        return note + svg.timeline(bars, without, (int(looked.min()), int(looked.max())), "no face")

    def _bar(self, rows: NDArray[np.int64], track: int) -> svg.Bar:
        frame, person = self._faces.frame[rows], int(self._faces.person[rows[0]])
        name = (
            f"track {track}, {_who(person)}, {pluralize(len(rows), 'face')}"
            if track >= 0
            else f"{pluralize(len(rows), 'face')} without a track"
        )
        looked = self._facts.frames
        whole = looked[(looked >= frame.min()) & (looked <= frame.max())] if track >= 0 else frame
        return svg.Bar(name, person if track >= 0 else -1, frame[~self._faces.filled[rows]], whole)

    def _suspicious(self) -> str:
        """The faces worth a look, by reason, the worst first."""
        if not self._odd:
            return '<p class="note">No face is suspicious.</p>'
        parts = [
            '<p class="note">Delete the file of a face that should not be learned from; right ones'
            " may stay.</p>"
        ]
        for reason, count in self._report.suspicious.items():
            each = [one for one in self._odd if one.reason == reason]
            # Too low a value is as far off as too high a one.
            each.sort(key=lambda one: -abs(one.value - one.bound))
            figures = [
                self._figure(one.row, f"<b>{escape(self._paths[one.row].name)}</b>{_measured(one)}")
                for one in each[:_A_REASON]
            ]
            more = f", these are the worst {len(figures)}" if count > len(figures) else ""
            parts.append(
                f"<h3>{escape(reason.capitalize())}"
                f" <small>{count:,}{more}</small></h3>{_strip(figures)}"
            )
        return "".join(parts)

    def _people(self) -> str:
        parts = []
        people = sorted(self._report.people, key=lambda each: -each.faces)
        for each in people[:_MOST_PEOPLE]:
            rows = evenly_spaced(np.flatnonzero(self._faces.person == each.person), _A_PERSON)
            figures = [self._figure(int(row), f"frame {self._faces.frame[row]}") for row in rows]
            tracks = f"{pluralize(each.tracks, 'track')}, " if each.tracks else ""
            about = f"{pluralize(each.faces, 'face')}, {tracks}frames {each.first}–{each.last}"
            name = f"{_swatch(each.person)}{_who(each.person).capitalize()}"
            parts.append(f"<h3>{name} <small>{about}</small></h3>{_strip(figures)}")
        return "".join(parts) + _left_out(len(people) - _MOST_PEOPLE, "people")

    def _poses(self) -> str:
        if not len(self._faces):
            return ""
        pitch, yaw = np.degrees(self._faces.pose[:, 0]), np.degrees(self._faces.pose[:, 1])
        note = (
            "A square is 5°. What dst shows and src does not are views that the model will have to"
            " make up."
        )
        furthest = {
            "left": yaw.argmax(),
            "right": yaw.argmin(),
            "up": pitch.argmax(),
            "down": pitch.argmin(),
        }
        told = {"left": abs(yaw), "right": abs(yaw), "up": abs(pitch), "down": abs(pitch)}
        figures = [
            self._figure(int(row), f"furthest {side}, {told[side][row]:.0f}°")
            for side, row in furthest.items()
        ]
        plot = svg.heatmap(yaw, pitch, 5, (45, 30), ("left", "right", "up", "down"))
        return (
            f'<p class="note">{note}</p><div class="beside">{plot}<div'
            f' class="four">{"".join(figures)}</div></div>'
        )

    def _quality(self) -> str:
        faces = self._faces
        plots = [
            (
                "Detail",
                "pixels",
                self._detail,
                None,
                (
                    "So wide a perfectly sharp picture, brows to chin, would be. Left: blurred or"
                    " small."
                ),
            ),
            (
                "Size",
                "pixels",
                numbers.face_widths(faces),
                None,
                "So wide the face is in its frame, brows to chin.",
            ),
            (
                "Certainty",
                "",
                faces.score[~faces.filled],
                1.0,
                "How sure detector and landmarker were, 0 to 1.",
            ),
        ]
        parts = [
            f"<figure><h3>{name}</h3>{svg.histogram(values, unit, low=0, high=end)}"
            f"<figcaption>{note}</figcaption></figure>"
            for name, unit, values, end, note in plots
        ]
        return f'<div class="plots">{"".join(parts)}</div>'

    def _tracks(self) -> str:
        tracks = sorted(self._report.tracks, key=lambda each: -each.faces)
        if not tracks:
            return ""
        rows = []
        for each in tracks[:_MOST_TRACKS]:
            of_track = np.flatnonzero(self._faces.track == each.track)
            pictures = "".join(self._picture(int(row)) for row in evenly_spaced(of_track, _A_TRACK))
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
            ]
            figures = "".join(f'<td class="number">{cell}</td>' for cell in [*cells, jitter])
            rows.append(
                f"<tr><td>{_swatch(each.person)}{each.track}</td><td"
                f' class="faces">{pictures}</td>{figures}</tr>'
            )
        names = ("Track", "", "Frames", "Faces", "Filled", "Score", "Detail", "Jitter, %")
        head = "".join(f"<th>{name}</th>" for name in names)
        table = (
            f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
            f"<tbody>{''.join(rows)}</tbody></table></div>"
        )
        return table + _left_out(len(tracks) - _MOST_TRACKS, "shorter tracks")

    def _gaps(self) -> str:
        gaps = self._report.gaps
        ranges = [
            f"{first}–{last}" if last > first else f"{first}" for first, last in gaps[:_MOST_GAPS]
        ]
        failed = [
            f"<li>{frame}: {escape(problem)}</li>"
            for frame, problem in self._report.failed[:_MOST_GAPS]
        ]
        told = (
            f"<p>{', '.join(ranges)}</p>{_left_out(len(gaps) - _MOST_GAPS, 'ranges')}"
            if gaps
            else ""
        )
        problems = f"<h3>Frames that failed</h3><ul>{''.join(failed)}</ul>" if failed else ""
        return told + problems or '<p class="note">None.</p>'

    def _figure(self, row: int, caption: str) -> str:
        return f"<figure>{self._picture(row)}<figcaption>{caption}</figcaption></figure>"

    def _picture(self, row: int) -> str:
        name = escape(self._paths[row].name, quote=True)
        return (
            f'<img src="{self._encoded(row)}" alt="{name}" title="{name}" width="{_SIDE}"'
            f' height="{_SIDE}" loading="lazy">'
        )

    def _encoded(self, row: int) -> str:
        if row not in self._encoded_rows:
            small = resize(self._faceset.load(row).image, (_SIDE, _SIDE))
            data = stills.encode_image(small, ".jpg", _JPG_QUALITY)
            self._encoded_rows[row] = (
                f"data:image/jpeg;base64,{base64.b64encode(data).decode('ascii')}"
            )
        return self._encoded_rows[row]


def evenly_spaced(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most `count` of the rows, evenly over them, the first and the last among them."""
    return (
        rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))]
        if len(rows)
        else rows
    )


def pluralize(count: int, what: str) -> str:
    """A count with its noun: 1 face, 2 faces."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _measured(odd: Outlier) -> str:
    return (
        ""
        if odd.reason in ("filled", "same person twice")
        else f"{odd.value:.2g}, bound {odd.bound:.2g}"
    )


def _who(person: int) -> str:
    return f"person {person}" if person >= 0 else "unknown"


def _swatch(person: int) -> str:
    return f'<i class="swatch {f"c{person % svg.KINDS}" if person >= 0 else "none"}"></i>'


def _strip(figures: Sequence[str]) -> str:
    return f'<div class="strip">{"".join(figures)}</div>'


def _left_out(count: int, what: str) -> str:
    return f'<p class="note">… and {count:,} {what} more.</p>' if count > 0 else ""


def _shown(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
