"""All families of parts."""

from __future__ import annotations

from typing import Any, Final

from understudy.parts.blenders import blenders
from understudy.parts.color_transfers import color_transfers
from understudy.parts.detectors import detectors
from understudy.parts.identities import identities
from understudy.parts.landmarkers import landmarkers
from understudy.parts.maskers import maskers
from understudy.parts.models import models
from understudy.parts.segmenters import segmenters
from understudy.parts.sorters import sorters
from understudy.parts.upscalers import upscalers
from understudy.registry import Registry

FAMILIES: Final[tuple[Registry[Any], ...]] = (
    blenders,
    color_transfers,
    detectors,
    identities,
    landmarkers,
    maskers,
    models,
    segmenters,
    sorters,
    upscalers,
)
