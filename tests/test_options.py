"""Options: layered, bounded, and clear about what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from understudy.errors import BadOption
from understudy.options import Options, option
from understudy.stages.project import Project, settled


class Mask(Options):
    erode: float = option(0.0, "Shrink", low=-1, high=1, unit="face widths", live=True)
    kind: Literal["hull", "learned"] = option("hull", "Kind")


class Look(Options):
    blur: int = option(3, "Soften", low=0)
    name: str = option("", "Name")
    mask: Mask = option(Mask(), "Mask")


def test_later_layers_win_name_by_name() -> None:
    look = Look.layered(
        {"blur": 5, "mask": {"erode": 0.5, "kind": "learned"}},
        {"mask": {"erode": 0.1}},
        {"name": "a"},
    )
    assert look == Look(blur=5, name="a", mask=Mask(erode=0.1, kind="learned"))


def test_set_values_name_only_what_was_set() -> None:
    assert Look.layered({"mask": {"erode": 0.1}}).set_values() == {"mask": {"erode": 0.1}}
    assert Look().set_values() == {}


def test_a_default_that_is_set_explicitly_still_wins_over_lower_layers() -> None:
    flags = Look(blur=3)
    assert Look.layered({"blur": 9}, flags.set_values()).blur == 3


@pytest.mark.parametrize(
    ("values", "pieces"),
    [
        ({"blurr": 1}, ["here", "no option 'blurr'", "--help"]),
        ({"blur": -1}, ["'blur'", "-1", "greater than or equal to 0"]),
        ({"blur": "much"}, ["'blur'", "'much'"]),
        ({"mask": {"kind": "square"}}, ["'mask.kind'", "'square'", "'hull' or 'learned'"]),
        ({"mask": {"erode": float("nan")}}, ["'mask.erode'", "nan"]),
        ({"mask": 3}, ["'mask'", "3"]),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_what_would(
    values: dict[str, object], pieces: list[str]
) -> None:
    with pytest.raises(BadOption) as problem:
        Look.layered(values, where="here")
    for piece in pieces:
        assert piece in str(problem.value)


def test_several_mistakes_are_told_at_once() -> None:
    with pytest.raises(BadOption) as problem:
        Look.layered({"blur": -1, "mask": {"erode": 2}})
    assert len(str(problem.value).splitlines()) == 2


def test_changes_and_live_options_go_by_dotted_names() -> None:
    assert Look().changed_in(Look(blur=1, mask=Mask(erode=0.2))) == ["blur", "mask.erode"]
    assert Look.live_names() == {"mask.erode"}


def test_bounds_and_unit_stand_in_the_help() -> None:
    assert Mask.model_fields["erode"].description == "Shrink [-1..1] face widths."
    assert Look.model_fields["blur"].description == "Soften [0..]."


def test_a_user_file_lies_below_the_project_and_the_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[look]\nblur = 1\nname = "user"\nmask = {erode = 0.1}\n', encoding="utf-8")
    monkeypatch.setenv("UNDERSTUDY_CONFIG", str(own))
    Project.create(tmp_path / "show", tmp_path / "a.mp4", tmp_path / "b.mp4")
    with (tmp_path / "show" / "understudy.toml").open("a", encoding="utf-8") as file:
        file.write('[options.look]\nname = "project"\nmask = {kind = "learned"}\n')
    chosen = Project.load(tmp_path / "show").options("look", Look(mask=Mask(erode=0.3)))
    assert chosen == Look(blur=1, name="project", mask=Mask(erode=0.3, kind="learned"))
    assert settled("look", Look()).name == "user"


@pytest.mark.parametrize("content", [None, "blur = = 1", "look = 3"])
def test_a_user_file_that_cannot_be_used_is_named(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.toml"
    if content is not None:
        own.write_text(content, encoding="utf-8")
    monkeypatch.setenv("UNDERSTUDY_CONFIG", str(own))
    with pytest.raises(BadOption, match=r"own\.toml"):
        settled("look", Look())
