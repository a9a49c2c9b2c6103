"""Numbered pictures with gaps: told, and filled as was asked for; never where it is no sequence."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from understudy.io.footage import stills
from understudy.io.footage.numbered_names import read_numbers
from understudy.io.footage.options import FootageOptions
from understudy.io.open_footage import open_footage


def make(folder: Path, names: list[str]) -> Path:
    """A folder in which the n-th of these pictures is of the grey n."""
    for grey, name in enumerate(names, start=1):
        stills.write_image(folder / name, np.full((8, 12, 3), grey, np.uint8))
    return folder


def greys(folder: Path, gaps: str) -> list[int]:
    with open_footage(folder, reading=FootageOptions(gaps=gaps)) as footage:  # type: ignore[arg-type]
        return [int(frame.image[0, 0, 0]) for frame in footage]


SHOT = [f"shot_{number}.png" for number in range(1001, 1031) if not 1011 <= number <= 1018]


@pytest.mark.footage_kind(
    "numbered pictures with gaps (1001 … 1030 without 1011 to 1018), as dst",
    "Told, and the picture before a gap is shown longer; `--gaps black` or `short` on request.",
)
def test_the_picture_before_a_gap_is_shown_longer(tmp_path: Path) -> None:
    folder = make(tmp_path / "shot", SHOT)
    assert greys(folder, "hold") == [*range(1, 11), *[10] * 8, *range(11, 23)]
    assert greys(folder, "black") == [*range(1, 11), *[0] * 8, *range(11, 23)]
    assert greys(folder, "short") == [*range(1, 23)]
    for gaps, frames, what in (("hold", 30, "shown longer"), ("short", 22, "left out")):
        with open_footage(folder, reading=FootageOptions(gaps=gaps)) as footage:  # type: ignore[arg-type]
            (note,) = footage.notes
            assert "shot: frames that are missing: 8, 1011 to 1018." in note and what in note
            assert footage.duration == Fraction(frames, 25)
            # Another process shows the same.
            with open_footage(folder, index=footage.index) as again:
                assert [each.image[0, 0, 0] for each in again] == greys(folder, gaps)


def test_what_fills_a_gap_makes_other_footage(tmp_path: Path) -> None:
    folder = make(tmp_path / "shot", SHOT)
    prints = set()
    for gaps in ("hold", "black", "short"):
        with open_footage(folder, reading=FootageOptions(gaps=gaps)) as footage:  # type: ignore[arg-type]
            prints.add(footage.fingerprint)
    assert len(prints) == 3
    # Without a gap nothing is to choose.
    whole = make(tmp_path / "whole", [f"{number}.png" for number in range(5)])
    with (
        open_footage(whole, reading=FootageOptions(gaps="black")) as one,
        open_footage(whole, reading=FootageOptions(gaps="short")) as other,
    ):
        assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["a.1.png", "a.2.png", "a.3.png", "a.5.png", "a.6.png"], [4]),
        # Of several numbers the one that changes counts; a version and a resolution do not.
        ([f"sh010_v02_{n:04d}_2k.jpg" for n in range(8) if n != 3], [3]),
        ([f"{n:03d}_v2.PNG" for n in range(98, 107) if n not in (99, 103)], [99, 103]),
        # Numbered by twos: a step of two is no gap, one of four is.
        ([f"f{n}.png" for n in range(1, 21, 2)], []),
        ([f"f{n}.png" for n in range(1, 31, 2) if n != 11], [11]),
        # Some are of another kind, or are no frames.
        ([f"{n:02d}.{'jpg' if n == 4 else 'png'}" for n in range(9) if n != 6], [6]),
        ([*[f"f{n:02d}.png" for n in range(30) if n != 6], "sheet.png"], [6]),
        # A gap larger than what is there; so far apart that a name between is another matter.
        ([f"f{n:03d}.png" for n in range(1, 46) if not 5 < n < 41], [*range(6, 41)]),
        (["f0000.png", *[f"f{n}.png" for n in range(1001, 1031) if n != 1009]], [1009]),
        # One machine of three did not render.
        ([f"f{n:02d}.png" for n in range(1, 21) if n % 3], [3, 6, 9, 12, 15, 18]),
        ([f"f{n:02d}.png" for n in range(2, 21) if n % 3], [3, 6, 9, 12, 15, 18]),
        # A few frames here and there.
        ([f"shot_{n}.jpg" for n in (1001, 1002, 1004, 1005, 1008)], [1003, 1006, 1007]),
        # A number after a date is no time of day where it could be none.
        ([f"20240101_{n:06d}.png" for n in range(70) if n != 7], [7]),
        # Frames before the first one, as two programs number them; a hyphen alone is no sign.
        ([f"f.{n:04d}.png" for n in range(-5, 6) if n not in (-2, 3)], [-2, 3]),
        ([f"{n}.png" for n in range(-5, 6) if n != -1], [-1]),
        ([f"f-{n}.png" for n in range(1, 9) if n != 7], [7]),
        # Without zeros in front.
        ([f"{n}.png" for n in range(8, 13) if n != 10], [10]),
    ],
)
def test_missing_numbers(names: list[str], missing: list[int]) -> None:
    found = read_numbers(names)
    assert found is not None and found.missing == missing


def test_frames_before_the_first_one_come_first(tmp_path: Path) -> None:
    names = [f"f_{number:04d}.png" for number in range(-12, 12)]
    assert greys(make(tmp_path / "shot", names), "hold") == [*range(1, 25)]


@pytest.mark.parametrize(
    "names",
    [
        ["IMG_0012.jpg", "IMG_0057.jpg"],
        ["IMG_0012.jpg", "IMG_0013.jpg", "IMG_0057.jpg", "IMG_0058.jpg", "IMG_0101.jpg"],
        ["IMG_0012.jpg", "IMG_0014.jpg", "IMG_0015.jpg", "IMG_0019.jpg", "IMG_0021.jpg"],
        ["20230101_120000.jpg", "20230101_120001.jpg", "20230102_120002.jpg"],
        # One each second: a minute has no more than sixty.
        [f"IMG_20240101_1011{second}.jpg" for second in range(40, 60)]
        + [f"IMG_20240101_1012{second:02d}.jpg" for second in range(20)],
        ["a_1.png", "a_2.png", "a_4.png", "b_1.png", "b_2.png"],
        ["1.png", "01.png", "2.png", "4.png"],
        ["1.png", "1.jpg", "2.png", "2.jpg", "3.png", "3.jpg"],
        [f"{n}.png" for n in (1, 2, 3, 4, 100001, 100002, 100003)],
        ["one.png", "two.png", "three.png"],
        ["only.png"],
    ],
)
def test_names_that_are_no_sequence_have_no_gaps(names: list[str]) -> None:
    assert read_numbers(names) is None


def test_what_is_not_of_the_sequence_is_told_and_stays_a_frame(tmp_path: Path) -> None:
    names = ["cover.png", *[f"f{number:02d}.png" for number in range(12) if number != 5], "z.png"]
    folder = make(tmp_path / "shot", [*names, *[f"f{number}.png" for number in range(12, 30)]])
    with open_footage(folder) as footage:
        assert len(footage) == 32
        assert "missing: 1, 5." in footage.notes[0]
        assert "not of the sequence f00.png to f29.png" in footage.notes[1]
        assert "cover.png, z.png. Take it out" in footage.notes[1]
        values = [int(frame.image[0, 0, 0]) for frame in footage]
    # cover, five frames, the fifth of them once more, the rest, z.
    assert values[:9] == [1, 2, 3, 4, 5, 6, 6, 7, 8] and values[-1] == names.index("z.png") + 1


def test_photographs_of_src_have_no_gaps(tmp_path: Path) -> None:
    folder = make(tmp_path / "photos", SHOT)
    with open_footage(folder, any_size=True) as footage:
        assert len(footage) == 22 and not footage.notes


@pytest.mark.parametrize("name", ["a{}_{:02d}.png", "a_v{}_{:02d}.png", "{1:02d}_v{0}.png"])
def test_two_sequences_in_one_folder_are_told(name: str, tmp_path: Path) -> None:
    names = [name.format(shot, number) for shot in (1, 2) for number in range(4)]
    first = f"{name.format(1, 0)} to {name.format(1, 3)} (4), {name.format(2, 0)}"
    with open_footage(make(tmp_path / "both", names)) as footage:
        assert f"several sequences in one folder: {first}" in footage.notes[0]


def test_parts_far_apart_are_told(tmp_path: Path) -> None:
    folder = make(tmp_path / "both", [f"f{n:04d}.png" for n in (*range(1, 5), *range(5000, 5004))])
    with open_footage(folder) as footage:
        (note,) = footage.notes
        assert len(footage) == 8
    assert "f0001.png to f0004.png (4), f5000.png to f5003.png (4). They are taken" in note
