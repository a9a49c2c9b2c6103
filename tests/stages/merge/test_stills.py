"""Pictures of a merge: which frames, which kinds, and what is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.errors import BadOption
from understudy.io.footage.base import Footage
from understudy.io.open_footage import open_footage
from understudy.io.provenance import manifest
from understudy.stages.events import Event, FailedFrame, Finished, Progress, Started, Stop
from understudy.stages.merge import stills
from understudy.stages.merge.frames import FrameReport
from understudy.stages.merge.keyframes import Keyframes
from understudy.stages.merge.options import MergeOptions
from understudy.stages.merge.predict import MergeFrame
from understudy.stages.project import Project
from understudy.types import Frame

FRAMES = 30


@dataclass
class Context:
    """As much of one as pictures need."""

    footage: Footage
    options: MergeOptions
    keyframes: Keyframes
    model_path: Path
    placements: dict[int, list[object]]
    iteration: int = 7


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A show of thirty grey frames, whose merge passes them as they are; frame 5 fails."""
    monkeypatch.setenv("UNDERSTUDY_CREDENTIALS", str(tmp_path / "credentials"))
    (tmp_path / "clip").mkdir()
    for number in range(FRAMES):
        cv2.imwrite(
            str(tmp_path / "clip" / f"{number}.png"), np.full((24, 32, 3), 8 * number, np.uint8)
        )

    def merge_frames(context: Context, report: FrameReport, frames: range) -> Iterator[MergeFrame]:
        for number in frames:
            if number == 5:
                report.failed.append((5, "frame 5: torn."))
            yield MergeFrame(Frame(number, np.full((24, 32, 3), 8 * number, np.uint8)))

    monkeypatch.setattr(stills, "merge_frames", merge_frames)
    return Project.create(tmp_path / "show", tmp_path / "clip", tmp_path / "clip")


def run(
    project: Project, *, faces: range = range(FRAMES), stop: bool = False, **options: object
) -> list[Event]:
    chosen = MergeOptions.layered(options)
    told: list[Event] = []
    with open_footage(project.footage("dst")) as footage:
        context = Context(
            footage,
            chosen,
            Keyframes.parse(chosen),
            project.model("m"),
            {frame: [] for frame in faces},
        )
        going = stills.render_stills(project, context, manifest.validate_credentials())  # type: ignore[arg-type]
        try:
            told.append(next(going))
            while True:
                told.append(going.send(Stop() if stop and isinstance(told[-1], Progress) else None))
        except StopIteration:
            return told


def frames_of(project: Project) -> list[int]:
    return sorted(int(path.name) for path in (project.merged / "debug").iterdir())


def test_the_named_frames_are_shown_as_asked(project: Project) -> None:
    told = run(project, frames="3-5,20", preview=True, debug=True)
    assert [event.stage for event in told if isinstance(event, Started)] == ["preview", "debug"]
    assert [path.name for path in (project.merged / "preview").iterdir()] == ["001.jpg"]
    assert frames_of(project) == [3, 4, 5, 20]
    assert [event.frame for event in told if isinstance(event, FailedFrame)] == [5], "told once"
    assert isinstance(told[-1], Finished) and told[-1].summary["frames"] == 4


def test_without_names_a_few_with_a_face_are_shown(project: Project) -> None:
    run(project, debug=True, faces=range(8, 100))
    assert frames_of(project) == [8, 12, 16, 21, 25, 29]
    assert not (project.merged / "preview").exists()


def test_where_few_frames_have_a_face_each_is_shown_once(project: Project) -> None:
    run(project, debug=True, faces=range(2, 4))
    assert frames_of(project) == [2, 3]


def test_told_to_stop_it_stops(project: Project) -> None:
    told = run(project, frames="1-9", debug=True, stop=True)
    assert frames_of(project) == [1] and not isinstance(told[-1], Finished)


def test_frames_that_are_not_there_are_refused(project: Project) -> None:
    with pytest.raises(BadOption, match=r"'40-' lies beyond the end: there are the frames 0 to 29"):
        run(project, frames="40-", preview=True)
