import threading
import time

import pytest

from understudy.stages.parallel.prefetch import iter_windows, map_on_threads, prefetch


def until(is_so):
    deadline = time.monotonic() + 60
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert is_so()


def test_order_is_kept_and_work_runs_ahead():
    made = []

    def source():
        for number in range(20):
            made.append(number)
            yield number

    pipe = prefetch(source(), depth=3)
    assert next(pipe) == 0
    until(lambda: len(made) >= 3)
    time.sleep(0.1)
    assert len(made) <= 6
    assert list(pipe) == list(range(1, 20))


def test_an_error_reaches_the_reader_after_what_came_before():
    def source():
        yield 1
        raise ValueError("broken")

    pipe = prefetch(source(), depth=2)
    assert next(pipe) == 1
    with pytest.raises(ValueError, match="broken"):
        next(pipe)


def test_closing_ends_the_thread_and_its_source():
    closed = []

    def source():
        try:
            while True:
                yield 0
        finally:
            closed.append(threading.current_thread().name)

    before = threading.active_count()
    pipe = prefetch(source(), depth=2)
    next(pipe)
    pipe.close()
    assert threading.active_count() == before
    assert closed != [threading.current_thread().name]


def test_pooled_keeps_the_order_and_bounds_what_is_under_way():
    under_way, most = [], []

    def work(number):
        under_way.append(number)
        most.append(len(under_way))
        time.sleep(0.01 * (number % 3))
        under_way.remove(number)
        return -number

    assert list(map_on_threads((each for each in range(12)), work, threads=4, depth=3)) == [
        -number for number in range(12)
    ]
    assert 1 < max(most) <= 3


def test_what_fails_in_the_pool_is_raised_in_its_place():
    found = []
    with pytest.raises(ZeroDivisionError):
        for each in map_on_threads(
            (each for each in range(9)), lambda number: 1 / (4 - number), threads=2, depth=3
        ):
            found.append(each)
    assert found == [1 / 4, 1 / 3, 1 / 2, 1]


@pytest.mark.parametrize("reach", [0, 1, 3, 20])
def test_windows_reach_as_far_to_both_sides(reach):
    seen = {
        item: around
        for item, around in iter_windows(
            (each for each in range(9)), reach, lambda number: 10 * number
        )
    }
    assert seen == {
        item: tuple(10 * each for each in range(max(item - reach, 0), min(item + reach, 8) + 1))
        for item in range(9)
    }
