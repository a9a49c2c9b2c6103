"""A reader gives the frames that were asked for, whatever was asked for before."""

import random

import numpy as np

from understudy.io.open_footage import open_footage
from understudy.stages.parallel.footage_reader import FootageReader


def test_any_stretches_in_any_order_are_read_as_from_the_start(clips):
    with open_footage(clips["src"]) as footage:
        true = [frame.image for frame in footage]
        reader, chance = FootageReader(footage), random.Random(1)
        for _ in range(40):
            first = chance.randrange(len(true))
            stretch = sorted(
                chance.sample(range(first, len(true)), chance.randrange(1, len(true) - first + 1))
            )
            found = list(reader.iter_frames_or_bad(stretch))
            assert [frame.index for frame in found] == stretch
            assert all(np.array_equal(frame.image, true[frame.index]) for frame in found)


def test_it_decodes_on_where_that_is_shorter_and_after_a_stretch_that_was_left(clips, monkeypatch):
    with open_footage(clips["src"]) as footage:
        begun, attempts = [], type(footage).iter_frames_or_bad
        monkeypatch.setattr(
            type(footage),
            "iter_frames_or_bad",
            lambda self, wanted: begun.append(1) or attempts(self, wanted),
        )
        reader = FootageReader(footage)
        for stretch in (range(4), range(3, 6), [8, 9]):
            assert [frame.index for frame in reader.iter_frames_or_bad(stretch)] == list(stretch)
        assert len(begun) == 1
        left = reader.iter_frames_or_bad(range(2, 7))
        assert next(left).index == 2
        left.close()
        assert [frame.index for frame in reader.iter_frames_or_bad([4, 5])] == [4, 5]
        assert len(begun) == 3
