import hashlib

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from understudy.core.color.maps import ColorFit
from understudy.core.face import align, landmarks
from understudy.core.training.augment import AugmentConfig
from understudy.parts.color_transfers import color_transfers
from understudy.parts.models.base.model import Batch, Samples
from understudy.stages.train.data.batches import Batches, Sampling
from understudy.stages.train.data.face_store import FaceStore

STILL = AugmentConfig(0, 0, 0, warp=0)
SIDE = 64
STORE_FROM_FACE = np.array([[1.25, 0, 12.125], [0, 1.25, 12.125]])


def points() -> NDArray[np.float32]:
    return np.concatenate(
        [np.zeros((17, 2), np.float32), align.template_points("full", 80) + 12]
    ).astype(np.float32)


def noise(count: int, seed: int = 0) -> FaceStore:
    """Faces like clouds, the same ones for a seed, some of them in the mask."""
    rng = np.random.default_rng(seed)
    pictures = np.stack(
        [
            cv2.blur(rng.integers(0, 256, (104, 104, 4)).astype(np.uint8), (9, 9))
            for _ in range(count)
        ]
    )
    return FaceStore(pictures, np.stack([points()] * count), STORE_FROM_FACE, np.zeros(count, bool))


def turned(angles: list[float]) -> FaceStore:
    """Faces whose red tells the row, and green is brighter on the right half of the picture."""
    pictures = np.full((len(angles), 104, 104, 4), 255, np.uint8)
    pictures[..., 0] = 10 * np.arange(len(angles))[:, None, None]
    pictures[..., :52, 1] = 60
    yaw = np.array(angles, np.float32)
    return FaceStore(
        pictures,
        np.stack([points()] * len(angles)),
        STORE_FROM_FACE,
        np.zeros(len(angles), bool),
        yaw,
    )


def fit(name: str) -> ColorFit:
    return color_transfers[name]().pixel_fit()


def batch(
    src: FaceStore,
    dst: FaceStore,
    sampling: Sampling,
    *,
    number: int = 0,
    motions: tuple[AugmentConfig, AugmentConfig] = (STILL, STILL),
    pairs: int = 4,
) -> Batch:
    return Batches(
        src, dst, *motions, 0, SIDE, pairs, torch.device("cpu"), 7, sampling=sampling
    ).make(number)


def rows(samples: Samples) -> list[int]:
    return [int(each) for each in (samples.target[:, 0, 32, 32] * 25.5).round()]


def mirrored(samples: Samples) -> list[bool]:
    return (samples.target[:, 1, 32, 4] > samples.target[:, 1, 32, -4]).tolist()


def test_a_plain_batch_is_what_it_has_always_been() -> None:
    found = hashlib.sha256()
    made = batch(
        noise(6),
        noise(5, 1),
        Sampling(),
        number=3,
        motions=(AugmentConfig(flip=True), AugmentConfig()),
    )
    for side in (made.src, made.dst):
        for part in (side.input, side.target, side.mask, side.mouth):
            found.update((part.numpy() * 255).round().astype(np.uint8).tobytes())
    assert found.hexdigest()[:16] == "aee1423651aa124b"


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(hsv=0.2),
        Sampling(color_fit=fit("rct")),
        Sampling(color_fit=fit("sot")),
        Sampling(uniform_yaw=True),
        Sampling(yaw_matched=True),
    ],
)
def test_every_sampling_follows_from_the_number_alone(sampling: Sampling) -> None:
    src, dst = turned([-0.5, 0, 0.1, 0.5, 0.52]), turned([0.2, 0.5, -0.5])
    one, again, other = (batch(src, dst, sampling, number=number, pairs=8) for number in (2, 2, 3))
    for side in ("src", "dst"):
        for part in Samples.__slots__:
            assert torch.equal(
                getattr(getattr(one, side), part), getattr(getattr(again, side), part)
            )
    assert not torch.equal(one.src.input, other.src.input)


def test_every_third_batch_is_the_one_before_again_unbent() -> None:
    src, dst, moved = noise(6), noise(5, 1), (AugmentConfig(flip=True), AugmentConfig())
    fed, plain = (
        [batch(src, dst, Sampling(plain_every=every), number=n, motions=moved) for n in range(5)]
        for every in (3, 0)
    )
    for side in ("src", "dst"):
        ours, theirs = ([getattr(each, side) for each in made] for made in (fed, plain))
        assert torch.equal(ours[3].input, theirs[2].target) and not torch.equal(
            theirs[2].input, theirs[2].target
        )
        for part in Samples.__slots__[1:]:
            assert torch.equal(getattr(ours[3], part), getattr(theirs[2], part))
        # All others are what they would be, the first one too: before it there is none.
        assert all(torch.equal(ours[n].input, theirs[n].input) for n in (0, 1, 2, 4))


def test_eyes_and_mouth_are_shown_within_the_face_where_the_motion_takes_them() -> None:
    faces = noise(1)
    faces.pictures[..., 3] = 255
    faces.pictures[:, 70:, :, 3] = 0
    still = batch(faces, faces, Sampling(), pairs=1).src.eyes_mouth[0, 0]
    x, y = ((points()[landmarks.LEFT_EYE].mean(0) - 12.125) / 1.25).round().astype(int)
    assert still[y, x] == 1 and 0.005 < float(still.mean()) < 0.06 and not still[48:].any()
    smaller = batch(
        faces,
        faces,
        Sampling(),
        pairs=1,
        motions=(AugmentConfig(0, 0, 0, warp=0, zoom=-0.2), STILL),
    ).src.eyes_mouth[0, 0]
    x, y = (round(31.5 + 0.8 * (place - 31.5)) for place in (x, y))
    assert smaller[y, x] == 1 and 0.5 < float(smaller.sum() / still.sum()) < 0.8


def test_src_takes_dsts_colours_alike_in_input_and_target() -> None:
    src, dst = noise(3), noise(4, 1)
    src.pictures[..., 3] = dst.pictures[..., 3] = 255
    dst.pictures[..., :3] = dst.pictures[..., :3] // 2 + np.array([0, 20, 60], np.uint8)
    plain = batch(src, dst, Sampling())
    goal = torch.from_numpy(dst.pictures[..., :3].reshape(-1, 3).mean(0) / 255)
    for name in ("rct", "lct", "mkl", "idt", "sot"):
        made = batch(src, dst, Sampling(color_fit=fit(name)))
        assert torch.equal(made.dst.target, plain.dst.target) and torch.equal(
            made.src.mask, plain.src.mask
        )
        assert float((made.src.input - made.src.target).abs().mean()) < 0.01
        gap, before = ((each.src.target.mean((0, 2, 3)) - goal).norm() for each in (made, plain))
        assert gap < (0.5 if name == "idt" else 0.2) * before


def test_only_what_the_masks_show_speaks_for_a_face() -> None:
    src, dst = noise(2), noise(2, 1)
    for store in (src, dst):
        store.pictures[..., 3] = 255
        store.pictures[:, :30, :, 3] = 0
    one = batch(src, dst, Sampling(color_fit=fit("mkl"))).src.target[:, :, 24:]
    src.pictures[:, :30, :, :3], dst.pictures[:, :30, :, :3] = 0, 255
    assert torch.allclose(
        batch(src, dst, Sampling(color_fit=fit("mkl"))).src.target[:, :, 24:], one, atol=1e-5
    )


def test_a_face_with_an_empty_mask_keeps_its_colours() -> None:
    src, dst = noise(2), noise(2, 1)
    src.pictures[..., 3] = 0
    assert torch.allclose(
        batch(src, dst, Sampling(color_fit=fit("rct"))).src.target,
        batch(src, dst, Sampling()).src.target,
        atol=1e-6,
    )


def test_other_hues_are_for_srcs_input_alone() -> None:
    src, dst = noise(3), noise(3, 1)
    plain, made = batch(src, dst, Sampling()), batch(src, dst, Sampling(hsv=0.3))
    assert torch.equal(plain.src.target, made.src.target) and torch.equal(
        plain.dst.input, made.dst.input
    )
    changed = (plain.src.input - made.src.input).abs().mean((1, 2, 3))
    assert 0.005 < float(changed.min()) and float(changed.max()) < 0.3


def test_uniform_yaw_draws_rare_turns_as_often() -> None:
    src = turned([0.0] * 20 + [0.9])
    drawn = np.array(rows(batch(src, src, Sampling(uniform_yaw=True), pairs=64).src))
    assert 20 <= (drawn == 20).sum() <= 44


def test_yaw_matched_src_turns_as_dst_does() -> None:
    src, dst = turned([-0.6, -0.2, 0.2]), turned([-0.6, -0.2, 0.2, 0.6])
    made = batch(src, dst, Sampling(yaw_matched=True), pairs=40)
    wanted = {0: 0, 1: 1, 2: 2, 3: 2}
    assert (
        rows(made.src) == [wanted[row] for row in rows(made.dst)] and len(set(rows(made.dst))) == 4
    )
    assert not any(mirrored(made.src))


def test_yaw_matched_src_is_mirrored_where_it_may_be() -> None:
    src, dst = turned([-0.6, -0.2, 0.2]), turned([-0.6, -0.2, 0.2, 0.6])
    flips = AugmentConfig(0, 0, 0, flip=True, warp=0)
    made = batch(src, dst, Sampling(yaw_matched=True), pairs=40, motions=(flips, flips))
    looks = [
        angle * (-1 if flip else 1)
        for side, store in ((made.src, src), (made.dst, dst))
        for angle, flip in zip(store.yaw[rows(side)], mirrored(side), strict=True)
    ]
    assert np.allclose(looks[:40], looks[40:])
    assert any(mirrored(made.src)) and any(mirrored(made.dst))
