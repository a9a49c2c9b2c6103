"""How good a model is on faces that it never learnt from: how well it rebuilds them, and what
becomes of the swap.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch
from numpy.typing import NDArray

from understudy.core import affine
from understudy.core.image import as_bytes
from understudy.core.training import score
from understudy.nets.device import to_numpy, to_tensor
from understudy.nets.losses import reconstruction
from understudy.parts.models.base.model import Model
from understudy.stages.train.data.face_store import FaceStore
from understudy.stages.train.evaluation.swap_metrics import Judge, Measured, Shown, judges
from understudy.types import Floats

Rows = NDArray[np.int64]

# At most so many faces of each side are measured, and so many go through the model at once.
MEASURED, CHUNK = 32, 16
# The share of the time that measuring may take. And the seconds from one time to the next where it
# costs nothing: at least, at most, and as a share of what was learnt, so that the start of a curve
# is as fine as its end.
SHARE = 0.05
LEAST, MOST, PACE = 5, 600, 1 / 30
PAIRS = {"src": "ss", "dst": "dd"}


class Validation:
    """Measures a model on the held-out faces of both sides, rarely enough to cost little.

    latest: what was measured last; empty when nothing is held out. cost: seconds that it took all
    in all.
    """

    def __init__(self, src: FaceStore, dst: FaceStore) -> None:
        self.latest: Measured = {}
        self.cost = 0.0
        self._sides = {"src": src, "dst": dst}
        self._rows = {name: np.flatnonzero(store.held_out) for name, store in self._sides.items()}
        # So many of each side; where it has fewer, some come more than once.
        self._count = min(MEASURED, max(len(rows) for rows in self._rows.values()))
        self._at = self._pause = 0.0
        self._judge: Judge | None = None

    @property
    def is_possible(self) -> bool:
        """Whether any face is held out."""
        return self._count > 0

    @property
    def missing(self) -> tuple[str, ...]:
        """What cannot be measured here, and what now, in words."""
        return judges().missing if self._swaps else ()

    def is_due(self, learnt: float) -> bool:
        """Whether it is time to measure, after so many seconds of learning."""
        return self.is_possible and learnt - self._at >= max(
            LEAST, min(MOST, PACE * learnt), self._pause
        )

    def spent(self, seconds: float, learnt: float) -> None:
        """Take note of what a measurement cost, with all that followed from it: so long is the
        pause after it.
        """
        self.cost += seconds
        self._at, self._pause = learnt, seconds / SHARE

    def prepare(self, size: int) -> None:
        """Get ready who judges swaps of `size` pixels, which takes seconds, once a run."""
        if self._swaps and self._judge is None:
            self._judge = Judge(self._shown("src", size), self._shown("dst", size), judges())

    def fingerprint(self) -> int:
        """A number that tells these held-out faces from others: scores on others cannot be
        compared.
        """
        found = 0
        for name, rows in self._rows.items():
            for row in rows:
                found = zlib.crc32(
                    np.ascontiguousarray(self._sides[name].pictures[row]).data, found
                )
        return found

    @torch.inference_mode()
    def measure(self, model: Model) -> Measured:
        """What the model makes of the held-out faces; {} when there are none.

        "src l1", "src dssim": how far the rebuilt face is off within its mask; "src mask": how much
        of the learnt mask and its own is common to both (intersection over union); for dst alike.
        score: `core.training.score.compute_score`. The swap: `Judge.of`.
        """
        if not self.is_possible:
            return {}
        size, device = model.resolution, next(model.parameters()).device
        held = {
            name: self._sides[name].upright(self._spread(rows), size)
            for name, rows in self._rows.items()
            if len(rows)
        }
        # A side with nothing to show looks at the other's faces, and is not asked.
        src, dst = (held.get(name) or next(iter(held.values())) for name in PAIRS)
        sums, swapped = (
            dict.fromkeys(
                (f"{side} {what}" for side in held for what in ("l1", "dssim", "mask")), 0.0
            ),
            [],
        )
        for at in range(0, self._count, CHUNK):
            part = slice(at, at + CHUNK)
            made = model.reconstruct(
                to_tensor(src[0][part], device), to_tensor(dst[0][part], device)
            )
            share = len(src[0][part]) / self._count
            for side, (faces, mattes) in held.items():
                goal, matte = to_tensor(faces[part], device), to_tensor(mattes[part], device)
                for what, value in _off(made[PAIRS[side]], goal, matte).items():
                    sums[f"{side} {what}"] += share * value
            swapped.append(to_numpy(made["sd"][0]))
        found = sums | (self._judged(np.concatenate(swapped), size, dst) if self._swaps else {})
        found["score"] = score.compute_score(found)
        self.latest = {name: round(value, 5) for name, value in found.items() if np.isfinite(value)}
        return self.latest

    @property
    def _swaps(self) -> bool:
        """Whether there is a swap to look at: two people, and held-out faces of both."""
        return (
            all(len(rows) for rows in self._rows.values())
            and self._sides["src"] is not self._sides["dst"]
        )

    def _judged(self, swapped: Floats, size: int, dst: tuple[Floats, Floats]) -> Measured:
        self.prepare(size)
        assert self._judge is not None
        # All of dst's face gives way, so that a mask that is gone does not hide a bad swap.
        matte = dst[1][..., None]
        return self._judge.of(as_bytes(np.clip(swapped * matte + dst[0] * (1 - matte), 0, 1)))

    def _shown(self, side: str, size: int) -> Shown:
        store, rows = self._sides[side], self._spread(self._rows[side])
        face_from_store = affine.invert(store.store_from_face)
        points = np.stack(
            [affine.apply(face_from_store, store.landmarks[row]) for row in rows]
        ).astype(np.float32)
        return Shown(as_bytes(np.clip(store.upright(rows, size)[0], 0, 1)), points)

    def _spread(self, rows: Rows) -> Rows:
        places: Rows = np.linspace(0, len(rows) - 1, self._count).round().astype(np.int64)
        return rows[places]


def _off(
    made: tuple[torch.Tensor, torch.Tensor], goal: torch.Tensor, matte: torch.Tensor
) -> Measured:
    """How far rebuilt faces and their masks are off."""
    face, mask = made
    ours, theirs = mask > 0.5, matte > 0.5
    return {
        "l1": float(reconstruction.masked_mean((face - goal).abs(), matte)),
        "dssim": (1 - float(reconstruction.masked_mean(reconstruction.ssim(face, goal), matte)))
        / 2,
        "mask": float((ours & theirs).sum()) / max(int((ours | theirs).sum()), 1),
    }
