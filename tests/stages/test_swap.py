from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.errors import BadOption
from understudy.io.footage import stills
from understudy.stages import swap as swap_module
from understudy.stages.events import Event, Finished, Note, Progress, Stage
from understudy.stages.merge.options import MergeOptions
from understudy.stages.project import Project
from understudy.stages.swap import SwapOptions, swap
from understudy.stages.train.options import TrainOptions


@pytest.mark.parametrize("part", [{"frames": "3-5"}, {"preview": True}, {"debug": True}])
def test_a_swap_makes_a_whole_video(part: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(
        BadOption, match=rf"merge\.{next(iter(part))}: swap makes a whole video.*understudy merge"
    ):
        list(
            swap(
                tmp_path / "a.mp4",
                tmp_path / "b.mp4",
                tmp_path / "out.mp4",
                SwapOptions(merge=MergeOptions(**part)),
            )
        )
    assert not list(tmp_path.iterdir())


@pytest.fixture
def out(make_show: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A result to make: its faces are extracted already, and merging only says of which model."""
    show = make_show(tmp_path / "out.show")
    for name in ("a.mp4", "b.mp4"):
        (show / name).touch()

    def extract(*given: object, **options: object) -> Stage:
        yield Finished(stage="extract")

    def merge(show: Path, options: MergeOptions) -> Stage:
        (show / "result.mp4").touch()
        (show / "result.png").write_bytes(b"picture")
        yield Finished(stage="merge", summary={"model": options.model})

    monkeypatch.setattr(swap_module, "extract", extract)
    monkeypatch.setattr(swap_module, "merge", merge)
    return tmp_path / "out.mp4"


def swapped(out: Path, **options: object) -> list[Event]:
    out.unlink(missing_ok=True)
    show, training = out.with_suffix(".show"), {"tiny": {"resolution": 64}, "batch": 1}
    asked = SwapOptions(train=TrainOptions.layered({**training, "device": "cpu"}), **options)
    return list(swap(show / "a.mp4", show / "b.mp4", out, asked))


@pytest.mark.usefixtures("small_models")
def test_a_swap_of_less_than_a_second_still_trains(out: Path) -> None:
    events = swapped(out, minutes=0.01)
    (merged,) = (each for each in events if isinstance(each, Finished) and each.stage == "merge")
    assert merged.summary["model"] == "tiny"
    assert any(isinstance(each, Progress) and each.stage == "train" for each in events)


@pytest.mark.usefixtures("small_models")
def test_a_swap_onto_one_picture_is_one(out: Path, tmp_path: Path) -> None:
    show, photo = out.with_suffix(".show"), tmp_path / "photo.jpg"
    stills.write_image(photo, np.zeros((24, 32, 3), np.uint8))
    Project.load(show).with_footage("dst", photo).save()
    training = {"tiny": {"resolution": 64}, "batch": 1, "device": "cpu"}
    asked = SwapOptions(train=TrainOptions.layered(training), iterations=1)
    list(swap(show / "a.mp4", photo, out.with_suffix(".png"), asked))
    assert out.with_suffix(".png").read_bytes() == b"picture"
    with pytest.raises(BadOption, match=r"will be a png file\. .* ends in \.png"):
        list(swap(show / "a.mp4", photo, out.with_suffix(".jpg"), asked))


@pytest.mark.usefixtures("small_models")
def test_a_swap_decides_once_what_it_trains_and_not_again_when_that_is_done(out: Path) -> None:
    def notes(events: list[Event]) -> list[str]:
        return [event.text for event in events if isinstance(event, Note)]

    first, second = notes(swapped(out, iterations=2)), notes(swapped(out, iterations=2))
    assert sum(text.startswith("auto: tiny") for text in first) == 1
    assert any("learnt as much as was asked for" in text for text in second)
    third = swapped(out, iterations=3)
    assert sum(text.startswith("auto: goes on with tiny") for text in notes(third)) == 1
    assert [each.done for each in third if isinstance(each, Progress)] == [3]


@pytest.mark.parametrize("side", ["src", "dst"])
@pytest.mark.parametrize("way", ["itself", "link", "hard link"])
def test_the_footage_is_never_replaced_by_the_result(side: str, way: str, tmp_path: Path) -> None:
    footage = {name: tmp_path / f"{name}.mp4" for name in ("src", "dst")}
    for path in footage.values():
        path.write_bytes(b"film")
    result = footage[side] if way == "itself" else tmp_path / "result.mp4"
    if way == "link":
        result.symlink_to(footage[side])
    elif way == "hard link":
        result.hardlink_to(footage[side])
    with pytest.raises(BadOption, match="is footage of this swap"):
        list(swap(footage["src"], footage["dst"], result, options=SwapOptions(overwrite=True)))
    assert footage[side].read_bytes() == b"film"


def test_a_sound_track_that_is_not_there_is_told_before_any_work(
    clips: dict[str, Path], tmp_path: Path
) -> None:
    asked = SwapOptions(merge=MergeOptions(audio_track=3))
    with pytest.raises(BadOption, match="no sound track 3, only track 0"):
        list(swap(clips["src"], clips["dst"], tmp_path / "out.mp4", asked))
    assert not (tmp_path / "out.show" / "src" / "faces").exists()
