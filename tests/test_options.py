"""Options: layered, bounded, and clear about what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, create_model

from understudy import cli
from understudy.errors import BadOption
from understudy.io import settings_file
from understudy.options import Options, option
from understudy.stages import jobs
from understudy.stages.project import Project, resolve_options


class Mask(Options):
    erode: float = option(0.0, "Shrink", low=-1, high=1, unit="face widths", live=True)
    kind: Literal["hull", "learned"] = option("hull", "Kind")


class Look(Options):
    blur: int = option(3, "Soften", low=0)
    name: str | None = option(None, "Name; not set = the face's own", formerly="")
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
    assert str(problem.value).count(": must be ") == 2


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
    assert resolve_options("look", Look()).name == "user"


@pytest.mark.parametrize("content", [None, "blur = = 1", "look = 3"])
def test_a_user_file_that_cannot_be_used_is_named(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.toml"
    if content is not None:
        own.write_text(content, encoding="utf-8")
    monkeypatch.setenv("UNDERSTUDY_CONFIG", str(own))
    with pytest.raises(BadOption, match=r"own\.toml"):
        resolve_options("look", Look())


class Part(Options):
    score: float = option(0.5, "How sure")
    device: str = option("auto", "Where to compute", affects="nothing")


class Step(Options):
    pairs: int | None = option(None, "Pairs; not set = the model's own", low=1, formerly=0)
    length: float | None = option(None, "Length; not set = the model's own", low=0, formerly=-1)
    until: Literal["end"] | None = option(None, "Until; not set = for ever", formerly="")
    every: Annotated[float, Field(gt=0)] | Literal["never"] = option(
        2, "How often", formerly={0: "never"}
    )
    size: int = option(64, "Size", affects="crop")
    sharp: float = option(0, "Sharpness", affects="render")
    part: Part = option(Part(), "Part", affects="detect")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"pairs": 0}, {"pairs": None}),
        ({"pairs": "0"}, {"pairs": None}),
        ({"pairs": "none"}, {"pairs": None}),
        ({"pairs": None}, {"pairs": None}),
        ({"length": -1}, {"length": None}),
        ({"length": "-1.0"}, {"length": None}),
        ({"length": 0}, {"length": 0}),
        ({"until": ""}, {"until": None}),
        ({"until": "none"}, {"until": None}),
        ({"every": "0"}, {"every": "never"}),
        ({"every": "0.5"}, {"every": 0.5}),
        ({"size": 64, "pairs": 1}, {"size": 64, "pairs": 1}),
    ],
)
def test_what_once_stood_for_not_set_is_still_read(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert Step.layered(old).set_values() == new


def test_a_name_may_be_none() -> None:
    assert Look(name="none").name == "none"


@pytest.mark.parametrize("values", [{"pairs": -1}, {"length": -2}, {"pairs": False}, {"every": -1}])
def test_only_the_former_value_means_not_set(values: dict[str, Any]) -> None:
    with pytest.raises(BadOption, match=next(iter(values))):
        Step.layered(values)


def test_not_set_wins_over_lower_layers_too() -> None:
    assert Step.layered({"pairs": 8}, {"pairs": 0}).pairs is None


def test_what_is_not_set_is_left_out_of_a_file_and_reads_back_the_same(tmp_path: Path) -> None:
    class Kept(Options):
        step: Step = option(Step(), "Step")
        settings: dict[str, Any] = option({}, "Settings")

    path = tmp_path / "kept.toml"
    kept = Kept(step=Step(size=8), settings={"a": 1, "b": {"c": None, "d": 2}})
    settings_file.write(path, kept)
    assert "pairs" not in path.read_text(encoding="utf-8")
    again = settings_file.read(path, Kept, 1, "missing")
    assert again.step == kept.step and again.settings == {"a": 1, "b": {"d": 2}}


def test_the_schema_shows_the_new_meaning_only() -> None:
    schema = Step.model_json_schema()["properties"]["pairs"]
    assert schema["description"] == "Pairs; not set = the model's own [1..]."
    assert schema["anyOf"] == [{"minimum": 1, "type": "integer"}, {"type": "null"}]
    assert (schema["default"], schema["affects"], schema["live"]) == (None, None, False)
    assert "former" not in str(schema)


def test_an_option_says_what_a_change_makes_stale() -> None:
    step = Step(pairs=3, part=Part(device="cpu"))
    assert step.affecting("crop") == {"size": 64}
    assert step.affecting("detect") == {"part.score": 0.5}
    assert step.deviating("detect") == {}
    assert Step(sharp=2).deviating("render") == {"sharp": 2}


def test_an_added_or_moved_option_changes_no_key() -> None:
    def variant(**fields: Any) -> type[Options]:
        return create_model("Variant", __base__=Options, **fields)

    sharp: Any = (float, option(0, "Sharpness", affects="render"))
    size: Any = (int, option(64, "Size", affects="render"))
    grain: Any = (int, option(0, "Grain", affects="render"))
    one, moved = variant(size=size, sharp=sharp), variant(sharp=sharp, size=size)
    more = variant(grain=grain, sharp=sharp, size=size)
    known = one(sharp=2).deviating("render")
    assert moved(sharp=2).deviating("render") == more(sharp=2).deviating("render") == known
    assert more(sharp=2, grain=1).deviating("render") != known


# What files of version 0.1 may say where nothing is set, by command.
FORMER: dict[str, dict[str, Any]] = {
    "new": {"consent": ""},
    "extract": {
        "max_faces": 0,
        "person": -1,
        "like": "",
        "workers": 0,
        "blazeface": {"most": 0},
    },
    "faces": {"person": -1, "track": -1},
    "train": {
        **dict.fromkeys(("name", "from_", "pretrain", "until"), ""),
        **dict.fromkeys(("iterations", "minutes", "batch", "lr", "threads"), 0),
        **dict.fromkeys(("clip", "rotation", "shift", "scale", "warp", "ema"), -1),
        "backup_iterations": 0,
        "saehd": {"d_mask_dims": 0, "gan_patch_size": 0},
        "amp": {"d_mask_dims": 0, "gan_patch_size": 0},
        "sae": {"ae_dims": 0, "d_ch_dims": 0},
    },
    "trained_import": {"name": "", "pick": ""},
    "merge": {
        **dict.fromkeys(("preset", "frames", "model", "segmenter"), ""),
        "morph": -1,
        "encode": {"bitrate": 0},
    },
    "export": {"model": "", "batch": 0},
    "swap": {"iterations": 0, "consent": "", "train": {"batch": 0}, "merge": {"morph": -1}},
    "frames": {"fps": 0},
    "cut": {"end": "", "bitrate": 0},
    "verify": {"trust": ""},
}


@pytest.mark.parametrize("verb", FORMER)
def test_files_of_version_0_1_mean_what_they_meant(verb: str) -> None:
    options = jobs.options_of(jobs.verbs()[verb])
    former = options.layered(FORMER[verb])
    assert former == options()
    # It was said, so it wins over a lower layer.
    assert former.set_values() != {}


@pytest.mark.parametrize(
    ("verb", "former", "now"),
    [
        ("train", {"backup_hours": 0}, {"backup_hours": "never"}),
        ("train", {"preview_minutes": 0.0}, {"preview_minutes": "never"}),
        ("train", {"clip": 0, "ema": 0, "warp": 0}, {"clip": 0.0, "ema": 0.0, "warp": 0.0}),
        ("cut", {"audio_track": -1}, {"audio_track": "none"}),
        ("cut", {"audio_track": 0}, {"audio_track": 0}),
        ("measure", {"identity": ""}, {"identity": "none"}),
    ],
)
def test_a_former_number_reads_as_the_word_of_today(
    verb: str, former: dict[str, Any], now: dict[str, Any]
) -> None:
    assert jobs.options_of(jobs.verbs()[verb]).layered(former).set_values() == now


def test_flags_may_say_what_they_said(tmp_path: Path) -> None:
    words = "train show --batch 0 --clip -1 --iterations none --name= --warp 0 --backup-hours 0"
    asked = cli.parse(words.split())
    assert asked is not None
    assert asked.job.options == {
        "batch": None,
        "clip": None,
        "iterations": None,
        "name": None,
        "warp": 0.0,
        "backup_hours": "never",
    }


class Start(Options):
    from_: str | None = option(None, "Where it starts")
    step: int = option(1, "How far")


class Journey(Options):
    start: Start = option(Start(), "The start")


def test_a_name_that_is_a_word_of_python_may_be_written_as_on_the_command_line() -> None:
    assert Start.model_validate({"from": "a"}).from_ == "a" == Start(from_="a").from_
    told = Journey.layered({"start": {"from": "a"}}, {"start": {"from_": "b"}})
    assert told.start.from_ == "b" and told.set_values() == {"start": {"from_": "b"}}
    assert Journey.layered({"start": {"from_": "a"}}, {"start": {"from": "b"}}).start.from_ == "b"


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ({"start": {"form": 1}}, "start.from_"),
        ({"start": {"steps": 1}}, "start.step"),
        ({"strat": {}}, "start"),
        ({"start": {"from-": 1}}, "start.from_"),
    ],
)
def test_a_name_that_is_none_is_answered_with_the_one_that_was_meant(
    wrong: dict[str, object], right: str
) -> None:
    with pytest.raises(BadOption, match=f"Did you mean '{right}'"):
        Journey.layered(wrong)
    with pytest.raises(BadOption, match=r"no option 'zzz'\. Take it out"):
        Journey.layered({"zzz": 1})
