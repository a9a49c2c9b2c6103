import cv2
import numpy as np
import pytest
import torch

from understudy.nets import augment
from understudy.nets.autoencoder.blocks import PixelNorm, Up, init_weights
from understudy.nets.autoencoder.decoders import ConditionalDecoder, FaceMaskDecoder
from understudy.nets.autoencoder.encoders import Encoder, Inter
from understudy.nets.autoencoder.swappers import (
    MorphSwapper,
    SharedDecoder,
    Swapper,
    TwoDecoders,
    TwoInters,
    splitmix64,
)
from understudy.nets.device import to_numpy, to_tensor
from understudy.nets.optim import optimizers as optim_optimizers


def faces(seed: int, count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def started(net: Swapper) -> Swapper:
    init_weights(net, "kaiming", torch.Generator().manual_seed(1))
    return net


def two_decoders() -> Swapper:
    encoder = Encoder(32, (8, 16, 16))
    src, dst = (FaceMaskDecoder(8, (8, 8), (8, 4)) for _ in range(2))
    return started(TwoDecoders(encoder, Inter(encoder, 12, 8, 8, True), src, dst))


def two_inters() -> Swapper:
    encoder = Encoder(32, (8, 16, 16))
    ab, b = (Inter(encoder, 12, 8, 8) for _ in range(2))
    return started(TwoInters(encoder, ab, b, FaceMaskDecoder(16, (8, 8), (8, 4))))


def two_personas() -> Swapper:
    encoder = Encoder(32, (8, 16), fold=2)
    return started(
        SharedDecoder(
            encoder, Inter(encoder, 12, 8, 8, True), ConditionalDecoder(2, 8, 8, (8,), fold=2)
        )
    )


def morph(share: float = 0.5) -> Swapper:
    encoder = Encoder(32, (8, 16, 16), pixel_norm=True)
    return started(MorphSwapper(encoder, 12, 10, FaceMaskDecoder(10, (8, 8, 8), (8, 8, 4)), share))


@torch.no_grad()
def test_every_network_paints_faces_and_masks_in_range() -> None:
    for net in (two_decoders(), two_personas(), two_inters(), morph()):
        rebuilt = net(faces(0), faces(1))
        for painted in (rebuilt.src, rebuilt.dst, *net.swap(faces(1))):
            assert painted.face.shape == (2, 3, 32, 32) and painted.mask.shape == (2, 1, 32, 32)
            assert 0 <= float(painted.face.min()) and float(painted.face.max()) <= 1


@torch.no_grad()
@pytest.mark.parametrize("make", [two_decoders, two_personas])
def test_a_swap_is_the_dst_code_painted_as_src(make) -> None:
    net = make()
    swapped, rebuilt = net.swap(faces(1))
    as_src, as_dst = net(faces(1), faces(0)).src, net(faces(0), faces(1)).dst
    assert torch.allclose(swapped.face, as_src.face, atol=1e-6) and torch.allclose(
        rebuilt.face, as_dst.face, atol=1e-6
    )


@torch.no_grad()
def test_two_personas_differ_only_in_what_each_colours() -> None:
    net = two_personas()
    assert isinstance(net, SharedDecoder)
    swapped, rebuilt = net.swap(faces(1))
    assert not torch.allclose(swapped.face, rebuilt.face, atol=1e-3)
    for personas in net.decoder.personas:
        personas.gain[1], personas.bias[1] = personas.gain[0], personas.bias[0]
    swapped, rebuilt = net.swap(faces(1))
    assert torch.allclose(swapped.face, rebuilt.face, atol=1e-6)


def test_two_personas_paint_the_swap_that_they_learn_from() -> None:
    net = two_personas()
    learnt = net(faces(0), faces(1)).swapped
    assert learnt is not None
    assert torch.allclose(learnt.face, net.swap(faces(1))[0].face, atol=1e-6)


@torch.no_grad()
def test_two_inters_swap_without_what_only_dst_has() -> None:
    net = two_inters()
    assert isinstance(net, TwoInters)
    swapped, rebuilt = net.swap(faces(1))
    as_src, as_dst = net(faces(1), faces(0)).src, net(faces(0), faces(1)).dst
    assert torch.allclose(swapped.face, as_src.face, atol=1e-6) and torch.allclose(
        rebuilt.face, as_dst.face, atol=1e-6
    )
    for weight in net.b.parameters():
        weight.add_(0.5)
    swapped_now, rebuilt_now = net.swap(faces(1))
    assert torch.equal(swapped.face, swapped_now.face) and not torch.allclose(
        rebuilt.face, rebuilt_now.face
    )


@torch.no_grad()
@pytest.mark.parametrize("make", [two_decoders, two_personas, two_inters, morph])
def test_a_swap_is_painted_from_its_maps_by_the_way_out_of_src(make) -> None:
    net = make()
    rebuilt, swapped = net(faces(0), faces(1)), net.swap(faces(1))[0]
    assert torch.allclose(net.decode_src(rebuilt.swap_maps).face, swapped.face, atol=1e-6)
    assert torch.allclose(net.decode_src(rebuilt.src_maps).face, rebuilt.src.face, atol=1e-6)


@torch.no_grad()
def test_a_morph_goes_from_dst_to_src() -> None:
    net = morph()
    assert isinstance(net, MorphSwapper)
    seen = []
    for net.morph in (0.0, 0.5, 1.0):
        swapped, rebuilt = net.swap(faces(1))
        seen.append(float((swapped.face - rebuilt.face).abs().mean()))
    assert seen[0] < 1e-6 < 1e-3 < seen[1] < seen[2]
    code = net.squeeze(net.encoder(faces(1)))
    assert torch.allclose(net(faces(0), faces(1)).swap_maps, net.src(code), atol=1e-6)


@torch.no_grad()
def test_a_morph_learns_src_from_a_share_of_its_own_channels_drawn_anew_each_time() -> None:
    net = morph(0.3)
    assert isinstance(net, MorphSwapper)
    code = net.squeeze(net.encoder(faces(0)))
    own, other = net.src(code), net.dst(code)
    drawn = []
    for _ in range(3):
        maps = net(faces(0), faces(1)).src_maps
        taken = (maps - own).abs().amax((2, 3)) < 1e-4
        assert torch.equal(taken.sum(1), torch.tensor([3, 3]))
        assert torch.allclose(torch.where(taken[:, :, None, None], own, other), maps, atol=1e-4)
        drawn.append(taken)
    assert not torch.equal(drawn[0], drawn[1]) or not torch.equal(drawn[1], drawn[2])
    # Saved with the weights, so that a resumed run draws what the other would have.
    again = morph(0.3)
    again.load_state_dict(net.state_dict())
    assert torch.equal(net(faces(0), faces(1)).src_maps, again(faces(0), faces(1)).src_maps)


def test_noise_is_even_and_different_for_every_number() -> None:
    first = [splitmix64(torch.tensor(number), 4, 1000) for number in range(3)]
    assert not torch.equal(first[0], first[1]) and torch.equal(
        first[0], splitmix64(torch.tensor(0), 4, 1000)
    )
    shares = torch.stack([(each.argsort(1) < 500)[:, :500].float().mean() for each in first])
    assert float((shares - 0.5).abs().max()) < 0.05
    # The first outputs of SplitMix64 from the state 0.
    assert splitmix64(torch.tensor(0), 1, 3)[0, 1:].tolist() == [
        0xE220A8397B1DCDAF - 2**64,
        0x6E789E6AA1B965F4,
    ]


def test_up_makes_four_channels_two_by_two_pixels() -> None:
    assert Up(6, 5)(torch.rand(1, 6, 7, 9)).shape == (1, 5, 14, 18)


def test_pixel_norm_gives_every_code_the_same_length() -> None:
    codes = PixelNorm()(torch.randn(4, 192) * torch.tensor([[0.01], [1], [30], [1000]]))
    assert torch.allclose(codes.square().mean(1), torch.ones(4), atol=1e-3)


def test_the_start_follows_the_generator_alone() -> None:
    weights = [next(two_decoders().parameters()).clone() for _ in range(2)]
    torch.manual_seed(5)
    assert torch.equal(*weights) and torch.equal(weights[0], next(two_decoders().parameters()))


def test_pictures_go_to_tensors_and_back() -> None:
    picture = np.random.default_rng(0).random((2, 5, 7, 3)).astype(np.float32)
    assert np.array_equal(to_numpy(to_tensor(picture, torch.device("cpu"))), picture)
    bytes_ = np.full((1, 4, 4), 255, np.uint8)
    assert float(to_tensor(bytes_, torch.device("cpu")).max()) == 1


def test_the_device_samples_as_opencv_does() -> None:
    rng = np.random.default_rng(0)
    stored = cv2.GaussianBlur(rng.integers(0, 256, (40, 40, 3)).astype(np.uint8), (0, 0), 1.5)
    places = rng.uniform(-4, 43, (24, 24, 2)).astype(np.float32)
    on_cpu = cv2.remap(
        stored,
        places[..., 0].copy(),
        places[..., 1].copy(),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    on_device = augment.remap(torch.from_numpy(stored)[None], torch.from_numpy(places)[None])
    assert np.abs(to_numpy(on_device)[0] * 255 - on_cpu).max() < 2


def test_optimizer_state_survives_as_arrays() -> None:
    def learn(net: Swapper, optimizer: torch.optim.Optimizer, seed: int) -> None:
        src, dst, *_ = net(faces(seed), faces(seed + 1))
        (src.face.mean() - dst.face.mean() + src.mask.mean() + dst.mask.mean()).backward()
        optimizer.step()
        optimizer.zero_grad()

    one, other = two_decoders(), two_decoders()
    groups = [{"generator": dict(net.named_parameters())} for net in (one, other)]
    first, second = (optim_optimizers.build_optimizers("adam", group, 1e-3) for group in groups)
    learn(one, first["generator"], 0)
    other.load_state_dict(one.state_dict())
    optim_optimizers.load_state(
        second, groups[1], optim_optimizers.state_to_arrays(first, groups[0])
    )
    for net, optimizers in ((one, first), (other, second)):
        learn(net, optimizers["generator"], 7)
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)
