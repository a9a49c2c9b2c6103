"""Batches from faces in memory: batch n follows from (seed, n) alone, so a resumed run needs no
sampler state.
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
from understudy.nets import augment as on_device
from understudy.nets.device import to_device, to_tensor
from understudy.parts.models.base.model import Batch, Samples
from understudy.stages.train.data.face_store import FaceStore, moved
from understudy.types import Array, Bytes, Doubles, Floats

# Colours are carried over by a table with so many steps a channel, fitted to about so many pixels
# across a face.
TABLE, ACROSS = 17, 64

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Feed:
    """Which faces are drawn, and what becomes of src's colours.

    uniform_yaw: of each side every turn of the head that it has comes as often as any other.
    yaw_matched: each src face turns as the dst face of its pair does, mirrored where that is nearer
    and src may be flipped; chance flips no src then. hsv: how far hue, saturation and value of
    src's input change, 0..1. color_fit: by this each src face takes the colours of a random dst
    face, by statistics within both masks, input and target alike; None = it keeps its own.
    plain_every: every so many batches are the one before again, with its targets as input; None
    = no batches.
    """

    uniform_yaw: bool = False
    yaw_matched: bool = False
    hsv: float = 0.0
    color_fit: ColorFit | None = None
    plain_every: int | None = None


@dataclass(frozen=True, slots=True)
class Batches:
    """Batches for a model of `resolution` pixels: `pairs` faces of each side, moved at random.

    color: how much brightness and contrast change, 0..1. The faces are sampled on `device`, with
    OpenCV where that is the CPU. rank, ranks: of so many that share each batch this one samples
    every `ranks`-th pair, as it would be in the whole batch.
    """

    src: FaceStore
    dst: FaceStore
    src_motion: augment.AugmentConfig
    dst_motion: augment.AugmentConfig
    color: float
    resolution: int
    pairs: int
    device: torch.device
    seed: int
    rank: int = 0
    feed: Feed = Feed()
    ranks: int = 1

    def make(self, number: int) -> Batch:
        """Batch `number`, from 0."""
        if self.feed.plain_every and number and number % self.feed.plain_every == 0:
            src, dst = (replace(side, input=side.target) for side in self._drawn_for(number - 1))
            return Batch(src, dst)
        return Batch(*self._drawn_for(number))

    def _drawn_for(self, number: int) -> tuple[Samples, Samples]:
        """src's and dst's samples that follow from a number."""
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, 0, number])))
        if self.feed.yaw_matched:
            dst = self._drawn(rng, self.dst, self.dst_motion, self._rows(rng, self.dst))
            src = self._following(rng, dst)
        else:
            src = self._drawn(rng, self.src, self.src_motion, self._rows(rng, self.src))
            dst = self._drawn(rng, self.dst, self.dst_motion, self._rows(rng, self.dst))
        of_src, of_dst = (
            self._samples(self.src, src.part(self._own)),
            self._samples(self.dst, dst.part(self._own)),
        )
        return self._recoloured(rng, src.rows, of_src), of_dst

    @property
    def _own(self) -> slice:
        """Which of the drawn pairs are this rank's."""
        return slice(self.rank, None, self.ranks)

    def _rows(self, rng: np.random.Generator, store: FaceStore) -> Rows:
        if self.feed.uniform_yaw:
            return store.learnt[yaw_sampling.sample_uniform(rng, store.turns, self.pairs)]
        return rng.choice(store.learnt, self.pairs)

    def _drawn(
        self,
        rng: np.random.Generator,
        store: FaceStore,
        motion: augment.AugmentConfig,
        rows: Rows,
    ) -> _Drawn:
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
        return _Drawn(rows, chains, [nodes for _, nodes in moves], light)

    def _following(self, rng: np.random.Generator, dst: _Drawn) -> _Drawn:
        """src's faces that look where these dst faces look."""
        # A face that chance has flipped looks the other way.
        sides = np.sign([np.linalg.det(chain[:, :2]) for chain in dst.chains]).astype(np.float32)
        rows, mirrored = yaw_sampling.sample_matching(
            rng, self.src.turns, self.dst.yaw[dst.rows] * sides, self.src_motion.flip
        )
        drawn = self._drawn(
            rng, self.src, replace(self.src_motion, flip=False), self.src.learnt[rows]
        )
        mirror = np.array([[-1.0, 0, self.src.pictures.shape[2] - 1], [0, 1, 0]])
        chains = [
            affine.compose(mirror, chain) if turned else chain
            for chain, turned in zip(drawn.chains, mirrored, strict=True)
        ]
        return replace(drawn, chains=chains)

    def _samples(self, store: FaceStore, drawn: _Drawn) -> Samples:
        maps = np.stack(
            [
                augment.sampling_map(chain, nodes, self.resolution)
                for chain, nodes in zip(drawn.chains, drawn.nodes, strict=True)
            ]
        )
        seen = self._on_cpu if self.device.type == "cpu" else self._on_device
        warped, target, matte = seen(store.pictures[drawn.rows], drawn.chains, maps)
        if drawn.light:
            gain, offset = (self._tensor(each) for each in drawn.light)
            warped = on_device.adjust_contrast_brightness(warped, 1 + gain, offset)
            target = on_device.adjust_contrast_brightness(target, 1 + gain, offset)
        mouths, eyes = self._features(store.landmarks[drawn.rows], drawn.chains)
        return Samples(warped, target, matte, mouths, (mouths + eyes).clamp_(max=1).mul_(matte))

    def _recoloured(self, rng: np.random.Generator, rows: Rows, src: Samples) -> Samples:
        """src's samples in the colours that the feed gives them."""
        if self.feed.color_fit is not None:
            like = rng.choice(self.dst.learnt, self.pairs)
            couples = zip(rows[self._own], like[self._own], strict=True)
            tables = [
                _table(self.feed.color_fit, self.src.pictures[row], self.dst.pictures[other])
                for row, other in couples
            ]
            looked_up = self._tensor(np.stack(tables))
            src = replace(
                src,
                input=on_device.apply_lut(src.input, looked_up),
                target=on_device.apply_lut(src.target, looked_up),
            )
        if power := self.feed.hsv:
            most = max(1, int(180 * power))
            hue = rng.integers(-most, most, self.pairs, endpoint=True)
            shifts = (hue, *(rng.uniform(-power / 2, power / 2, self.pairs) for _ in range(2)))
            src = replace(
                src,
                input=on_device.shift_hsv(
                    src.input, *(self._tensor(each[self._own]) for each in shifts)
                ),
            )
        return src

    def _features(
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

    def _on_cpu(
        self, stored: Bytes, chains: list[Doubles], maps: Floats
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        bent = [_bent(each, at) for each, at in zip(stored, maps, strict=True)]
        straight = [
            moved(each, chain, self.resolution) for each, chain in zip(stored, chains, strict=True)
        ]
        warped, both = (to_tensor(np.stack(each), self.device) for each in (bent, straight))
        return warped[:, :3].contiguous(), both[:, :3].contiguous(), both[:, 3:].contiguous()

    def _on_device(
        self, stored: Bytes, chains: list[Doubles], maps: Floats
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        still = np.zeros((2, 2, 2), np.float32)
        upright = np.stack(
            [augment.sampling_map(chain, still, self.resolution) for chain in chains]
        )
        faces, bent, straight = (to_device(each, self.device) for each in (stored, maps, upright))
        both = on_device.remap(faces, straight, "bicubic")
        return (
            on_device.remap(faces[..., :3], bent),
            both[:, :3].contiguous(),
            both[:, 3:].contiguous(),
        )

    def _tensor(self, numbers: Array) -> torch.Tensor:
        return to_device(numbers.astype(np.float32), self.device)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What chance chose for one side: rows, store_from_picture, the nodes of the warps, and gain
    and offset if these change.
    """

    rows: Rows
    chains: list[Doubles]
    nodes: list[Floats]
    light: list[Doubles]

    def part(self, some: slice) -> _Drawn:
        """The same of some of the faces."""
        return _Drawn(
            self.rows[some],
            self.chains[some],
            self.nodes[some],
            [each[some] for each in self.light],
        )


def ahead(
    make: Callable[[int], Made], first: int, workers: int = 1
) -> Generator[tuple[Made, float], None, None]:
    """make(first), make(first + 1), … each with the seconds it was waited for; threads work ahead.
    Close it when done.
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


def _table(fit: ColorFit, stored: Bytes, like: Bytes) -> Floats:
    """The table that gives a stored face the colours of another; one that changes nothing where a
    mask is all but empty.
    """
    face, other = (_pixels(each) for each in (stored, like))
    wanted = fit(face, other) if face.are_enough and other.are_enough else (lambda colors: colors)
    # What is no colour has no hue.
    return np.clip(tabulate(wanted, TABLE), 0, 1)


def _pixels(stored: Bytes) -> Pixels:
    step = max(1, len(stored) // ACROSS)
    seen = stored[::step, ::step].astype(np.float32) / np.float32(255)
    return Pixels.of(seen[..., :3], seen[..., 3])


def _bent(stored: Bytes, places: Floats) -> Bytes:
    return cv2.remap(stored, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore
