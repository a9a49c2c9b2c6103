"""A voice for a synthetic person: a hum through the formants of an open mouth."""

from __future__ import annotations

import numpy as np

from understudy.types import Floats


def synthesize_voice(
    opening: Floats, fps: float = 25.0, rate: int = 48000, pitch: float = 120.0, seed: int = 0
) -> Floats:
    """Synthesize a voice that is louder the wider the mouth opens, as long as the clip.

    Args:
        opening: (frames,) opening of the mouth, any unit.
        fps: Frames a second.
        rate: Samples a second.
        pitch: Hertz.
        seed: Every seed is another voice.

    Returns:
        (samples,) float32 in -1..1.
    """
    seconds = np.arange(round(len(opening) / fps * rate)) / rate
    wide = np.interp(
        seconds * fps - 0.5,
        np.arange(len(opening)),
        (opening - opening.min()) / max(float(np.ptp(opening)), 1e-6),
    )
    glide = pitch * (1 + 0.08 * np.sin(2 * np.pi * 0.6 * seconds + seed) + 0.05 * wide)
    phase = 2 * np.pi * np.cumsum(glide) / rate
    first, second = 320 + 450 * wide, 2100 - 900 * wide
    sound = np.zeros_like(seconds)
    for harmonic in range(1, 25):
        tone = harmonic * glide
        weight = (
            np.exp(-(((tone - first) / 160) ** 2))
            + 0.4 * np.exp(-(((tone - second) / 260) ** 2))
            + 0.03 / harmonic
        )
        sound += weight * np.sin(harmonic * phase)
    breath = 0.01 * np.random.default_rng(seed).standard_normal(len(seconds))
    return np.asarray(0.3 * wide**0.7 * sound / np.abs(sound).max() + 0.2 * breath, np.float32)
