"""The whole distribution of colours, matched along many directions (Pitié et al. 2005)."""

from __future__ import annotations

from typing import ClassVar, Final

from understudy.core.color import dfl
from understudy.core.color.maps import ColorFit
from understudy.core.color.sliced_transport import fit_idt, fit_mix, fit_sliced_transport
from understudy.core.color.transfer import Transfer, table_transfer
from understudy.parts.color_transfers import ColorTransfer, color_transfers

# How far the change is blurred for sot and mix, in widths of the face square: colours go over, the
# new face's detail stays.
_SMOOTH: Final = 1 / 16


class _Iterated(ColorTransfer):
    """Histograms matched along axes that turn at random, one after the other."""

    masked: ClassVar[bool]

    def build(self) -> Transfer:
        return table_transfer(fit_idt, everywhere=not self.masked)

    def build_dfl(self) -> Transfer:
        return dfl.idt(masked=self.masked)

    def pixel_fit(self) -> ColorFit:
        return fit_idt


class _Sliced(ColorTransfer):
    """Sliced optimal transport, its change smoothed."""

    masked: ClassVar[bool]

    def build(self) -> Transfer:
        return table_transfer(fit_sliced_transport, everywhere=not self.masked, smooth=_SMOOTH)

    def build_dfl(self) -> Transfer:
        return dfl.sot(masked=self.masked)

    def pixel_fit(self) -> ColorFit:
        return fit_sliced_transport


@color_transfers.register("idt")
class Idt(_Iterated):
    """All of the colours' histogram, over the whole square."""

    masked = False
    fits_pixels = True


@color_transfers.register("idt-m")
class IdtMasked(_Iterated):
    """All of the colours' histogram, within the mask."""

    masked = True


@color_transfers.register("sot")
class Sot(_Sliced):
    """All of the colours by sliced optimal transport, smoothed, over the whole square."""

    masked = False
    fits_pixels = True


@color_transfers.register("sot-m")
class SotMasked(_Sliced):
    """All of the colours by sliced optimal transport, smoothed, within the mask."""

    masked = True


@color_transfers.register("mix-m")
class MixMasked(ColorTransfer):
    """Lightness by mean and spread, chroma by sliced optimal transport, within the mask."""

    def build(self) -> Transfer:
        return table_transfer(fit_mix, smooth=_SMOOTH)

    def build_dfl(self) -> Transfer:
        return dfl.mix(masked=True)
