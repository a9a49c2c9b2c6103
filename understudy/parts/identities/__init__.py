"""Identities: whose face is it? Only for measuring and sorting, never for naming people.

An identity is a class of options. Its `build()` gives a function from a picture (H, W, 3) uint8 RGB
and landmarks (68, 2) to a vector. Vectors of one person lie near each other.
"""

from __future__ import annotations

from collections.abc import Callable

from understudy.registry import Part, Registry
from understudy.types import Bytes, Floats

Embed = Callable[[Bytes, Floats], Floats]


class Identity(Part):
    """The options of one identity network; `build` makes it ready."""

    def build(self) -> Embed:
        """The network as a function; its result is (D,) float32.

        Raises MissingExtra, WeightsMissing.
        """
        raise NotImplementedError


identities: Registry[Identity] = Registry("identities", __name__, "identity")
