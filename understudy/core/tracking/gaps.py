"""Fills short gaps of a track: where no face was found, optical flow carries its points."""

from __future__ import annotations

from typing import Final

import numpy as np

from understudy.core.face.landmarks import INNER, face_size
from understudy.types import Floats

# Points carried over a gap from both sides may lie so far apart, as a share of the face's size.
_APART: Final = 0.1


def fill_gap(forward: Floats, backward: Floats) -> Floats | None:
    """Return the points in the G frames of a gap; None when both sides disagree.

    They disagree where the face was hidden. Either side counts the more, the nearer it is to where
    it comes from.

    Args:
        forward: (G, 68, 2) the face before the gap, followed by flow from frame to frame.
        backward: (G, 68, 2) the face after the gap, followed back; in the same order of frames.

    Returns:
        (G, 68, 2) float32.
    """
    ahead, behind = np.asarray(forward, np.float64), np.asarray(backward, np.float64)
    apart = np.linalg.norm(ahead - behind, axis=-1)[:, INNER].mean(axis=1)
    if not (apart <= _APART * np.minimum(face_size(ahead), face_size(behind))).all():
        return None
    share = (np.arange(len(ahead)) + 1)[:, None, None] / (len(ahead) + 1)
    return np.asarray(ahead + share * (behind - ahead), np.float32)
