"""Segmenters: which pixels of a face picture are face? Hands and hair are not.

A segmenter is a class of options. Its `build(file, device)` gives a function from faces to masks.
The file holds the weights that somebody trained, or those that it fetches for everybody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from understudy.io.model_files.segmenter_file import SegmenterFile
from understudy.registry import Part, Registry
from understudy.types import Floats

# Faces (N, S, S, 3) RGB in 0..1, of the file's face type -> masks (N, S, S) in 0..1; float32.
Segment = Callable[[Floats], Floats]


class Segmenter(Part):
    """The options of one segmenter; `build` makes it ready."""

    # Whether others trained it for everybody, so that `pretrained_file` gives its weights.
    is_pretrained: ClassVar[bool] = False

    def pretrained_file(self) -> SegmenterFile:
        """Its weights, fetched when they are first asked for. Raises WeightsMissing."""
        raise NotImplementedError

    def build(self, file: SegmenterFile, device: str) -> Segment:
        """The segmenter as a function. Raises WeightsMissing, BadOption."""
        raise NotImplementedError


segmenters: Registry[Segmenter] = Registry("segmenters", __name__, "segmenter")


def is_pretrained(segmenter: type[Segmenter]) -> bool:
    """Whether others trained it for everybody."""
    return segmenter.is_pretrained


def pretrained() -> list[str]:
    """The segmenters that need no training of one's own."""
    return segmenters.names(is_pretrained)
