"""`saehd`: the model most used in the field, at any size.

df keeps src's looks best, liae follows dst's light and shape more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from understudy.core.training.augment import AugmentConfig
from understudy.errors import BadOption
from understudy.options import option
from understudy.parts.models import ModelOptions, models, require_multiple

if TYPE_CHECKING:
    from torch import nn

    from understudy.nets.autoencoder.encoders import Encoder, MultiColumnEncoder
    from understudy.nets.autoencoder.swappers import Swapper
    from understudy.parts.models.base.model import Model
    from understudy.parts.models.base.sae_model import SaeLossConfig


@models.register("saehd")
class Saehd(ModelOptions):
    """Encoder, inter and decoders of any size.

    82.4 M parameters as it stands, 57.5 M with archi df.
    """

    optimizer = "adabelief"
    batch = 8
    motion = AugmentConfig(scale=0.15)
    gan_setting = "gan_power"
    off_in_pretraining = (
        "gan_power",
        "true_face_power",
        "face_style_power",
        "bg_style_power",
    )

    resolution: int = option(
        128,
        "Side of the faces, a multiple of 16; of 32 with d or t in archi",
        low=64,
        high=640,
        unit="px",
    )
    face_type: Literal["half", "mid-full", "full", "whole", "head"] = option(
        "full", "How much of the head the faces show"
    )
    archi: str = option(
        "liae-ud",
        "Plan: df or liae, then letters: u = more likeness to src, d = twice the size at the same"
        " cost, t = deeper, more likeness still, c = another curve than leaky ReLU. dfhd, liaehd:"
        " wide plans of early 2020, without letters, slower and larger",
    )
    ae_dims: int = option(256, "Size of the code; memory grows with it", low=32, high=1024)
    e_dims: int = option(64, "Channels of the encoder, even", low=16, high=256)
    d_dims: int = option(64, "Channels of the decoder, even; more = more detail", low=16, high=256)
    d_mask_dims: int | None = option(
        None,
        "Channels of the mask's decoder, even; not set = a third of d_dims",
        low=6,
        high=256,
        formerly=0,
    )
    train_inter_ab: bool = option(
        True,
        "Let the inter that both people share learn (liae); off for the last stretch, without"
        " warps",
        live=True,
    )
    masked_training: bool = option(True, "Learn faces only, not what is around them", live=True)
    eyes_mouth_prio: bool = option(
        False, "Learn eyes and mouth with more weight, where the look or teeth are wrong", live=True
    )
    blur_out_mask: bool = option(
        False, "Blur what is around the faces to be learnt: smoother edges", live=True
    )
    true_face_power: float = option(
        0, "How much src's face is to win over dst's, try 0.01 (df only)", low=0, high=1, live=True
    )
    face_style_power: float = option(
        0,
        "How much the face takes on dst's light; start at 0.001, after some 10,000 iterations",
        low=0,
        high=100,
        live=True,
    )
    bg_style_power: float = option(
        0,
        "How much the face's surroundings are held as dst's, try 2, as late",
        low=0,
        high=100,
        live=True,
    )
    gan_power: float = option(
        0,
        "How much a critic asks for fine detail, try 0.1 at the very end",
        low=0,
        high=5,
        live=True,
    )
    gan_patch_size: int | None = option(
        None,
        "How much of a face the critic sees at a time; not set = about an eighth",
        low=1,
        high=640,
        unit="px",
        live=True,
        formerly=0,
    )
    gan_dims: int = option(16, "Channels of the critic", low=4, high=512, live=True)
    compat: bool = option(
        False,
        "Keep slips of the former tool: its background's mask, its smoothness, its windows",
        live=True,
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _, letters = parse_archi(self.archi)
        require_multiple(self.resolution, 32 if set("dt") & set(letters) else 16)
        require_even(e_dims=self.e_dims, d_dims=self.d_dims, d_mask_dims=self.d_mask_dims)
        # Flags for a model that is there name only what changes: what its plan is, they need not
        # say.
        if "archi" in self.model_fields_set:
            self._refuse_true_face()
        return self

    def build(self) -> Model:
        from understudy.nets.autoencoder.swappers import TwoInters
        from understudy.parts.models.base.sae_model import SaeModel

        self._refuse_true_face()
        net = build_network(
            self.archi,
            self.resolution,
            self.ae_dims,
            self.e_dims,
            self.d_dims,
            resolve_mask_dims(self.d_mask_dims, self.d_dims),
        )
        if isinstance(net, TwoInters):
            net.ab.requires_grad_(self.train_inter_ab)
        return SaeModel(
            net, self.resolution, self.face_type, self.loss_config(), self._critics(net)
        )

    def loss_config(self) -> SaeLossConfig:
        """What it learns from."""
        from understudy.parts.models.base.sae_model import SaeLossConfig

        return SaeLossConfig(
            scales=1 if self.resolution < 256 else 2,
            shade="ramp" if self.masked_training else "none",
            eyes=300 if self.eyes_mouth_prio else 0,
            blur_out=self.blur_out_mask,
            face_style=100 * self.face_style_power,
            background_style=self.bg_style_power / 100,
            true_face=self.true_face_power,
            gan=self.gan_power,
            compat=self.compat,
        )

    def _refuse_true_face(self) -> None:
        """Raises BadOption where liae is to learn it."""
        if self.true_face_power and parse_archi(self.archi)[0] not in ("df", "dfhd"):
            raise BadOption(
                f"true_face_power: only archi df can do that, this one is {self.archi}. Set it to"
                " 0, or choose df."
            )

    def _critics(self, net: Swapper) -> dict[str, nn.Module]:
        from understudy.nets.autoencoder.swappers import TwoDecoders
        from understudy.nets.losses.critics import CodeCritic, PatchCritic, resolve_patch

        found: dict[str, nn.Module] = {}
        if self.true_face_power and isinstance(net, TwoDecoders):
            found["code_critic"] = CodeCritic(net.inter.channels, net.inter.size)
        if self.gan_power:
            found["critic"] = PatchCritic(
                resolve_patch(self.resolution, self.gan_patch_size), self.gan_dims
            )
        return found


def parse_archi(archi: str) -> tuple[str, str]:
    """df, liae, dfhd or liaehd, and the letters behind the dash. Raises BadOption otherwise."""
    kind, dash, letters = archi.partition("-")
    if (
        kind not in ("df", "liae", "dfhd", "liaehd")
        or set(letters) - set("udtc")
        or len(set(letters)) < len(letters)
        or (dash and not letters)
    ):
        raise BadOption(
            f"archi: '{archi}' is none. Write df or liae, and behind a dash any of the letters u,"
            " d, t, c, each once: liae-ud. Or dfhd or liaehd, without letters."
        )
    if letters and kind.endswith("hd"):
        raise BadOption(
            f"archi: '{archi}': the hd plans have no letters, which came when hd went. Take {kind},"
            f" or {kind.removesuffix('hd')}-{letters}."
        )
    return kind, letters


def require_even(**dims: int | None) -> None:
    """Raises BadOption where a number of channels is odd."""
    for name, value in dims.items():
        if value is not None and value % 2:
            raise BadOption(f"{name}: {value} must be even. Take {value + 1}.")


def resolve_mask_dims(asked: int | None, d_dims: int) -> int:
    """Channels of the mask's decoder: as asked for, or the even number about a third of d_dims."""
    third = d_dims // 3
    return asked or third + third % 2


def build_network(archi: str, side: int, code: int, e: int, d: int, dm: int) -> Swapper:
    """Build the network of an archi for faces of `side` pixels.

    code, e, d, dm: dims of code, encoder, decoder and mask.
    """
    from understudy.nets.autoencoder.decoders import DecoderConfig, FaceMaskDecoder
    from understudy.nets.autoencoder.encoders import Inter
    from understudy.nets.autoencoder.swappers import TwoDecoders, TwoInters

    kind, letters = parse_archi(archi)
    deep, quartered = "t" in letters, "d" in letters
    config = (
        DecoderConfig(kernel=1, cross_fed=True)
        if kind.endswith("hd")
        else DecoderConfig(1, 1, quartered, "cosine" if "c" in letters else "leaky")
    )
    encoder = _encoder(kind, letters, side, e)
    face, mask = ((8 * dims, *([8 * dims] if deep else []), 4 * dims, 2 * dims) for dims in (d, dm))
    mask = (*mask, dm) if quartered else mask

    def inter(spread: int) -> Inter:
        return Inter(
            encoder, code, spread, None if deep else spread, size=side // (32 if quartered else 16)
        )

    if kind.startswith("liae"):
        return TwoInters(
            encoder, inter(2 * code), inter(2 * code), FaceMaskDecoder(4 * code, face, mask, config)
        )
    return TwoDecoders(
        encoder, inter(code), *(FaceMaskDecoder(code, face, mask, config) for _ in range(2))
    )


def _encoder(kind: str, letters: str, side: int, e: int) -> Encoder | MultiColumnEncoder:
    """The encoder of a plan, with e channels after its first step."""
    from understudy.nets.autoencoder.encoders import Encoder, MultiColumnEncoder

    if kind.endswith("hd"):
        columns = (2 * e, 2 * e, e // 2, e // 2)
        return MultiColumnEncoder(
            side, tuple((w, 2 * w, 4 * w, 8 * w) for w in columns), strided=True
        )
    deep = "t" in letters
    return Encoder(
        side,
        (e, 2 * e, 4 * e, 8 * e, 8 * e) if deep else (e, 2 * e, 4 * e, 8 * e),
        residual_at=(0, 4) if deep else (),
        pixel_norm="u" in letters,
        activation="cosine" if "c" in letters else "leaky",
    )
