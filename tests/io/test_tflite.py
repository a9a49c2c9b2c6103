"""Networks in .tflite files and in bundles of them: what is broken is refused by name."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from understudy.errors import WeightsMissing
from understudy.io import tflite


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "some.task"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net.tflite", b"no network at all, " * 100)
    return path


def test_a_file_that_is_no_network_is_refused(tmp_path: Path, bundle: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(b"nothing of use" * 10)
    with pytest.raises(WeightsMissing, match=r"net\.tflite: not a network"):
        tflite.load(tmp_path / "net.tflite")
    with pytest.raises(WeightsMissing, match=r"some\.task, net\.tflite: not a network"):
        tflite.load(bundle, member="net.tflite")


def test_a_bundle_without_the_network_is_refused(bundle: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"some\.task: holds no other\.tflite"):
        tflite.load(bundle, member="other.tflite")


@pytest.mark.parametrize("damage", ["cut", "garbled", "empty"])
def test_a_damaged_bundle_is_refused(damage: str, bundle: Path) -> None:
    data = bytearray(bundle.read_bytes())
    if damage == "garbled":
        data[45:60] = bytes(15)
    bundle.write_bytes({"cut": bytes(data[:-20]), "garbled": bytes(data), "empty": b""}[damage])
    with pytest.raises(WeightsMissing, match=r"some\.task: holds no net\.tflite that can be read"):
        tflite.load(bundle, member="net.tflite")


def test_a_bundle_that_swells_without_end_is_refused(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tflite, "_LARGEST", 1000)
    with pytest.raises(WeightsMissing, match="larger than any network"):
        tflite.load(bundle, member="net.tflite")
