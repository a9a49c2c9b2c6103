"""What becomes of a swap: whose face it is, whether it acts as dst does, how sharp it is."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np

from understudy.core.affine import bounding_box
from understudy.core.face.detail import measure_detail
from understudy.core.face.pose import estimate_pose
from understudy.core.metrics import swap_metrics
from understudy.errors import DegeneratePoints
from understudy.io.weights import fetch
from understudy.parts.detectors import Detection
from understudy.parts.dlib_extra import is_installed
from understudy.parts.identities import Embed, identities
from understudy.parts.landmarkers import Locate, landmarkers
from understudy.types import Bytes, Floats

LANDMARKER, IDENTITY = "facemesh", "dlib-resnet"
# With fewer faces nothing can be said of how they move.
FEWEST = 3
# Whose face it is costs the most to ask, and differs little from one swap to the next: so many are
# asked.
ASKED = 8
# Columns of `swap_metrics.expression_features`.
_MOUTH, _EYES = 0, 2

Measured = dict[str, float]


@dataclass(frozen=True, slots=True)
class Judges:
    """Who looks at swapped faces. missing: who does not, and what now, in words."""

    locate: Locate | None = None
    embed: Embed | None = None
    missing: tuple[str, ...] = ()


@functools.lru_cache(maxsize=1)
def judges() -> Judges:
    """The landmarker and the identity network that are at hand; nothing is fetched for this."""
    missing: list[str] = []
    locate: Locate | None = None
    embed: Embed | None = None
    if fetch.weight_status(LANDMARKER) == "missing":
        missing.append(
            f"what it keeps of dst's expression: no weights of {LANDMARKER} here, `understudy"
            " models` says where to put them"
        )
    else:
        # Of its three passes and four crops these do to compare two pictures of one face.
        locate = landmarkers[LANDMARKER].layered({"passes": 2, "crops": 2}).build()
    if is_installed():
        embed = identities[IDENTITY]().build()
    else:
        missing.append("whose face it is: pip install 'understudy[dlib]'")
    return Judges(locate, embed, tuple(missing))


@dataclass(frozen=True, slots=True)
class Shown:
    """Faces as a model sees them. faces: (n, S, S, 3) uint8. landmarks: (n, 68, 2) in them."""

    faces: Bytes
    landmarks: Floats


class Judge:
    """Compares swapped faces with the dst faces that they replace and with src's, which it looks at
    but once.
    """

    def __init__(self, src: Shown, dst: Shown, judges: Judges) -> None:
        self._src, self._dst, self._judges = src, dst, judges
        self._points = _located(dst, judges.locate)
        self._embedded = [_embedded(each, judges.embed) for each in (src, dst)]
        self._detail = _sharp(src)

    def of(self, swapped: Bytes) -> Measured:
        """What there is to say of the swaps of all dst faces (n, S, S, 3), in their order.

        identity: 0 = still dst, 1 = as much src as src's own faces. expression, mouth, eyes:
        whether it acts in step with dst, -1..1; "… scale": how much of dst's movement it has, 1 =
        all. pose: mean difference to dst, in degrees. found: share in which the landmarker sees a
        face. sharpness: median detail as a share of src's.
        """
        shown = Shown(swapped, self._dst.landmarks)
        found = {"sharpness": _sharp(shown) / max(self._detail, 1e-6)}
        src, dst = self._embedded
        if self._judges.embed is not None and not np.array_equal(src, dst):
            found["identity"] = swap_metrics.identity_shift(
                _embedded(shown, self._judges.embed), src, dst
            ).shift
        if self._judges.locate is not None:
            found |= self._acting(_located(shown, self._judges.locate))
        return found

    def _acting(self, points: Floats) -> Measured:
        there = np.isfinite(self._points).all((1, 2))
        both = there & np.isfinite(points).all((1, 2))
        found = {"found": float(both.sum()) / max(int(there.sum()), 1)}
        if both.sum() < FEWEST:
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


def _located(shown: Shown, locate: Locate | None) -> Floats:
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


def _embedded(shown: Shown, embed: Embed | None) -> Floats:
    if embed is None:
        return np.zeros((0, 0), np.float32)
    rows = np.unique(np.linspace(0, len(shown.faces) - 1, ASKED).round().astype(int))
    return np.stack([embed(shown.faces[row], shown.landmarks[row]) for row in rows])


def _sharp(shown: Shown) -> float:
    return float(
        np.median(
            [
                measure_detail(face, points)
                for face, points in zip(shown.faces, shown.landmarks, strict=True)
            ]
        )
    )
