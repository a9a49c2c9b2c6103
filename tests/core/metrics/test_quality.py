"""How good a swap is, in words, and what is no figure at all."""

import pytest

from understudy.core.metrics.quality import describe_quality, rate, without_noise

# As `tiny` was measured on the demo's people.
NOISE = {"found": 0.0, "dst dssim": 0.5, "identity": 0.57, "sharpness": 1.27, "score": 0.9}
HAZE = {"found": 1.0, "identity": 0.45, "mouth": -0.28, "sharpness": 0.6, "score": 0.36}
MEAN_FACE = {"found": 1.0, "identity": 0.84, "mouth": 0.08, "sharpness": 0.64, "score": 0.13}
# A blurred face, all but still, as `measure` saw it after 300 iterations of two real people.
STILL = {"found": 1.0, "identity": 0.75, "expression": 0.59, "expression scale": 0.14}
SPEAKS = {"found": 1.0, "identity": 0.67, "mouth": 0.79, "sharpness": 0.86, "score": 0.08}


@pytest.mark.parametrize(
    ("measured", "text"),
    [
        (NOISE, "no face yet (none is found in 100 % of the swaps)"),
        (HAZE, "not yet learnt (identity 0.45, in step with dst -0.28, sharpness 0.60 of 1)"),
        (
            MEAN_FACE,
            "half learnt: hardly acts, blurred (identity 0.84, in step with dst 0.08, sharpness"
            " 0.64 of 1)",
        ),
        (STILL, "half learnt: hardly acts (identity 0.75, in step with dst 0.59 of 1)"),
        (SPEAKS, "a likeness (identity 0.67, in step with dst 0.79, sharpness 0.86 of 1)"),
        (
            {"identity": 0.04, "expression": 0.98},
            "not yet learnt (identity 0.04, in step with dst 0.98 of 1)",
        ),
        # Nobody looked at the swaps: no landmarker here, or faces of one side alone held out.
        ({"src l1": 0.1, "score": 0.08}, ""),
        ({"found": 1.0, "sharpness": 0.9, "score": 0.08}, ""),
        ({}, ""),
    ],
)
def test_the_words_follow_the_figures(measured: dict[str, float], text: str) -> None:
    assert describe_quality(measured) == text


def test_of_noise_only_what_needs_no_face_is_kept() -> None:
    assert without_noise(NOISE) == {"found": 0.0, "dst dssim": 0.5}
    assert without_noise(SPEAKS) == SPEAKS and rate({}) is None
