import pytest
import torch
from torch import nn
from torch.nn import functional

from understudy.nets.autoencoder.blocks import (
    GrowingCosine,
    HighResResidual,
    PixelNorm,
    ResBlock,
    UnshuffleDown,
    convolution_aware,
    init_weights,
)
from understudy.nets.autoencoder.decoders import (
    CrossFedSteps,
    DecoderConfig,
    FaceMaskDecoder,
    PixelShuffleHead,
)
from understudy.nets.autoencoder.encoders import Encoder, Inter, MultiColumnEncoder


def maps(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_a_residual_block_adds_two_convolutions_to_what_came_in() -> None:
    block, came = ResBlock(6), maps(0, 2, 6, 8, 8)
    first, _, second = block.inner
    inside = functional.leaky_relu(
        functional.conv2d(came, first.weight, first.bias, padding=1), 0.2
    )
    expected = functional.leaky_relu(
        came + functional.conv2d(inside, second.weight, second.bias, padding=1), 0.2
    )
    assert torch.allclose(block(came), expected, atol=1e-6)


def test_a_shortened_block_has_one_convolution() -> None:
    block, came = ResBlock(6, single_conv=True), maps(1, 2, 6, 8, 8)
    only = block.inner[0]
    expected = functional.leaky_relu(
        came + functional.conv2d(came, only.weight, only.bias, padding=1), 0.2
    )
    assert torch.allclose(block(came), expected, atol=1e-6) and len(list(block.parameters())) == 2


def test_a_closer_look_is_taken_at_twice_the_size_and_added() -> None:
    block, came = HighResResidual(8), maps(7, 2, 8, 6, 6)
    up, res, look, _ = block.inner
    wide = functional.pixel_shuffle(
        functional.leaky_relu(functional.conv2d(came, up[0].weight, up[0].bias, padding=1), 0.1), 2
    )
    seen = functional.conv2d(res(wide), look.weight, look.bias, padding=2)
    assert seen.shape == (2, 2, 12, 12) and look.weight.shape == (2, 4, 5, 5)
    assert torch.allclose(
        block(came),
        functional.leaky_relu(came + functional.pixel_unshuffle(seen, 2), 0.2),
        atol=1e-6,
    )


@pytest.mark.parametrize(
    ("kernel", "dilation", "reach"), [(3, 1, 1), (5, 1, 2), (5, 2, 4), (7, 2, 6)]
)
def test_a_fold_looks_at_full_size_and_halves_it(kernel: int, dilation: int, reach: int) -> None:
    block, came = UnshuffleDown(1, 4, kernel, dilation), torch.zeros(1, 1, 32, 32)
    came[0, 0, 16, 16] = 1
    block[0].bias.data.zero_()
    lit = functional.pixel_shuffle(block(came), 2)[0, 0].nonzero()
    assert block(came).shape == (1, 4, 16, 16) and lit.min(0).values.tolist() == [16 - reach] * 2
    assert lit.max(0).values.tolist() == [16 + reach] * 2


@torch.no_grad()
def test_what_a_residual_sees_at_twice_the_size_feeds_the_next_step() -> None:
    steps, came = CrossFedSteps(4, (8, 4)), maps(9, 2, 4, 6, 6)
    first, larger = steps.residuals[0](steps.ups[0](came))
    assert first.shape == (2, 8, 12, 12) and larger.shape == (2, 4, 24, 24)
    wanted, _ = steps.residuals[1](steps.ups[1](first) + larger)
    assert torch.equal(steps(came), wanted) and wanted.shape == (2, 4, 24, 24)


@pytest.mark.parametrize("strided", [False, True])
def test_columns_of_their_own_widths_end_at_one_size(strided: bool) -> None:
    widths = ((16, 32), (16, 32), (4, 8), (4, 8))
    encoder = MultiColumnEncoder(64, widths, strided)
    assert (encoder.channels, encoder.size) == (80, 16)
    assert encoder(maps(8, 2, 3, 64, 64)).shape == (2, 80, 16, 16)


def test_columns_lie_side_by_side() -> None:
    encoder, seen = MultiColumnEncoder(64, ((4, 8, 8, 8),) * 4), maps(8, 2, 3, 64, 64)
    assert (encoder.channels, encoder.size) == (32, 4) and encoder(seen).shape == (2, 32, 4, 4)
    assert torch.equal(encoder(seen)[:, 16:24], encoder.columns[2](seen))


def test_the_cosine_takes_the_place_of_every_leaky_relu() -> None:
    encoder = Encoder(64, (4, 8, 8, 8), residual_at=(0,), activation="cosine")
    inter = Inter(encoder, 8, 8, 8)
    decoder = FaceMaskDecoder(8, (8, 8), (4, 4), DecoderConfig(residuals=1, activation="cosine"))
    layers = [layer for net in (encoder, inter, decoder) for layer in net.modules()]
    assert any(isinstance(layer, GrowingCosine) for layer in layers)
    assert not any(isinstance(layer, nn.LeakyReLU) for layer in layers)
    assert torch.allclose(
        GrowingCosine()(torch.tensor([0.0, 1, -2])), torch.tensor([0.0, 0.5403, 0.8323]), atol=1e-4
    )


def test_four_heads_paint_the_pixels_of_a_square_row_by_row() -> None:
    head = PixelShuffleHead(5, 3)
    for place, each in enumerate(head.heads):
        nn.init.zeros_(each.weight)
        each.bias.data = place + torch.tensor([0.0, 0.1, 0.2])
    painted = head(maps(2, 1, 5, 4, 4))
    assert painted.shape == (1, 3, 8, 8)
    for channel in range(3):
        assert torch.allclose(
            painted[0, channel, 2:4, 4:6], torch.tensor([[0.0, 1], [2, 3]]) + 0.1 * channel
        )


def test_the_encoder_norms_all_features_of_a_face_together() -> None:
    encoder = Encoder(64, (4, 8, 8, 8), pixel_norm=True)
    features = encoder(maps(3, 3, 3, 64, 64).abs())
    assert features.shape == (3, 8, 4, 4) and encoder.size == 4
    assert torch.allclose(features.square().mean((1, 2, 3)), torch.ones(3), atol=0.05)
    assert torch.allclose(
        PixelNorm()(maps(4, 2, 5)), functional.normalize(maps(4, 2, 5)) * 5**0.5, atol=1e-4
    )


def test_a_decoder_without_a_mask_takes_all_for_face() -> None:
    face, mask = FaceMaskDecoder(4, (8, 8), ())(maps(5, 2, 4, 4, 4))
    assert face.shape == (2, 3, 16, 16) and torch.equal(mask, torch.ones(2, 1, 16, 16))


@pytest.mark.parametrize("shape", [(40, 24, 3, 3), (20, 12, 5, 5), (300, 64, 1, 1)])
def test_aware_convolutions_have_the_variance_of_their_fan_in(shape: tuple[int, ...]) -> None:
    kernels = convolution_aware(shape, torch.Generator().manual_seed(0))
    assert kernels.shape == shape
    assert float(kernels.var()) == pytest.approx(2 / (shape[1] * shape[2] * shape[3]), rel=1e-3)


def test_aware_kernels_of_one_output_are_orthogonal_in_frequency() -> None:
    kernels = convolution_aware((64, 6, 3, 3), torch.Generator().manual_seed(0))
    spectra = torch.fft.rfft2(kernels).real.flatten(2)
    spectra = functional.normalize(spectra, dim=2)
    alike = (spectra @ spectra.mT - torch.eye(6)).abs().mean()
    plain = functional.normalize(torch.fft.rfft2(maps(6, 64, 6, 3, 3)).real.flatten(2), dim=2)
    assert float(alike) < 0.65 * float((plain @ plain.mT - torch.eye(6)).abs().mean())


def test_the_aware_start_follows_the_generator() -> None:
    nets = [FaceMaskDecoder(4, (8,), (4,)) for _ in range(2)]
    for net in nets:
        init_weights(net, "aware", torch.Generator().manual_seed(2))
    assert all(
        torch.equal(*pair) for pair in zip(nets[0].parameters(), nets[1].parameters(), strict=True)
    )
