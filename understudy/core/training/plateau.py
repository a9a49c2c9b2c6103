"""Whether a loss curve has reached a plateau, and what as much training again would bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from understudy.types import Doubles

# What as many iterations again would have to take off the value; less is not worth them.
MIN_GAIN: Final = 0.02
# With fewer measurements nothing is said.
MIN_POINTS: Final = 10
# Looked at is the last part of the curve, from this share of its iterations on: before it other
# laws hold.
_PART: Final = 0.1
# Without a better value for half as long again, and rising clearly, the curve is at rest, whatever
# its law.
_RISING: Final = 1.5
# Without a better value for as long again this share of the doubt has to be overcome: what so noisy
# a curve can still show.
_PATIENCE: Final = 2
_LEFT: Final = 0.5
_POWERS: Final = np.geomspace(0.1, 3, 24)
# Neighbours of which the median is one smoothed value.
_NEAR: Final = 5


@dataclass(frozen=True, slots=True)
class Forecast:
    """Where a curve stands and goes.

    Attributes:
        since: First iteration of the plateau; None = the curve still falls.
        current: Its value without the noise.
        projected: Its value after as many iterations again.
        uncertainty: Standard deviation of `projected`.
        noise: Standard deviation of one measurement.
    """

    since: int | None
    current: float
    projected: float
    uncertainty: float
    noise: float

    @property
    def gain(self) -> float:
        """Share of the value that as many iterations again would take off; below 0: a rise."""
        return 1 - self.projected / self.current


def forecast(iterations: Sequence[float], values: Sequence[float]) -> Forecast | None:
    """Extrapolate a curve; None while it is too short.

    The curve is taken for a + b x^-c with noise, where a is not below 0. Every c of a grid is
    fitted by least squares and counts by its likelihood. So the uncertainty holds what the fit does
    not know (Bayesian model averaging).

    Args:
        iterations: Above 0 and rising.
        values: Measurements above 0.
    """
    every_x, every_y = np.asarray(iterations, np.float64), np.asarray(values, np.float64)
    x, y = (each[every_x >= _PART * every_x[-1:]] for each in (every_x, every_y))
    if len(x) < MIN_POINTS:
        return None
    noise = _noise(x, y)
    fits = [_Fit.of(power, x / x[-1], y) for power in _POWERS]
    # Where no law fits well, what is left over counts as noise.
    noise = max(noise, min(fit.rest for fit in fits))
    chance = np.array([-0.5 * len(y) * (fit.rest / noise) ** 2 for fit in fits])
    chance = np.exp(chance - chance.max())
    chance /= chance.sum()
    course = chance @ [fit.at(x / x[-1]) for fit in fits]
    ahead = np.array([fit.at(np.array([2.0]))[0] for fit in fits])
    then = float(chance @ ahead)
    spread = [
        noise**2 * fit.doubt + (each - then) ** 2 for fit, each in zip(fits, ahead, strict=True)
    ]
    doubt = float(np.sqrt(chance @ spread))
    found = Forecast(None, float(course[-1]), then, doubt, noise)
    return Forecast(_since(found, x, y, course), found.current, then, doubt, noise)


def running_median(values: ArrayLike) -> Doubles:
    """The running median of a curve: what one outlier does not move.

    Args:
        values: (N,).

    Returns:
        (N,) float64.
    """
    half = _NEAR // 2
    padded = np.pad(np.asarray(values, np.float64), half, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, _NEAR), axis=1))


def describe_forecast(forecast: Forecast | None) -> str:
    """Describe the forecast of a model's score in one line; empty where there is none yet."""
    if forecast is None:
        return ""
    share, doubt = 100 * forecast.gain, 100 * forecast.uncertainty / forecast.current
    brings = (
        f"as many iterations again would take {max(share, 0):.1f} % off its score, give or take"
        f" {doubt:.1f}"
    )
    return (
        f"plateaued since iteration {forecast.since}: {brings}."
        if forecast.since is not None
        else f"still learning: {brings}."
    )


def _since(found: Forecast, x: Doubles, y: Doubles, course: Doubles) -> int | None:
    """Since when the curve is at rest; the uncertainty has to be overcome before it is."""
    lowest = int(running_median(y).argmin())
    waited = x[-1] / x[lowest]
    if waited >= _RISING and _rise(y[lowest:]) > 2 * found.noise:
        return round(float(x[lowest]))
    if (
        found.gain + (_LEFT if waited >= _PATIENCE else 1) * found.uncertainty / found.current
        >= MIN_GAIN
    ):
        return None
    return round(float(x[np.argmax(course <= max(found.projected, 0) * (1 + MIN_GAIN) + 1e-12)]))


def _rise(y: Doubles) -> float:
    """How much higher the second half of some values lies than the first; 0 for too few.

    It is scaled so that noise, which many values even out, gives the same figure for any number.
    """
    half = len(y) // 2
    return (
        float((y[-half:].mean() - y[:half].mean()) * np.sqrt(half / 2))
        if half > _NEAR // 2
        else 0.0
    )


def _noise(x: Doubles, y: Doubles) -> float:
    """Standard deviation of a measurement, by its distance from its neighbours' line."""
    share = (x[1:-1] - x[:-2]) / (x[2:] - x[:-2])
    off = y[1:-1] - (1 - share) * y[:-2] - share * y[2:]
    off /= np.sqrt(1 + share**2 + (1 - share) ** 2)
    # 1.4826: from the median of normal deviations to their standard deviation.
    return max(1.4826 * float(np.median(np.abs(off))), 1e-6 * float(np.abs(y).max()))


@dataclass(frozen=True, slots=True)
class _Fit:
    """One law: base + drop * x^-power, x in ends of the curve.

    rest: standard deviation of what it leaves. doubt: variance at x = 2 for a noise of 1.
    """

    power: float
    base: float
    drop: float
    rest: float
    doubt: float

    @classmethod
    def of(cls, power: float, x: Doubles, y: Doubles) -> _Fit:
        terms = np.stack([np.ones_like(x), x**-power], 1)
        inverse = np.linalg.pinv(terms.T @ terms)
        base, drop = inverse @ terms.T @ y
        if base < 0:
            base, drop = 0.0, float(terms[:, 1] @ y / (terms[:, 1] @ terms[:, 1]))
        rest = float(np.sqrt(np.square(y - base - drop * terms[:, 1]).sum() / max(len(y) - 3, 1)))
        ahead = np.array([1, 2.0**-power])
        return cls(power, float(base), float(drop), rest, float(ahead @ inverse @ ahead))

    def at(self, x: Doubles) -> Doubles:
        return np.asarray(self.base + self.drop * x**-self.power)
