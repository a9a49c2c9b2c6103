"""Cuts are found, and what only looks like one is not."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from understudy.core.tracking import shots
from understudy.types import Bytes

Clip = list[Bytes]


def place(seed: int, frames: int, start: float = 0.0, speed: float = 1.0) -> Clip:
    """A camera that pans over one blotchy picture, so many pixels a frame."""
    wide = np.random.default_rng(seed).uniform(0, 255, (14, 80, 3)).astype(np.float32)
    wall = np.clip(cv2.resize(wide, (2560, 200), interpolation=cv2.INTER_CUBIC), 0, 255).astype(
        np.uint8
    )
    return [wall[:180, int(start + speed * at) :][:, :320].copy() for at in range(frames)]


def lit(clip: Clip, gains: list[float], glow: float = 0.0) -> Clip:
    return [
        np.clip(frame * gain + glow, 0, 255).astype(np.uint8)
        for frame, gain in zip(clip, gains, strict=True)
    ]


def mixed(one: Clip, other: Clip) -> Clip:
    steps = np.linspace(0, 1, len(one))
    return [
        np.rint(a + t * (b.astype(float) - a)).astype(np.uint8)
        for a, b, t in zip(one, other, steps, strict=True)
    ]


def cuts(clip: Clip) -> list[int]:
    """The first frame of every shot but the first."""
    number = shots.detect_shots(np.stack([shots.frame_signature(frame) for frame in clip]))
    assert number[0] == 0 and set(np.diff(number)) <= {0, 1}
    return (np.flatnonzero(np.diff(number)) + 1).tolist()


def test_hard_cuts_are_found_even_between_short_shots() -> None:
    clip = place(0, 20) + place(1, 5) + place(2, 3) + place(3, 20)
    assert cuts(clip) == [20, 25, 28]


def test_a_cut_back_to_a_place_that_was_seen_before_is_found() -> None:
    assert cuts(place(0, 12) + place(1, 12) + place(0, 12, start=24)) == [12, 24]


@pytest.mark.parametrize("speed", [2, 30, 80])
def test_a_pan_is_no_cut_however_fast(speed: float) -> None:
    still = place(0, 10, speed=0)
    assert cuts(still + place(0, 25, speed=speed)) == []


@pytest.mark.parametrize("frames", [1, 2, 4])
@pytest.mark.parametrize(("gain", "glow"), [(0.0, 255.0), (0.0, 0.0), (1.5, 60.0)])
def test_a_flash_is_no_cut(frames: int, gain: float, glow: float) -> None:
    clip = place(0, 30)
    assert (
        cuts(clip[:12] + lit(clip[12 : 12 + frames], [gain] * frames, glow) + clip[12 + frames :])
        == []
    )


def test_a_flash_on_a_cut_does_not_hide_it() -> None:
    flash = [np.full((180, 320, 3), 255, np.uint8)]
    assert cuts(place(0, 12) + flash + place(1, 12)) == [13]


def test_something_that_passes_the_lens_is_no_cut() -> None:
    clip = place(0, 30)
    for at, frame in enumerate(clip[10:22]):
        frame[:, max(0, at * 40 - 120) : at * 40] = 90
    assert cuts(clip) == []


def test_light_that_goes_out_and_comes_back_is_no_cut() -> None:
    out = [*np.linspace(1, 0, 10), *[0.0] * 5, *np.linspace(0, 1, 10)]
    assert cuts(lit(place(0, 25), out)) == []


@pytest.mark.parametrize("light", [1.0, 0.1, 0.03])
def test_a_frame_is_empty_by_the_light_of_those_around_it(light: float) -> None:
    face = np.full((90, 160, 3), 20, np.uint8)
    face[20:70, 60:100] = 200
    shown = np.rint(face * light).astype(np.uint8)
    assert not shots.any_shows_nothing([shown] * 3)
    assert shots.any_shows_nothing([shown, np.zeros_like(shown), shown])


def test_what_fades_in_from_black_is_a_new_shot() -> None:
    faded_out = lit(place(0, 15), [*[1.0] * 5, *np.linspace(1, 0, 10)])
    faded_in = lit(place(1, 15), [*np.linspace(0, 1, 10), *[1.0] * 5])
    assert cuts(faded_out + faded_in) == [pytest.approx(16, abs=1)]


def test_a_dissolve_is_one_shot() -> None:
    assert (
        cuts(place(0, 10) + mixed(place(0, 12, start=20), place(1, 12)) + place(1, 10, start=24))
        == []
    )


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_short_clips_are_fine(frames: int) -> None:
    assert shots.detect_shots(np.zeros((frames, 144), np.float32)).tolist() == [0] * frames


def test_a_signature_costs_next_to_nothing() -> None:
    frame = np.zeros((720, 1280, 3), np.uint8)
    began = time.process_time()
    for _ in range(40):
        shots.frame_signature(frame)
    assert (time.process_time() - began) / 40 < 0.002, "0.12 ms alone on the machine"


def test_photographs_are_shots_of_their_own_and_a_film_has_none():
    album = [place(seed, 1)[0] for seed in range(8)]
    signatures = np.stack([shots.frame_signature(each) for each in (*album, album[-1])])
    # The last picture is there twice.
    parted = shots.part_photographs(signatures)
    assert parted is not None and parted.tolist() == [*range(8), 7]
    assert shots.looks_other(signatures[1], signatures[0])
    assert not shots.looks_other(signatures[8], signatures[7])
    film = np.stack([shots.frame_signature(each) for each in (*place(1, 6), *place(2, 6))])
    assert shots.part_photographs(film) is None
    assert shots.part_photographs(film[:1]) is None
