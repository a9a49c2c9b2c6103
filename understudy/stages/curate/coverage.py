"""`faces coverage`: what dst shows and src lacks, and whether src is good enough for the shot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from understudy.core.face.likeness import tell_people
from understudy.core.face.pixel_measures import PixelMeasures
from understudy.core.face.traits import FaceTraits
from understudy.core.metrics.coverage import Gap, Shown
from understudy.core.metrics.coverage_choice import GROUPS, choose_faces
from understudy.core.metrics.coverage_report import (
    CoverageReport,
    SideFaces,
    describe_gap,
    describe_light,
    describe_shape,
    describe_sharpness,
    draw_pose_text,
    report_coverage,
)
from understudy.core.metrics.shape_fit import ShapeFit, fit_shapes
from understudy.core.metrics.summary import face_widths
from understudy.errors import BadMedia, BadProject, NoFaces
from understudy.io import atomic
from understudy.io.faceset.faceset import Faceset
from understudy.io.faceset.order import order_path, save_order
from understudy.options import Options, option
from understudy.parts.sorters import Sorting, sorters
from understudy.stages.curate.coverage_page import CoveragePage, FaceSide
from understudy.stages.curate.faceset_notes import faceset_notes
from understudy.stages.curate.known_faces import know_eyes
from understudy.stages.curate.measuring import measure_pixels
from understudy.stages.curate.new_pictures import NewPicture, Signing
from understudy.stages.curate.sort import face_order, read_faces, sort_faces
from understudy.stages.curate.sorted_page import write_page
from understudy.stages.events import Event, FaceGap, Finished, Note, Saved, Stage, Warned
from understudy.stages.extract.known_footage import match_footage
from understudy.stages.extract.people import check_person
from understudy.stages.jobs import verb
from understudy.stages.project import Project
from understudy.types import Faces, Side

# From which share of faces with measured lids on eyes are judged by these.
_NEARLY_ALL: Final = 0.9


class FacesCoverageOptions(Options):
    """What `faces coverage` asks."""

    src_person: int | None = option(
        None, "Only this person of src, as the report of extract numbers them", low=0
    )
    dst_person: int | None = option(
        None, "Only this person of dst, as the report of extract numbers them", low=0
    )
    propose: int | None = option(
        None,
        "Also propose so many of src's faces, as an order: `faces drop SHOW src unchosen` puts the"
        " others away",
        low=1,
        usual=True,
    )


@dataclass(frozen=True, slots=True)
class _Side:
    """The pictures of a side, and what their pixels show.

    rows: of the faceset, those that count and can be read. faces: these, with all that is known of
    their eyes.
    """

    faceset: Faceset
    pixels: PixelMeasures
    rows: NDArray[np.bool_]
    faces: Faces

    @property
    def knows_lids(self) -> bool:
        """Whether it was measured how far the eyes are open, of nearly all faces."""
        return float(np.isfinite(self.faces.lids).any(axis=1).mean()) > _NEARLY_ALL

    def judged(self, *, by_lids: bool) -> _Judged:
        """What the faces show. by_lids: by their lids; else by points alone, as the other side."""
        faces, pixels = self.faces, self.pixels.select(self.rows)
        faceset = self.faceset.select(self.rows)
        traits = FaceTraits.of(faces if by_lids else faces.landmarks)
        wrong = _wrong_people(faces)
        told = SideFaces(
            Shown.of(faces, traits, pixels, None if wrong is None else ~wrong, by_lids=by_lids),
            faceset.names,
            faces.frame,
            face_widths(faces).astype(np.float32),
            pixels.detail,
            _duplicates(faceset, pixels),
            wrong,
            len(self.faceset.unreadable) + len(self.pixels.reasons),
        )
        return _Judged(faceset, faces, traits, told)


@dataclass(frozen=True, slots=True)
class _Judged:
    """A side: its faces that count, what they do, and what a report needs of them."""

    faceset: Faceset
    faces: Faces
    traits: FaceTraits
    told: SideFaces


@verb
def faces_coverage(show: Path, options: FacesCoverageOptions) -> Stage:
    """Tell whether src's faces are good enough for dst: what dst shows and src lacks, and more.

    Leaves coverage.html and coverage.json in the show. Nothing is changed; with --propose the order
    of src's faces is. Raises NoFaces when a side has none.
    """
    project = Project.load(show)
    options = project.options("faces_coverage", options)
    persons: dict[Side, int | None] = {"src": options.src_person, "dst": options.dst_person}
    sets: dict[Side, Faceset] = {}
    for side, person in persons.items():
        sets[side] = yield from read_faces(project, side)
        yield from faceset_notes(sets[side])
        yield from _warn_of_unreadable(sets[side])
        if person is not None:
            check_person(sets[side].faces, person, f"--{side}-person")
    sides: list[_Side] = []
    for side, faceset in sets.items():
        pixels = yield from measure_pixels(faceset)
        if pixels is None:
            return
        faces = yield from know_eyes(faceset)
        if faces is None:
            return
        rows = _of_footage(project, faceset) if side == "dst" else np.ones(len(faceset), bool)
        if (person := persons[side]) is not None:
            rows &= faces.person == person
        rows[list(pixels.reasons)] = False
        if not rows.any():
            raise NoFaces(f"{faceset.folder}: no face can be read. Extract them again.")
        sides.append(_Side(faceset, pixels, rows, faces[rows]))
    by_lids = all(each.knows_lids for each in sides)
    src, dst = (each.judged(by_lids=by_lids) for each in sides)
    shape = fit_shapes(src.faces, src.traits, dst.faces, dst.traits)
    report, gaps = report_coverage(src.told, dst.told, shape)
    yield from _tell(report)
    told: dict[Side, FaceSide] = {
        "src": FaceSide(src.faceset, src.told),
        "dst": FaceSide(dst.faceset, dst.told),
    }
    yield from _write(project, report, gaps, shape, told)
    if options.propose is not None:
        yield from _propose(project, sides[0], src, dst, options.propose)
    yield Finished(stage="faces_coverage", summary=_summary(report))


def _warn_of_unreadable(faceset: Faceset) -> Iterator[Warned]:
    if unreadable := faceset.unreadable:
        name, reason = next(iter(unreadable.items()))
        more = f" {len(unreadable) - 1:,} more likewise." if len(unreadable) > 1 else ""
        yield Warned(text=f"{faceset.folder / name}: {reason} It is left out.{more}")


def _of_footage(project: Project, faceset: Faceset) -> NDArray[np.bool_]:
    """Which of dst's faces are of its footage; all, where that is not at hand or has none."""
    everything = np.ones(len(faceset), bool)
    if len(faceset.footages) < 2:
        return everything
    try:
        with project.open_footage("dst") as footage:
            ours = match_footage(project, "dst", faceset, footage)
    except (BadMedia, BadProject):
        return everything
    return ours if ours.any() else everything


def _duplicates(faceset: Faceset, pixels: PixelMeasures) -> NDArray[np.bool_]:
    """(N,) faces that are near duplicates of others that stay."""
    return ~sorters["near-duplicates"]().build()(sort_faces(faceset, pixels)).chosen


def _wrong_people(faces: Faces) -> NDArray[np.bool_] | None:
    """(N,) faces that look like somebody else than most; None where nobody can tell.

    By their identities where they have them; else by who extraction said they are, which it numbers
    in each footage for itself.
    """
    if faces.identity is not None:
        found = tell_people(faces.identity)
        return np.asarray((found.person != 0) & np.isfinite(found.far))
    known = faces.person >= 0
    if not known.any():
        return None
    wrong = np.zeros(len(faces), bool)
    for footage in np.unique(faces.footage[known]):
        here = known & (faces.footage == footage)
        wrong |= here & (faces.person != np.bincount(faces.person[here]).argmax())
    return wrong


def _tell(report: CoverageReport) -> Iterator[Event]:
    """The report in lines."""
    for line in draw_pose_text(report):
        yield Note(text=line)
    for kind in report.kinds:
        yield Note(text=f"{kind.kind:24} dst {kind.dst:6,}   src {kind.src:6,}")
    for gap in report.gaps:
        yield FaceGap(
            kind=gap.kind,
            faces=gap.faces,
            share=gap.share,
            axis=gap.axis,
            low=gap.low,
            high=gap.high,
            nearest=gap.nearest,
            src_faces=gap.src_faces,
            frames=tuple(gap.frames),
            text=f"src lacks {describe_gap(gap)}",
        )
        if gap.advice:
            yield Note(text=f"  {gap.advice}")
    for pair in report.together:
        yield Note(
            text=f"src has only apart: {pair.kinds[0]} and {pair.kinds[1]};"
            f" {pair.faces:,} of dst's show both"
        )


def _write(
    project: Project,
    report: CoverageReport,
    gaps: list[Gap],
    shape: ShapeFit | None,
    sides: dict[Side, FaceSide],
) -> Stage:
    """coverage.json and coverage.html in the show, each all or nothing."""
    numbers, page = project.folder / "coverage.json", project.folder / "coverage.html"
    drawn = CoveragePage(project.folder.resolve().name, report, gaps, shape, sides)
    signing, pictures = Signing(), dict[tuple[Side, int], bytes]()
    for side, row in drawn.shown():
        face = sides[side].faceset.paths[row]
        small = NewPicture(f"{face.stem}.jpg", drawn.small_picture(side, row), face)
        pictures[side, row] = yield from signing.signed(small)
    atomic.write_text(numbers, report.model_dump_json(indent=1) + "\n")
    atomic.write_text(page, drawn.html(pictures))
    yield Saved(what="numbers", path=numbers)
    yield Saved(what="page", path=page)


def _propose(
    project: Project, side: _Side, src: _Judged, dst: _Judged, count: int
) -> Iterator[Event]:
    """Keep an order of src's faces in which the proposed ones are chosen."""
    choice = choose_faces(src.told, dst.told.shown[dst.told.usable], count)
    rows, rest = np.flatnonzero(side.rows), np.flatnonzero(~side.rows)
    turn, group = np.full(len(side.rows), np.nan), np.full(len(side.rows), -1, np.int64)
    chosen = np.zeros(len(side.rows), bool)
    turn[rows], group[rows], chosen[rows] = choice.turn, choice.group, choice.chosen
    turned = np.concatenate([rows[choice.order], rest]).astype(np.int64)
    sorting = Sorting(turned, turn, chosen=chosen).with_groups(group, GROUPS)
    folder = side.faceset.folder
    settings: dict[str, object] = {"propose": count}
    order = face_order("coverage", settings, side.faceset, sorting, side.pixels.reasons)
    with project.lock("src") as notes:
        yield from notes
        save_order(folder, order)
        yield Saved(what="order", path=order_path(folder))
        yield from write_page(folder, order)
    yield Note(
        text=f"{int(chosen.sum()):,} of src's faces are proposed. To put the other"
        f" {int((~chosen).sum()):,} away: understudy faces drop {project.folder} src unchosen"
    )


def _summary(report: CoverageReport) -> dict[str, object]:
    """What a program wants to know at once, and the table shows."""
    src, dst = report.src, report.dst
    summary: dict[str, object] = {
        "answer": report.answer,
        "faces": {"src": src.faces, "dst": dst.faces},
        "covered": f"{100 * report.covered:.0f} % of dst's faces",
        "shape": describe_shape(report.shape),
        "sharpness": describe_sharpness(report),
        "light": describe_light(report),
        "near_duplicates": {"src": src.duplicates, "dst": dst.duplicates},
        "look_like_somebody_else": {
            side: "not known" if row.wrong_person is None else row.wrong_person
            for side, row in (("src", src), ("dst", dst))
        },
    }
    if src.unreadable or dst.unreadable:
        summary["unreadable"] = {"src": src.unreadable, "dst": dst.unreadable}
    return {**summary, "verdict": report.verdict}
