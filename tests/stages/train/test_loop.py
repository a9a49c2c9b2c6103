from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from understudy.core.training.augment import AugmentConfig
from understudy.core.training.split import split_held_out
from understudy.errors import BadMedia, BadOption, BadProject, Busy, Diverged, NoFaces
from understudy.io.faceset.faceset import Faceset
from understudy.io.model_files import checkpoint, history
from understudy.parts.models.base.model import Batch
from understudy.stages.events import (
    Change,
    Event,
    Finished,
    Progress,
    Save,
    Saved,
    Started,
    Stop,
    Warned,
)
from understudy.stages.merge.context import load_predictor
from understudy.stages.project import Project
from understudy.stages.saved_models.load import load_model, load_saved_model
from understudy.stages.train import loop
from understudy.stages.train.callbacks.compile_tuner import CompileTuner
from understudy.stages.train.callbacks.loss_guard import LossGuard
from understudy.stages.train.command import train
from understudy.stages.train.data.batches import Batches, prefetch_batches
from understudy.stages.train.data.face_store import FaceStore, load_face_store
from understudy.stages.train.options import TrainOptions
from understudy.stages.train.state import TrainState
from understudy.stages.train.train_step import Losses, train_step

SMALL = {"tiny": {"resolution": 64}, "batch": 1, "device": "cpu", "precision": "fp32"}


pytestmark = pytest.mark.usefixtures("small_models")

Make = Callable[..., Path]


def done(show: Path, **options: object) -> list[Event]:
    return list(train(show, TrainOptions.layered({**SMALL, **options})))


def newest(show: Path, name: str = "tiny") -> checkpoint.Checkpoint:
    return checkpoint.load_intact(show / "models" / name / "checkpoints")[0][0]


def test_a_run_leaves_a_model_that_predicts_pictures_and_a_history(show: Path) -> None:
    events = done(show, iterations=3)
    finished = events[-1]
    assert (
        isinstance(finished, Finished)
        and finished.summary["iteration"] == 3
        and finished.summary["ended"] == "iterations"
    )
    saved = {event.what: event.path for event in events if isinstance(event, Saved)}
    assert cv2.imread(str(saved["preview"])).std() > 5
    assert "<path" in saved["loss-plot"].read_text(encoding="utf-8")
    last = [event for event in events if isinstance(event, Progress)][-1]
    assert last.done == last.total == 3 and {"src", "dst", "mask", "it/s", "wait"} <= set(
        last.values
    )
    assert history.read(show / "models/tiny/history.jsonl")[-1]["iteration"] == 3
    model = load_model(show / "models" / "tiny", "cpu")
    faces = np.random.default_rng(0).random((2, 64, 64, 3)).astype(np.float32)
    assert (
        model.predict(faces).image.shape == (2, 64, 64, 3)
        and model.resolution == 64
        and model.face_type == "full"
    )


@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_a_run_in_two_parts_equals_an_unbroken_one(
    make_show: Make, tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "REPORT_SECONDS", 0)
    whole, parts = make_show(tmp_path / "whole"), make_show(tmp_path / "parts")
    settings = {"iterations": 6, "precision": precision, "threads": 2}
    done(whole, **settings)
    run = train(parts, TrainOptions.layered({**SMALL, **settings}))
    while not (isinstance(event := next(run), Progress) and event.done == 3):
        pass
    assert list(run.send(Stop()) and run)[-1].summary["iteration"] == 3  # type: ignore[union-attr]
    done(parts, **settings)
    for part in ("weights", "optimizer"):
        one, other = newest(whole).arrays(part), newest(parts).arrays(part)
        assert one.keys() == other.keys() and all(
            np.array_equal(one[name], other[name]) for name in one
        )
    assert newest(whole).state["recent"] == newest(parts).state["recent"]


def test_stop_and_ctrl_c_save(show: Path) -> None:
    run = train(show, TrainOptions.layered(SMALL))
    for event in run:
        if isinstance(event, Progress):
            break
    after = [run.send(Stop()), *run]
    assert isinstance(after[-1], Finished) and after[-1].summary["ended"] == "stopped"
    before = newest(show).iteration
    assert before >= 1
    run = train(show, TrainOptions.layered(SMALL))
    for event in run:
        if isinstance(event, Progress):
            break
    after = [run.throw(KeyboardInterrupt()), *run]
    assert isinstance(after[-1], Finished) and after[-1].summary["ended"] == "interrupted"
    assert newest(show).iteration > before


def test_orders_save_and_change_live_options_only(show: Path) -> None:
    run = train(show, TrainOptions.layered(SMALL))
    while not isinstance(next(run), Progress):
        pass
    run.send(Save())
    while not isinstance(saved := next(run), Saved):
        pass
    assert saved.what == "checkpoint" and saved.path.is_dir()
    while not isinstance(next(run), Progress):
        pass
    refused = run.send(Change(options={"batch": 3}))
    assert isinstance(refused, Warned) and "batch" in refused.text
    while not isinstance(next(run), Progress):
        pass
    wrong = run.send(Change(options={"save_minutes": -1}))
    assert isinstance(wrong, Warned) and "save_minutes" in wrong.text
    while not isinstance(last := next(run), Progress):
        pass
    after = [run.send(Change(options={"iterations": last.done + 1})), *run]
    assert isinstance(after[-1], Finished) and after[-1].summary["iteration"] == last.done + 1


def test_how_far_faces_were_moved_is_kept_with_the_weights(show: Path) -> None:
    """A merge moves them no further, whatever the model's class does by default."""
    done(show, iterations=2, shift=0.05, scale=0.13)
    moved = load_saved_model(show / "models/tiny", "cpu").motion
    assert (moved.shift, moved.scale) == (0.05, 0.13)
    # The mean of all iterations: here of two and two, by default 0.02 and 0.03.
    done(show, iterations=4)
    moved = load_predictor(show / "models/tiny", "cpu").motion
    assert (moved.shift, moved.scale) == pytest.approx((0.035, 0.08))


def test_minutes_end_a_run(show: Path) -> None:
    finished = done(show, minutes=0.001)[-1]
    assert (
        isinstance(finished, Finished)
        and finished.summary["ended"] == "minutes"
        and finished.summary["iteration"] >= 1
    )


def test_what_a_model_was_built_with_stays(show: Path) -> None:
    done(show, iterations=1)
    for flag in (
        {"tiny": {"resolution": 96}},
        {"seed": 5},
        {"model": "df", "name": "tiny"},
        {"h64": {"light": True}},
    ):
        with pytest.raises(BadOption, match=next(iter(flag))):
            done(show, iterations=1, **flag)
    # Not named, it is remembered; and another name starts afresh.
    assert list(train(show, TrainOptions(iterations=1, device="cpu")))[-1].summary["iteration"] == 1  # type: ignore[union-attr]
    done(show, iterations=1, name="second", seed=5)
    assert {path.name for path in (show / "models").iterdir()} == {"tiny", "second"}


def test_unknown_models_devices_and_names_are_refused(show: Path) -> None:
    for options, said in (
        ({"model": "big"}, "Choose one of"),
        ({"device": "abacus"}, "device"),
        ({"name": "../escape"}, "name"),
        ({"model": "df", "light": True, "resolution": 0}, "light"),
    ):
        with pytest.raises(BadOption, match=said):
            done(show, iterations=1, **options)
    assert not (show / "models" / "big").exists()


def test_losses_that_are_no_numbers_lead_back_to_the_last_checkpoint(
    show: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(show, iterations=2)
    good, iterations = newest(show).arrays("weights"), []

    def once_poisoned(
        state: TrainState, batch: Batch, tuner: CompileTuner
    ) -> tuple[TrainState, Losses]:
        iterations.append(state.iteration)
        state, losses = train_step(state, batch, tuner)
        if len(iterations) == 1:
            for weight in state.model.parameters():
                weight.data.fill_(float("nan"))
            return state, {name: loss * float("nan") for name, loss in losses.items()}
        return state, losses

    monkeypatch.setattr(loop, "train_step", once_poisoned)
    events = done(show, iterations=4)
    warned = [event.text for event in events if isinstance(event, Warned)]
    assert len(warned) == 1 and "not a number" in warned[0] and "Back to 2" in warned[0]
    assert newest(show).iteration == 4 and newest(show).state["slowed"] == 0.5
    assert (
        all(np.isfinite(array).all() for array in newest(show).arrays("weights").values()) and good
    )


def test_a_run_that_never_recovers_ends_and_keeps_the_last_good_checkpoint(
    show: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(show, iterations=1)

    def poisoned(state: TrainState, batch: Batch, tuner: CompileTuner) -> tuple[TrainState, Losses]:
        state, losses = train_step(state, batch, tuner)
        return state, {name: loss * float("nan") for name, loss in losses.items()}

    monkeypatch.setattr(loop, "train_step", poisoned)
    with pytest.raises(Diverged, match="is kept"):
        done(show, iterations=9)
    assert newest(show).iteration == 1


def test_the_loss_guard_knows_a_jump_from_noise() -> None:
    guard = LossGuard()
    assert guard.find_trouble([1.0, 1.3, 0.7] * 10) == ""
    assert "rose" in guard.find_trouble([1.1, 40.0])
    assert "not a number" in LossGuard().find_trouble([float("inf")])


def test_the_loss_guard_takes_losses_below_zero_for_what_they_are() -> None:
    guard = LossGuard()
    assert not guard.find_trouble([-1.0, 1.0, -0.8, 1.2, -1.1] * 8 + [5.0])
    assert "rose to 20" in guard.find_trouble([20.0])


def test_a_torn_checkpoint_gives_way_to_an_older_one(show: Path) -> None:
    done(show, iterations=1)
    done(show, iterations=2)
    (newest(show).folder / "weights.safetensors").write_bytes(b"torn")
    events = done(show, iterations=3)
    assert any(isinstance(event, Warned) and "damaged" in event.text for event in events)
    assert newest(show).iteration == 3


def test_a_model_without_weights_and_no_model_at_all(show: Path) -> None:
    with pytest.raises(BadProject, match="no model here"):
        load_model(show / "models" / "none", "cpu")
    done(show, iterations=1)
    for file in (show / "models/tiny/checkpoints").glob("*/state.json"):
        file.unlink()
    with pytest.raises(BadProject, match="no saved weights"):
        load_model(show / "models" / "tiny", "cpu")
    path = show / "models/tiny/options.toml"
    path.write_text(path.read_text().replace("schema_version = 1", "schema_version = 9"))
    with pytest.raises(BadProject, match="newer"):
        load_model(show / "models" / "tiny", "cpu")


def test_faces_that_show_too_little_and_no_faces(make_show: Make, tmp_path: Path) -> None:
    with pytest.raises(BadProject, match="half"):
        done(make_show(tmp_path / "half", 1, "half"))
    empty = make_show(tmp_path / "empty", 0)
    with pytest.raises(BadMedia, match="extract"):
        done(empty)
    for side in ("src", "dst"):
        (empty / side / "faces").mkdir(parents=True)
    with pytest.raises(NoFaces, match="extract"):
        done(empty)


def test_one_face_of_each_is_enough_to_run(make_show: Make, tmp_path: Path) -> None:
    assert isinstance(done(make_show(tmp_path / "lone", 1), iterations=1, batch=2)[-1], Finished)


def test_two_runs_on_one_model_are_refused(show: Path) -> None:
    run = train(show, TrainOptions.layered(SMALL))
    while not isinstance(next(run), Started):
        pass
    with pytest.raises(Busy):
        done(show, iterations=1)
    run.close()


def test_held_out_and_spared_faces_are_never_learnt() -> None:
    kept, spared = split_held_out(np.zeros(200, np.int64))
    pictures = np.zeros((200, 90, 90, 4), np.uint8)
    pictures[kept | spared] = 255
    place = np.array([[1.0, 0, 13], [0, 1, 13]])
    faces = FaceStore(
        pictures, np.zeros((200, 68, 2), np.float32), place, kept, np.zeros(200, np.float32), spared
    )
    assert max(float(batches(faces).make(number).dst.target.max()) for number in range(100)) == 0


def test_previews_measure_held_out_faces(make_show: Make, tmp_path: Path) -> None:
    finished = done(make_show(tmp_path / "show", 40), iterations=1)[-1]
    assert isinstance(finished, Finished) and 0 < finished.summary["held_out"]["dst dssim"] < 1
    assert (
        0 < history.read(tmp_path / "show/models/tiny/history.jsonl")[-1]["held_out"]["dst l1"] < 1
    )


def test_faces_in_memory_show_what_the_model_will_see(show: Path) -> None:
    faceset = Faceset(Project.load(show).faces("src"))
    faces = load_face_store(faceset, "full", 64, 0.2)
    seen, masks = faces.aligned(np.arange(6), 64)
    original = cv2.resize(faceset.load(0).image, (64, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(seen[0] * 255 - original).mean() < 3
    assert masks.shape == (6, 64, 64) and masks[0, 32, 32] == 1 and masks[0, 2, 2] == 0


def batches(
    faces: FaceStore, warp: bool = False, device: str = "cpu", seed: int = 0, color: float = 0
) -> Batches:
    motion = AugmentConfig(0, 0, 0, False, warp)
    return Batches(faces, faces, motion, motion, color, 64, 4, torch.device(device), seed)


def test_a_batch_follows_from_seed_and_number_alone(show: Path) -> None:
    faces = load_face_store(Faceset(Project.load(show).faces("src")), "full", 64, 0.2)
    one, again, other = (
        batches(faces, True).make(3),
        batches(faces, True).make(3),
        batches(faces, True).make(4),
    )
    assert torch.equal(one.src.input, again.src.input) and not torch.equal(
        one.src.input, other.src.input
    )
    assert not torch.equal(one.src.target, batches(faces, True, seed=1).make(3).src.target)
    assert not torch.equal(one.src.input, one.src.target) and torch.equal(
        one.src.input > 2, one.src.target > 2
    )


def test_without_warp_input_and_target_are_the_same_face(show: Path) -> None:
    faces = load_face_store(Faceset(Project.load(show).faces("src")), "full", 64, 0.2)
    plain, tinted = batches(faces).make(0).src, batches(faces, color=1).make(0).src
    assert float((plain.input - plain.target).abs().mean()) < 0.02
    assert (
        float((tinted.input - tinted.target).abs().mean())
        < 0.02
        < float((tinted.target - plain.target).abs().mean())
    )


def test_other_devices_sample_the_same_batch(show: Path) -> None:
    faces = load_face_store(Faceset(Project.load(show).faces("src")), "full", 64, 0.2)
    maker = batches(faces, True)
    moved = [np.array(faces.store_from_face)] * 2
    maps = np.stack(
        [np.stack(np.meshgrid(np.arange(64), np.arange(64)), -1).astype(np.float32) + 12.3] * 2
    )
    for ours, theirs in zip(
        maker._remap_on_cpu(faces.pictures[:2], moved, maps),
        maker._remap_on_device(faces.pictures[:2], moved, maps),
        strict=True,
    ):
        assert float((ours - theirs).abs().mean()) < 0.004


def test_batches_come_in_order_and_errors_come_through() -> None:
    def make(number: int) -> int:
        if number == 5:
            raise ValueError("five")
        return number

    coming = prefetch_batches(make, 2, workers=3)
    assert [next(coming)[0] for _ in range(3)] == [2, 3, 4]
    with pytest.raises(ValueError, match="five"):
        next(coming)
