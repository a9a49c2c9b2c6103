"""Measures a model on held-out faces: how well it reconstructs them, and how good the swap is."""

from __future__ import annotations

import zlib

import numpy as np
import torch

from understudy.core import affine
from understudy.core.image import as_bytes
from understudy.core.row_blocks import Rows
from understudy.core.training import score
from understudy.nets.device import to_numpy, to_tensor
from understudy.nets.losses import reconstruction
from understudy.parts.models.base.model import Model
from understudy.stages.train.data.face_store import FaceStore
from understudy.stages.train.evaluation.swap_metrics import (
    FaceImages,
    Metrics,
    SwapEvaluator,
    load_metric_nets,
)
from understudy.types import Floats

# At most so many faces of each side are measured, and so many go through the model at once.
MAX_FACES, BATCH = 32, 16
# The share of the time that measuring may take. And the seconds from one time to the next where it
# costs nothing: at least, at most, and as a share of what was learnt, so that the start of a curve
# is as fine as its end.
MAX_SHARE = 0.05
MIN_PAUSE, MAX_PAUSE, PACE = 5, 600, 1 / 30
PAIRS = {"src": "ss", "dst": "dd"}


class Validation:
    """Measures a model on the held-out faces of both sides, rarely enough to cost little.

    Not where they are exchanged: no number of such a model can be compared with its others.

    Attributes:
        is_exchanged: Whether they are.
        latest: What was measured last; empty when nothing is held out.
        cost: The seconds that it took in all.
    """

    def __init__(self, src: FaceStore, dst: FaceStore, is_exchanged: bool = False) -> None:
        self.is_exchanged = is_exchanged
        self.latest: Metrics = {}
        self.cost = 0.0
        self._sides = {"src": src, "dst": dst}
        self._rows = {name: np.flatnonzero(store.held_out) for name, store in self._sides.items()}
        # So many of each side; where it has fewer, some come more than once.
        self._count = min(MAX_FACES, max(len(rows) for rows in self._rows.values()))
        self._at = self._pause = 0.0
        self._swap_evaluator: SwapEvaluator | None = None

    @property
    def is_possible(self) -> bool:
        """Whether there is anything to measure on: any face is held out."""
        return self._count > 0 and not self.is_exchanged

    @property
    def missing(self) -> tuple[str, ...]:
        """What cannot be measured here, and what now, in words."""
        return load_metric_nets().missing if self._has_swaps else ()

    def is_due(self, learnt: float) -> bool:
        """Whether it is time to measure, after so many seconds of learning."""
        return self.is_possible and learnt - self._at >= max(
            MIN_PAUSE, min(MAX_PAUSE, PACE * learnt), self._pause
        )

    def record_cost(self, seconds: float, learnt: float) -> None:
        """Take note of the seconds that a measurement took: the pause after it goes by them."""
        self.cost += seconds
        self._at, self._pause = learnt, seconds / MAX_SHARE

    def prepare(self, size: int) -> None:
        """Load what measures swaps of `size` pixels, which takes seconds, once a run."""
        if self._has_swaps and self._swap_evaluator is None:
            self._swap_evaluator = SwapEvaluator(
                self._face_images("src", size), self._face_images("dst", size), load_metric_nets()
            )

    def fingerprint(self) -> int:
        """A checksum of the held-out faces: scores on others cannot be compared."""
        found = 0
        for name, rows in self._rows.items():
            for row in rows:
                found = zlib.crc32(
                    np.ascontiguousarray(self._sides[name].pictures[row]).data, found
                )
        return found

    @torch.inference_mode()
    def measure(self, model: Model) -> Metrics:
        """What the model makes of the held-out faces; {} when there are none.

        "src l1", "src dssim": how far the rebuilt face is off within its mask; "src mask": how much
        of the learnt mask and its own is common to both (intersection over union); for dst alike.
        score: `core.training.score.compute_score`. The swap: `SwapEvaluator.measure`. What could
        not be measured is left out.
        """
        if not self.is_possible:
            return {}
        size, device = model.resolution, next(model.parameters()).device
        held = {
            name: self._sides[name].aligned(self._spaced_rows(rows), size)
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
        for at in range(0, self._count, BATCH):
            part = slice(at, at + BATCH)
            made = model.reconstruct(
                to_tensor(src[0][part], device), to_tensor(dst[0][part], device)
            )
            share = len(src[0][part]) / self._count
            for side, (faces, mattes) in held.items():
                goal, matte = to_tensor(faces[part], device), to_tensor(mattes[part], device)
                for what, value in _reconstruction_errors(made[PAIRS[side]], goal, matte).items():
                    sums[f"{side} {what}"] += share * value
            swapped.append(to_numpy(made["sd"][0]))
        found = sums | (
            self._measure_swaps(np.concatenate(swapped), size, dst) if self._has_swaps else {}
        )
        found["score"] = score.compute_score(found)
        self.latest = {name: round(value, 5) for name, value in found.items() if np.isfinite(value)}
        return self.latest

    @property
    def _has_swaps(self) -> bool:
        """Whether there is a swap to look at: two people, and held-out faces of both."""
        return (
            all(len(rows) for rows in self._rows.values())
            and self._sides["src"] is not self._sides["dst"]
        )

    def _measure_swaps(self, swapped: Floats, size: int, dst: tuple[Floats, Floats]) -> Metrics:
        self.prepare(size)
        assert self._swap_evaluator is not None
        # All of dst's face gives way, so that a mask that is gone does not hide a bad swap.
        matte = dst[1][..., None]
        # The mean colour of the face itself: no edge around it that looks like a head.
        plain = (swapped * matte).sum((1, 2), keepdims=True) / np.maximum(
            matte.sum((1, 2), keepdims=True), 1e-6
        )
        pasted, alone = (
            as_bytes(np.clip(swapped * matte + around * (1 - matte), 0, 1))
            for around in (dst[0], plain)
        )
        return self._swap_evaluator.measure(pasted, alone)

    def _face_images(self, side: str, size: int) -> FaceImages:
        store, rows = self._sides[side], self._spaced_rows(self._rows[side])
        face_from_store = affine.invert(store.store_from_face)
        points = np.stack(
            [affine.apply(face_from_store, store.landmarks[row]) for row in rows]
        ).astype(np.float32)
        return FaceImages(as_bytes(np.clip(store.aligned(rows, size)[0], 0, 1)), points)

    def _spaced_rows(self, rows: Rows) -> Rows:
        places: Rows = np.linspace(0, len(rows) - 1, self._count).round().astype(np.int64)
        return rows[places]


def _reconstruction_errors(
    made: tuple[torch.Tensor, torch.Tensor], goal: torch.Tensor, matte: torch.Tensor
) -> Metrics:
    """How far rebuilt faces and their masks are off."""
    face, mask = made
    ours, theirs = mask > 0.5, matte > 0.5
    return {
        "l1": float(reconstruction.masked_mean((face - goal).abs(), matte)),
        "dssim": (1 - float(reconstruction.masked_mean(reconstruction.ssim(face, goal), matte)))
        / 2,
        "mask": float((ours & theirs).sum()) / max(int((ours | theirs).sum()), 1),
    }
