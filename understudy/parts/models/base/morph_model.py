"""A model that lets people choose afterwards how much of the face becomes src's."""

from __future__ import annotations

from torch import Tensor

from understudy.nets.autoencoder.swappers import DecodedFace, MorphSwapper
from understudy.parts.models.base.sae_model import SaeModel

# The swaps that previews show besides the model's own.
MORPH_STEPS = (0.25, 0.5, 0.65, 0.75, 1.0)


class MorphModel(SaeModel):
    """A `SaeModel` around a `MorphSwapper`. The chosen morph changes swaps, not reconstructions."""

    net: MorphSwapper

    def set_morph(self, share: float) -> None:
        self.net.morph = share

    def reconstruct(self, src: Tensor, dst: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Also the swaps at other morphs, as "sd 0.25" and so on."""
        (own,) = self.net.decode_at(src, (1.0,))
        rebuilt, swapped, *steps = self.net.decode_at(dst, (0.0, self.net.morph, *MORPH_STEPS))
        made: dict[str, DecodedFace] = {"ss": own, "dd": rebuilt, "sd": swapped}
        made |= {f"sd {step}": each for step, each in zip(MORPH_STEPS, steps, strict=True)}
        return {name: (each.face, each.mask) for name, each in made.items()}
