"""What the options of a composite stand for."""

from __future__ import annotations

import pytest

from understudy.core.compose.options import CompositeOptions


@pytest.mark.parametrize(
    ("mode", "blender", "shows", "matches", "is_grey"),
    [
        ("overlay", "overlay", "result", False, False),
        ("seamless", "seamless", "result", False, False),
        ("pyramid", "pyramid", "result", False, False),
        ("hist-match", "overlay", "result", True, False),
        ("hist-match-bw", "overlay", "result", True, True),
        ("seamless-hist-match", "seamless", "result", True, False),
        ("original", "overlay", "plate", False, False),
        ("raw-rgb", "overlay", "square", False, False),
        ("raw-rgb-mask", "overlay", "square", False, False),
        ("raw-mask", "overlay", "mask", False, False),
        ("raw-predict", "overlay", "predicted", False, False),
    ],
)
def test_what_a_mode_stands_for(
    mode: str, blender: str, shows: str, matches: bool, is_grey: bool
) -> None:
    options = CompositeOptions(mode=mode)
    assert (options.blender, options.shows, options.is_grey) == (blender, shows, is_grey)
    assert (options.histogram is not None) == matches


def test_the_same_histogram_match_is_the_same_object() -> None:
    """Frames are averaged as long as it is."""
    one = CompositeOptions(mode="hist-match", hist_match_threshold=200)
    same = CompositeOptions(mode="seamless-hist-match", hist_match_threshold=200, erode=9)
    assert one.histogram is same.histogram
    for other in ({"hist_match_threshold": 90}, {"formulas": "dfl"}, {"hist_match_masked": False}):
        changed = CompositeOptions.layered(one.set_values(), other)
        assert changed.histogram is not one.histogram
