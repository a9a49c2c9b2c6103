"""The networks of the four classic models."""

from __future__ import annotations

from understudy.nets.autoencoder.decoders import FaceMaskDecoder
from understudy.nets.autoencoder.encoders import Encoder, Inter
from understudy.nets.autoencoder.swappers import Swapper, TwoDecoders, TwoInters


def h64(light: bool) -> Swapper:
    """The network of H64."""
    encoder = Encoder(64, (128, 256, 512, 768 if light else 1024))
    face, mask = ((256, 128, 64), (256, 128, 64)) if light else ((512, 256, 128), (256, 128, 64))
    inter = Inter(encoder, 512, 512, 256) if light else Inter(encoder, 1024, 1024, 512)
    return _two_decoders(encoder, inter, face, mask)


def df(width: int = 512) -> Swapper:
    """The network of H128 and DF; `width` 256 makes it light."""
    encoder = Encoder(128, (128, 256, 512, 1024))
    widths = (width, width // 2, width // 4)
    return _two_decoders(encoder, Inter(encoder, width, width, width), widths, widths)


def liaef128() -> Swapper:
    """The network of LIAEF128."""
    encoder = Encoder(128, (128, 256, 512, 1024))
    ab, b = (Inter(encoder, 256, 512, 512) for _ in range(2))
    return TwoInters(encoder, ab, b, FaceMaskDecoder(1024, (512, 256, 128), (512, 256, 128)))


def _two_decoders(
    encoder: Encoder, inter: Inter, face: tuple[int, ...], mask: tuple[int, ...]
) -> Swapper:
    src, dst = (FaceMaskDecoder(inter.channels, face, mask) for _ in range(2))
    return TwoDecoders(encoder, inter, src, dst)
