"""Progress on a terminal: one line, however narrow it is and whatever stands in it."""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console
from terminal import Screen, run_in_terminal

from understudy import cli
from understudy.cli_progress import ProgressLine, StageProgress
from understudy.cli_view import ScreenView
from understudy.stages.events import Finished, Progress, Started
from understudy.stages.jobs import Job

NAMES = ["find src", "extract 名前がとても長いクリップの名前がとても長い", "x" * 90, "🎬 cut"]
VALUES = {"it/s": 2.5, "src": 3.801, "dst": 4.557, "mask": 0.5682, "codes": 0.07454, "mouth": 0.1}


def line(columns: int, name: str, ascii_only: bool = False, done: int = 1234) -> str:
    """The line of a stage that is under way."""
    out = io.StringIO()
    console = Console(file=out, width=columns, legacy_windows=False)
    bar = ProgressLine(console)
    bar._stages[name] = stage = StageProgress(Started(stage=name, total=98765, unit="iteration"))
    stage.advance(Progress(stage=name, done=done, total=98765, values=VALUES))
    options = console.options.copy()
    options.encoding = "ascii" if ascii_only else "utf-8"
    return "".join(segment.text for segment in console.render(bar, options) if not segment.control)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_line_fits_any_terminal(name: str, ascii_only: bool) -> None:
    for columns in (*range(1, 130), 200, 500):
        told = line(columns, name, ascii_only)
        assert "\n" not in told and cell_len(told) < max(columns, 2), columns
        assert not ascii_only or told.isascii() or not name.isascii()


@pytest.mark.parametrize(
    ("columns", "pieces"),
    [
        (60, ["find src ───", "1234 of 98765 iterations", "10:50:12 left"]),
        (75, ["find src ───", "1234 of 98765 iterations", "2.5/s", "left"]),
        (90, ["find src ───", "1234 of 98765 iterations", "2.5/s", "0:00, 10:50:12 left"]),
        (100, ["find src ───", "src 3.801"]),
        (140, ["find src ───", "src 3.801", "codes 0.07454"]),
    ],
)
def test_what_is_least_useful_gives_way_first(columns: int, pieces: list[str]) -> None:
    told = line(columns, "find src")
    assert all(piece in told for piece in pieces), told


def test_a_very_narrow_line_still_tells_how_far_it_is() -> None:
    assert "1 %" in line(20, "find src") and line(6, "find src") == "find…"


RUN = """
import sys, time
from understudy.cli_view import ScreenView, write_any_text
from understudy.stages.events import Finished, Note, Progress, Started
from understudy.stages.jobs import Job
write_any_text()
view = ScreenView()
view.begin(Job(verb="extract"))
view.show(Started(stage="extract src", total=None))
for name in ("find src", "cut 名前"):
    view.show(Started(stage=name, total=60))
    for done in range(1, 61):
        if done == 30:
            view.show(Note(text="a note " * 20))
        view.show(Progress(stage=name, done=done, total=60, values={"faces": 1.0, "jitter": 2.0}))
        time.sleep(0.02)
time.sleep(0.5)
view.show(Finished(stage="extract src", summary={"faces": 60}))
view.close()
"""
SETTINGS = {"PYTHONPATH": str(Path(cli.__file__).parent.parent)}
ON_POSIX = pytest.mark.skipif(os.name == "nt", reason="terminals of POSIX")


@ON_POSIX
@pytest.mark.parametrize("columns", [60, 120])
def test_one_line_moves_and_what_is_through_stays_above_it(columns: int) -> None:
    seen: list[list[str]] = []
    code, screen = run_in_terminal(
        [sys.executable, "-c", RUN],
        columns,
        SETTINGS,
        lambda screen, seconds: seen.append(screen.text()),
    )
    assert code == 0
    rows = screen.text()
    assert screen.overruns == 0
    assert sum(row.startswith(("find src", "extract src", "cut 名前")) for row in rows) == 3
    assert any(row.startswith("find src: 60 frames") for row in rows)
    moving = [rows[-1] for rows in seen]
    assert len({row for row in moving if re.match(r"find src .*of 60 frames", row)}) >= 3
    # While nothing of it is counted, the stage around tells that it lives.
    assert any(re.fullmatch(r"extract src \d:\d\d", row) for row in moving)
    assert not any("0 frames" in re.sub(r"\d0 frames", "", row) for row in moving)


def test_a_run_that_goes_on_is_as_fast_as_its_own_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("understudy.cli_progress.time.monotonic", lambda: now[0])
    stage = StageProgress(Started(stage="train", total=330, done=300, unit="iteration"))
    assert stage.count() == "300 of 330 iterations"
    now[0] = 10.0
    stage.advance(Progress(stage="train", done=330, total=330))
    assert stage.closing_line() == "train: 330 iterations, 0:10, 3.0/s"


@ON_POSIX
def test_a_terminal_that_is_made_narrower_gets_shorter_lines() -> None:
    widths = iter([(0.6, 60), (1.1, 100), (1.6, 45)])
    coming = [next(widths)]

    def look(screen: Screen, seconds: float) -> int | None:
        if not coming or seconds < coming[0][0] + started[0]:
            return None
        width = coming.pop()[1]
        coming.extend([each] if (each := next(widths, None)) else [])
        return width

    started = [0.0]

    def look_from_the_first_line(screen: Screen, seconds: float) -> int | None:
        if not started[0]:
            started[0] = seconds if any(screen.text()) else 0.0
            return None
        return look(screen, seconds)

    code, screen = run_in_terminal(
        [sys.executable, "-c", RUN.replace("a note ", "-")], 100, SETTINGS, look_from_the_first_line
    )
    assert code == 0 and screen.overruns == 0 and screen.columns == 45


def test_a_pipe_gets_lines_and_no_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("understudy.cli_view.SECONDS_BETWEEN_LINES", 0.0)
    view = ScreenView()
    view.begin(Job(verb="extract"))
    view.show(Started(stage="extract src", total=None))
    view.show(Started(stage="find src", total=3))
    view.show(Progress(stage="find src", done=1, total=3))
    view.show(Finished(stage="extract src", summary={}))
    view.close()
    told = capsys.readouterr().out
    assert told == "extract src\nfind src: 3 frames\nfind src: 1 of 3 frames\n"


def test_the_rate_is_that_of_the_last_minute_and_not_of_what_was_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("understudy.cli_progress.time.monotonic", lambda: now[0])
    stage = StageProgress(Started(stage="frames", total=1000))
    for second in range(1, 101):
        now[0] = second
        # 500 frames were there from an earlier run.
        stage.advance(Progress(stage="frames", done=500 + 2 * second, total=1000))
    assert stage.rate == pytest.approx(2) and stage.seconds_left() == pytest.approx(150)


SAY = """
from understudy.cli_view import ScreenView
from understudy.stages.events import Note, Warned
view = ScreenView()
view.show(Note(text="These sentences are longer than a narrow terminal. " * 3))
view.show(Warned(text="/a/path" * 20 + ": is whole."))
view.error("An error is broken between words, too. " * 3, "BadOption", 2)
"""


@ON_POSIX
@pytest.mark.parametrize("columns", [60, 80])
def test_lines_are_broken_between_words_and_paths_are_not(columns: int) -> None:
    code, screen = run_in_terminal([sys.executable, "-c", SAY], columns, SETTINGS)
    told = screen.text()
    words = " ".join(told).split()
    assert code == 0 and words.count("sentences") == 3 and words.count("between") == 3
    # The terminal breaks it, so that it is copied whole.
    assert screen.overruns == (len("Warning: " + "/a/path" * 20 + ": is whole.") - 1) // columns
