"""The call that a curve has come to rest: on drawn curves, whose truth is known, and on histories
of real runs.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from understudy.core.training.plateau import (
    MIN_GAIN,
    MIN_POINTS,
    Forecast,
    forecast,
    running_median,
)
from understudy.core.training.score import is_better

RUNS = Path(__file__).parent / "runs"


def drawn(
    base: float, power: float, noise: float, seed: int = 0, end: int = 4000
) -> tuple[list[float], list[float]]:
    """(iterations, values) of base + x^-power, all measured with noise."""
    x = np.geomspace(100, end, 60)
    y = (base + (x / 100) ** -power) * (
        1 + noise * np.random.default_rng(seed).standard_normal(len(x))
    )
    return x.tolist(), y.tolist()


@pytest.mark.parametrize("noise", [0, 0.01, 0.04])
@pytest.mark.parametrize("seed", range(5))
def test_a_curve_that_falls_is_not_at_rest_and_its_way_on_is_foretold(
    noise: float, seed: int
) -> None:
    found = forecast(*drawn(0.0, 0.5, noise, seed))
    assert found is not None and found.since is None
    # As many iterations again divide it by the root of 2.
    assert abs(found.gain - (1 - 2**-0.5)) < 4 * found.uncertainty / found.current + 0.02


@pytest.mark.parametrize("noise", [0, 0.01, 0.03])
@pytest.mark.parametrize("seed", range(5))
def test_a_curve_that_has_reached_its_floor_is_at_rest(noise: float, seed: int) -> None:
    found = forecast(*drawn(1.0, 1.5, noise, seed, end=12000))
    assert found is not None and found.since is not None and 400 <= found.since < 9000
    assert found.gain < MIN_GAIN and abs(found.projected - 1) < 0.03


def test_a_curve_that_rises_again_is_at_rest_since_its_lowest_point() -> None:
    x = np.linspace(100, 4000, 80)
    y = 0.1 + 0.3 * (np.log(x / 1500)) ** 2
    found = forecast(x.tolist(), y.tolist())
    assert found is not None and found.since == pytest.approx(1500, abs=100)


def test_noise_is_told_from_the_curve() -> None:
    found = forecast(*drawn(1.0, 1.0, 0.02, end=20000))
    assert found is not None and found.noise / found.current == pytest.approx(0.02, rel=0.4)


def test_with_few_measurements_nothing_is_said_and_a_flat_line_is_no_mishap() -> None:
    x = list(range(100, 100 + 10 * (MIN_POINTS - 1), 10))
    assert forecast(x, [1.0] * len(x)) is None and forecast([], []) is None
    flat = forecast([*x, 400.0], [1.0] * MIN_POINTS)
    assert (
        isinstance(flat, Forecast)
        and flat.since is not None
        and flat.gain == pytest.approx(0, abs=1e-6)
    )


def test_an_outlier_does_not_move_the_smoothed_curve() -> None:
    assert running_median([1, 1, 9, 1, 1, 1]).max() == 1


def call(path: Path) -> tuple[int | None, float, float]:
    """(iteration at which a real run is called, None if it is not; the score kept by then; the best
    of the whole run).
    """
    rows = json.loads(path.read_text(encoding="utf-8"))
    x, y = rows["iterations"], rows["scores"]
    kept = float("inf")
    for place, score in enumerate(y, start=1):
        kept = score if is_better(score, kept) else kept
        found = forecast(x[:place], y[:place])
        if found is not None and found.since is not None:
            return x[place - 1], kept, min(y)
    return None, kept, min(y)


@pytest.mark.parametrize(
    "name",
    [
        # Four held-out faces a side: at rest the scores differ by 5 to 8 %, and the lowest of forty
        # later ones lies 2.2 % lower.
        pytest.param(
            "few-d-c", marks=pytest.mark.xfail(strict=True, reason="the noise of a score")
        ),
        "few-d-c-2",
        "few-d-c-3",
        "few-d-scene",
        "few-d-scene-2",
        "few-d-scene-3",
        # Of the mean of the weights, which is steadier.
        "mean-d-c",
        "mean-d-c-2",
        "mean-d-scene",
    ],
)
def test_what_a_real_run_kept_when_it_was_called_is_within_2_percent_of_the_best_that_came(
    name: str,
) -> None:
    """Recorded to an end that the call knew nothing of."""
    at, kept, best = call(RUNS / f"{name}.json")
    assert at is not None and kept <= 1.02 * best, (
        f"called at iteration {at} with {kept}; {best} came later"
    )


@pytest.mark.parametrize("name", ["few-faces", "narrow", "narrow-unbent", "unbent"])
def test_a_real_run_that_still_falls_is_not_called(name: str) -> None:
    assert call(RUNS / f"{name}.json")[0] is None
