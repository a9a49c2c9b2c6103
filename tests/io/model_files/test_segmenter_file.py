import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from understudy.errors import BadProject, CannotWrite, WeightsMissing
from understudy.io import tables
from understudy.io.model_files.segmenter_file import SegmenterFile, read, write


@pytest.fixture
def segmenter(tmp_path: Path) -> SegmenterFile:
    rng = np.random.default_rng(0)
    # A transposed view lies in memory in another order than it is read.
    tensors = {"a.weight": rng.random((4, 3)).T, "a.epsilon": np.float32(0.5).reshape(())}
    return SegmenterFile(
        tmp_path / "segmenters" / "mine.safetensors", "xseg", "whole", 256, "somebody's", tensors
    )


def changed(path: Path, **about: str | None) -> None:
    """The same file, saying something else of itself."""
    with safe_open(path, framework="numpy") as file:
        told = {**file.metadata(), **about}
    save_file(
        load_file(path), path, {name: value for name, value in told.items() if value is not None}
    )


def test_what_is_written_comes_back(segmenter: SegmenterFile) -> None:
    write(segmenter)
    found = read(segmenter.path)
    assert dataclasses.replace(found, tensors={}) == dataclasses.replace(segmenter, tensors={})
    assert (
        list(found.tensors) == ["a.epsilon", "a.weight"] and found.tensors["a.epsilon"].shape == ()
    )
    assert np.array_equal(
        found.tensors["a.weight"], segmenter.tensors["a.weight"].astype(np.float32)
    )


def test_a_changed_number_is_told_by_the_name_of_its_tensor(segmenter: SegmenterFile) -> None:
    write(segmenter)
    data = bytearray(segmenter.path.read_bytes())
    data[-9] ^= 1
    segmenter.path.write_bytes(data)
    with pytest.raises(
        WeightsMissing,
        match=r"mine.safetensors: the tensor a.weight is not what was written.*import",
    ):
        read(segmenter.path)


def test_a_tensor_that_is_gone_or_too_much_or_no_number_is_named(segmenter: SegmenterFile) -> None:
    for spoil, told in (
        (lambda held: held.pop("a.epsilon"), "a.epsilon is missing"),
        (lambda held: held.update(b=np.zeros(2, np.float32)), "b is not what was written"),
        (lambda held: held["a.weight"].fill(np.nan), "a.weight holds values that are not numbers"),
    ):
        write(segmenter)
        with safe_open(segmenter.path, framework="numpy") as file:
            about = file.metadata()
        held = load_file(segmenter.path)
        spoil(held)
        save_file(held, segmenter.path, about)
        with pytest.raises(WeightsMissing, match=told):
            read(segmenter.path)


@pytest.mark.parametrize(
    "about",
    [
        {"face_type": "mark-only"},
        {"resolution": "much"},
        {"kind": None},
        {"crc32": "[1]"},
        {"crc32": None},
        {"schema_version": "x"},
    ],
)
def test_a_file_that_does_not_say_what_it_is_is_refused(
    segmenter: SegmenterFile, about: dict[str, str | None]
) -> None:
    write(segmenter)
    changed(segmenter.path, **about)
    with pytest.raises(WeightsMissing, match="not the file of a segmenter"):
        read(segmenter.path)


def test_a_file_from_a_newer_version_is_refused(segmenter: SegmenterFile) -> None:
    write(segmenter)
    changed(segmenter.path, schema_version="2", crc32=json.dumps({}))
    with pytest.raises(BadProject, match="newer Understudy"):
        read(segmenter.path)


def test_a_torn_file_and_none_at_all_are_refused(segmenter: SegmenterFile) -> None:
    with pytest.raises(WeightsMissing, match=r"mine.safetensors"):
        read(segmenter.path)
    write(segmenter)
    segmenter.path.write_bytes(segmenter.path.read_bytes()[:40])
    with pytest.raises(WeightsMissing, match=r"mine.safetensors"):
        read(segmenter.path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_that_cannot_be_written_to_is_told(segmenter: SegmenterFile) -> None:
    segmenter.path.parent.mkdir(mode=0o500)
    with pytest.raises(CannotWrite):
        write(segmenter)


def test_a_write_that_breaks_off_leaves_what_was_there(
    segmenter: SegmenterFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(segmenter)
    before = segmenter.path.read_bytes()

    def broken(*_: object) -> None:
        raise OSError("gone")

    monkeypatch.setattr(tables, "save_file", broken)
    with pytest.raises(OSError, match="gone"):
        write(segmenter)
    assert segmenter.path.read_bytes() == before and [segmenter.path] == list(
        segmenter.path.parent.iterdir()
    )
