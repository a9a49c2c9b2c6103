"""Tables on disk come back as they were written, or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fuzzing import mutations, rounds
from safetensors.numpy import save

from understudy.io import tables

COLUMNS = {
    "frame": np.arange(40),
    "landmarks": np.linspace(0, 9, 40 * 68 * 2, dtype=np.float32).reshape(40, 68, 2),
    "filled": np.arange(40) % 3 == 0,
    "none": np.zeros((0, 4), np.float32),
}
NOTES = {"version": "3", "failed": '[[7, "a broken frame"]]'}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "000000.safetensors"
    tables.write_table(path, COLUMNS, NOTES)
    return path


def assert_whole(path: Path) -> None:
    read = tables.read_table(path)
    assert read is not None and read[1] == NOTES and read[0].keys() == COLUMNS.keys()
    for name, column in COLUMNS.items():
        np.testing.assert_array_equal(read[0][name], column, strict=True)


def test_a_table_comes_back_as_it_was(table: Path) -> None:
    assert_whole(table)


def test_a_table_of_a_former_version_has_no_checksum(table: Path) -> None:
    table.write_bytes(save(COLUMNS, NOTES))
    assert_whole(table)


def test_200_bytes_of_zeros_are_seen_wherever_they_lie(table: Path) -> None:
    data = table.read_bytes()
    for place in range(0, len(data) - 200, 97 if len(data) < 1 << 16 else 997):
        damaged = data[:place] + bytes(200) + data[place + 200 :]
        if damaged != data:
            table.write_bytes(damaged)
            assert tables.read_table(table) is None, place


def test_fuzz_a_damaged_table_is_none(table: Path) -> None:
    for data in mutations(table.read_bytes(), rounds(200), seed=5):
        table.write_bytes(data)
        if tables.read_table(table) is not None:
            assert_whole(table)
