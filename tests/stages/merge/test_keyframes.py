"""Keyframes: what holds in which frame and for whom, what is said where, and what is refused."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from understudy.cli import parse
from understudy.core.compose.options import CompositeOptions
from understudy.errors import BadOption
from understudy.stages.merge.keyframes import Keyframes
from understudy.stages.merge.options import MergeOptions


def keyframes(*at: str, **more: object) -> Keyframes:
    return Keyframes.parse(MergeOptions(at=at, **more))


def erodes(some: Keyframes, frames: range) -> list[float]:
    return [some.options_at(frame).erode for frame in frames]


def test_without_entries_the_options_hold_everywhere_just_as_they_are() -> None:
    some = keyframes(erode=3.3, masks=("dst", "full"))
    assert type(some.options_at(0)) is CompositeOptions
    assert (
        some.options_at(7, 3)
        == some.options_at(0)
        == CompositeOptions(erode=3.3, masks=("dst", "full"))
    )


def test_an_entry_holds_in_its_frames_only_and_later_ones_win() -> None:
    some = keyframes("10-20: erode=4 mode=seamless", "15,18-: erode=-6 face-scale=3")
    assert erodes(some, range(9, 22)) == [2, 4, 4, 4, 4, 4, -6, 4, 4, -6, -6, -6, -6]
    assert some.options_at(18).mode == "seamless" and some.options_at(21).mode == "overlay"
    assert some.options_at(10**6).face_scale == 3


def test_an_entry_for_a_person_leaves_the_others_alone() -> None:
    some = keyframes(
        "person=1: masks=learned,xseg-dst",
        "100-: blur=1",
        "100- person=0: blur=20 hist_match_masked=no",
    )
    assert some.options_at(5, 1).masks == ("learned", "xseg-dst")
    assert some.options_at(5, 0).masks == some.options_at(5, -1).masks == ("learned",)
    assert [some.options_at(100, person).blur for person in (-1, 0, 1)] == [1, 20, 1]
    assert not some.options_at(100, 0).hist_match_masked


def test_numbers_run_into_the_range_and_out_again_while_choices_switch() -> None:
    some = keyframes("100-120: erode=10 steady=0 mode=seamless ease=4")
    ran = np.array(erodes(some, range(98, 123)))
    assert ran[[0, 1, -2, -1]].tolist() == [2] * 4, "outside nothing changes"
    assert ran[6:19].tolist() == [10] * 13, "within it all holds"
    assert (np.diff(ran[1:7]) > 0).all() and np.allclose(ran, ran[::-1]), (
        "on the way there it only rises"
    )
    assert [some.options_at(frame).mode for frame in (99, 100, 120, 121)] == [
        "overlay",
        "seamless",
        "seamless",
        "overlay",
    ]
    assert [type(some.options_at(frame).steady) for frame in range(98, 123)] == [int] * 25


def test_numbers_run_from_what_an_earlier_entry_says() -> None:
    ran = erodes(keyframes("10-: erode=8", "20-: erode=0 ease=3"), range(17, 26))
    assert ran[:3] == [8] * 3 and ran[6:] == [0] * 3 and 8 > ran[3] > ran[4] > ran[5] > 0


def test_nothing_runs_where_the_footage_begins_or_a_range_has_no_end() -> None:
    assert erodes(keyframes("0-9: erode=10 ease=3"), range(6)) == [10] * 6
    assert erodes(keyframes("-9: erode=10 ease=100"), range(9, 11))[1] == 2
    assert erodes(keyframes("5-: erode=10 ease=2"), range(8, 10**4, 999)) == [10] * 11


@pytest.mark.parametrize("frames", ["100-100", "100-101", "100-104", "100-120"])
def test_a_range_too_short_for_its_ease_still_gets_there(frames: str) -> None:
    assert max(erodes(keyframes(f"{frames}: erode=10 ease=12"), range(99, 122))) == 10


def test_all_values_of_an_option_are_known_beforehand() -> None:
    some = keyframes("10-20: masks=learned,xseg-prd steady=9", "person=2: masks=dst")
    assert some.values_of("masks") == {("learned",), ("learned", "xseg-prd"), ("dst",)}
    assert some.values_of("steady") == {5, 9} and some.values_of("denoise") == {0}
    assert keyframes("10-20: masks=full", "0-: masks=dst", "5: masks=hull").values_of("masks") == {
        ("dst",),
        ("hull",),
    }


def test_what_is_said_of_frames_is_the_same_only_where_the_options_are() -> None:
    one, whole = keyframes("100-120: erode=4 ease=5", "person=1: blur=3"), range(90, 130)
    assert one.to_json(whole) == keyframes(
        "100-120:  ease=5 erode=4.0", "person=1: blur=3"
    ).to_json(whole)
    assert one.to_json(range(50)) == keyframes("100-120: erode=9", "person=1: blur=3").to_json(
        range(200, 250)
    )
    for other in (
        "100-121: erode=4 ease=5",
        "100-120: erode=5 ease=5",
        "100-120: erode=4 ease=6",
        "100-120: blur=4",
    ):
        assert keyframes(other, "person=1: blur=3").to_json(whole) != one.to_json(whole), other
    assert keyframes("100-120: erode=4 ease=5", "person=2: blur=3").to_json(whole) != one.to_json(
        whole
    )
    assert keyframes("100-120: erode=4 ease=5", "person=1: blur=3", sharpen=1).to_json(
        whole
    ) != one.to_json(whole)
    assert json.loads(one.to_json(whole))["everybody"][0][0] == 10, "ten frames before the range"


def test_an_entry_that_says_what_holds_anyway_changes_nothing() -> None:
    assert keyframes("3-9: erode=2", "person=4: blur=8").to_json(range(20)) == keyframes().to_json(
        range(20)
    )


def test_keyframes_travel_to_other_processes() -> None:
    some = keyframes("100-120: erode=4 ease=5", "person=1: masks=dst")
    some.options_at(103)
    assert pickle.loads(pickle.dumps(some)).to_json(range(200)) == some.to_json(range(200))


def test_entries_that_change_nothing_are_told() -> None:
    some = keyframes(
        "100-: erode=1", "90-: erode=1", "person=1: blur=2", "person=0: blur=2", "5,200: blur=9"
    )
    assert some.unused(100, {-1, 0}) == ["100-: erode=1", "person=1: blur=2"]


def test_entries_come_from_the_command_line_as_they_are() -> None:
    ordered = parse(
        ["merge", "show", "--at", "100-120: erode=-4 masks=learned,dst", "--at", "person=1: blur=3"]
    )
    assert ordered is not None
    some = Keyframes.parse(MergeOptions.layered(ordered.job.options))
    assert (
        some.options_at(110).erode,
        some.options_at(110, 1).blur,
        some.options_at(110).masks,
    ) == (
        -4,
        3,
        ("learned", "dst"),
    )


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("100-120 erode=4", ["not understood", "100-120: erode=4"]),
        (": erode=4", ["not understood"]),
        ("5:", ["not understood"]),
        ("5: ease=3", ["not understood"]),
        ("5: erode", ["'erode' is not understood"]),
        ("5: masks=", ["'masks=' is not understood"]),
        ("5: erod=4", ["'erod'", "erode", "mode", "ease"]),
        ("5: device=cpu", ["'device' is nothing that may differ"]),
        ("5: erode=much", ["'erode'", "'much'"]),
        ("5: blur=-401", ["'blur'", "greater than or equal to -400"]),
        ("5: mode=glue", ["'mode'", "'glue'", "seamless"]),
        ("5: erode=1 erode=2", ["'erode' stands there twice"]),
        ("5: erode=1 ease=-1", ["ease cannot be '-1'"]),
        ("x: erode=4", ["'x' names no frames", "100-120"]),
        ("-: erode=4", ["'-' names no frames"]),
        ("120-100: erode=4", ["'120-100' runs backwards"]),
        ("5 6: erode=4", ["before the colon"]),
        ("person=Ada: erode=4", ["before the colon", "by number"]),
        ("99999999999999999999-: erode=4", ["names no frames"]),
    ],
)
def test_an_entry_that_is_not_understood_is_named_with_what_would_do(
    text: str, pieces: list[str]
) -> None:
    with pytest.raises(BadOption) as problem:
        keyframes(text)
    for piece in (f"at '{text}'", *pieces):
        assert piece in str(problem.value)
