"""How good a swap is, in words: the same wherever figures are shown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Literal

# Where a face is found again in a smaller share of dst's, nothing is said of whose it is.
MIN_FOUND: Final = 0.5
# What is measured only where there is a face.
OF_A_FACE: Final = frozenset(
    {
        "identity",
        "sharpness",
        "expression",
        "expression scale",
        "mouth",
        "mouth scale",
        "eyes",
        "eyes scale",
        "pose",
        "score",
    }
)

# Measured on `tiny` at 96 px, which learnt the demo's two people, and looked at. After 30
# iterations it is a haze with eyes (score 0.36, identity 0.45); after 100 src's mean face (0.17,
# 0.75); after 300 the same, with less grain (0.13, 0.84, mouth 0.1, sharpness 0.64); after 1000 a
# likeness that speaks (0.08, 0.67, mouth 0.7, sharpness 0.86). So identity alone tells little: a
# mean face has more of it than a likeness. The small `saehd` of docs/results.md, a blurred src
# whose mouth hardly moves, has 0.85, and a sharpness of 0.47.
_WORST_SCORE: Final = 0.2
_LEAST_IDENTITY: Final = 0.3
_LIKE_SRC: Final = 0.6
_ACTS: Final = 0.5
# A mean face that trembles in step with dst (0.59) has 0.14 of its movement; one that speaks, 0.7.
_MOVES: Final = 0.4
_SHARP: Final = 0.75

Level = Literal["no face yet", "not yet learnt", "half learnt", "a likeness"]


def without_noise(measured: Mapping[str, Any]) -> dict[str, Any]:
    """What was measured, but for what was measured of a face where none was found."""
    if measured.get("found", 1.0) >= MIN_FOUND:
        return dict(measured)
    return {name: value for name, value in measured.items() if name not in OF_A_FACE}


def rate(measured: Mapping[str, float]) -> Level | None:
    """Rate a swap by what was measured; None where that says nothing of it.

    Args:
        measured: Of `found`, `identity`, `mouth` or `expression` with their " scale", `sharpness`
            and `score` what there is.
    """
    known = without_noise(measured)
    if measured.get("found", 1.0) < MIN_FOUND:
        return "no face yet"
    # How well each face is rebuilt, and how sharp a swap is, say nothing of whose it is.
    if not {"identity", "mouth", "expression"} & set(known):
        return None
    if known.get("score", 0.0) > _WORST_SCORE or known.get("identity", 1.0) < _LEAST_IDENTITY:
        return "not yet learnt"
    return "half learnt" if _faults(known) else "a likeness"


def describe_quality(measured: Mapping[str, float]) -> str:
    """Describe a swap in a line: in words, then its figures; empty where nothing was measured."""
    level, known = rate(measured), without_noise(measured)
    if level is None:
        return ""
    if level == "no face yet":
        return f"{level} (none is found in {100 * (1 - measured['found']):.0f} % of the swaps)"
    figures = [
        f"{told} {known[name]:.2f}"
        for name, told in (
            ("identity", "identity"),
            (_acting(known), "in step with dst"),
            ("sharpness", "sharpness"),
        )
        if name in known
    ]
    faults = _faults(known) if level == "half learnt" else []
    told = f"{level}: {', '.join(faults)}" if faults else level
    return f"{told} ({', '.join(figures)} of 1)" if figures else told


def _faults(known: Mapping[str, float]) -> list[str]:
    """What a swap still lacks, in words."""
    lacks = {
        "still more dst than src": known.get("identity", math.inf) < _LIKE_SRC,
        "hardly acts": known.get(_acting(known), math.inf) < _ACTS
        or known.get(f"{_acting(known)} scale", math.inf) < _MOVES,
        "blurred": known.get("sharpness", math.inf) < _SHARP,
    }
    return [told for told, is_so in lacks.items() if is_so]


def _acting(known: Mapping[str, float]) -> str:
    """What tells whether it acts: the mouth, which people look at, where it was measured."""
    return "mouth" if "mouth" in known else "expression"
