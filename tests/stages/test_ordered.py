"""Work on several threads comes out as if one had done it."""

import threading
import time

import pytest

from understudy.stages.ordered import in_order


def test_results_come_in_order_and_at_the_same_time():
    together = threading.Barrier(3, timeout=10)  # only passes when three are under way at once

    def slow_first(item):
        together.wait()
        time.sleep(0.05 if item == 0 else 0)
        return item * item

    assert list(in_order(range(9), [slow_first] * 3)) == [item * item for item in range(9)]


def test_a_worker_is_never_called_by_two_threads_at_once():
    class Worker:
        busy = False

        def __call__(self, item):
            assert not self.busy
            self.busy = True
            time.sleep(0.001)
            self.busy = False
            return item

    assert list(in_order(range(60), [Worker(), Worker(), Worker()])) == list(range(60))


def test_an_error_comes_in_its_place_and_no_item_is_hoarded():
    taken = []

    def items():
        for item in range(1000):
            taken.append(item)
            yield item

    got = in_order(items(), [lambda item: 1 // (3 - item)] * 2)
    assert [next(got), next(got), next(got)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(got)
    assert len(taken) <= 8


def test_closing_leaves_no_thread_behind():
    before = threading.active_count()
    got = in_order(iter(int, 1), [lambda item: item] * 2)
    assert next(got) == 0
    got.close()
    assert threading.active_count() == before
