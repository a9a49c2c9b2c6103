"""The steps of a frame as files: pictures that lose nothing, numbers, one sheet, all marked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from understudy.core.color.transfer import UNCHANGED
from understudy.core.compose import blend
from understudy.core.compose.composite import Swap, fit_match, warp_face
from understudy.core.compose.options import CompositeOptions
from understudy.io.footage import stills
from understudy.io.open_footage import open_footage
from understudy.io.provenance.manifest import Claim, read_manifest
from understudy.stages.events import Progress, Saved
from understudy.stages.merge.chosen_options import ChosenOptions
from understudy.stages.merge.debug import write_debug, write_steps
from understudy.stages.merge.keyframes import Keyframes
from understudy.stages.merge.options import MergeOptions
from understudy.stages.merge.placement import FacePlacement
from understudy.stages.merge.predict import MergeFace, MergeFrame
from understudy.types import Array, Frame

PLAIN = ChosenOptions("model tiny, iteration 5", ())


@pytest.fixture
def claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Claim:
    monkeypatch.setenv("UNDERSTUDY_CREDENTIALS", str(tmp_path / "credentials"))
    (tmp_path / "clip.mp4").write_bytes(b"footage")
    return Claim.edited([tmp_path / "clip.mp4"])


def steps() -> list[tuple[str, Array]]:
    ramp = np.linspace(-0.1, 0.9, 64, dtype=np.float32)
    return [
        ("predicted face", np.stack([np.tile(ramp, (48, 1))] * 3, 2)),
        ("mask", np.full((32, 32), 0.25, np.float32)),
    ]


def test_every_step_becomes_a_picture_with_its_numbers(tmp_path: Path, claim: Claim) -> None:
    sheet = write_steps(tmp_path / "debug", 118, steps(), {"transfer": [1.0, 2.0]}, claim, PLAIN)
    names = sorted(path.name for path in sheet.parent.iterdir())
    assert sheet.parent.name == "000118" and names == [
        "01-predicted-face.png",
        "02-mask.png",
        "numbers.json",
        "sheet.jpg",
    ]
    face = stills.read_image(sheet.parent / names[0]) / 65535
    assert np.abs(face - np.clip(steps()[0][1], 0, 1)).max() < 1e-5, "sixteen bits"
    told = json.loads((sheet.parent / "numbers.json").read_text(encoding="utf-8"))
    assert (told["frame"], told["transfer"]) == (118, [1.0, 2.0])
    facts = told["pictures"]["01-predicted-face.png"]
    assert facts["size"] == [64, 48] and facts["low"] == [-0.1] * 3, (
        "as they were, not as they are shown"
    )
    assert told["pictures"]["02-mask.png"]["mean"] == [0.25]


def test_everything_that_shows_a_face_is_marked(tmp_path: Path, claim: Claim) -> None:
    sheet = write_steps(tmp_path / "debug", 3, steps(), {}, claim, PLAIN)
    for path in sheet.parent.glob("*.[jp][pn]g"):
        assert read_manifest(path).is_synthetic, path.name


def test_earlier_pictures_of_the_frame_stay_to_be_compared(tmp_path: Path, claim: Claim) -> None:
    places = [
        write_steps(tmp_path / "debug", 3, steps()[1:], {}, claim, PLAIN).parent.name
        for _ in range(3)
    ]
    assert places == ["000003", "000003-2", "000003-3"]


def test_the_options_stand_in_the_name_and_on_the_sheet(tmp_path: Path, claim: Claim) -> None:
    other = ChosenOptions("model tiny, iteration 5", (("--erode", "4"), ("--no-smooth", "")))
    plain, told = (
        write_steps(tmp_path / "debug", 3, steps(), {}, claim, chosen) for chosen in (PLAIN, other)
    )
    assert told.parent.name == "000003_erode=4_no-smooth"
    sheets = [stills.read_image(each) for each in (plain, told)]
    assert (sheets[0][:50] != sheets[1][:50]).any()


def green_face(plate: Array, person: int) -> MergeFace:
    options = CompositeOptions(color_transfer="none", mode="seamless")
    matrix = np.array([[1.0, 0, -30 * person - 10], [0, 1, -10]])
    green = np.broadcast_to(np.float32((0.2, 0.8, 0.3)), (32, 32, 3)).copy()
    placement = FacePlacement(person, person, np.zeros((68, 2), np.float32), matrix)
    swap = Swap(
        matrix,
        green,
        np.full((32, 32, 3), 0.4, np.float32),
        np.ones((32, 32), np.float32),
        options,
        UNCHANGED,
        blend.SEAMLESS,
    )
    params = fit_match(swap)
    warped = warp_face(plate, swap, params)
    assert warped is not None
    return MergeFace(placement, swap, params, params, warped, warped.light_grid, warped.grain)


def test_each_face_of_a_merged_frame_has_its_steps_and_its_options(
    tmp_path: Path, claim: Claim
) -> None:
    plate = np.full((60, 90, 3), 120, np.uint8)
    (tmp_path / "clip").mkdir()
    for number in range(2):
        stills.write_image(tmp_path / "clip" / f"{number}.png", plate)
    works = [
        MergeFrame(Frame(0, plate), {}, CompositeOptions()),
        MergeFrame(
            Frame(1, plate), {run: green_face(plate, run) for run in (0, 1)}, CompositeOptions()
        ),
    ]
    keyframes = Keyframes.parse(MergeOptions(at=("1 person=1: erode=7",)))
    with open_footage(tmp_path / "clip") as footage:
        told = list(write_debug(tmp_path / "debug", footage, works, 2, keyframes, claim, PLAIN))
    assert [event.path.parent.name for event in told if isinstance(event, Saved)] == [
        "000000",
        "000001",
    ]
    assert [event.done for event in told if isinstance(event, Progress)] == [1, 2]
    bare, full = (
        sorted(path.name for path in (tmp_path / "debug" / name).iterdir())
        for name in ("000000", "000001")
    )
    assert bare == ["01-whole-plate.png", "02-whole-result.png", "numbers.json", "sheet.jpg"]
    assert (
        "01-face-1-dst.png" in full
        and "18-face-2-light.png" in full
        and "22-whole-result.png" in full
    )
    numbers = json.loads(
        (tmp_path / "debug" / "000001" / "numbers.json").read_text(encoding="utf-8")
    )
    assert [(each["person"], each["options"]["erode"]) for each in numbers["faces"]] == [
        (0, 2),
        (1, 7),
    ]
    assert numbers["faces"][1]["face_from_frame"][0][2] == -40
