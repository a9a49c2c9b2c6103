"""Mean and covariance of RGB, matched by a linear map."""

from __future__ import annotations

from typing import ClassVar

from understudy.core.color import dfl
from understudy.core.color.maps import ColorFit, fit_covariance_roots, fit_monge_kantorovich
from understudy.core.color.transfer import Transfer, linear_transfer
from understudy.parts.color_transfers import ColorTransfer, color_transfers


@color_transfers.register("lct")
class Lct(ColorTransfer):
    """Mean and covariance by the roots of both covariances, over the whole square."""

    fits_pixels = True

    def build(self) -> Transfer:
        return linear_transfer(fit_covariance_roots, everywhere=True)

    def build_dfl(self) -> Transfer:
        return dfl.lct()

    def pixel_fit(self) -> ColorFit:
        return fit_covariance_roots


class _Monge(ColorTransfer):
    """The linear map of Monge and Kantorovich, which moves colours least (Pitié et al. 2007)."""

    masked: ClassVar[bool]

    def build(self) -> Transfer:
        return linear_transfer(fit_monge_kantorovich, everywhere=not self.masked)

    def build_dfl(self) -> Transfer:
        return dfl.mkl(masked=self.masked)

    def pixel_fit(self) -> ColorFit:
        return fit_monge_kantorovich


@color_transfers.register("mkl")
class Mkl(_Monge):
    """Mean and covariance by the least movement of colours, over the whole square."""

    masked = False
    fits_pixels = True


@color_transfers.register("mkl-m")
class MklMasked(_Monge):
    """Mean and covariance by the least movement of colours, within the mask."""

    masked = True
