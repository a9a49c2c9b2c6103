"""What `history` draws and tells."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from understudy.errors import BadProject
from understudy.stages.events import Event, Finished, Measured, Note
from understudy.stages.history import HistoryOptions, history
from understudy.stages.project import Project, ProjectFile


@pytest.fixture
def learnt(tmp_path: Path) -> Path:
    """A show with the histories of two models: one still falls, the other has come to rest."""
    project = Project(tmp_path, ProjectFile(src="a.mp4", dst="b.mp4"))
    project.save()
    for name, base in (("falls", 0.0), ("rests", 0.4)):
        folder = project.model(name)
        folder.mkdir(parents=True)
        (folder / "options.toml").write_text('model = "tiny"\n')
        rows: list[dict[str, object]] = []
        for at in range(50, 2001, 50):
            rows.append({"iteration": at, "losses": {"src": 5 / at, "dst": 6 / at}})
            measured = {
                "src l1": 0.05,
                "dst dssim": 0.1,
                "score": base + 30 / at,
                "identity": -0.1 + at / 4000,
                "pose": 2.0,
            }
            rows.append({"iteration": at, "minutes": at / 100, "held_out": measured})
        rows.insert(4, {"iteration": 100, "changed": "gan_power is <0.1> from now on"})
        rows.insert(9, {"iteration": 200, "setback": "back from 260: the loss is not a number"})
        (folder / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def told(show: Path, *models: str) -> list[Event]:
    return list(history(show, HistoryOptions(model=models)))


def test_one_model_in_one_picture_and_on_one_page(learnt: Path) -> None:
    events = told(learnt, "falls")
    picture = (learnt / "history.svg").read_text(encoding="utf-8")
    assert ElementTree.fromstring(picture).tag.endswith("svg")
    for shown in ("The swap", "Losses", "src l1", "back from 260", "prefers-color-scheme:dark"):
        assert shown in picture, shown
    page = (learnt / "history.html").read_text(encoding="utf-8")
    assert (
        page.count("<svg") == 3
        and "http://" not in page.replace("http://www.w3.org/2000/svg", "")
        and "https://" not in page
    )
    assert (
        "gan_power is &lt;0.1&gt; from now on" in page
        and "back from 260" in page
        and "rests" not in page
    )
    assert any(isinstance(event, Note) and "still learning" in event.text for event in events)
    rows = [event for event in events if isinstance(event, Measured)]
    assert (
        len(rows) == 82
        and rows[0].values == {"src": 0.1, "dst": 0.12}
        and rows[4].text.startswith("gan_power")
    )


def test_several_models_together_with_the_plateau_of_the_one_that_has_one(learnt: Path) -> None:
    events = told(learnt)
    page = (learnt / "history.html").read_text(encoding="utf-8")
    assert "falls: score" in page and "rests: identity" in page and "src l1" not in page
    assert "rests: plateau" in page and "falls: plateau" not in page
    finished = events[-1]
    assert isinstance(finished, Finished) and finished.summary["models"] == "falls, rests"
    assert (
        "plateaued since" in finished.summary["rests"]
        and "still learning" in finished.summary["falls"]
    )


def test_a_show_in_which_nothing_was_learnt_says_so(tmp_path: Path) -> None:
    Project(tmp_path, ProjectFile(src="a.mp4", dst="b.mp4")).save()
    with pytest.raises(BadProject, match="understudy train"):
        told(tmp_path)
    with pytest.raises(BadProject, match="no model 'ghost'"):
        told(tmp_path, "ghost")


def test_a_name_of_a_show_cannot_break_its_page(learnt: Path) -> None:
    hostile = learnt.with_name("<script>alert(1)")
    learnt.rename(hostile)
    told(hostile)
    page = (hostile / "history.html").read_text(encoding="utf-8")
    assert "<script" not in page and "History of &lt;script&gt;alert(1)" in page
