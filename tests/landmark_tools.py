"""What tests of landmarks share: mirroring, the yardstick for errors, smoothing in one go."""

from __future__ import annotations

import numpy as np

from understudy.core.face.landmarks import MIRROR
from understudy.core.tracking.optical_flow import TrackedPoints
from understudy.core.tracking.smooth import backward_pass, forward_pass
from understudy.types import Floats


def mirror_landmarks(landmarks: Floats, width: int) -> Floats:
    """The landmarks (..., 68, 2) of the same picture flipped left to right; width: the picture's,
    in pixels.
    """
    flipped = np.array(landmarks, np.float32)[..., MIRROR, :]
    flipped[..., 0] = width - 1 - flipped[..., 0]
    return flipped


def eye_distance(landmarks: Floats) -> float:
    """The distance between the outer corners of the eyes, the usual yardstick for errors; in
    pixels.
    """
    return float(np.linalg.norm(landmarks[45] - landmarks[36]))


def smooth_with_flow(landmarks: Floats, forward: TrackedPoints, backward: TrackedPoints) -> Floats:
    """A run smoothed at once: the mean of both passes. `smooth_long` does the same in pieces."""
    return np.asarray(
        (forward_pass(landmarks, forward) + backward_pass(landmarks, backward)) / 2, np.float32
    )
