"""Measures swapped faces: whose face it is, whether it moves as dst does, how sharp it is."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np

from understudy.core.affine import bounding_box
from understudy.core.face.detail import measure_detail
from understudy.core.face.pose import estimate_pose
from understudy.core.metrics import swap_metrics
from understudy.core.metrics.quality import MIN_FOUND
from understudy.core.row_blocks import Rows
from understudy.errors import DegeneratePoints
from understudy.io.installation import install_extra
from understudy.io.weights import fetch
from understudy.parts.detectors import Detection
from understudy.parts.dlib_extra import is_installed
from understudy.parts.identities import Embed, identities
from understudy.parts.landmarkers import Locate, landmarkers
from understudy.types import Bytes, Floats

LANDMARKER, IDENTITY = "facemesh", "dlib-resnet"
# With fewer faces nothing can be said of how they move.
MIN_FACES = 3
# What differs little from one swap to the next, and costs the most, is measured on so many:
# identity, and whether a face is there.
SAMPLED_FACES = 8
# Columns of `swap_metrics.expression_features`.
_MOUTH, _EYES = 0, 2

Metrics = dict[str, float]


@dataclass(frozen=True, slots=True)
class MetricNets:
    """The networks that measure faces. missing: what cannot be measured, and what now, in words."""

    locate: Locate | None = None
    embed: Embed | None = None
    missing: tuple[str, ...] = ()


@functools.lru_cache(maxsize=1)
def load_metric_nets() -> MetricNets:
    """Load the landmarker and the identity network that are at hand; nothing is fetched."""
    missing: list[str] = []
    locate: Locate | None = None
    embed: Embed | None = None
    if fetch.weight_status(LANDMARKER) == "missing":
        missing.append(
            f"how good the swap is: no weights of {LANDMARKER} here, `understudy models` says where"
            " to put them"
        )
    else:
        # Of its three passes and four crops these do to compare two pictures of one face.
        locate = landmarkers[LANDMARKER].layered({"passes": 2, "crops": 2}).build()
    if is_installed():
        embed = identities[IDENTITY]().build()
    else:
        missing.append(f"whose face it is: run {install_extra('dlib')}")
    return MetricNets(locate, embed, tuple(missing))


@dataclass(frozen=True, slots=True)
class FaceImages:
    """Faces as a model sees them. faces: (n, S, S, 3) uint8. landmarks: (n, 68, 2) in them."""

    faces: Bytes
    landmarks: Floats


class SwapEvaluator:
    """Compares swapped faces with the dst faces that they replace, and with src's."""

    def __init__(self, src: FaceImages, dst: FaceImages, nets: MetricNets) -> None:
        self._dst, self._nets = dst, nets
        self._points = _locate(dst, nets.locate)
        self._embeddings = [_embed(each, nets.embed) for each in (src, dst)]
        self._src_sharpness = _sharpness(src)

    def measure(self, swapped: Bytes, alone: Bytes) -> Metrics:
        """Measure the swaps of all dst faces.

        Where a face is found in fewer than `MIN_FOUND` of them, that share is all that there is to
        say: an embedding, or the sharpness, of noise is a number like any other.

        Args:
            swapped: (n, S, S, 3), in the order of dst's faces, in place of these.
            alone: The same without what is around dst's faces, which helps to find them.

        Returns:
            found: The share in which the landmarker finds a face.
            identity: 0 = still dst, 1 = as much src as src's own faces.
            expression, mouth, eyes: Whether it moves as dst does, -1..1; with " scale" how much of
            dst's movement it has, 1 = all.
            pose: The mean difference to dst, in degrees.
            sharpness: The median detail as a share of src's.
        """
        if self._nets.locate is None or not np.isfinite(self._points).any():
            # Nothing tells a face from noise.
            return {}
        shown = FaceImages(swapped, self._dst.landmarks)
        points = _locate(shown, self._nets.locate)
        rows = _sample_rows(len(alone))
        by_itself = FaceImages(alone[rows], self._dst.landmarks[rows])
        found = {
            "found": min(
                self._share_found(points),
                self._share_found(_locate(by_itself, self._nets.locate), rows),
            )
        }
        if found["found"] < MIN_FOUND:
            return found
        found["sharpness"] = _sharpness(shown) / max(self._src_sharpness, 1e-6)
        src, dst = self._embeddings
        if self._nets.embed is not None and not np.array_equal(src, dst):
            found["identity"] = swap_metrics.identity_shift(
                _embed(shown, self._nets.embed), src, dst
            ).shift
        return found | self._expression_metrics(points)

    def _share_found(self, points: Floats, rows: Rows | None = None) -> float:
        """The share of the faces found in dst, in which the swap shows one, too.

        points: of the swaps in these rows, NaN where no face is; None = of all.
        """
        there = np.isfinite(self._points if rows is None else self._points[rows]).all((1, 2))
        both = there & np.isfinite(points).all((1, 2))
        return float(both.sum()) / max(int(there.sum()), 1)

    def _expression_metrics(self, points: Floats) -> Metrics:
        there = np.isfinite(self._points).all((1, 2))
        both = there & np.isfinite(points).all((1, 2))
        found: Metrics = {}
        if both.sum() < MIN_FACES:
            return found
        ours, theirs = (
            swap_metrics.expression_features(each[both]) for each in (points, self._points)
        )
        for name, columns in (("expression", slice(None)), ("mouth", [_MOUTH]), ("eyes", [_EYES])):
            scale, step = swap_metrics.expression_movement(ours[:, columns], theirs[:, columns])
            found |= {name: step, f"{name} scale": scale}
        size = self._dst.faces.shape[1:3]
        turned = [
            np.subtract(estimate_pose(one, size), estimate_pose(other, size))
            for one, other in zip(points[both], self._points[both], strict=True)
        ]
        found["pose"] = float(np.degrees(np.abs(turned)).mean())
        return found


def _locate(shown: FaceImages, locate: Locate | None) -> Floats:
    """The points that the landmarker finds, (n, 68, 2); rows of NaN where it sees no face."""
    points = np.full((len(shown.faces), 68, 2), np.nan, np.float32)
    if locate is None:
        return points
    # The landmarker wants some room around a face.
    room = shown.faces.shape[1] // 4
    for row, (face, known) in enumerate(zip(shown.faces, shown.landmarks, strict=True)):
        wide = np.asarray(
            cv2.copyMakeBorder(face, room, room, room, room, cv2.BORDER_REPLICATE), np.uint8
        )
        try:
            found = locate(
                wide, Detection(bounding_box(known) + room, 1.0, 0.0, np.zeros((0, 2), np.float32))
            )
        except DegeneratePoints:
            continue
        if found is not None:
            points[row] = found.landmarks - room
    return points


def _embed(shown: FaceImages, embed: Embed | None) -> Floats:
    if embed is None:
        return np.zeros((0, 0), np.float32)
    rows = _sample_rows(len(shown.faces))
    return np.stack([embed(shown.faces[row], shown.landmarks[row]) for row in rows])


def _sample_rows(count: int) -> Rows:
    rows: Rows = np.unique(np.linspace(0, count - 1, SAMPLED_FACES).round().astype(np.int64))
    return rows


def _sharpness(shown: FaceImages) -> float:
    return float(
        np.median(
            [
                measure_detail(face, points)
                for face, points in zip(shown.faces, shown.landmarks, strict=True)
            ]
        )
    )
