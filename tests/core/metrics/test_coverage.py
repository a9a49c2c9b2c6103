"""Coverage tells what was taken away from src, and nothing else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from understudy.core.face.mask import raise_brows
from understudy.core.face.pixel_measures import PixelMeasures
from understudy.core.face.pose import HEAD_MODEL
from understudy.core.face.traits import FaceTraits
from understudy.core.metrics.coverage import Shown, find_gaps
from understudy.core.metrics.coverage_choice import choose_faces
from understudy.core.metrics.coverage_report import (
    SideFaces,
    describe_light,
    describe_shape,
    draw_pose_text,
    report_coverage,
)
from understudy.core.metrics.shape_fit import fit_shapes
from understudy.types import Doubles, Faces, Floats

UPPER_LIDS, LOWER_LIDS = [37, 38, 43, 44], [41, 40, 47, 46]
LOWER_LIP, JAW = [55, 56, 57, 58, 59, 65, 66, 67], [5, 6, 7, 8, 9, 10, 11]


class Population:
    """N faces of somebody who does not exist: all kinds of turns, blinks, talk and light.

    The points are those of a head in space, so what is measured of them is not made up.
    """

    def __init__(self, seed: int, count: int = 900, wide: float = 1.0, head: float = 1.0) -> None:
        rng = np.random.default_rng(seed)
        self.yaw = np.radians(rng.uniform(-75, 75, count))
        self.pitch = np.radians(rng.uniform(-25, 25, count))
        # Shut in one of twelve, on the way there in a few more.
        self.lids = np.clip(rng.uniform(-0.5, 6, count), 0, 1)
        self.mouth = np.clip(rng.uniform(-1, 1, count), 0, 1)
        self.brightness = np.where(rng.random(count) < 0.1, 0.15, rng.uniform(0.5, 0.62, count))
        self.side = rng.uniform(-0.25, 0.25, count)
        shape = HEAD_MODEL * (wide, 1, 1)
        shape[:17, :2] = shape[30, :2] + (shape[:17, :2] - shape[30, :2]) * head
        heads = np.repeat(shape[None], count, axis=0)
        opening = heads[:, LOWER_LIDS, 1] - heads[:, UPPER_LIDS, 1]
        heads[:, UPPER_LIDS, 1] += (1 - self.lids[:, None]) * opening
        heads[:, LOWER_LIP, 1] += 30 * self.mouth[:, None]
        heads[:, JAW, 1] += 24 * self.mouth[:, None]
        across, down = np.cos(self.yaw), np.cos(self.pitch)
        zero, one = np.zeros(count), np.ones(count)
        turn = [
            [across, zero, np.sin(self.yaw)],
            [zero, one, zero],
            [-np.sin(self.yaw), zero, across],
        ]
        nod = [
            [one, zero, zero],
            [zero, down, np.sin(self.pitch)],
            [zero, -np.sin(self.pitch), down],
        ]
        matrix = np.einsum("ijn,jkn->nik", np.array(nod), np.array(turn))
        points = (heads @ matrix.transpose(0, 2, 1))[..., :2] * 2 + 400
        self.points = (points + rng.normal(0, 0.3, points.shape)).astype(np.float32)

    def faces(self) -> Faces:
        count = len(self.yaw)
        low, high = self.points.min(axis=1), self.points.max(axis=1)
        pose = np.column_stack([self.pitch, self.yaw, np.zeros(count)]).astype(np.float32)
        whole, none = np.arange(count), np.zeros(count, np.int64)
        return Faces(
            frame=whole,
            box=np.concatenate([low, high], axis=1),
            landmarks=self.points,
            score=np.ones(count, np.float32),
            track=none,
            pose=pose,
            identity=None,
            person=none,
            filled=np.zeros(count, bool),
            raw=self.points,
            lids=np.repeat(0.08 + 0.14 * self.lids[:, None], 2, axis=1).astype(np.float32),
        )

    def pixels(self) -> PixelMeasures:
        count = len(self.yaw)
        some = np.full(count, 0.5, np.float32)
        light = np.column_stack([self.side, np.zeros(count)]).astype(np.float32)
        return PixelMeasures(
            detail=some * 300,
            sharpness=some,
            motion_blur=some,
            brightness=self.brightness.astype(np.float32),
            hue=some,
            black=some,
            light=light,
            histogram=np.zeros((count, 4, 32), np.float32),
            thumbnail=np.zeros((count, 16, 16), np.uint8),
            reasons={},
        )

    def shown(self) -> Shown:
        faces = self.faces()
        return Shown.of(faces, FaceTraits.of(faces), self.pixels(), by_lids=True)

    def side_faces(self, kept: np.ndarray | None = None) -> SideFaces:  # type: ignore[type-arg]
        rows = np.ones(len(self.yaw), bool) if kept is None else kept
        count = int(rows.sum())
        detail: Floats = self.pixels().detail[rows]
        return SideFaces(
            self.shown()[rows],
            [f"{row:06d}_0.jpg" for row in np.flatnonzero(rows)],
            np.flatnonzero(rows),
            np.full(count, 300, np.float32),
            detail,
            np.zeros(count, bool),
            None,
        )


SRC, DST = Population(0), Population(1)


def shared(src: Doubles, dst: Doubles, scale: float) -> float:
    """The share of both faces, drawn, that is in both."""
    ours, theirs = (np.zeros((400, 400), np.uint8) for _ in range(2))
    for points, drawn in (((src - 0.5) * (1 + scale) + 0.5, ours), (dst, theirs)):
        places = np.rint(raise_brows(points.astype(np.float32)) * 200 + 100).astype(np.int32)
        cv2.fillConvexPoly(drawn, cv2.convexHull(places), 1)
    return float((ours & theirs).sum() / (ours | theirs).sum())


@pytest.mark.parametrize(
    ("kept", "kinds"),
    [
        (np.ones(900, bool), set()),
        (abs(np.degrees(SRC.yaw)) < 40, {"profile to the left", "profile to the right"}),
        (np.degrees(SRC.yaw) < 40, {"profile to the left"}),
        (np.degrees(SRC.pitch) > -8, {"looking down"}),
        (np.degrees(SRC.pitch) < 8, {"looking up"}),
        (SRC.lids > 0.6, {"closed eyes"}),
        (SRC.mouth < 0.2, {"mouth wide open"}),
        (SRC.brightness > 0.3, {"darkness"}),
        (SRC.side < 0.03, {"light from the right"}),
    ],
    ids=["nothing", "profiles", "left", "down", "up", "eyes", "mouth", "dark", "side"],
)
def test_what_was_taken_out_of_src_is_told_and_nothing_else(
    kept: np.ndarray,  # type: ignore[type-arg]
    kinds: set[str],
) -> None:
    gaps = find_gaps(SRC.shown()[kept], DST.shown())
    assert {gap.kind for gap in gaps} == kinds
    if kinds:
        report, _ = report_coverage(SRC.side_faces(kept), DST.side_faces(), None)
        assert report.answer != "yes" and all(kind in report.verdict for kind in kinds)
        assert report.covered == pytest.approx(
            1 - sum(gap.faces for gap in report.gaps) / 900, 0.01
        )


def test_dark_skin_is_no_dim_light_but_a_night_is() -> None:
    dark, night = Population(3), Population(3)
    dark.brightness, night.brightness = dark.brightness * 0.45, night.brightness * 0.15
    for src, dst in ((SRC, dark), (dark, DST)):
        assert not find_gaps(src.shown(), dst.shown())
    assert {gap.kind for gap in find_gaps(SRC.shown(), night.shown())} <= {"dim light", "darkness"}
    assert find_gaps(SRC.shown()[SRC.brightness > 0.3], night.shown())
    report, _ = report_coverage(dark.side_faces(), DST.side_faces(), None)
    assert "2.5 stops darker" in describe_light(report)


def test_what_src_shows_only_apart_is_told_beside_the_verdict() -> None:
    whole, _ = report_coverage(SRC.side_faces(), DST.side_faces(), None)
    assert whole.together == [] and whole.answer == "yes"
    kept = (SRC.mouth < 0.05) | (np.degrees(SRC.yaw) < 10)
    apart, _ = report_coverage(SRC.side_faces(kept), DST.side_faces(), None)
    assert apart.gaps == [] and apart.answer == "yes"
    told = {pair.kinds for pair in apart.together}
    assert ("turned left", "mouth wide open") in told
    assert all("left" in turn and "mouth" in mouth for turn, mouth in told)


def test_what_only_one_side_of_the_head_shows_may_come_from_a_mirror() -> None:
    gaps = find_gaps(SRC.shown()[np.degrees(SRC.yaw) < 40], DST.shown())
    assert [gap.is_mirrored for gap in gaps] == [True]
    # However much it is, one flag gives it.
    turned = np.degrees(DST.yaw) > 50
    report, _ = report_coverage(
        SRC.side_faces(np.degrees(SRC.yaw) < 40), DST.side_faces(turned), None
    )
    assert report.covered < 0.5 and report.answer == "mostly" and "--src-flip" in report.verdict


def test_the_map_says_which_turns_src_lacks() -> None:
    report, _ = report_coverage(SRC.side_faces(np.degrees(SRC.yaw) < 40), DST.side_faces(), None)
    ahead = next(line for line in draw_pose_text(report) if line.startswith("pitch   +0")).split()
    assert ahead[2] == "dst" and ahead[-1] == "both"
    assert max(map(len, draw_pose_text(report))) < 80
    cell = report.map[0]
    wide = [cell.model_copy(update={"yaw": (yaw - 7.5, yaw + 7.5)}) for yaw in (-120, 105)]
    lines = draw_pose_text(report.model_copy(update={"map": [*report.map, *wide]}))
    assert max(map(len, lines)) <= 80 and "stand at 90" in lines[-1]


def test_a_wider_face_is_told_with_the_scale_that_fits() -> None:
    wide = Population(2, wide=1.12)
    fit = fit_shapes(
        wide.faces(), FaceTraits.of(wide.faces()), DST.faces(), FaceTraits.of(DST.faces())
    )
    assert fit is not None and fit.width == pytest.approx(fit.length * 1.12, abs=0.03)
    report, _ = report_coverage(wide.side_faces(), DST.side_faces(), fit)
    assert "wider" in describe_shape(report.shape)
    # A head that is larger or smaller around the same eyes, nose and mouth.
    for size in (0.8, 0.9, 1.1):
        other = Population(2, head=size)
        fit = fit_shapes(
            other.faces(), FaceTraits.of(other.faces()), DST.faces(), FaceTraits.of(DST.faces())
        )
        assert fit is not None and fit.width == pytest.approx(size, abs=0.01)
        best = max(np.arange(-0.3, 0.31, 0.01), key=lambda scale: shared(fit.src, fit.dst, scale))
        assert fit.scale == pytest.approx(best, abs=0.011) and (fit.scale > 0) == (size < 1)
    same = fit_shapes(
        SRC.faces(), FaceTraits.of(SRC.faces()), DST.faces(), FaceTraits.of(DST.faces())
    )
    assert same is not None and abs(same.scale) < 0.01 and same.width == pytest.approx(1, abs=0.01)


def test_a_proposed_third_shows_all_that_the_whole_does() -> None:
    src, dst = SRC.side_faces(), DST.side_faces()
    choice = choose_faces(src, dst.shown, 300)
    assert choice.chosen.sum() == 300 and np.array_equal(np.sort(choice.order), np.arange(900))
    assert not find_gaps(src.shown[choice.chosen], dst.shown)
    # Faces that dst has no use for come in, but less often.
    assert (choice.group[choice.chosen] == 0).sum() > 200
