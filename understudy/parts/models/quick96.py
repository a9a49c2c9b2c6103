"""`quick96`: SAEHD at 96 pixels with nothing to set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from understudy.parts.models import ModelOptions, models

if TYPE_CHECKING:
    from understudy.parts.models.base.model import Model


@models.register("quick96")
class Quick96(ModelOptions):
    """Full faces of 96 pixels, for a first look within an hour on a small GPU.

    38.3 M parameters.
    """

    optimizer = "rmsprop"
    lr = 2e-4
    lr_dropout = True
    plain_every = 3

    def build(self) -> Model:
        from understudy.parts.models.base.sae_model import SaeLossConfig, SaeModel
        from understudy.parts.models.saehd import build_network

        return SaeModel(
            build_network("df-ud", 96, 128, 64, 64, 16), 96, "full", SaeLossConfig(shade="blur"), {}
        )
