"""What of a model stays for life, what may change, and what a new one takes from another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.errors import BadMedia, BadOption, BadProject
from understudy.io.model_files import checkpoint, history
from understudy.stages.events import Change, Event, Finished, Note, Progress, Stop, Warned
from understudy.stages.saved_models.load import load_model
from understudy.stages.saved_models.recipe import read_recipe
from understudy.stages.train.command import train
from understudy.stages.train.options import TrainOptions

pytestmark = pytest.mark.usefixtures("small_models")

SMALL = {"batch": 1, "device": "cpu", "precision": "fp32", "iterations": 1}
SLIGHT = {"ae_dims": 32, "e_dims": 16, "d_dims": 16, "d_mask_dims": 16}


def done(show: Path, **options: object) -> list[Event]:
    return list(train(show, TrainOptions.layered({**SMALL, **options})))


def newest(folder: Path) -> checkpoint.Checkpoint:
    return checkpoint.load_intact(folder / "checkpoints")[0][0]


def said(events: list[Event], kind: type[Note] | type[Warned] = Note) -> str:
    return "\n".join(event.text for event in events if isinstance(event, kind))


def test_a_live_setting_may_change_and_that_is_told_and_recorded(show: Path) -> None:
    done(show, model="h64")
    events = done(show, model="h64", h64={"pixel_loss": True}, iterations=2)
    assert "pixel_loss is True from now on, it was False. Learn squared differences" in said(events)
    folder = show / "models" / "h64"
    assert read_recipe(folder).settings == {"pixel_loss": True, "light": False}
    assert any(
        "pixel_loss" in row.get("changed", "") for row in history.read(folder / "history.jsonl")
    )
    assert newest(folder).iteration == 2 and newest(folder).state["settings"]["pixel_loss"] is True
    # Not named, it is remembered, and nothing is told again.
    assert (
        "pixel_loss" not in said(done(show, name="h64", iterations=3))
        and read_recipe(folder).settings["pixel_loss"] is True
    )


def test_a_fixed_setting_is_refused_with_the_way_out_and_nothing_is_written(show: Path) -> None:
    done(show, model="h64")
    before = (show / "models/h64/options.toml").read_text()
    with pytest.raises(
        BadOption,
        match=r"h64\.light: h64 was built with False, not True, .* --h64\.light .* --name",
    ):
        done(show, model="h64", h64={"light": True, "pixel_loss": True})
    assert (show / "models/h64/options.toml").read_text() == before


def test_a_setting_of_another_model_is_refused_with_the_right_name(show: Path) -> None:
    with pytest.raises(
        BadOption,
        match=(
            r"df\.pixel_loss: a setting of the model df, and mine is of the model"
            r" h64.*--h64\.pixel-loss"
        ),
    ):
        done(show, model="h64", name="mine", df={"pixel_loss": True})
    with pytest.raises(BadOption, match="--model h64"):
        done(show, h64={"light": True})
    assert not (show / "models").exists()


def test_a_model_of_the_first_layout_goes_on(show: Path) -> None:
    done(show, model="h64")
    path = show / "models/h64/options.toml"
    path.write_text(
        'schema_version = 1\nmodel = "h64"\nseed = 0\n\n[settings]\npixel_loss = false\nlight ='
        " false\n"
    )
    assert newest(show / "models/h64").iteration == 1
    assert "goes on from iteration 1" in said(done(show, name="h64", iterations=2))


def test_live_settings_change_while_it_learns(show: Path) -> None:
    run = train(show, TrainOptions.layered({**SMALL, "model": "h64", "iterations": 0}))
    while not isinstance(next(run), Progress):
        pass
    told = run.send(Change(options={"h64": {"light": True}}))
    assert isinstance(told, Warned) and "light" in told.text
    while not isinstance(next(run), Progress):
        pass
    told = run.send(Change(options={"h64": {"pixel_loss": True}}))
    assert isinstance(told, Note) and "pixel_loss is True from now on" in told.text
    while not isinstance(last := next(run), Progress):
        pass
    ended = [run.send(Change(options={"iterations": last.done + 12})), *run][-1]
    assert isinstance(ended, Finished) and ended.summary["iteration"] == last.done + 12
    assert read_recipe(show / "models/h64").settings["pixel_loss"] is True


def test_a_critic_that_comes_later_starts_anew_and_nothing_else_does(show: Path) -> None:
    done(show, model="saehd", saehd={"resolution": 64, "archi": "df-ud"} | SLIGHT, lr=1e-9)
    folder = show / "models" / "saehd"
    before = newest(folder).arrays("weights")
    events = done(show, model="saehd", saehd={"gan_power": 0.1}, iterations=2, lr=1e-9)
    assert "gan_power is 0.1 from now on" in said(
        events
    ) and "start anew, in critics.critic; all others are kept" in said(events, Warned)
    saved = newest(folder)
    after, memory = saved.arrays("weights"), saved.arrays("optimizer")
    assert all(np.allclose(after[name], array, atol=1e-6) for name, array in before.items())
    assert (int(memory["generator/steps"]), int(memory["critic/steps"])) == (2, 1)
    # Who merges gets a model of the settings that its weights were saved with, and gives the face
    # it gave.
    assert load_model(folder, "cpu").resolution == 64
    done(show, model="saehd", saehd={"gan_power": 0}, iterations=2)
    assert (
        newest(folder).state["settings"]["gan_power"] == 0
        and newest(folder).arrays("weights").keys() == before.keys()
    )


def test_another_optimizer_starts_with_no_memory(show: Path) -> None:
    done(show, model="h64")
    done(show, model="h64", optimizer="adabelief", lr_dropout=True, iterations=2)
    assert newest(show / "models/h64").state["optimizer"] == "adabelief"
    with pytest.raises(BadOption, match="lr_dropout"):
        done(show, model="h64", lr_dropout=True, optimizer="adam", iterations=3)


def test_a_model_starts_with_the_weights_of_another(
    show: Path, tmp_path: Path, make_show: Callable[..., Path]
) -> None:
    done(show, model="h64", iterations=3, h64={"pixel_loss": True})
    source, other = show / "models" / "h64", make_show(tmp_path / "other")
    events = done(other, from_=str(source), iterations=1, lr=1e-9)
    assert "starts with the weights of" in said(events) and "iteration 3" in said(events)
    ours, theirs = newest(other / "models/h64"), newest(source)
    assert (ours.iteration, theirs.iteration) == (1, 3)
    for name, array in theirs.arrays("weights").items():
        assert np.allclose(ours.arrays("weights")[name], array, atol=1e-6), name
    assert read_recipe(other / "models/h64").settings["pixel_loss"] is True
    steps = [array for name, array in ours.arrays("optimizer").items() if name.endswith("step")]
    assert steps and all(array.max() == 1 for array in steps)
    # The same command goes on, even when the source is gone.
    source.rename(tmp_path / "gone")
    assert "goes on from iteration 1" in said(done(other, from_=str(source), iterations=2))


def test_what_a_model_cannot_start_from_is_refused(show: Path) -> None:
    done(show, model="h64")
    for options, words in (
        ({"from_": "nowhere", "name": "new"}, "no model here"),
        ({"from_": "h64", "name": "new", "model": "df"}, "is of the model h64, not df"),
        ({"from_": "h64", "name": "new", "h64": {"light": True}}, "light"),
        ({"from_": "h64"}, "start another model with --name"),
    ):
        with pytest.raises(BadOption, match=words):
            done(show, **options)
    assert not (show / "models/new").exists()
    for file in (show / "models/h64/checkpoints").glob("*/state.json"):
        file.unlink()
    with pytest.raises(BadProject, match="no saved weights"):
        done(show, from_="h64", name="new")
    assert not (show / "models/new").exists()


def test_pretraining_keeps_encoder_and_decoders_and_forgets_whom_it_met(show: Path) -> None:
    people, folder = str(show / "src" / "faces"), show / "models" / "h64"
    done(show, model="h64", pretrain=people, iterations=3)
    done(show, model="h64", pretrain=people, iterations=4)
    assert newest(folder).state["pretraining"]
    weights = newest(folder).arrays("weights")
    events = done(show, model="h64", iterations=1, lr=1e-9)
    assert "start anew, in net.inter;" in said(events, Warned) and "goes on" not in said(events)
    after = newest(folder).arrays("weights")
    assert newest(folder).iteration == 1 and not newest(folder).state["pretraining"]
    for name, array in weights.items():
        assert np.allclose(after[name], array, atol=1e-6) == (".inter." not in name), name
    memory = newest(folder).arrays("optimizer")
    steps = {name: int(array) for name, array in memory.items() if name.endswith("/step")}
    assert all(count == (1 if ".inter." in name else 5) for name, count in steps.items())
    assert (folder / "checkpoints-pretrain/000000004").is_dir() and (
        folder / "history-pretrain.jsonl"
    ).is_file()
    assert "goes on from iteration 1" in said(done(show, model="h64", iterations=2))
    with pytest.raises(BadOption, match="has met its people"):
        done(show, model="h64", pretrain=people)


def test_a_pretrained_model_serves_other_shows(
    show: Path, tmp_path: Path, make_show: Callable[..., Path]
) -> None:
    done(show, model="h64", pretrain=str(show / "src" / "faces"), iterations=2)
    events = done(make_show(tmp_path / "other"), from_=str(show / "models/h64"))
    assert "starts with the weights" in said(events) and "in net.inter;" in said(events, Warned)


def test_a_power_raised_while_a_model_pretrains_is_refused_in_the_same_words(show: Path) -> None:
    settings = {"resolution": 64, "archi": "df"} | SLIGHT
    options = {
        **SMALL,
        "model": "saehd",
        "saehd": settings,
        "pretrain": str(show / "src" / "faces"),
        "iterations": 0,
    }
    run = train(show, TrainOptions.layered(options))
    for power in ("gan_power", "true_face_power", "face_style_power", "bg_style_power"):
        while not isinstance(next(run), Progress):
            pass
        told = run.send(Change(options={"saehd": {power: 0.1}}))
        assert (
            isinstance(told, Warned)
            and f"saehd.{power}: not while a model pretrains. Set it to 0" in told.text
        )
    while not isinstance(next(run), Progress):
        pass
    assert (
        list([run.send(Stop()), *run])
        and read_recipe(show / "models/saehd").settings["gan_power"] == 0
    )


def test_pretraining_refuses_what_does_not_go_with_it(show: Path) -> None:
    with pytest.raises(BadOption, match="gan_power: not while"):
        done(show, model="saehd", pretrain=str(show / "src" / "faces"), saehd={"gan_power": 0.1})
    with pytest.raises(BadMedia, match="nowhere"):
        done(show, model="h64", pretrain=str(show / "nowhere"))
    assert not (show / "models").exists()


def test_a_damaged_or_missing_tensor_is_named(show: Path) -> None:
    done(show, model="h64")
    folder = show / "models" / "h64"
    saved = newest(folder)
    weights = saved.arrays("weights")
    first, second, *_ = weights
    lacking = {name: array for name, array in weights.items() if name != first} | {
        second: weights[second][..., None]
    }
    checkpoint.save(
        folder / "checkpoints",
        2,
        {"weights": lacking, "optimizer": saved.arrays("optimizer")},
        saved.state,
    )
    with pytest.raises(BadProject) as told:
        load_model(folder, "cpu")
    assert f"{first} is missing" in str(told.value) and f"{second} is " in str(told.value)
    memory = saved.arrays("optimizer")
    gone = next(name for name in memory if name.endswith("exp_avg"))
    memory.pop(gone)
    checkpoint.save(
        folder / "checkpoints", 4, {"weights": weights, "optimizer": memory}, saved.state
    )
    with pytest.raises(BadProject, match=gone):
        done(show, model="h64", iterations=5)


def test_a_run_with_nothing_but_torn_checkpoints_does_not_start_over(show: Path) -> None:
    done(show, model="h64")
    for file in (show / "models/h64/checkpoints").glob("*/weights.safetensors"):
        file.write_bytes(b"torn")
    with pytest.raises(BadProject, match="no checkpoint is whole"):
        done(show, model="h64", iterations=2)
    assert history.read(show / "models/h64/history.jsonl")
