"""Two clips in, one finished swap out, through the public calls; then all over again, to see that
nothing is lost.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import understudy
from understudy.errors import BadMedia, BadOption, BadProject, NoFaces
from understudy.io.faceset.faceset import Faceset
from understudy.io.footage.stills import read_image
from understudy.io.open_footage import open_footage
from understudy.io.video.clip_writer import write_clip
from understudy.io.weights.fetch import weight_status
from understudy.stages.events import Event, FailedFrame, Finished, Progress, Saved, Stage, Stop

# The hull in place of the learned mask: after three iterations the model does not know yet where a
# face is.
TRAINING: dict[str, Any] = {
    "iterations": 3,
    "extract": {"size": 256},
    "train": {"batch": 2, "seed": 1, "tiny": {"resolution": 64}},
    "merge": {"masks": ["dst"], "encode": {"preset": "ultrafast"}},
}


@pytest.fixture(scope="module")
def finished(
    clips: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Event]]:
    """A finished swap of the synthetic people: its video, and every event on the way."""
    out = tmp_path_factory.mktemp("swap") / "result.mp4"
    return out, list(understudy.swap(clips["src"], clips["dst"], out, **TRAINING))


@pytest.fixture
def again(finished: tuple[Path, list[Event]], tmp_path: Path) -> Iterator[Path]:
    """A copy of that swap to play with."""
    shutil.copytree(finished[0].parent, tmp_path / "copy")
    yield tmp_path / "copy" / "result.mp4"


def last(events: list[Event], stage: str) -> dict[str, Any]:
    return next(
        each.summary
        for each in reversed(events)
        if isinstance(each, Finished) and each.stage == stage
    )


def sound(path: Path) -> list[tuple[int | None, bytes]]:
    with av.open(str(path)) as container:
        return [(packet.pts, bytes(packet)) for packet in container.demux(audio=0) if packet.size]


def test_the_result_has_the_frames_times_size_and_sound_of_the_dst(
    finished: tuple[Path, list[Event]], clips: dict[str, Path]
) -> None:
    with open_footage(finished[0]) as result, open_footage(clips["dst"]) as dst:
        assert len(result) == len(dst) == 10 and result.size == dst.size and result.fps == dst.fps
        assert [result.seconds(index) for index in range(10)] == [
            dst.seconds(index) for index in range(10)
        ]
        assert result.color == dst.color
    assert sound(finished[0]) == sound(clips["dst"])


def test_every_frame_had_its_face_and_no_frame_failed(finished: tuple[Path, list[Event]]) -> None:
    out, events = finished
    assert not [each for each in events if isinstance(each, FailedFrame)]
    for side in ("src", "dst"):
        assert set(Faceset(out.with_suffix(".show") / side / "faces").faces.frame) == set(range(10))
    assert last(events, "train")["iteration"] == 3


def test_every_picture_says_how_far_the_eyes_are_open(finished: tuple[Path, list[Event]]) -> None:
    if weight_status("iris") == "missing":
        pytest.skip("the weights are not on this machine")
    for side in ("src", "dst"):
        faces = Faceset(finished[0].with_suffix(".show") / side / "faces").faces
        assert ((faces.lids > -0.05) & (faces.lids < 0.5)).all()
        assert np.nanmax(np.abs(faces.gaze)) < 0.4


def test_the_face_is_changed_and_the_rest_of_the_frame_is_not(
    finished: tuple[Path, list[Event]], clips: dict[str, Path], people: dict[str, Any]
) -> None:
    with open_footage(finished[0]) as result, open_footage(clips["dst"]) as dst:
        change = np.abs(result[4].image.astype(int) - dst[4].image.astype(int)).mean(axis=2)
    landmarks = people["b"][4][1]
    x, y = landmarks[30].round().astype(int)
    assert change[y - 10 : y + 10, x - 10 : x + 10].mean() > 8
    assert change[:, :40].mean() < 2 and change[:20].mean() < 2


def test_the_result_says_that_it_is_synthetic(finished: tuple[Path, list[Event]]) -> None:
    summary = last(list(understudy.verify(finished[0])), "verify")
    assert summary["synthetic"] and summary["state"] in ("valid", "trusted")
    assert {each["title"] for each in summary["ingredients"]} == {"src.mp4", "dst.mp4"}


def test_the_found_landmarks_are_near_the_true_ones(
    finished: tuple[Path, list[Event]], people: dict[str, Any]
) -> None:
    from understudy.core.metrics.swap_metrics import landmark_error
    from understudy.stages.measure import select_main_faces

    for side, person in (("src", "a"), ("dst", "b")):
        found = select_main_faces(Faceset(finished[0].with_suffix(".show") / side / "faces").faces)
        true = np.stack([landmarks for _, landmarks in people[person]])
        assert landmark_error(np.stack([found[index] for index in range(10)]), true) < 4


def test_measuring_leaves_numbers_and_a_sheet(again: Path, clips: dict[str, Path]) -> None:
    # The dst itself in the place of the result: it acts and trembles exactly as the dst does.
    show = again.with_suffix(".show")
    shutil.copyfile(clips["dst"], show / "result.mp4")
    values = last(list(understudy.measure(show, identity="none", columns=3, side=64)), "measure")
    assert json.loads((show / "measures.json").read_text()) == values
    assert values["faces_found"] == values["faces_expected"] == 10
    assert values["movement"] == pytest.approx(1, abs=1e-3) and values[
        "movement_correlation"
    ] == pytest.approx(1, abs=1e-3)
    assert values["jitter_result"] == values["jitter_dst"]
    sheet = read_image(show / "sheet.png")
    assert sheet.shape[0] > 3 * 64 and sheet.shape[1] > 3 * 64


def test_a_finished_result_is_not_overwritten(again: Path, clips: dict[str, Path]) -> None:
    before = again.read_bytes()
    with pytest.raises(BadOption, match=r"result\.mp4.*--overwrite"):
        list(understudy.swap(clips["src"], clips["dst"], again, **TRAINING))
    assert again.read_bytes() == before


def test_a_second_run_goes_on_where_the_first_ended(again: Path, clips: dict[str, Path]) -> None:
    events = list(
        understudy.swap(
            clips["src"], clips["dst"], again, overwrite=True, **{**TRAINING, "iterations": 5}
        )
    )
    done = [each.done for each in events if isinstance(each, Progress) and each.stage == "train"]
    assert done[0] > 3 and done[-1] == 5
    assert not [
        each for each in events if isinstance(each, Progress) and each.stage.startswith("extract")
    ]


@pytest.mark.skipif(os.name == "nt", reason="names of Windows are text")
def test_faces_of_any_name_are_learnt_merged_and_measured(
    again: Path, clips: dict[str, Path]
) -> None:
    show = again.with_suffix(".show")
    for side in ("src", "dst"):
        faces = Faceset(show / side / "faces")
        for face, name in zip(faces.paths, (b"caf\xe9", b"\x1b[2J\n", b"z" * 251), strict=False):
            face.rename(face.with_name(os.fsdecode(name) + face.suffix))
    training = {**TRAINING["train"], "iterations": 4, "model": "tiny"}
    assert last(list(understudy.train(show, **training)), "train")["iteration"] == 4
    merged = last(list(understudy.merge(show, **TRAINING["merge"])), "merge")
    assert (merged["frames_without_a_face"], merged["failed_frames"]) == ([], [])
    # After four iterations the face is none yet, so that of dst is measured.
    shutil.copyfile(clips["dst"], show / "result.mp4")
    values = last(list(understudy.measure(show, identity="none", columns=1, side=64)), "measure")
    assert values["faces_found"] == values["faces_expected"] == 10


def test_a_run_that_learnt_enough_only_merges(again: Path, clips: dict[str, Path]) -> None:
    again.unlink()
    events = list(understudy.swap(clips["src"], clips["dst"], again, **TRAINING))
    assert {each.stage for each in events if isinstance(each, Progress)} <= {"merge", "join result"}
    assert again.exists()


def stopped(stage: Stage, within: str) -> None:
    """Run a stage and stop it at its first step of the stage named."""
    order = None
    try:
        while True:
            event = stage.send(order)
            order = Stop() if isinstance(event, Progress) and event.stage == within else None
    except StopIteration:
        return


def test_a_swap_that_was_stopped_anywhere_ends_as_one_that_was_not(
    finished: tuple[Path, list[Event]], clips: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "result.mp4"
    for within in ("find src", "cut src", "find dst", "train", "merge"):
        stopped(understudy.swap(clips["src"], clips["dst"], out, **TRAINING), within)
        assert not out.exists(), f"stopped in {within}: there is no half result"
    events = list(understudy.swap(clips["src"], clips["dst"], out, **TRAINING))
    assert any(isinstance(each, Saved) and each.path == out for each in events)
    with open_footage(out) as resumed, open_footage(finished[0]) as unbroken:
        for one, other in zip(resumed, unbroken, strict=True):
            assert np.array_equal(one.image, other.image)


def test_other_footage_never_gets_into_a_show(again: Path, clips: dict[str, Path]) -> None:
    with pytest.raises(BadProject, match=r"dst\.mp4"):
        list(understudy.swap(clips["dst"], clips["src"], again, overwrite=True, **TRAINING))


def test_footage_that_is_missing_is_named_and_nothing_is_made(
    clips: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(BadMedia, match=r"nobody\.mp4"):
        list(understudy.swap(clips["src"], tmp_path / "nobody.mp4", tmp_path / "out.mp4"))
    assert list(tmp_path.iterdir()) == []


def test_a_dst_without_any_face_is_told_and_the_faces_of_src_are_kept(
    clips: dict[str, Path], tmp_path: Path
) -> None:
    for _ in write_clip(
        tmp_path / "wall.mp4", [np.full((120, 160, 3), 128, np.uint8)] * 3, (160, 120)
    ):
        pass
    with pytest.raises(NoFaces, match=r"wall\.mp4"):
        list(understudy.swap(clips["src"], tmp_path / "wall.mp4", tmp_path / "out.mp4"))
    assert len(Faceset(tmp_path / "out.show" / "src" / "faces")) >= 10


def test_a_result_of_another_kind_of_file_is_refused(
    clips: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(BadOption, match=r"out\.avi.*\.mp4"):
        list(understudy.swap(clips["src"], clips["dst"], tmp_path / "out.avi"))


@pytest.mark.footage
def test_real_footage_keeps_its_frames_times_size_and_sound(
    footage_folder: Path, tmp_path: Path
) -> None:
    src, dst, out = (
        footage_folder / "talker-b.mp4",
        footage_folder / "talker-a.mp4",
        tmp_path / "result.mp4",
    )
    short = {**TRAINING, "extract": {"size": 256, "every": 12}}
    assert last(list(understudy.swap(src, dst, out, **short)), "swap")["result"] == str(out)
    with open_footage(out) as result, open_footage(dst) as plate:
        assert len(result) == len(plate) == 216 and result.size == plate.size == (480, 480)
        assert [result.seconds(index) for index in range(216)] == [
            plate.seconds(index) for index in range(216)
        ]
        swapped, bare = (
            np.abs(result[index].image.astype(int) - plate[index].image).mean()
            for index in (12, 13)
        )
        assert swapped > 2 * bare
    assert sound(out) == sound(dst)
    assert last(list(understudy.verify(out)), "verify")["synthetic"]
