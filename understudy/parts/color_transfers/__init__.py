"""Colour transfers: how the new face takes the colours of the one that it replaces.

A colour transfer is a class of options whose `build()` gives a `Transfer`, for merge.
"""

from __future__ import annotations

from typing import ClassVar

from understudy.core.color.maps import ColorFit
from understudy.core.color.transfer import Transfer
from understudy.registry import Part, Registry


class ColorTransfer(Part):
    """The options of one colour transfer; `build` makes it ready."""

    # Whether it has a `pixel_fit`, so that it is a `--ct-mode` of train, too.
    fits_pixels: ClassVar[bool] = False

    def build(self) -> Transfer:
        """The transfer for the faces of a merge."""
        raise NotImplementedError

    def build_dfl(self) -> Transfer:
        """The transfer by DeepFaceLab's formulas; the usual one where those say nothing."""
        return self.build()

    def pixel_fit(self) -> ColorFit:
        """A function from pixels (N, 3) and the pixels that they shall look like to a colour map.

        Train gives src's faces dst's colours by it.
        """
        raise NotImplementedError


color_transfers: Registry[ColorTransfer] = Registry("color_transfers", __name__, "colour transfer")
