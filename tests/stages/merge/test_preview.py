"""Sheets of a few merged frames: what they show, what they are called, and that they are marked."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.io.footage import stills
from understudy.io.open_footage import open_footage
from understudy.io.provenance.manifest import Claim, fingerprint, read_manifest
from understudy.stages.events import Event, Order, Progress, Saved, Stop
from understudy.stages.merge.chosen_options import ChosenOptions
from understudy.stages.merge.predict import MergeFrame
from understudy.stages.merge.preview import make_sheet, write_previews
from understudy.types import Array, Frame

Signed = Callable[[Path], Claim]
GREEN = (20, 230, 40)
PLAIN = ChosenOptions("model tiny, iteration 5", ())


@pytest.fixture
def signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Signed:
    monkeypatch.setenv("UNDERSTUDY_CREDENTIALS", str(tmp_path / "credentials"))
    return lambda footage: Claim.edited([footage])


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Eight grey frames, each a little brighter."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for number in range(8):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((60, 90, 3), 100 + 5 * number, np.uint8))
    return folder


def done(index: int, plate: Array) -> MergeFrame:
    """The frame with a green face that walks to the right."""
    matte = np.zeros(plate.shape[:2], np.float32)
    matte[20:40, 30 + index : 50 + index] = 1
    image = plate.copy()
    image[matte > 0] = GREEN
    return MergeFrame(Frame(index, image), matte=matte)


def run(
    clip: Path,
    folder: Path,
    indices: list[int],
    claim: Claim,
    order: Order | None = None,
    chosen: ChosenOptions = PLAIN,
) -> tuple[list[Event], bool]:
    with open_footage(clip) as footage:
        going = write_previews(
            folder,
            footage,
            (done(index, footage[index].image) for index in indices),
            len(indices),
            claim,
            chosen,
        )
        told: list[Event] = []
        try:
            told.append(next(going))
            while True:
                told.append(going.send(order if isinstance(told[-1], Progress) else None))
        except StopIteration as end:
            return told, end.value


def test_sheets_are_marked_as_synthetic_and_numbered_on(
    clip: Path, tmp_path: Path, signed: Signed
) -> None:
    folder = tmp_path / "merged" / "preview"
    for _ in range(2):
        told, whole = run(clip, folder, list(range(8)), signed(clip))
        assert whole and [event.done for event in told if isinstance(event, Progress)] == [6, 8]
    assert sorted(path.name for path in folder.iterdir()) == [
        "001.jpg",
        "002.jpg",
        "003.jpg",
        "004.jpg",
    ]
    assert [event.path.name for event in told if isinstance(event, Saved)] == ["003.jpg", "004.jpg"]
    manifest = read_manifest(folder / "001.jpg")
    assert manifest.is_synthetic and manifest.state == "valid"
    assert [each.sha256 for each in manifest.ingredients] == [fingerprint(clip)]


def test_a_row_shows_plate_result_and_mask(clip: Path, tmp_path: Path, signed: Signed) -> None:
    run(clip, tmp_path / "preview", [3], signed(clip))
    seen = stills.read_image(tmp_path / "preview" / "001.jpg").astype(int)
    green = np.argwhere(np.abs(seen - GREEN).max(2) < 30)
    white = np.argwhere(seen.min(2) > 240)
    plate = np.argwhere(np.abs(seen - 115).max(2) < 4)
    assert np.ptp(green, axis=0).tolist() == np.ptp(white, axis=0).tolist() == [19, 19], (
        "at their own size"
    )
    assert (
        plate[:, 1].min() < green[:, 1].min() < white[:, 1].min()
        and abs(green[:, 0].min() - white[:, 0].min()) <= 1
    )


def test_told_to_stop_it_keeps_the_sheets_that_are_there(
    clip: Path, tmp_path: Path, signed: Signed
) -> None:
    _, whole = run(clip, tmp_path / "preview", list(range(8)), signed(clip), Stop())
    assert not whole and sorted(path.name for path in (tmp_path / "preview").iterdir()) == [
        "001.jpg"
    ]


def test_frames_without_a_face_and_unreadable_ones_have_their_rows_too() -> None:
    image = np.full((60, 90, 3), 65535, np.uint16)
    paper = make_sheet([image, None], [MergeFrame(Frame(4, image)), MergeFrame(Frame(5, image))])
    white = (paper == 255).all(2)
    assert white.sum() == 3 * 60 * 90, "two results and one plate; the other plate is black"
    assert paper.shape[0] > 120


def test_the_options_stand_in_the_name_and_on_the_sheet(
    clip: Path, tmp_path: Path, signed: Signed
) -> None:
    folder = tmp_path / "preview"
    run(clip, folder, [3], signed(clip))
    run(clip, folder, [3], signed(clip), chosen=ChosenOptions("model tiny", (("--erode", "-8"),)))
    run(clip, folder, [3], signed(clip))
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["001.jpg", "002_erode=-8.jpg", "003.jpg"]
    plain, other = (stills.read_image(folder / name) for name in names[:2])
    assert plain.shape == other.shape and (plain[:60] != other[:60]).any()


def test_previews_at_once_take_a_number_each(clip: Path, tmp_path: Path, signed: Signed) -> None:
    claim, folder = signed(clip), tmp_path / "preview"
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(run, clip, folder, [number], claim) for number in range(8)]
        saved = [each.path for job in jobs for each in job.result()[0] if isinstance(each, Saved)]
    assert sorted(path.name for path in saved) == [f"{number:03d}.jpg" for number in range(1, 9)]
    assert sorted(folder.iterdir()) == sorted(saved), "something else is left"
