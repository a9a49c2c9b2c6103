"""Short clips of two people who do not exist, with known landmarks, for the demo and the tests.

Both are made from scikit-image's public-domain portrait of the astronaut Eileen Collins. Person
"a" is the portrait. Person "b" is its mirror image with another skull, nose, jaw, brows, hair,
stubble and clothes. They move in different ways at different times: head turns, blinks, speech,
smiles and brows, under a hand-held camera and changing light.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from understudy.core.face.landmarks import MIRROR
from understudy.core.synthetic.appearance import restyle_portrait
from understudy.core.synthetic.face_warp import FaceRig
from understudy.types import Bytes, Doubles, Floats

Person = Literal["a", "b"]

# The 68 points on the 512 px portrait, checked by eye at 18 times its size, then the four extra
# points of `face_warp`. fmt: off
PORTRAIT_LANDMARKS = np.array(
    [
        (179.3, 102.7),
        (179.7, 114.7),
        (180.7, 126.0),
        (181.7, 137.3),
        (184.3, 149.3),
        (190.7, 159.7),
        (199.7, 168.0),
        (209.0, 175.7),
        (220.3, 178.3),
        (232.0, 176.7),
        (243.0, 170.7),
        (253.0, 163.0),
        (260.3, 153.0),
        (264.7, 142.0),
        (267.7, 130.3),
        (270.0, 118.7),
        (271.7, 106.7),
        (186.3, 94.7),
        (191.7, 88.3),
        (200.3, 87.0),
        (208.7, 88.7),
        (216.3, 92.3),
        (236.0, 93.3),
        (243.7, 90.7),
        (251.7, 90.3),
        (260.0, 92.0),
        (265.0, 98.3),
        (225.7, 102.3),
        (225.3, 110.7),
        (225.3, 118.7),
        (225.0, 127.3),
        (214.0, 131.0),
        (219.0, 132.3),
        (224.0, 134.3),
        (229.3, 133.0),
        (234.3, 131.7),
        (195.0, 101.0),
        (200.3, 98.0),
        (207.0, 98.3),
        (212.3, 103.7),
        (206.0, 104.0),
        (199.7, 103.7),
        (237.3, 105.0),
        (243.3, 100.3),
        (249.7, 100.3),
        (255.0, 104.0),
        (250.0, 106.3),
        (243.7, 106.0),
        (201.5, 139.0),
        (209.0, 139.0),
        (217.3, 139.2),
        (223.3, 140.0),
        (229.3, 139.4),
        (237.3, 139.7),
        (243.8, 140.2),
        (236.8, 149.5),
        (229.3, 154.3),
        (222.3, 155.2),
        (215.3, 153.8),
        (207.7, 148.8),
        (203.3, 140.0),
        (216.5, 142.3),
        (223.0, 142.9),
        (229.5, 142.6),
        (242.2, 140.9),
        (229.5, 149.0),
        (222.8, 149.5),
        (215.5, 148.3),
        (209.0, 140.9),
        (236.8, 141.4),
        (208.8, 145.8),
        (236.8, 146.0),
    ]
)
# fmt: on
_MIRRORED = np.array(
    (*MIRROR, 69, 68, 71, 70),
)
_UPPER_LIP, _LOWER_LIP = (
    [49, 50, 51, 52, 53, 61, 62, 63, 68, 69],
    [
        55,
        56,
        57,
        58,
        59,
        65,
        66,
        67,
        70,
        71,
    ],
)


def render_clip(
    portrait: Bytes,
    person: Person,
    frames: int = 150,
    size: tuple[int, int] = (640, 480),
    seed: int = 0,
    fps: float = 25.0,
) -> Iterator[tuple[Bytes, Floats]]:
    """Render a clip of one person; the same arguments give the same clip.

    Args:
        portrait: (512, 512, 3) uint8 RGB, `skimage.data.astronaut()`.
        person: Which of the two.
        frames: How many.
        size: (width, height).
        seed: Every seed is another performance.
        fps: Frames a second.

    Yields:
        A frame (height, width, 3) uint8 RGB and its true landmarks (68, 2) float32.
    """
    rig = make_rig(portrait, person)
    performance = Performance.of(person, seed)
    for number in range(frames):
        second = number / fps
        moved = performance.points(rig.rest, second)
        frame_from_person = performance.camera(rig.rest, size, second)
        image = _light(rig.render(moved, frame_from_person, size), performance, second)
        seen = moved[:68] @ frame_from_person[:, :2].T + frame_from_person[:, 2]
        yield image, seen.astype(np.float32)


def make_rig(portrait: Bytes, person: Person) -> FaceRig:
    """Make the rig of a person.

    Args:
        portrait: As for `render_clip`.
        person: Which of the two.

    Raises:
        ValueError: The portrait has another shape or dtype.
    """
    if portrait.shape != (512, 512, 3) or portrait.dtype != np.uint8:
        raise ValueError(
            f"portrait is {portrait.shape} {portrait.dtype}, expected (512, 512, 3) uint8."
        )
    if person == "a":
        return FaceRig(portrait, PORTRAIT_LANDMARKS, PORTRAIT_LANDMARKS)
    drawn = (PORTRAIT_LANDMARKS * (-1, 1) + (511, 0))[_MIRRORED]
    picture = restyle_portrait(np.ascontiguousarray(portrait[:, ::-1]), drawn)
    return FaceRig(picture, drawn, _other_skull(drawn))


@dataclass(frozen=True)
class Performance:
    """What a person does over time: smooth random movement, by its seed."""

    seed: int

    @classmethod
    def of(cls, person: Person, seed: int) -> Performance:
        """The performance of a person in the clip with this seed."""
        return cls(seed * 2 + (person == "b"))

    def points(self, rest: Doubles, second: float) -> Doubles:
        """Return the points at a time.

        Args:
            rest: (72, 2) rest shape of the person.
            second: The time.

        Returns:
            (72, 2) float64 person pixels.
        """
        points = rest.copy()
        unit = (
            float(np.linalg.norm(rest[45] - rest[36])) / 60
        )  # everything below is in pixels of a face of 60 between the eyes
        self._speak(points, rest, second, unit)
        self._brows_and_lids(points, rest, second, unit)
        self._turn(points, rest, second, unit)
        return points

    def camera(self, rest: Doubles, size: tuple[int, int], second: float) -> Doubles:
        """Return frame_from_person of a hand-held camera that keeps the face in the picture.

        Args:
            rest: (72, 2) rest shape of the person.
            size: (width, height) of the frame.
            second: The time.

        Returns:
            (2, 3) float64.
        """
        width, height = size
        face = float(np.ptp(rest[:27, 1]))
        zoom = 0.46 * min(height, width) / face * (1 + 0.06 * self._drift("zoom", second, 0.1))
        angle = 0.07 * self._drift("roll", second, 0.15)
        turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        centre = rest[:27].mean(axis=0) + np.array([0, 0.02 * face])
        goal = np.array([width - 1, height - 1]) / 2 + 0.05 * min(width, height) * np.array(
            [self._drift("pan", second, 0.2), 0.6 * self._drift("tilt", second, 0.2)]
        )
        return np.column_stack([turn, goal - turn @ centre])

    def light(self, second: float) -> tuple[float, float, float]:
        """Gain, warmth and slope across the picture, each small and around 0."""
        drifts = [self._drift(name, second, 0.12) for name in ("gain", "warmth", "slope")]
        return 0.08 * drifts[0], 0.03 * drifts[1], 0.10 * drifts[2]

    def _speak(self, points: Doubles, rest: Doubles, second: float, unit: float) -> None:
        smile = 0.5 + 0.5 * self._drift("smile", second, 0.25)
        phrase = np.clip(0.6 + 0.8 * self._drift("phrase", second, 0.35), 0, 1)
        syllable = 0.5 + 0.5 * self._drift("syllable", second, 2.2)
        centre = rest[[60, 64]].mean(axis=0)
        gap_at_rest = float(rest[66, 1] - rest[62, 1])
        gap = (
            gap_at_rest * 0.9 * np.clip(1.5 * smile - 0.4, 0, 1) * (1 - 0.5 * phrase)
            + 12 * unit * phrase * syllable**1.5
        )
        close, drop = max(gap_at_rest - gap, 0.0), max(gap - gap_at_rest, 0.0)
        share = (
            np.clip(1.25 - np.abs(rest[:, 0] - centre[0]) / (rest[64, 0] - centre[0]), 0, 1) ** 0.5
        )
        points[_UPPER_LIP, 1] += 0.45 * close * share[_UPPER_LIP]
        points[_LOWER_LIP, 1] += (drop - 0.55 * close) * share[_LOWER_LIP]
        narrow = (1 - smile) * 0.13 + 0.012 * drop / unit
        lips = np.r_[48:72]
        points[lips, 0] -= narrow * (rest[lips, 0] - centre[0])
        sag = (
            3.5
            * unit
            * (1 - smile)
            * np.clip(np.abs(rest[:, 0] - centre[0]) / (rest[64, 0] - centre[0]), 0, 1) ** 2
        )
        points[lips, 1] += sag[lips] + 0.3 * drop * (share[lips] == 0)
        jaw = np.clip(1 - np.abs(np.arange(17) - 8) / 7, 0, 1) ** 0.7
        points[:17, 1] += jaw * (0.8 * drop - 0.25 * close)

    def _brows_and_lids(self, points: Doubles, rest: Doubles, second: float, unit: float) -> None:
        brows = 2.2 * unit * self._drift("brows", second, 0.5)
        points[17:27, 1] -= brows * np.array([0.6, 0.9, 1, 1, 0.9, 0.9, 1, 1, 0.9, 0.6])
        closed = self._blink(second)
        for upper, lower in (((37, 38), (41, 40)), ((43, 44), (47, 46))):
            for top, bottom in zip(upper, lower, strict=True):
                height = rest[bottom, 1] - rest[top, 1]
                points[top, 1] += 0.95 * closed * height - 0.12 * brows
                points[bottom, 1] -= 0.05 * closed * height

    def _turn(self, points: Doubles, rest: Doubles, second: float, unit: float) -> None:
        centre = rest[[0, 16, 8]].mean(axis=0)
        flat = (rest - centre) / (0.56 * np.ptp(rest[:17, 0]), 0.75 * np.ptp(rest[:27, 1]))
        depth = np.sqrt(np.clip(1 - (flat**2).sum(axis=1), 0.05, 1))
        depth[27:36] += np.array([0.1, 0.2, 0.3, 0.42, 0.15, 0.2, 0.25, 0.2, 0.15])
        points[:, 0] += 6.5 * unit * self._drift("yaw", second, 0.3) * (depth - 0.25)
        points[:, 1] += 3.5 * unit * self._drift("pitch", second, 0.3) * (depth - 0.25)

    def _blink(self, second: float) -> float:
        """0 = open, 1 = shut: down in 0.1 s, shut for 0.06 s, open again after 0.16 s more."""
        rng = np.random.default_rng([self.seed, 7])
        start, closed = 0.3 + rng.uniform(0, 0.8), 0.0
        while start < second + 1:
            since = second - start
            closed = max(closed, float(np.interp(since, [0, 0.1, 0.16, 0.32], [0, 1, 1, 0])))
            start += rng.uniform(1.3, 2.8)
        return closed

    def _drift(self, name: str, second: float, rate: float) -> float:
        """Smooth random movement within -1..1, about `rate` swings a second."""
        rng = np.random.default_rng([self.seed, *name.encode()])
        rates = rate * rng.uniform(0.6, 1.7, 3)
        phases = rng.uniform(0, 2 * np.pi, 3)
        return float(np.sin(2 * np.pi * rates * second + phases) @ np.array([0.5, 0.3, 0.2]))


def _other_skull(points: Doubles) -> Doubles:
    """Person b's rest shape.

    Broad square jaw, long broad nose, narrow deep-set eyes, low straight brows, full wide mouth.
    """
    shaped = points.copy()
    centre = points[27]
    unit = float(np.linalg.norm(points[45] - points[36])) / 60
    shaped[:, 1] += 0.06 * np.maximum(points[:, 1] - centre[1], 0)
    width = np.interp(
        np.arange(17), [0, 2, 5, 8, 11, 14, 16], [1.03, 1.10, 1.26, 1.3, 1.26, 1.10, 1.03]
    )
    shaped[:17, 0] = centre[0] + width * (points[:17, 0] - centre[0])
    shaped[[6, 7, 8, 9, 10], 1] += np.array([3, 3.5, 4, 3.5, 3]) * unit
    for eye in (slice(36, 42), slice(42, 48)):
        middle = points[eye].mean(axis=0)
        shaped[eye] = (
            middle
            + (points[eye] - middle) * (0.92, 0.78)
            + (np.sign(middle[0] - centre[0]) * -1.5 * unit, 0.5 * unit)
        )
    shaped[17:27, 1] += np.array([1, 3.5, 4.5, 4, 3, 3, 4, 4.5, 3.5, 1]) * unit
    shaped[28:31, 1] += np.array([1, 2.5, 4]) * unit
    shaped[31:36, 1] += 3.5 * unit
    shaped[31:36, 0] = centre[0] + 1.28 * (points[31:36, 0] - centre[0])
    lips = np.r_[48:72]
    middle = shaped[lips].mean(axis=0)
    shaped[lips] += (0, 2.5 * unit)
    shaped[lips, 0] = middle[0] + 1.06 * (shaped[lips, 0] - middle[0])
    shaped[[49, 50, 51, 52, 53], 1] -= 1.6 * unit
    shaped[[55, 56, 57, 58, 59], 1] += 2.4 * unit
    return shaped


def _light(image: Bytes, performance: Performance, second: float) -> Bytes:
    gain, warmth, slope = performance.light(second)
    across = (
        1 + gain + slope * np.linspace(-0.5, 0.5, image.shape[1], dtype=np.float32)[None, :, None]
    )
    tint = np.array([1 + warmth, 1, 1 - warmth], np.float32)
    return np.asarray(np.clip(np.rint(image * (across * tint)), 0, 255), np.uint8)
