from understudy.stages.stretches import ranges


def test_neighbours_make_one_stretch():
    assert ranges([1, 2, 3, 7, 9, 10]) == [[1, 3], [7, 7], [9, 10]]
    assert ranges([]) == []


def test_every_third_frame_follows_the_one_before_it():
    assert ranges([0, 3, 6, 12], 3) == [[0, 6], [12, 12]]
