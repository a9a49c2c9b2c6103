"""What the examples of docs/extend.md do once they are installed.

Run by test_extend.py in a process of its own, where the package with the examples can be found.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import understudy
from understudy import cli
from understudy.errors import BadOption
from understudy.io.faceset.faceset import Faceset
from understudy.io.open_footage import open_footage
from understudy.parts.detectors import detectors
from understudy.parts.families import FAMILIES
from understudy.registry import registry_of
from understudy.stages import jobs
from understudy.stages.curate.sort import SortOptions
from understudy.stages.events import Event, Finished
from understudy.stages.extract.options import ExtractOptions
from understudy.stages.merge.options import MergeOptions
from understudy.stages.project import Project
from understudy.stages.train.options import TrainOptions
from understudy.types import Bytes

# A family, the name of its example, and one of its settings as the verb has it.
EXAMPLES = [
    ("models", "little", "train", "width", 8),
    ("detectors", "skin", "extract", "smallest", 0.02),
    ("landmarkers", "mean-face", "extract", "shrink", 0.8),
    ("identities", "face-colours", "extract", "weight", 5),
    ("maskers", "oval", "merge", "size", 1),
    ("segmenters", "skin-pixels", "merge", "redness", 130),
    ("color_transfers", "mean-colour", "merge", "strength", 50),
    ("blenders", "ghost", "merge", "opacity", 100),
    ("sorters", "height", "sort", "middle", 300),
    ("upscalers", "lanczos", "merge", "factor", 3),
]
OPTIONS = {
    "train": TrainOptions,
    "extract": ExtractOptions,
    "merge": MergeOptions,
    "sort": SortOptions,
}
NAMED_BY = {
    "models": "model",
    "detectors": "detector",
    "landmarkers": "landmarker",
    "identities": "identity",
    "color_transfers": "color_transfer",
    "blenders": "mode",
    "upscalers": "upscaler",
}
FACE = (96, 80, 224, 240)


def face_picture(blueness: int) -> Bytes:
    """A face that is painted on a blue ground."""
    picture = np.full((300, 320, 3), (40, 60, 200), np.uint8)
    middle, axes = ((FACE[0] + FACE[2]) // 2, (FACE[1] + FACE[3]) // 2), (64, 80)
    cv2.ellipse(picture, middle, axes, 0, 0, 360, (220, 160, 110 + blueness), -1, cv2.LINE_AA)
    for x in (130, 190):
        cv2.circle(picture, (x, 140), 8, (60, 40, 30), -1, cv2.LINE_AA)
    cv2.ellipse(picture, (160, 200), (26, 8), 0, 0, 360, (150, 60, 60), -1, cv2.LINE_AA)
    return picture


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A show of a few stills on each side, and its project file with settings of the parts."""
    folder = tmp_path_factory.mktemp("extended")
    for side, blueness in (("src", 0), ("dst", 20)):
        (folder / side).mkdir()
        for number in range(3):
            path = folder / side / f"{number}.png"
            cv2.imwrite(str(path), face_picture(blueness + number)[..., ::-1])
    done(understudy.new(folder / "show", src=folder / "src", dst=folder / "dst"))
    return folder / "show"


def done(stage: Any) -> list[Event]:
    events = list(stage)
    assert isinstance(events[-1], Finished)
    return events


@pytest.mark.parametrize(("family", "name", "verb", "setting", "value"), EXAMPLES)
def test_the_part_is_in_the_options(
    family: str, name: str, verb: str, setting: str, value: float
) -> None:
    options, field = OPTIONS[verb], name.replace("-", "_")
    chosen = options.layered({field: {setting: value}})
    assert chosen.set_values() == {field: {setting: value}}
    schema = options.model_json_schema()
    (part,) = re.findall(r"#/\$defs/(\w+)", json.dumps(schema["properties"][field]))
    properties = schema["$defs"][part]["properties"]
    assert properties[setting]["description"]
    if family in NAMED_BY:
        assert name in schema["properties"][NAMED_BY[family]]["enum"]
    with pytest.raises(BadOption, match=f"{field}.{setting}"):
        options.layered({field: {setting: "plenty"}})


@pytest.mark.parametrize("verb", OPTIONS)
def test_help_names_the_parts_and_their_settings(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    assert cli.main([verb, "--help-all"]) == 0
    told = capsys.readouterr().out
    for family, name, of, setting, _ in EXAMPLES:
        if of == verb:
            assert f"--{name}.{setting}" in told
            assert family == "segmenters" or f"{name}," in told or f"{name}." in told
    assert verb != "merge" or "skin-pixels" in told


def test_the_project_file_holds_their_settings(show: Path) -> None:
    project = Project.load(show)
    tables = {verb: {} for verb in OPTIONS}
    for _, name, verb, setting, value in EXAMPLES:
        tables[verb][name.replace("-", "_")] = {setting: value}
    file = project.file.model_copy(update={"options": tables})
    Project(project.folder, file).save()
    again = Project.load(show)
    for verb, options in OPTIONS.items():
        assert again.options(verb, options()).set_values() == tables[verb]
        # Beside flags, which win.
    flags = TrainOptions.layered({"little": {"width": 16}})
    assert again.options("train", flags).settings_of("little") == {"width": 16}


def test_a_job_goes_through_a_file(tmp_path: Path) -> None:
    job = jobs.Job(verb="train", options={"model": "little", "little": {"width": 8}})
    (tmp_path / "job.json").write_text(job.model_dump_json(), encoding="utf-8")
    assert jobs.Job.load(tmp_path / "job.json") == job


def test_the_detector_finds_the_face_that_was_drawn() -> None:
    (found,) = detectors["skin"]().build()(face_picture(0))
    assert np.abs(found.box - FACE).max() <= 3


def merged(show: Path, **options: Any) -> NDArray[np.int_]:
    """The first frame of a merge with the examples, and with these options."""
    parts = {
        "masks": ["oval*xseg-dst"],
        "segmenter": "skin-pixels",
        "color_transfer": "mean-colour",
        "mode": "ghost",
        "super_resolution": 100,
        "upscaler": "lanczos",
        "texture": 0,
        "encode": {"crf": 2, "preset": "ultrafast"},
    }
    done(understudy.merge(show, **parts, **options))
    with open_footage(show / "result.mp4") as opened:
        return opened[0].image.astype(int)


def test_a_swap_is_made_with_all_of_them(show: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: set[str] = set()
    for family, name, *_ in EXAMPLES:
        part = registry_of(family)[name]

        def noted(self: Any, *given: Any, name: str = name, build: Any = part.build) -> Any:
            built.add(name)
            return build(self, *given)

        monkeypatch.setattr(part, "build", noted)
    parts = {"detector": "skin", "landmarker": "mean-face", "identity": "face-colours"}
    done(understudy.extract(show, **parts, size=256, steady="off", format="png", workers=1))
    assert len(Faceset(show / "dst" / "faces")) == 3
    done(understudy.sort(show, "dst", "height"))
    done(understudy.train(show, model="little", iterations=2, batch=2, device="cpu"))
    swapped = merged(show)
    assert built == {name for _, name, *_ in EXAMPLES}
    # Their settings count, and what was rendered with others is not taken for the same.
    unchanged, narrow = merged(show, ghost={"opacity": 0}), merged(show, oval={"size": 0.4})
    assert np.abs(unchanged - face_picture(20)).mean() < 2
    most, few = (np.abs(each - unchanged).max(-1) > 8 for each in (swapped, narrow))
    beside = np.ones(most.shape, bool)
    beside[FACE[1] - 12 : FACE[3] + 12, FACE[0] - 12 : FACE[2] + 12] = False
    assert most[~beside].mean() > 0.2 and not most[beside].any()
    assert 0 < few.sum() < 0.5 * most.sum()


def test_doctor_tells_of_them_and_of_what_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (summary,) = [each["summary"] for each in told if each["event"] == "finished"]
    for family in FAMILIES:
        for name, origin in family.origins().items():
            assert origin == "my-parts 1.0"
            assert f"{family.noun} {name}, of my-parts 1.0" in summary["parts of other packages"]
    assert sum(len(family.origins()) for family in FAMILIES) == len(EXAMPLES)
    notes = " ".join(each["text"] for each in told if each["event"] == "note")
    assert "model torn, of my-parts 1.0, cannot be used: ModuleNotFoundError" in notes
    assert "model second, of my-parts 1.0, cannot be used: models: two parts are called 'tiny'" in (
        notes
    )


def test_a_broken_part_says_why_to_who_asks_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "show", "--model", "torn"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "my-parts 1.0" in told and "no_such_package" in told and "pip uninstall" in told
