"""Colour transfers: how the new face takes the light of the one it replaces."""

from __future__ import annotations

from functools import partial
from typing import Final

from understudy.core import color
from understudy.core.color_maps import Fit, moments, monge, roots, transferred
from understudy.core.color_transport import iterated, mixed, sliced
from understudy.core.composite import Transfer

# How far the change is blurred for sot and mix, in widths of the face square: colours go over, the new face's detail stays.
_SMOOTH: Final = 1 / 16

COLOR_TRANSFERS: Final[dict[str, Transfer]] = {
    "none": color.unchanged,
    "rct": color.reinhard,
    "lct": partial(transferred, fit=roots, everywhere=True),
    "mkl": partial(transferred, fit=monge, everywhere=True),
    "mkl-m": partial(transferred, fit=monge),
    "idt": partial(transferred, fit=iterated, everywhere=True),
    "idt-m": partial(transferred, fit=iterated),
    "sot-m": partial(transferred, fit=sliced, smooth=_SMOOTH),
    "mix-m": partial(transferred, fit=mixed, smooth=_SMOOTH),
}

# The same on pixels alone, as src's faces take dst's colours while a model learns.
COLOR_FITS: Final[dict[str, Fit]] = {"rct": moments, "lct": roots, "mkl": monge, "idt": iterated, "sot": sliced}
