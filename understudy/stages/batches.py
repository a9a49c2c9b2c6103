"""Faces in memory, and batches from them: batch n follows from (seed, rank, n) alone, so a resumed run needs no sampler state."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from understudy.core import align, augment, geometry, image, mask
from understudy.errors import BadProject
from understudy.io.faceset import Faceset
from understudy.nets import augment as on_device
from understudy.nets import bridge
from understudy.parts.models import Batch, Samples
from understudy.types import AlignedFace, Bytes, Doubles, FaceType, Floats

# Stored pixels for each pixel of the model: enough that looking between them costs no sharpness.
DENSITY = 1.25
# Of both facesets this share is never learnt from, in so many runs of neighbouring frames; with fewer faces, none.
HELD_OUT, RUNS, FEWEST = 0.04, 2, 40

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class FaceStore:
    """A side's faces, decoded once.

    pictures: (N, P, P, 4) uint8, RGB and mask. landmarks: (N, 68, 2) in their pixels. store_from_face: (2, 3) from the model's
    pixels. held_out: (N,) bool.
    """

    pictures: Bytes
    landmarks: Floats
    store_from_face: Doubles
    held_out: NDArray[np.bool_]

    @property
    def learnt(self) -> NDArray[np.int64]:
        """Rows to learn from."""
        return np.flatnonzero(~self.held_out)

    def upright(self, rows: NDArray[np.int64], size: int) -> tuple[Floats, Floats]:
        """Faces as the model sees them at work, (n, size, size, 3), and masks (n, size, size), both 0..1."""
        seen: Floats = np.stack([_moved(self.pictures[row], self.store_from_face, size) for row in rows]).astype(np.float32)
        seen /= 255
        return seen[..., :3], seen[..., 3]


def load_faces(faceset: Faceset, face_type: FaceType, resolution: int, margin: float) -> FaceStore:
    """Every face of a set for a model, with `margin` widths of surroundings. Raises BadProject when they show too little."""
    if not align.contains(faceset.face_type, face_type):
        raise BadProject(
            f"{faceset.folder}: the pictures show {faceset.face_type} faces, this model needs {face_type}. "
            f"Extract again with --face-type {face_type}, or train a model for less of the face."
        )
    inner = round(resolution * DENSITY)
    rim = int(np.ceil(margin * inner)) + 2
    store_from_inner = np.array([[1.0, 0, rim], [0, 1, rim]])

    def stored(row: int) -> tuple[Bytes, Floats]:
        face = faceset.load(row)
        store_from_face = geometry.compose(store_from_inner, align.face_from_face(face, face_type, inner))
        points = geometry.apply(store_from_face, face.landmarks).astype(np.float32)
        return _stored(face, points, store_from_face, inner + 2 * rim), points

    with ThreadPoolExecutor() as pool:
        pictures, points = zip(*pool.map(stored, range(len(faceset))), strict=True)
    store_from_model = geometry.compose(store_from_inner, geometry.scaling(inner / resolution))
    return FaceStore(np.stack(pictures), np.stack(points), store_from_model, held_out(len(faceset)))


def held_out(count: int) -> NDArray[np.bool_]:
    """Which of `count` faces in order of time are kept from learning, (count,) bool: runs of neighbours, the last at the end."""
    chosen = np.zeros(count, bool)
    if count < FEWEST:
        return chosen
    run = max(4, round(count * HELD_OUT)) // RUNS
    for last in np.linspace(0, count, RUNS + 1).round().astype(int)[1:]:
        chosen[last - run : last] = True
    return chosen


@dataclass(frozen=True, slots=True)
class Batches:
    """Batches for a model of `resolution` pixels: `pairs` faces of each side, moved at random.

    color: how much brightness and contrast change, 0..1. The faces are sampled on `device`, with OpenCV where that is the CPU.
    """

    src: FaceStore
    dst: FaceStore
    src_motion: augment.Motion
    dst_motion: augment.Motion
    color: float
    resolution: int
    pairs: int
    device: torch.device
    seed: int
    rank: int = 0

    def make(self, number: int) -> Batch:
        """Batch `number`, from 0."""
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, self.rank, number])))
        return Batch(self._samples(rng, self.src, self.src_motion), self._samples(rng, self.dst, self.dst_motion))

    def _samples(self, rng: np.random.Generator, store: FaceStore, motion: augment.Motion) -> Samples:
        rows = rng.choice(store.learnt, self.pairs)
        drawn = [augment.draw(rng, motion, self.resolution) for _ in rows]
        chains = [geometry.compose(store.store_from_face, geometry.invert(moved)) for moved, _ in drawn]
        maps = np.stack(
            [augment.sampling_map(chain, nodes, self.resolution) for chain, (_, nodes) in zip(chains, drawn, strict=True)]
        )
        seen = self._on_cpu if self.device.type == "cpu" else self._on_device
        warped, target, matte = seen(store.pictures[rows], chains, maps)
        if self.color:
            gain, offset = (self._evenly(rng, self.color * reach) for reach in (0.2, 0.1))
            warped = on_device.recoloured(warped, 1 + gain, offset)
            target = on_device.recoloured(target, 1 + gain, offset)
        return Samples(warped, target, matte, self._mouths(store.landmarks[rows], chains))

    def _mouths(self, points: Floats, store_from_picture: list[Doubles]) -> torch.Tensor:
        size = (self.resolution, self.resolution)
        moved = [geometry.apply(geometry.invert(chain), each) for each, chain in zip(points, store_from_picture, strict=True)]
        return bridge.tensor(np.stack([mask.mouth(each.astype(np.float32), size) for each in moved])[..., None], self.device)

    def _on_cpu(self, stored: Bytes, chains: list[Doubles], maps: Floats) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        bent = [_bent(each, at) for each, at in zip(stored, maps, strict=True)]
        straight = [_moved(each, chain, self.resolution) for each, chain in zip(stored, chains, strict=True)]
        warped, both = bridge.tensor(np.stack(bent)[..., :3], self.device), bridge.tensor(np.stack(straight), self.device)
        return warped, both[:, :3].contiguous(), both[:, 3:].contiguous()

    def _on_device(self, stored: Bytes, chains: list[Doubles], maps: Floats) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        still = np.zeros((2, 2, 2), np.float32)
        upright = np.stack([augment.sampling_map(chain, still, self.resolution) for chain in chains])
        faces, bent, straight = (torch.from_numpy(each).to(self.device) for each in (stored, maps, upright))
        both = on_device.sampled(faces, straight, "bicubic")
        return on_device.sampled(faces[..., :3], bent), both[:, :3].contiguous(), both[:, 3:].contiguous()

    def _evenly(self, rng: np.random.Generator, reach: float) -> torch.Tensor:
        return torch.from_numpy(rng.uniform(-reach, reach, self.pairs).astype(np.float32)).to(self.device)


def ahead(make: Callable[[int], Made], first: int, workers: int = 1) -> Generator[tuple[Made, float], None, None]:
    """make(first), make(first + 1), … each with the seconds it was waited for; threads work ahead. Close it when done."""
    with ThreadPoolExecutor(workers, "batches") as pool:
        coming = deque(pool.submit(make, number) for number in range(first, first + workers + 2))
        try:
            for number in itertools.count(first + len(coming)):
                start = time.perf_counter()
                made = coming.popleft().result()
                coming.append(pool.submit(make, number))
                yield made, time.perf_counter() - start
        finally:
            for each in coming:
                each.cancel()


def _stored(face: AlignedFace, points: Floats, store_from_face: Doubles, size: int) -> Bytes:
    """A face picture with its mask, (size, size, 4): the mask it carries, else the hull of its landmarks, `points` there."""
    picture = image.warp(face.image, store_from_face, (size, size), "replicate")
    if face.mask is None:
        matte = mask.hull(points, (size, size))
    else:
        matte = image.warp(face.mask, store_from_face, (size, size))
    return np.dstack([picture, image.as_bytes(matte)])


def _bent(stored: Bytes, places: Floats) -> Bytes:
    across, down = np.ascontiguousarray(places[..., 0]), np.ascontiguousarray(places[..., 1])
    return cv2.remap(stored, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]


def _moved(stored: Bytes, store_from_picture: Doubles, size: int) -> Bytes:
    # Cubic, since this is the target: a linear look would teach the model to be soft.
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(stored, store_from_picture, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]
