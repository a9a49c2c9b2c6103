"""Colour transfers: how the new face takes the light of the one it replaces."""

from __future__ import annotations

from typing import Final

from understudy.core.color import dfl
from understudy.core.color.maps import Fit, moments, monge, roots
from understudy.core.color.sliced_transport import iterated, mixed, sliced
from understudy.core.color.transfer import UNCHANGED, Transfer, in_lab, linear, tabled

# How far the change is blurred for sot and mix, in widths of the face square: colours go over, the
# new face's detail stays.
_SMOOTH: Final = 1 / 16

COLOR_TRANSFERS: Final[dict[str, Transfer]] = {
    "none": UNCHANGED,
    "rct": in_lab(moments),
    "lct": linear(roots, everywhere=True),
    "mkl": linear(monge, everywhere=True),
    "mkl-m": linear(monge),
    "idt": tabled(iterated, everywhere=True),
    "idt-m": tabled(iterated),
    "sot": tabled(sliced, everywhere=True, smooth=_SMOOTH),
    "sot-m": tabled(sliced, smooth=_SMOOTH),
    "mix-m": tabled(mixed, smooth=_SMOOTH),
}

# The same names by DeepFaceLab's formulas; it has no sot.
DFL_TRANSFERS: Final[dict[str, Transfer]] = {
    "none": UNCHANGED,
    "rct": dfl.rct(),
    "lct": dfl.lct(),
    "mkl": dfl.mkl(masked=False),
    "mkl-m": dfl.mkl(masked=True),
    "idt": dfl.idt(masked=False),
    "idt-m": dfl.idt(masked=True),
    "sot": dfl.sot(masked=False),
    "sot-m": dfl.sot(masked=True),
    "mix-m": dfl.mix(masked=True),
}

# The same on pixels alone, as src's faces take dst's colours while a model learns.
COLOR_FITS: Final[dict[str, Fit]] = {
    "rct": moments,
    "lct": roots,
    "mkl": monge,
    "idt": iterated,
    "sot": sliced,
}
