"""Colour transfers: how the new face takes the light of the one it replaces."""

from __future__ import annotations

from typing import Final

from understudy.core import color
from understudy.core.composite import Transfer

COLOR_TRANSFERS: Final[dict[str, Transfer]] = {"none": color.unchanged, "rct": color.reinhard}
