"""What docs/python.md says of events and orders is so."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

import understudy
from understudy.io.model_files import history
from understudy.stages.events import Event
from understudy.stages.project import Project
from understudy.stages.train import loop

PAGE = Path(__file__).resolve().parents[2] / "docs" / "python.md"
SMALL = {
    "model": "tiny",
    "tiny": {"resolution": 64},
    "batch": 1,
    "device": "cpu",
    "precision": "fp32",
}


def section(heading: str) -> str:
    text = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.usefixtures("small_models")
def test_the_example_of_orders_ends_training_by_a_loss_that_is_told(
    make_show: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show = make_show(tmp_path / "my-show")
    project = Project.load(show)
    file = project.file.model_copy(update={"options": {"train": SMALL}})
    Project(show, file).save()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loop, "REPORT_SECONDS", 0)
    (code,) = re.findall(r"```python\n(.*?)```", section("Orders"), re.DOTALL)
    # Numbers alone are other than on the page: there it would take minutes to get so far.
    for page, here in (("10_000", "30"), ("1.0) < 0.05", "1e9) < 1e6")):
        assert page in code
        code = code.replace(page, here)
    exec(code, {"understudy": understudy})
    assert history.read(show / "models/tiny/history.jsonl")[-1]["iteration"] < 30


def test_the_table_has_every_event_with_every_field() -> None:
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (.*) \|$", section("Events"), re.MULTILINE))
    names = {kind.model_fields["event"].default: kind for kind in get_args(Event)}
    assert set(rows) == set(names)
    for name, kind in names.items():
        if name != "face":
            for field in kind.model_fields.keys() - {"event"}:
                assert f"`{field}`" in rows[name], f"{name}: {field}"
