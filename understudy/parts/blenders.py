"""Blenders: how the new face meets the plate around it."""

from __future__ import annotations

from typing import Final

from understudy.core.compose import blend
from understudy.core.compose.blend import Blend

BLENDERS: Final[dict[str, Blend]] = {
    "overlay": blend.overlay,
    "seamless": blend.seamless,
    "pyramid": blend.pyramid,
}
