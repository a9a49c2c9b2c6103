"""A show of version 0.1.0 opens as before: every command for shows runs.

Nothing is made anew but frames: a merge knows them by another key since.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

import understudy
from understudy import cli
from understudy.errors import BadOption, BadProject
from understudy.io.provenance.marked import is_marked
from understudy.stages.events import (
    Event,
    FaceRow,
    FailedFrame,
    Finished,
    Note,
    Progress,
    Saved,
    Stage,
    Warned,
)

# How it was made: data/README.md.
PACKED = Path(__file__).parent / "data" / "show-0.1.zip"


@pytest.fixture
def show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The show, unpacked where `swap` would make that of result.mp4; it is the current folder.

    Its files are as new as after any copy: footage is not known by its time.
    """
    folder = tmp_path / "result.show"
    with zipfile.ZipFile(PACKED) as packed:
        packed.extractall(folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def job(show: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """job(name): run a job file of the show by the command line; its events as plain values."""

    def run(name: str) -> list[dict[str, Any]]:
        assert cli.main(["run", f"jobs/{name}.json", "--json"]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def done(stage: Stage) -> list[Event]:
    """The events of a command that fails on no frame and warns of nothing."""
    events = list(stage)
    assert not [each for each in events if isinstance(each, Warned | FailedFrame)]
    return events


def summary(events: list[Event]) -> dict[str, Any]:
    return next(each.summary for each in reversed(events) if isinstance(each, Finished))


def notes(events: list[Event]) -> str:
    return "\n".join(each.text for each in events if isinstance(each, Note))


def steps(events: list[Event], stage: str) -> list[int]:
    return [each.done for each in events if isinstance(each, Progress) and each.stage == stage]


def begun(events: list[dict[str, Any]]) -> set[str]:
    return {each["stage"] for each in events if each["event"] == "started"}


def told(events: list[dict[str, Any]]) -> str:
    return "\n".join(each["text"] for each in events if each["event"] == "note")


def contents(folder: Path, pattern: str = "*") -> dict[str, bytes]:
    files = [path for path in folder.rglob(pattern) if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def history_of(model: str) -> list[int]:
    lines = Path(f"models/{model}/history.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["iteration"] for line in lines]


def test_its_faces_are_known_again_without_a_look_at_the_footage(show: Path, job: Any) -> None:
    before = {side: contents(show / side) for side in ("src", "dst")}
    events = job("extract")
    assert begun(events) == {"extract src", "extract dst"}
    # Of six faces one was thrown away.
    assert [each["summary"]["faces"] for each in events if each["event"] == "finished"] == [5, 10]
    after = {side: contents(show / side) for side in ("src", "dst")}
    for each in (*before.values(), *after.values()):
        # What is known of the pictures, read anew: a cache.
        each.pop("faces.jsonl", None)
        each.pop("faces.safetensors", None)
    # Footage is known by what it shows since; all else is as it was.
    for side in ("src", "dst"):
        known, former = (json.loads(each[side].pop("extract.json")) for each in (after, before))
        assert former.pop("source").keys() == {"name", "bytes", "mtime_ns", "frames"}
        assert known.pop("source")["size"] and (known.pop("version"), former.pop("version")) == (
            3,
            2,
        )
        assert known == former
    assert after == before
    # Other pictures are cut from what was found; those that were there move aside.
    other = done(understudy.extract(show, "dst", fill=0.2, jpg_quality=90))
    assert not steps(other, "find dst") and steps(other, "cut dst")[-1] == 10
    assert "(jpg_quality)" in notes(other)
    aside = contents(show / "dst/faces_old_1")
    assert len(aside) == 10 and all(before["dst"][f"faces/{name}"] == aside[name] for name in aside)


def test_its_faces_are_read_out_as_they_were(show: Path, job: Any) -> None:
    rows = [each for each in job("faces") if each["event"] == "face"]
    assert [each["frame"] for each in rows] == list(range(10))
    assert {(each["face_type"], each["track"], each["person"]) for each in rows} == {("full", 0, 0)}
    assert [len(each["landmarks"]) for each in rows] == [68] * 10
    # One face of src was thrown away by hand, and that stays so.
    assert (show / "src/faces_trash/000005_0.jpg").is_file()
    kept = [each for each in done(understudy.faces(show, "src")) if isinstance(each, FaceRow)]
    assert [each.file for each in kept] == [f"{frame:06d}_0.jpg" for frame in range(5)]
    assert job("faces-check")[-1]["summary"]["faces"] == 5


def test_its_models_are_listed_renamed_copied_and_thrown_away(show: Path, job: Any) -> None:
    models = job("trained")[-1]["summary"]
    assert list(models) == ["plain", "morphs"]
    plain, morphs = models["plain"], models["morphs"]
    assert (plain["model"], plain["archi"], plain["ae_dims"], plain["gan_power"]) == (
        "saehd",
        "df",
        32,
        0.1,
    )
    assert (plain["iteration"], plain["backups"], plain["seed"]) == (4, 1, 3)
    assert (morphs["model"], morphs["morph"], morphs["d_mask_dims"], morphs["iteration"]) == (
        "amp",
        0.75,
        16,
        3,
    )
    done(understudy.trained_rename(show, "morphs", "turns"))
    done(understudy.trained_copy(show, "turns", "twin"))
    done(understudy.trained_trash(show, "turns"))
    assert (show / "models_trash/turns/options.toml").is_file()
    left = summary(done(understudy.trained(show)))
    assert {name: each["iteration"] for name, each in left.items()} == {"plain": 4, "twin": 3}


def test_its_history_is_drawn(show: Path, job: Any) -> None:
    rows = [each for each in job("history") if each["event"] == "measured"]
    assert [(each["model"], each["iteration"]) for each in rows] == [
        ("morphs", 1),
        ("morphs", 3),
        ("plain", 1),
        ("plain", 2),
        ("plain", 4),
    ]
    assert "plain" in (show / "history.html").read_text(encoding="utf-8")
    assert (show / "history.svg").is_file()


def test_training_goes_on_with_the_newest_model_where_it_stopped(show: Path) -> None:
    before = summary(done(understudy.trained(show)))["plain"]
    events = done(understudy.train(show, iterations=6))
    assert "goes on with plain" in notes(events)
    assert "plain: goes on from iteration 4" in notes(events)
    assert steps(events, "train")[0] == 5 and summary(events)["iteration"] == 6
    assert history_of("plain")[:3] == [1, 2, 4] and history_of("plain")[-1] == 6
    old, new = (Path(f"models/plain/checkpoints/00000000{iteration}") for iteration in (4, 6))
    # It does learn. By the project file it has no running mean of its weights and makes no backups.
    assert (old / "weights.safetensors").read_bytes() != (new / "weights.safetensors").read_bytes()
    assert not (new / "ema.safetensors").exists()
    assert len(list(Path("models/plain/backups").iterdir())) == 1
    after = summary(done(understudy.trained(show)))["plain"]
    changing = {"iteration", "minutes", "saved"}
    assert {name: after[name] for name in after if name not in changing} == {
        name: before[name] for name in before if name not in changing
    }
    with pytest.raises(BadOption, match="built with df"):
        done(understudy.train(show, saehd={"archi": "liae"}))


def test_the_jobs_that_trained_have_nothing_left_to_learn(show: Path, job: Any) -> None:
    for name, iteration in (("plain", 4), ("morphs", 3)):
        before, events = contents(show / f"models/{name}/checkpoints"), job(f"train-{name}")
        end = events[-1]["summary"]
        assert (end["iteration"], end["ended"]) == (iteration, "iterations")
        assert contents(show / f"models/{name}/checkpoints") == before
    # With the optimizer of before, its memory is kept.
    options = json.loads(Path("jobs/train-morphs.json").read_text(encoding="utf-8"))["options"]
    events = done(understudy.train(show, **{**options, "iterations": 4}))
    assert "goes on from iteration 3" in notes(events) and "memory" not in notes(events)
    assert summary(events)["iteration"] == 4
    assert (show / "models/morphs/checkpoints/000000004/ema.safetensors").is_file()


def test_a_model_comes_back_as_its_backup_holds_it(show: Path, job: Any) -> None:
    backups = job("restore")[-1]["summary"]
    (name,) = backups
    assert (backups[name]["iteration"], backups[name]["kept"]) == (2, "until you delete it")
    assert summary(done(understudy.trained_restore(show, "plain", "2")))["iteration"] == 2
    assert history_of("plain") == [1, 2]
    assert summary(done(understudy.trained(show)))["plain"]["backups"] == 2
    events = done(understudy.train(show, name="plain", iterations=3))
    assert "goes on from iteration 2" in notes(events) and summary(events)["iteration"] == 3


@pytest.mark.parametrize(("name", "frames"), [("merge", 10), ("merge-half", 3)])
def test_frames_are_rendered_anew_once(show: Path, job: Any, name: str, frames: int) -> None:
    versions = contents(show / "merged", "00*/*")
    events = job(name)
    assert "from earlier runs" not in told(events)
    assert events[-1]["summary"]["frames"] == frames
    assert versions.items() <= contents(show / "merged", "00*/*").items()
    assert (show / "merged/003/matte.mp4").is_file() == (name == "merge")
    segments, events = contents(show / "merged/segments", "*.segment"), job(name)
    assert f"{frames} of {frames} frames are there from earlier runs" in told(events)
    assert not [each for each in events if each["event"] == "progress" and each["stage"] == "merge"]
    assert events[-1]["summary"]["frames"] == frames
    assert contents(show / "merged/segments", "*.segment").items() <= segments.items()
    # What former versions kept were films without a mark.
    assert not list((show / "merged/segments").glob("*.mov"))


def test_swap_goes_on_with_it_and_has_only_to_render(show: Path, job: Any) -> None:
    events = job("swap")
    assert not begun(events) & {"find src", "find dst", "cut src", "cut dst", "train"}
    result, merged = show.parent / "result.mp4", show / "merged/003/result.mp4"
    assert result.read_bytes() == merged.read_bytes()


def test_its_choices_hold_for_a_merge_with_another_one(show: Path) -> None:
    events = done(understudy.merge(show, erode=9, matte=False))
    assert steps(events, "merge")[-1] == 10 and summary(events)["iteration"] == 4
    record = json.loads((show / "merged/003/merge.json").read_text(encoding="utf-8"))
    options = record["options"]
    # By its project file, by its preset and by the flag.
    assert (options["at"][1], options["encode"]["crf"]) == ("person=0: sharpen=50", 38)
    assert (options["mode"], options["masks"], options["grain"]) == (
        "pyramid",
        ["dst", "polygons"],
        40,
    )
    assert options["erode"] == 9
    assert (show / "merged/001/result.mp4").read_bytes() != (show / "result.mp4").read_bytes()
    for way in ("preview", "debug"):
        events = done(understudy.merge(show, **{way: True}, frames="3"))
        paths = [each.path for each in events if isinstance(each, Saved)]
        assert paths and all(path.exists() for path in paths)


def test_its_faces_are_not_laid_into_another_clip(show: Path) -> None:
    shutil.copy("footage/src.mp4", "footage/dst.mp4")
    with pytest.raises(BadProject, match=r"dst\.mp4: not the footage .*faces of dst were found"):
        done(understudy.merge(show))


def test_its_result_is_measured_verified_and_taken_apart(show: Path, job: Any) -> None:
    verified = job("verify")[-1]["summary"]
    assert (verified["state"], verified["version"], verified["synthetic"]) == (
        "valid",
        "0.1.0",
        True,
    )
    assert [each["title"] for each in verified["ingredients"]] == ["dst.mp4", "src.mp4"]
    assert job("measure")[-1]["summary"]["faces_found"] == 10
    assert (show / "measures.json").is_file() and (show / "sheet.png").is_file()
    assert job("frames")[-1]["summary"] == {"pictures": 10, "of": 10, "stopped": False}
    assert job("cut")[-1]["summary"]["frames"] == 7
    # Its mark goes on.
    for name in ("cut", "frames"):
        out = Path(json.loads(Path(f"jobs/{name}.json").read_text())["arguments"]["out"])
        made = [out] if out.is_file() else sorted(out.glob("*.png"))
        assert made and all(map(is_marked, made))


def test_its_model_is_exported(show: Path, job: Any) -> None:
    pytest.importorskip("onnxscript")
    exported = job("export")[-1]["summary"]
    assert (exported["model"], exported["iteration"], exported["faces"]) == (
        "plain",
        4,
        "N x 64 x 64",
    )
    assert min(exported["psnr_db"].values()) > 60


def test_no_other_show_takes_its_place(show: Path) -> None:
    with pytest.raises(BadProject, match="there is a show already"):
        done(understudy.new(show, show / "footage/src.mp4", show / "footage/dst.mp4"))
    shutil.rmtree(show / "dst/faces")
    assert steps(done(understudy.extract(show, "dst", fill=0.2)), "cut dst")[-1] == 10
