"""The demo: it makes its own clips, swaps, and says so when there is nothing left to do."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import understudy
from understudy.errors import BadProject, MissingExtra
from understudy.io.open_footage import open_footage
from understudy.io.provenance.manifest import read_manifest
from understudy.io.provenance.marked import is_marked
from understudy.stages.events import Finished, Note, Progress, Stop

SMALL = {
    "minutes": 0.02,
    "seconds": 0.2,
    "width": 192,
    "height": 160,
    "train": {"batch": 2, "tiny": {"resolution": 64}},
}


def test_the_demo_leaves_clips_result_and_sheet_and_a_second_run_says_it_is_done(
    tmp_path: Path,
) -> None:
    out = tmp_path / "demo"
    events = list(understudy.demo(out, **SMALL))
    assert isinstance(events[-1], Finished) and events[-1].stage == "demo"
    for name in ("src.mp4", "dst.mp4", "result.mp4"):
        with open_footage(out / name) as footage:
            assert len(footage) == 5 and footage.size == (192, 160) and footage.has_audio
    assert (out / "sheet.png").stat().st_size > 1000
    for path in (out / "sheet.png", out / "result.show" / "sheet.png"):
        manifest = read_manifest(path)
        assert (manifest.state, manifest.is_synthetic) == ("valid", True)
        assert {each.title for each in manifest.ingredients} == {"result.mp4", "src.mp4", "dst.mp4"}
    # Every picture and film of the whole work that shows the new face.
    shown = {path for path in out.rglob("*") if path.suffix in {".png", ".mp4", ".mov", ".mkv"}}
    unmarked = {path.name for path in shown if not is_marked(path)}
    assert unmarked == {"src.mp4", "dst.mp4"} and len(shown) > 6
    consent = {read_manifest(path).consent for path in shown if path.name not in unmarked}
    assert consent == {"Two synthetic people; nobody to ask."}
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.mp4")}
    again = list(understudy.demo(out, **SMALL))
    assert any(isinstance(each, Note) and "is there already" in each.text for each in again)
    assert not [each for each in again if isinstance(each, Progress)]
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.mp4")} == before


def test_a_demo_stopped_while_filming_leaves_no_half_clip(tmp_path: Path) -> None:
    stage = understudy.demo(tmp_path, **SMALL)
    event = next(stage)
    with pytest.raises(StopIteration):
        while True:
            event = stage.send(Stop() if isinstance(event, Progress) else None)
    assert list(tmp_path.iterdir()) == []


def test_without_scikit_image_the_message_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None)
    from understudy.stages.demo import load_portrait

    with pytest.raises(MissingExtra, match=r"scikit-image.*Run: .*(--with demo|scikit-image)"):
        load_portrait()


def test_a_show_without_a_result_cannot_be_measured(clips: dict[str, Path], tmp_path: Path) -> None:
    list(understudy.new(tmp_path / "show", clips["src"], clips["dst"]))
    with pytest.raises(BadProject, match="understudy merge"):
        list(understudy.measure(tmp_path / "show"))
