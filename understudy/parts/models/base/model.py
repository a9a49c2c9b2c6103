"""What every model gives and gets, once torch is loaded."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from understudy.errors import BadOption
from understudy.types import FaceType, Floats, Prediction


@dataclass(frozen=True, slots=True)
class Samples:
    """One side of a batch, float in 0..1.

    input: (B, 3, R, R) warped. target: (B, 3, R, R). mask, mouth, eyes_mouth: soft masks (B, 1, R,
    R) of the target. mask: the face. mouth: lips and what they enclose. eyes_mouth: that and the
    eyes.
    """

    input: Tensor
    target: Tensor
    mask: Tensor
    mouth: Tensor
    eyes_mouth: Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """What one iteration learns from: as many src faces as dst faces."""

    src: Samples
    dst: Samples


class Model(nn.Module):
    """A network with what it takes to train and use it.

    resolution: side of its faces in pixels. face_type: what they show.
    """

    resolution: int
    face_type: FaceType

    def initialise(self, generator: torch.Generator) -> None:
        """Give every weight its start, drawn from `generator`."""
        raise NotImplementedError

    def parameter_groups(self) -> dict[str, dict[str, Parameter]]:
        """Parameters by name, by group.

        Each group has an optimizer and a pass of `losses` of its own.
        """
        raise NotImplementedError

    def losses(self, batch: Batch, group: str) -> dict[str, Tensor]:
        """Named scalars; their sum is what the group's parameters minimise.

        Means over samples, so that shares of a batch can be learnt apart; what is not asks
        `nets.ranks.all_gather` for all of them.
        """
        raise NotImplementedError

    def reconstruct(self, src: Tensor, dst: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Rebuild and swap faces.

        Args:
            src: (N, 3, R, R) unwarped faces of src, in 0..1.
            dst: The same of dst.

        Returns:
            Faces (N, 3, R, R) and masks (N, 1, R, R) as "ss", "dd" and "sd" (src's identity, dst's
            expression).
        """
        raise NotImplementedError

    def set_morph(self, share: float) -> None:
        """Let so much of the face, 0..1, become src's in `predict`.

        Raises BadOption for a model without that choice.
        """
        raise BadOption(
            "morph: this model always paints src's face; how much of it is a choice that amp has."
            " Leave --morph out."
        )

    def predict(self, images: Floats) -> Prediction:
        """What becomes of dst faces (N, R, R, 3), float32 RGB in 0..1."""
        raise NotImplementedError
