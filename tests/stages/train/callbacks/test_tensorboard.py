"""What a run tells TensorBoard."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from understudy.errors import MissingExtra
from understudy.io.footage import stills
from understudy.io.provenance.manifest import read_manifest
from understudy.stages.events import Finished, Progress, Stop
from understudy.stages.train import loop
from understudy.stages.train.callbacks import tensorboard
from understudy.stages.train.command import train
from understudy.stages.train.options import TrainOptions

pytestmark = pytest.mark.usefixtures("small_models")

OPTIONS = TrainOptions.layered(
    {
        "tiny": {"resolution": 64},
        "batch": 1,
        "device": "cpu",
        "precision": "fp32",
        "iterations": 30,
        "tensorboard": True,
    }
)


@pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="needs the extra tensorboard"
)
# TensorBoard's own, about what it imports.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_numbers_and_previews_are_written_and_orders_still_reach_the_run(
    make_show: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setattr(loop, "REPORT_SECONDS", 0)
    show = make_show(tmp_path / "show", 40)
    run = train(show, OPTIONS)
    while not (isinstance(event := next(run), Progress) and event.done == 3):
        pass
    last = [run.send(Stop()), *run][-1]
    assert (
        isinstance(last, Finished)
        and last.summary["ended"] == "stopped"
        and last.summary["iteration"] == 3
    )
    found = EventAccumulator(str(show / "models/tiny/tensorboard"))
    found.Reload()
    assert [each.step for each in found.Scalars("learning/src")] == [1, 2, 3]
    assert found.Scalars("held-out/score")[-1].step == 3
    picture = found.Images("preview")[-1]
    # The very file, with its mark.
    preview = show / "models/tiny/previews/000000003.png"
    assert picture.step == 3 and picture.encoded_image_string == preview.read_bytes()
    assert (picture.width, picture.height) == stills.read_image(preview).shape[1::-1]
    assert read_manifest(preview).is_synthetic
    run = train(show, OPTIONS)
    while not isinstance(next(run), Progress):
        pass
    after = [run.throw(KeyboardInterrupt()), *run]
    assert isinstance(after[-1], Finished) and after[-1].summary["ended"] == "interrupted"


def test_without_the_package_it_is_said_before_anything_is_learnt(
    show: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorboard.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="tensorboard"):
        list(train(show, OPTIONS))
    assert not (show / "models").exists()
