"""Batches from faces in memory: batch n follows from (seed, n) alone.

So a run that goes on needs no state of a sampler.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np
import torch

from understudy.core import affine
from understudy.core.color.maps import ColorFit, Pixels, tabulate
from understudy.core.face import mask
from understudy.core.row_blocks import Rows
from understudy.core.training import augment, yaw_sampling
from understudy.nets import augment as device_augment
from understudy.nets.device import to_device, to_tensor
from understudy.parts.models.base.model import Batch, Samples
from understudy.stages.train.data.face_store import FaceStore, warp_face
from understudy.types import Array, Bytes, Doubles, Floats

# Colours are carried over by a table with so many steps a channel, fitted to about so many pixels
# across a face.
LUT_STEPS, FIT_PIXELS = 17, 64

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which faces are drawn, and what becomes of src's colours.

    Attributes:
        uniform_yaw: Whether each turn of the head that a side has comes as often as any other.
        yaw_matched: Whether each src face turns as the dst face of its pair does, mirrored where
            that is nearer and src may be flipped; chance flips no src then.
        hsv: How far hue, saturation and value of src's input change, 0..1.
        color_fit: By this each src face takes the colours of a random dst face, by statistics
            within both masks, input and target alike; None = it keeps its own.
        plain_every: Every so many batches are the one before again, with its targets as input;
            None = none.
    """

    uniform_yaw: bool = False
    yaw_matched: bool = False
    hsv: float = 0.0
    color_fit: ColorFit | None = None
    plain_every: int | None = None


@dataclass(frozen=True, slots=True)
class Batches:
    """Batches for a model of `resolution` pixels: `pairs` faces of each side, augmented.

    Attributes:
        color: How much brightness and contrast change, 0..1.
        device: Where faces are resampled; with OpenCV where that is the CPU.
        rank: Of `ranks` that share each batch, this one makes every `ranks`-th pair, as it would
            be in the whole batch.
    """

    src: FaceStore
    dst: FaceStore
    src_augment: augment.AugmentConfig
    dst_augment: augment.AugmentConfig
    color: float
    resolution: int
    pairs: int
    device: torch.device
    seed: int
    rank: int = 0
    sampling: Sampling = Sampling()
    ranks: int = 1

    def make(self, number: int) -> Batch:
        """Batch `number`, from 0."""
        if self.sampling.plain_every and number and number % self.sampling.plain_every == 0:
            src, dst = (replace(side, input=side.target) for side in self._sample_sides(number - 1))
            return Batch(src, dst)
        return Batch(*self._sample_sides(number))

    def _sample_sides(self, number: int) -> tuple[Samples, Samples]:
        """src's and dst's samples that follow from a number."""
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, 0, number])))
        if self.sampling.yaw_matched:
            dst = self._sample(rng, self.dst, self.dst_augment, self._sample_rows(rng, self.dst))
            src = self._sample_matching(rng, dst)
        else:
            src = self._sample(rng, self.src, self.src_augment, self._sample_rows(rng, self.src))
            dst = self._sample(rng, self.dst, self.dst_augment, self._sample_rows(rng, self.dst))
        of_src, of_dst = (
            self._render(self.src, src.subset(self._rank_slice)),
            self._render(self.dst, dst.subset(self._rank_slice)),
        )
        return self._recolor(rng, src.rows, of_src), of_dst

    @property
    def _rank_slice(self) -> slice:
        """Which of the drawn pairs are this rank's."""
        return slice(self.rank, None, self.ranks)

    def _sample_rows(self, rng: np.random.Generator, store: FaceStore) -> Rows:
        if self.sampling.uniform_yaw:
            return store.train_rows[yaw_sampling.sample_uniform(rng, store.train_yaw, self.pairs)]
        return rng.choice(store.train_rows, self.pairs)

    def _sample(
        self,
        rng: np.random.Generator,
        store: FaceStore,
        motion: augment.AugmentConfig,
        rows: Rows,
    ) -> _Augmentation:
        moves = [augment.sample_augmentation(rng, motion, self.resolution) for _ in rows]
        light = (
            [
                rng.uniform(-self.color * reach, self.color * reach, self.pairs)
                for reach in (0.2, 0.1)
            ]
            if self.color
            else []
        )
        chains = [affine.compose(store.store_from_face, affine.invert(moved)) for moved, _ in moves]
        return _Augmentation(rows, chains, [nodes for _, nodes in moves], light)

    def _sample_matching(self, rng: np.random.Generator, dst: _Augmentation) -> _Augmentation:
        """src's faces that look where these dst faces look."""
        # A face that chance has flipped looks the other way.
        sides = np.sign([np.linalg.det(chain[:, :2]) for chain in dst.chains]).astype(np.float32)
        rows, mirrored = yaw_sampling.sample_matching(
            rng, self.src.train_yaw, self.dst.yaw[dst.rows] * sides, self.src_augment.flip
        )
        drawn = self._sample(
            rng, self.src, replace(self.src_augment, flip=False), self.src.train_rows[rows]
        )
        mirror = np.array([[-1.0, 0, self.src.pictures.shape[2] - 1], [0, 1, 0]])
        chains = [
            affine.compose(mirror, chain) if turned else chain
            for chain, turned in zip(drawn.chains, mirrored, strict=True)
        ]
        return replace(drawn, chains=chains)

    def _render(self, store: FaceStore, drawn: _Augmentation) -> Samples:
        maps = np.stack(
            [
                augment.sampling_map(chain, nodes, self.resolution)
                for chain, nodes in zip(drawn.chains, drawn.nodes, strict=True)
            ]
        )
        seen = self._remap_on_cpu if self.device.type == "cpu" else self._remap_on_device
        warped, target, matte = seen(store.pictures[drawn.rows], drawn.chains, maps)
        if drawn.light:
            gain, offset = (self._tensor(each) for each in drawn.light)
            warped = device_augment.adjust_contrast_brightness(warped, 1 + gain, offset)
            target = device_augment.adjust_contrast_brightness(target, 1 + gain, offset)
        mouths, eyes = self._feature_masks(store.landmarks[drawn.rows], drawn.chains)
        return Samples(warped, target, matte, mouths, (mouths + eyes).clamp_(max=1).mul_(matte))

    def _recolor(self, rng: np.random.Generator, rows: Rows, src: Samples) -> Samples:
        """src's samples in the colours that `sampling` gives them."""
        if self.sampling.color_fit is not None:
            like = rng.choice(self.dst.train_rows, self.pairs)
            couples = zip(rows[self._rank_slice], like[self._rank_slice], strict=True)
            tables = [
                _color_lut(
                    self.sampling.color_fit, self.src.pictures[row], self.dst.pictures[other]
                )
                for row, other in couples
            ]
            looked_up = self._tensor(np.stack(tables))
            src = replace(
                src,
                input=device_augment.apply_lut(src.input, looked_up),
                target=device_augment.apply_lut(src.target, looked_up),
            )
        if power := self.sampling.hsv:
            most = max(1, int(180 * power))
            hue = rng.integers(-most, most, self.pairs, endpoint=True)
            shifts = (hue, *(rng.uniform(-power / 2, power / 2, self.pairs) for _ in range(2)))
            src = replace(
                src,
                input=device_augment.shift_hsv(
                    src.input, *(self._tensor(each[self._rank_slice]) for each in shifts)
                ),
            )
        return src

    def _feature_masks(
        self, points: Floats, store_from_picture: list[Doubles]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Masks (B, 1, R, R) of mouths and of eyes."""
        size = (self.resolution, self.resolution)
        inverse = [affine.invert(chain) for chain in store_from_picture]
        moved = [
            affine.apply(each, face).astype(np.float32)
            for each, face in zip(inverse, points, strict=True)
        ]
        mouths, eyes = (
            np.stack([draw(each, size) for each in moved])
            for draw in (mask.mouth_mask, mask.eyes_mask)
        )
        return to_tensor(mouths, self.device), to_tensor(eyes, self.device)

    def _remap_on_cpu(
        self, stored: Bytes, chains: list[Doubles], maps: Floats
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        warped = [_remap(each, at) for each, at in zip(stored, maps, strict=True)]
        straight = [
            warp_face(each, chain, self.resolution)
            for each, chain in zip(stored, chains, strict=True)
        ]
        inputs, both = (to_tensor(np.stack(each), self.device) for each in (warped, straight))
        return inputs[:, :3].contiguous(), both[:, :3].contiguous(), both[:, 3:].contiguous()

    def _remap_on_device(
        self, stored: Bytes, chains: list[Doubles], maps: Floats
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        still = np.zeros((2, 2, 2), np.float32)
        upright = np.stack(
            [augment.sampling_map(chain, still, self.resolution) for chain in chains]
        )
        faces, warped, straight = (to_device(each, self.device) for each in (stored, maps, upright))
        both = device_augment.remap(faces, straight, "bicubic")
        return (
            device_augment.remap(faces[..., :3], warped),
            both[:, :3].contiguous(),
            both[:, 3:].contiguous(),
        )

    def _tensor(self, numbers: Array) -> torch.Tensor:
        return to_device(numbers.astype(np.float32), self.device)


@dataclass(frozen=True, slots=True)
class _Augmentation:
    """What chance chose for the faces of one side.

    Attributes:
        rows: Which faces of the store.
        chains: For each the (2, 3) matrix from the model's pixels to the store's.
        nodes: For each the offsets of its warp's nodes.
        light: Gain and offset of each, where these change.
    """

    rows: Rows
    chains: list[Doubles]
    nodes: list[Floats]
    light: list[Doubles]

    def subset(self, some: slice) -> _Augmentation:
        """The same of some of the faces."""
        return _Augmentation(
            self.rows[some],
            self.chains[some],
            self.nodes[some],
            [each[some] for each in self.light],
        )


def prefetch_batches(
    make: Callable[[int], Made], first: int, workers: int = 1
) -> Generator[tuple[Made, float], None, None]:
    """Yield make(first), make(first + 1), …, made ahead by threads. Close it when done.

    Returns:
        Each item with the seconds that it was waited for.
    """
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


def _color_lut(fit: ColorFit, stored: Bytes, like: Bytes) -> Floats:
    """The look-up table that gives a stored face the colours of another.

    It changes nothing where a mask is all but empty.
    """
    face, other = (_pixels(each) for each in (stored, like))
    wanted = fit(face, other) if face.are_enough and other.are_enough else (lambda colors: colors)
    # What is no colour has no hue.
    return np.clip(tabulate(wanted, LUT_STEPS), 0, 1)


def _pixels(stored: Bytes) -> Pixels:
    step = max(1, len(stored) // FIT_PIXELS)
    seen = stored[::step, ::step].astype(np.float32) / np.float32(255)
    return Pixels.of(seen[..., :3], seen[..., 3])


def _remap(stored: Bytes, places: Floats) -> Bytes:
    return cv2.remap(stored, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore
