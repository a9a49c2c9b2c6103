"""Mean and spread of the channels of CIE LAB, after Reinhard et al. (2001)."""

from __future__ import annotations

from understudy.core.color import dfl
from understudy.core.color.maps import ColorFit, fit_lab_moments
from understudy.core.color.transfer import Transfer, lab_transfer
from understudy.parts.color_transfers import ColorTransfer, color_transfers


@color_transfers.register("rct")
class Rct(ColorTransfer):
    """Mean and spread of each channel of CIE LAB, within the mask."""

    fits_pixels = True

    def build(self) -> Transfer:
        return lab_transfer(fit_lab_moments)

    def build_dfl(self) -> Transfer:
        return dfl.rct()

    def pixel_fit(self) -> ColorFit:
        return fit_lab_moments
