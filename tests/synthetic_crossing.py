"""Two synthetic people who cross: for a while the one behind is half hidden, then gone, and comes
out on the other side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from understudy.core import affine
from understudy.core.synthetic.clip import Performance, make_rig
from understudy.core.synthetic.face_warp import FaceRig
from understudy.types import Bytes, Doubles, Floats

# Half axes of the oval that is cut out around a head, in widths and heights of the face; of a
# frame's height a face takes so much.
_OVAL = (0.68, 0.85)
_FACE = 0.36


@dataclass(frozen=True, slots=True)
class Crossing:
    """One frame. image: (H, W, 3) uint8. landmarks: (2, 68, 2) float32, person a and person b, the
    truth even where hidden.

    hidden: (2,) which share of the 68 points is covered by the other person.
    """

    image: Bytes
    landmarks: Floats
    hidden: Floats


def crossing(
    portrait: Bytes,
    frames: int = 50,
    size: tuple[int, int] = (480, 270),
    seed: int = 0,
    fps: float = 25.0,
) -> Iterator[Crossing]:
    """Person a crosses from left to right before person b, who goes from right to left. portrait,
    size: as in `synthetic.clip`.
    """
    a, b = make_rig(portrait, "a"), make_rig(portrait, "b")
    wall = _wall(size, seed)
    for number in range(frames):
        way = number / max(frames - 1, 1)
        behind = _Actor.at(
            b, Performance.of("b", seed), (0.85 - 0.7 * way, 0.52), size, number / fps
        )
        front = _Actor.at(a, Performance.of("a", seed), (0.15 + 0.7 * way, 0.5), size, number / fps)
        image = wall.copy()
        for actor in (behind, front):
            actor.paint(image)
        landmarks = np.stack([front.landmarks, behind.landmarks]).astype(np.float32)
        yield Crossing(
            np.asarray(np.clip(np.rint(image), 0, 255), np.uint8),
            landmarks,
            np.array([0, front.covers(behind.landmarks)], np.float32),
        )


@dataclass(frozen=True, slots=True)
class _Actor:
    """A person in one frame. moved: (72, 2) points in person pixels."""

    rig: FaceRig
    moved: Doubles
    frame_from_person: Doubles

    @classmethod
    def at(
        cls,
        rig: FaceRig,
        performance: Performance,
        place: tuple[float, float],
        size: tuple[int, int],
        second: float,
    ) -> _Actor:
        """The person with the face at a place given in shares of the frame's width and height."""
        moved = performance.points(rig.rest, second)
        zoom = _FACE * size[1] / float(np.ptp(rig.rest[:27, 1]))
        shift = np.array(place) * size - zoom * rig.rest[:27].mean(axis=0)
        return cls(rig, moved, np.column_stack([zoom * np.eye(2), shift]))

    @property
    def landmarks(self) -> Doubles:
        return affine.apply(self.frame_from_person, self.moved[:68])

    @property
    def oval(self) -> tuple[Doubles, Doubles]:
        """Centre and half axes of what is seen of the person, in frame pixels."""
        rest = affine.apply(self.frame_from_person, self.rig.rest[:27])
        low, high = rest.min(axis=0), rest.max(axis=0)
        return (low + high) / 2 - (0, 0.12 * (high - low)[1]), np.array(_OVAL) * (high - low)

    def covers(self, points: Doubles) -> float:
        """The share of the points that lie behind this person."""
        centre, half = self.oval
        return float(((((points - centre) / half) ** 2).sum(axis=1) < 1).mean())

    def paint(self, image: Floats) -> None:
        """Lay the person over a picture (H, W, 3), 0..255."""
        centre, half = self.oval
        x0, y0 = np.maximum(np.floor(centre - half).astype(int) - 2, 0)
        x1, y1 = np.minimum(
            np.ceil(centre + half).astype(int) + 3, (image.shape[1], image.shape[0])
        )
        crop_from_person = affine.compose(
            np.array([[1.0, 0, -x0], [0, 1, -y0]]), self.frame_from_person
        )
        head = self.rig.render(self.moved, crop_from_person, (int(x1 - x0), int(y1 - y0)))
        y, x = np.mgrid[y0:y1, x0:x1]
        inside = 1 - np.hypot((x - centre[0]) / half[0], (y - centre[1]) / half[1])
        matte = np.clip(inside * half.min() / 2, 0, 1)[..., None]
        image[y0:y1, x0:x1] += (matte * (head - image[y0:y1, x0:x1])).astype(np.float32)


def _wall(size: tuple[int, int], seed: int) -> Floats:
    """Something still behind them: soft blotches, (height, width, 3)."""
    coarse = np.random.default_rng(seed).uniform(70, 150, (5, 8, 1)).astype(np.float32) * np.array(
        [1, 0.97, 0.92], np.float32
    )
    return np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), np.float32)
