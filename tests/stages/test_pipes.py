import threading
import time

import pytest

from understudy.stages.pipes import ahead


def test_order_is_kept_and_work_runs_ahead():
    made = []

    def source():
        for number in range(20):
            made.append(number)
            yield number

    pipe = ahead(source(), depth=3)
    assert next(pipe) == 0
    time.sleep(0.3)
    assert 3 <= len(made) <= 6
    assert list(pipe) == list(range(1, 20))


def test_an_error_reaches_the_reader_after_what_came_before():
    def source():
        yield 1
        raise ValueError("broken")

    pipe = ahead(source(), depth=2)
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
    pipe = ahead(source(), depth=2)
    next(pipe)
    pipe.close()
    assert threading.active_count() == before
    assert closed != [threading.current_thread().name]
