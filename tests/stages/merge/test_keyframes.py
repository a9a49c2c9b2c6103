"""Looks: what holds in which frame and for whom, what is said where, and what is refused."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from understudy.cli import understood
from understudy.core.compose.options import CompositeOptions
from understudy.errors import BadOption
from understudy.stages.merge.keyframes import Looks
from understudy.stages.merge.options import MergeOptions


def looks(*at: str, **more: object) -> Looks:
    return Looks.of(MergeOptions(at=at, **more))


def erodes(some: Looks, frames: range) -> list[float]:
    return [some.options(frame).erode for frame in frames]


def test_without_entries_the_options_hold_everywhere_just_as_they_are() -> None:
    some = looks(erode=3.3, masks=("dst", "full"))
    assert type(some.options(0)) is CompositeOptions
    assert (
        some.options(7, 3) == some.options(0) == CompositeOptions(erode=3.3, masks=("dst", "full"))
    )


def test_an_entry_holds_in_its_frames_only_and_later_ones_win() -> None:
    some = looks("10-20: erode=4 mode=seamless", "15,18-: erode=-6 face-scale=3")
    assert erodes(some, range(9, 22)) == [2, 4, 4, 4, 4, 4, -6, 4, 4, -6, -6, -6, -6]
    assert some.options(18).mode == "seamless" and some.options(21).mode == "overlay"
    assert some.options(10**6).face_scale == 3


def test_an_entry_for_a_person_leaves_the_others_alone() -> None:
    some = looks(
        "person=1: masks=learned,xseg-dst",
        "100-: blur=1",
        "100- person=0: blur=20 hist_match_masked=no",
    )
    assert some.options(5, 1).masks == ("learned", "xseg-dst")
    assert some.options(5, 0).masks == some.options(5, -1).masks == ("learned",)
    assert [some.options(100, person).blur for person in (-1, 0, 1)] == [1, 20, 1]
    assert not some.options(100, 0).hist_match_masked


def test_numbers_run_into_the_range_and_out_again_while_choices_switch() -> None:
    some = looks("100-120: erode=10 steady=0 mode=seamless ease=4")
    ran = np.array(erodes(some, range(98, 123)))
    assert ran[[0, 1, -2, -1]].tolist() == [2] * 4, "outside nothing changes"
    assert ran[6:19].tolist() == [10] * 13, "within it all holds"
    assert (np.diff(ran[1:7]) > 0).all() and np.allclose(ran, ran[::-1]), (
        "on the way there it only rises"
    )
    assert [some.options(frame).mode for frame in (99, 100, 120, 121)] == [
        "overlay",
        "seamless",
        "seamless",
        "overlay",
    ]
    assert [type(some.options(frame).steady) for frame in range(98, 123)] == [int] * 25


def test_numbers_run_from_what_an_earlier_entry_says() -> None:
    ran = erodes(looks("10-: erode=8", "20-: erode=0 ease=3"), range(17, 26))
    assert ran[:3] == [8] * 3 and ran[6:] == [0] * 3 and 8 > ran[3] > ran[4] > ran[5] > 0


def test_nothing_runs_where_the_footage_begins_or_a_range_has_no_end() -> None:
    assert erodes(looks("0-9: erode=10 ease=3"), range(6)) == [10] * 6
    assert erodes(looks("-9: erode=10 ease=100"), range(9, 11))[1] == 2
    assert erodes(looks("5-: erode=10 ease=2"), range(8, 10**4, 999)) == [10] * 11


@pytest.mark.parametrize("frames", ["100-100", "100-101", "100-104", "100-120"])
def test_a_range_too_short_for_its_ease_still_gets_there(frames: str) -> None:
    assert max(erodes(looks(f"{frames}: erode=10 ease=12"), range(99, 122))) == 10


def test_all_values_of_an_option_are_known_beforehand() -> None:
    some = looks("10-20: masks=learned,xseg-prd steady=9", "person=2: masks=dst")
    assert some.uses("masks") == {("learned",), ("learned", "xseg-prd"), ("dst",)}
    assert some.uses("steady") == {5, 9} and some.uses("grain") == {0}
    assert looks("10-20: masks=full", "0-: masks=dst", "5: masks=hull").uses("masks") == {
        ("dst",),
        ("hull",),
    }


def test_what_is_said_of_frames_is_the_same_only_where_the_looks_are() -> None:
    one, whole = looks("100-120: erode=4 ease=5", "person=1: blur=3"), range(90, 130)
    assert one.said(whole) == looks("100-120:  ease=5 erode=4.0", "person=1: blur=3").said(whole)
    assert one.said(range(50)) == looks("100-120: erode=9", "person=1: blur=3").said(
        range(200, 250)
    )
    for other in (
        "100-121: erode=4 ease=5",
        "100-120: erode=5 ease=5",
        "100-120: erode=4 ease=6",
        "100-120: blur=4",
    ):
        assert looks(other, "person=1: blur=3").said(whole) != one.said(whole), other
    assert looks("100-120: erode=4 ease=5", "person=2: blur=3").said(whole) != one.said(whole)
    assert looks("100-120: erode=4 ease=5", "person=1: blur=3", sharpen=1).said(whole) != one.said(
        whole
    )
    assert json.loads(one.said(whole))["everybody"][0][0] == 10, "ten frames before the range"


def test_an_entry_that_says_what_holds_anyway_changes_nothing() -> None:
    assert looks("3-9: erode=2", "person=4: blur=8").said(range(20)) == looks().said(range(20))


def test_looks_travel_to_other_processes() -> None:
    some = looks("100-120: erode=4 ease=5", "person=1: masks=dst")
    some.options(103)
    assert pickle.loads(pickle.dumps(some)).said(range(200)) == some.said(range(200))


def test_entries_that_change_nothing_are_told() -> None:
    some = looks(
        "100-: erode=1", "90-: erode=1", "person=1: blur=2", "person=0: blur=2", "5,200: blur=9"
    )
    assert some.unused(100, {-1, 0}) == ["100-: erode=1", "person=1: blur=2"]


def test_entries_come_from_the_command_line_as_they_are() -> None:
    ordered = understood(
        ["merge", "show", "--at", "100-120: erode=-4 masks=learned,dst", "--at", "person=1: blur=3"]
    )
    assert ordered is not None
    some = Looks.of(MergeOptions.layered(ordered.job.options))
    assert (some.options(110).erode, some.options(110, 1).blur, some.options(110).masks) == (
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
        ("5: blur=-1", ["'blur'", "greater than or equal to 0"]),
        ("5: mode=glue", ["'mode'", "'glue'", "'seamless'"]),
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
        looks(text)
    for piece in (f"at '{text}'", *pieces):
        assert piece in str(problem.value)
