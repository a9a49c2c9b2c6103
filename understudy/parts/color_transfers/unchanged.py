"""No transfer at all."""

from __future__ import annotations

from understudy.core.color.transfer import UNCHANGED, Transfer
from understudy.parts.color_transfers import ColorTransfer, color_transfers


@color_transfers.register("none")
class Unchanged(ColorTransfer):
    """Leaves the new face's colours as they are."""

    def build(self) -> Transfer:
        return UNCHANGED
