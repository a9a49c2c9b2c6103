import pytest

from understudy.errors import BadOption
from understudy.stages.frame_ranges import OPEN_END, group_ranges, parse_ranges, resolve_ranges


def test_neighbours_make_one_stretch():
    assert group_ranges([1, 2, 3, 7, 9, 10]) == [[1, 3], [7, 7], [9, 10]]
    assert group_ranges([]) == []


def test_every_third_frame_follows_the_one_before_it():
    assert group_ranges([0, 3, 6, 12], 3) == [[0, 6], [12, 12]]


def test_stretches_are_read_as_people_write_them():
    assert parse_ranges("100-120, 7,300-,-3", "frames") == (
        range(100, 121),
        range(7, 8),
        range(300, OPEN_END),
        range(4),
    )


@pytest.mark.parametrize("text", ["", "-", "a", "1-2-3", "1,,2", "1.5", "-1-2", "²", "9" * 20])
def test_a_text_that_names_no_frames_is_refused(text):
    with pytest.raises(BadOption, match=r"frames: .* names no frames"):
        parse_ranges(text, "frames")


def test_frames_of_a_footage_come_once_and_in_order():
    assert resolve_ranges("8-, 2-4,4,5-6, 20", 10, "frames") == [range(2, 7), range(8, 10)]
    assert resolve_ranges(None, 10, "frames") == [range(10)]


def test_frames_beyond_the_end_are_refused():
    with pytest.raises(BadOption, match="'10-' lies beyond the end: there are the frames 0 to 9"):
        resolve_ranges("10-", 10, "frames")
