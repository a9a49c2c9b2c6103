"""Whether one composed sampling map costs quality: it against warp, turn and shrinking as three
resamplings, one after the other.

    OMP_NUM_THREADS=1 python benchmarks/resampling.py OUT [--iterations 600] [--seeds 1 2 3]

The model is tiny at 64 pixels, fp32, 8 pairs, on the show in OUT (made as `quality.py` makes it).
Both variants draw the same faces and move them the same way; only how their pixels are come by
differs. Ours looks once into the stored bytes: linear for the bent input, cubic for target and
mask. The other is float32 throughout: bent at the stored size, turned, scaled and shifted there,
shrunk to the model's size, each time cubic. A row each time half of the run is over: what `train`
measures on held-out faces, at their own size, and the processor time of a batch.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from quality import CPU, prepared

from understudy.core import affine
from understudy.nets.device import to_tensor
from understudy.stages.project import Project
from understudy.stages.train.callbacks.compile_tuner import CompileTuner
from understudy.stages.train.data import input_pipeline
from understudy.stages.train.data.batches import Batches
from understudy.stages.train.data.face_store import OVERSAMPLING
from understudy.stages.train.evaluation.validation import Validation
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.resolve import resolve_recipe
from understudy.stages.train.state import TrainState
from understudy.stages.train.train_step import train_step
from understudy.stages.train.trainable import TrainableModel
from understudy.types import Bytes, Doubles, Floats

TINY: dict[str, Any] = {
    "model": "tiny",
    "tiny": {"resolution": 64},
    "precision": "fp32",
    "batch": 8,
}


class Chained(Batches):
    """Batches whose pixels are resampled three times."""

    def _remap_on_cpu(
        self, stored: Bytes, chains: list[Doubles], maps: Floats
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        inner, whole = round(self.resolution * OVERSAMPLING), stored.astype(np.float32) / 255
        turns = [affine.compose(chain, affine.scaling(self.resolution / inner)) for chain in chains]
        bent = [
            warped(face[..., :3], chain, at)
            for face, chain, at in zip(whole, chains, maps, strict=True)
        ]
        inputs = np.stack(
            [self._shrunk(face, turn, inner) for face, turn in zip(bent, turns, strict=True)]
        )
        both = np.stack(
            [self._shrunk(face, turn, inner) for face, turn in zip(whole, turns, strict=True)]
        )
        seen, target, mask = (
            to_tensor(each, self.device) for each in (inputs, both[..., :3], both[..., 3])
        )
        return seen, target, mask

    def _shrunk(self, face: Floats, store_from_inner: Doubles, inner: int) -> Floats:
        """A face turned, scaled and shifted at its stored size, then at the model's."""
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        turned = cv2.warpAffine(
            face, store_from_inner, (inner, inner), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        shrunk = cv2.resize(
            turned, (self.resolution, self.resolution), interpolation=cv2.INTER_CUBIC
        )
        return np.asarray(shrunk.clip(0, 1), np.float32)


def warped(face: Floats, chain: Doubles, places: Floats) -> Floats:
    """A stored face bent where it lies, so that the turn by `chain` then shows what `places` say:
    (size, size, 2) xy in it.
    """
    size, inverse = len(places), affine.invert(chain)
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1)
    aside = (affine.apply(inverse, places) - grid).astype(np.float32)
    across, down = np.meshgrid(np.arange(face.shape[1]), np.arange(face.shape[0]))
    seen_at = affine.apply(inverse, np.stack([across, down], -1)).astype(np.float32)
    # Nothing moves beyond the picture.
    moved = cv2.remap(aside, seen_at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    looks = affine.apply(chain, seen_at + moved).astype(np.float32)
    return np.asarray(
        cv2.remap(face, looks, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.float32
    )


def main() -> None:
    """Print two rows a run, the variants in turn, and what it comes to."""
    options = arguments()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    project = prepared(options.out)
    scores: dict[str, list[float]] = {"one map": [], "chained": []}
    for seed in options.seeds:
        for name, found in scores.items():
            for row in trained(project, seed, options.iterations, name == "chained"):
                print(json.dumps({"seed": seed, "batches": name, **row}), flush=True)
            found.append(row["score"])
    told = {
        name: {"mean": round(np.mean(each), 5), "spread": round(np.ptp(each), 5)}
        for name, each in scores.items()
    }
    print(json.dumps({"score": told}))


def trained(
    project: Project, seed: int, iterations: int, is_chained: bool
) -> Iterator[dict[str, float]]:
    """What is measured in the middle and at the end of a run."""
    options = TrainOptions.layered({**TINY, "seed": seed, "iterations": iterations})
    recipe, _ = resolve_recipe(project.model("resampling"), options)
    src, dst = input_pipeline.load_faces(project, options, recipe)
    state = TrainState(options, TrainableModel(recipe, options, CPU))
    tuner, validation = CompileTuner(("off",), CPU), Validation(src, dst)
    tuner.attach(state.model)
    spent = 0.0
    for number in range(iterations):
        batches = input_pipeline.make_batches(state, src, dst)
        if is_chained:
            batches = Chained(
                **{each.name: getattr(batches, each.name) for each in fields(batches)}
            )
        start = time.process_time()
        batch = batches.make(number)
        spent += time.process_time() - start
        state, _ = train_step(state, batch, tuner)
        if number + 1 in (iterations // 2, iterations):
            made = {"iteration": number + 1, "ms a batch": round(1e3 * spent / (number + 1), 1)}
            with state.trainable.averaged():
                measured = validation.measure(state.model)
            yield made | measured


def arguments() -> argparse.Namespace:
    """What the command line asks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--iterations", type=int, default=600)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    return parser.parse_args()


if __name__ == "__main__":
    main()
