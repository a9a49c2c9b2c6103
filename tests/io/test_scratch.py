"""A column on disk reads like the array it was written from, and leaves nothing behind."""

import errno
import os

import numpy as np
import pytest

from understudy.errors import CannotWrite
from understudy.io import system
from understudy.io.scratch import DiskColumn, zeros

VALUES = np.random.default_rng(0).normal(size=(500, 3, 2)).astype(np.float32)


@pytest.fixture
def column(tmp_path) -> DiskColumn:
    column = DiskColumn(tmp_path / "found", (3, 2))
    for first in range(0, 500, 96):
        column.extend(VALUES[first : first + 96])
    return column


@pytest.mark.parametrize(
    "rows",
    [[], [7], range(500), range(40, 90), [499, 0, 250], [3, 3, 2, 3], [0, 60, 130, 200, 499]],
)
def test_rows_come_in_the_order_they_are_asked_for(column, rows):
    rows = np.array(rows, np.int64)
    assert len(column) == 500
    assert np.array_equal(column[rows], VALUES[rows])


def test_rows_are_written_wherever_they_belong(column):
    other, rows = column.blank(), np.array([0, 1, 2, 90, 91, 40, 499])
    other[rows] = VALUES[rows]
    expected = np.zeros_like(VALUES)
    expected[rows] = VALUES[rows]
    assert np.array_equal(other[np.arange(500)], expected)
    assert np.array_equal(column[np.arange(500)], VALUES)


def test_no_file_is_to_be_seen(column, tmp_path):
    assert list((tmp_path / "found").iterdir()) == []


def test_rows_that_are_not_there_and_rows_that_do_not_fit_are_refused(column):
    with pytest.raises(IndexError):
        column[np.array([500])]
    with pytest.raises(ValueError, match="a column of"):
        column.extend(np.zeros((2, 4), np.float32))


def test_a_full_disk_is_told(column, monkeypatch):
    class Full:
        def seek(self, place):
            pass

        def write(self, data):
            return len(data) // 2

    monkeypatch.setattr(column, "_file", Full())
    with pytest.raises(CannotWrite, match="the disk is full"):
        column.extend(VALUES)


@pytest.mark.parametrize("free", [None, 10**9, 100])
def test_an_array_too_large_for_the_memory_lies_on_disk_and_leaves_nothing_there(
    tmp_path, monkeypatch, free
):
    monkeypatch.setattr(system, "free_memory", lambda: free)
    array = zeros(tmp_path, (50, 4, 4))
    array[7] = 9
    assert (
        array.dtype == np.uint8
        and array.sum() == 9 * 16
        and array[[7, 8]].max(axis=(1, 2)).tolist() == [9, 0]
    )
    assert isinstance(array.base, np.memmap) == (free == 100) and not list(tmp_path.iterdir())


def test_no_room_on_disk_is_told_before_anything_is_written(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(system, "free_memory", lambda: 100)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(CannotWrite):
        zeros(tmp_path, (1 << 10, 1 << 10))


def test_the_machine_tells_its_free_memory():
    assert (system.free_memory() or 10**9) > 10**6
