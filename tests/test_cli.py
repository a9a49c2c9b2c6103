"""The command line: what a line means, what the user sees, which exit code comes back."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from understudy import cli
from understudy.cli_view import ScreenView
from understudy.errors import BadMedia
from understudy.options import Options, option
from understudy.stages import jobs
from understudy.stages.events import (
    Change,
    FailedFrame,
    Finished,
    Note,
    Progress,
    Save,
    Saved,
    Stage,
    Started,
    Stop,
    Warned,
)
from understudy.stages.jobs import Job
from understudy.stages.project import resolve_options


class Blur(Options):
    amount: int = option(3, "How much", low=0, high=9, unit="pixels")


class PaintOptions(Options):
    minutes: float = option(8.0, "How long", low=0.1, high=600, unit="minutes", live=True)
    keep: bool = option(True, "Keep what there is")
    fail: str = option("", "How to go wrong")
    blur: Blur = option(Blur(), "Blur")


def paint(src: Path, dst: Path, out: Path, options: PaintOptions) -> Stage:
    """Paint src
    over dst. With care.

    src: who is used. dst: who is replaced.
    out: where it goes.
    """
    chosen = resolve_options("paint", options)
    if chosen.fail == "media":
        raise BadMedia(f"{src}: no frames. Give footage with at least one.")
    if chosen.fail == "crash":
        raise RuntimeError("wheel came off")
    if chosen.fail == "disk":
        raise OSError(28, "No space left on device")
    yield Started(stage="paint", total=2, unit="frame")
    yield Note(text=f"{src} {dst} {out}")
    yield Progress(stage="paint", done=1, total=2, values={"loss": 0.25})
    if chosen.fail == "frame":
        yield FailedFrame(frame=7, text="no face")
    yield Warned(text="the light changes")
    yield Progress(stage="paint", done=2, total=2)
    yield Saved(what="result", path=out)
    yield Finished(stage="paint", summary=chosen.model_dump(mode="json") | {"frames": 2})


class WaitOptions(Options):
    steps: int = option(3, "Steps")


ORDERS: list[object] = []


def heed(show: Path, options: WaitOptions, side: Literal["src", "dst"] | None = None) -> Stage:
    """Tell which orders come."""
    yield Started(stage="heed", total=options.steps)
    for step in range(options.steps):
        if show.name == "interrupted" and step == 1:
            os.kill(os.getpid(), signal.SIGINT)
        if show.name == "aborted" and step >= 1:
            os.kill(os.getpid(), signal.SIGINT)
        if show.name.startswith("SIG") and step == 1:
            for _ in range(2):
                os.kill(os.getpid(), signal.Signals[show.name])
        # An order that comes while a note is read would be lost; the shell must not rely on it.
        yield Note(text=f"{side} {step}")
        order = yield Progress(stage="heed", done=step + 1)
        if order is not None:
            ORDERS.append(order)
        if isinstance(order, Stop):
            break
    yield Finished(stage="heed", summary={"steps": step + 1})


@pytest.fixture(autouse=True)
def verbs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_VERBS", {"paint": paint, "heed": heed})
    monkeypatch.setattr(jobs, "_MODULES", ())
    ORDERS.clear()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_becomes_a_job_with_only_what_was_said() -> None:
    ordered = cli.parse(["paint", "a", "b", "--out", "c", "--blur.amount", "4", "--no-keep"])
    assert ordered is not None
    assert ordered.job.verb == "paint"
    assert ordered.job.arguments == {"src": Path("a"), "dst": Path("b"), "out": Path("c")}
    assert ordered.job.options == {"blur": {"amount": 4}, "keep": False}


def test_arguments_may_all_be_flags() -> None:
    ordered = cli.parse(["paint", "--dst", "b", "--src", "a", "--out", "c"])
    assert ordered is not None and ordered.job.arguments == {
        "src": Path("a"),
        "dst": Path("b"),
        "out": Path("c"),
    }


def test_an_argument_with_a_default_may_be_left_out() -> None:
    without, with_side = cli.parse(["heed", "x"]), cli.parse(["heed", "x", "dst"])
    assert without is not None and without.job.arguments == {"show": Path("x")}
    assert with_side is not None and with_side.job.arguments == {"show": Path("x"), "side": "dst"}


def test_a_run_shows_notes_files_and_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["paint", "a", "b", "c"]) == 0
    told = capsys.readouterr()
    for piece in (
        "paint: 2 frames",
        "a b c",
        "Warning: the light changes",
        "result: c",
        "minutes",
        "8",
    ):
        assert piece in told.out
    assert told.err == ""


def test_json_tells_every_event_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["paint", "--json", "a", "b", "c"]) == 0
    assert [line["event"] for line in lines(capsys)] == [
        "started",
        "note",
        "progress",
        "warned",
        "progress",
        "saved",
        "finished",
    ]


def test_quiet_tells_only_what_went_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["paint", "a", "b", "c", "--quiet"])
    assert capsys.readouterr().out == "Warning: the light changes\n"


def test_a_failed_frame_makes_the_exit_code_non_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["paint", "a", "b", "c", "--fail", "frame"]) == 20
    assert "Frame 7 failed: no face" in capsys.readouterr().out


def test_an_error_is_one_line_on_standard_error_and_its_own_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["paint", "a", "b", "c", "--fail", "media"]) == BadMedia.exit_code
    told = capsys.readouterr()
    assert told.err == "a: no frames. Give footage with at least one.\n" and told.out == ""


def test_from_a_clone_commands_are_told_as_they_are_typed_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CALLED_AS", "python3 run.py")
    line = ["paint", "understudy heed", "/clips/understudy heed", "understudy heeds.mp4"]
    assert cli.main(line) == 0
    told = capsys.readouterr().out
    assert "python3 run.py heed /clips/understudy heed understudy heeds.mp4\n" in told
    assert cli.main(["paint", "a"]) == 2
    assert capsys.readouterr().err == (
        "python3 run.py paint: DST is missing. See `python3 run.py paint --help`.\n"
    )
    # A program has its own way to call us.
    assert cli.main([*line, "--json"]) == 0 and "run.py" not in capsys.readouterr().out


def test_an_error_in_json_is_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--json", "paint", "a", "b", "c", "--fail", "media"]) == 3
    text = "a: no frames. Give footage with at least one."
    assert lines(capsys) == [{"event": "error", "kind": "BadMedia", "text": text, "exit_code": 3}]


@pytest.mark.parametrize(
    ("line", "pieces"),
    [
        (["paint", "a"], ["understudy paint: DST is missing. See"]),
        (["paint", "a", "b", "c", "--minutes"], [": --minutes needs a value. See"]),
        (["paint", "a", "b", "c", "--minutes", "0"], ["'minutes'", "0.1"]),
        (["paint", "a", "b", "c", "--minuts", "1"], ["--minuts", "mean --minutes? See"]),
        (["paint", "a", "b", "c", "--blur.amount", "ten"], ["'ten': must be a whole number"]),
        (["paint", "a", "b", "c", "--amount", "1"], ["no option --amount", "mean --blur.amount?"]),
        (["paint", "a", "b", "c", "d", "e"], ["too many words, from 'd' on. See"]),
        (["pant"], ["pant", "paint", "understudy --help"]),
        (["run", "missing.json"], ["missing.json", "not readable"]),
        (["paint", "a", "b", "c", "--config", "none.toml"], ["none.toml", "no such options file"]),
    ],
)
def test_a_line_that_is_not_understood_says_what_where_what_now(
    line: list[str], pieces: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(line) == 2
    told = capsys.readouterr()
    assert told.out == ""
    for piece in pieces:
        assert piece in told.err
    assert "pydantic" not in told.err and "Traceback" not in told.err
    assert cli.main([*line, "--json"]) == 2
    assert lines(capsys)[-1]["event"] == "error"


def test_a_crash_leaves_a_report_and_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert cli.main(["paint", "a", "b", "c", "--fail", "crash"]) == 1
    told = capsys.readouterr().err
    (report,) = tmp_path.iterdir()
    assert str(report) in told and "wheel came off" in told and told.count("\n") == 1
    assert "Traceback" in report.read_text(encoding="utf-8")


def test_a_full_disk_is_said_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["paint", "a", "b", "c", "--fail", "disk"]) == 8
    assert "disk is full" in capsys.readouterr().err


def test_config_file_gives_defaults_that_flags_override(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    own = tmp_path / "mine.toml"
    own.write_text("[paint]\nminutes = 5\nblur = {amount = 9}\n", encoding="utf-8")
    cli.main(["paint", "a", "b", "c", "--json", "--config", str(own), "--blur.amount", "1"])
    summary = lines(capsys)[-1]["summary"]
    assert (
        isinstance(summary, dict) and summary["minutes"] == 5 and summary["blur"] == {"amount": 1}
    )


def test_a_job_file_runs_like_the_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    job = tmp_path / "job.json"
    job.write_text(
        json.dumps(
            {
                "verb": "paint",
                "arguments": {"src": "a", "dst": "b", "out": "c"},
                "options": {"minutes": 2},
            }
        )
    )
    assert cli.main(["run", str(job), "--json"]) == 0
    from_file = capsys.readouterr().out
    cli.main(["paint", "a", "b", "c", "--minutes", "2", "--json"])
    assert capsys.readouterr().out == from_file


def test_the_python_call_yields_the_same_events(capsys: pytest.CaptureFixture[str]) -> None:
    import understudy

    cli.main(["paint", "a", "b", "c", "--minutes", "2", "--blur.amount", "1", "--json"])
    called = understudy.paint("a", "b", out="c", minutes=2, blur={"amount": 1})
    assert [json.loads(event.model_dump_json()) for event in called] == lines(capsys)
    assert not hasattr(understudy, "pant")


def test_ctrl_c_stops_once_at_the_next_safe_place() -> None:
    assert cli.main(["heed", "interrupted", "--steps", "9"]) == 130
    assert ORDERS == [Stop()]


def test_ctrl_c_twice_breaks_off() -> None:
    assert cli.main(["heed", "aborted", "--steps", "9"]) == 130
    assert len(ORDERS) <= 1


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_that_comes_twice_at_once_counts_once(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # `timeout` sends SIGTERM to its child, and to the group that it is in; a terminal that is
    # closed is told by the shell and by the kernel.
    number = signal.Signals[name]
    before = signal.signal(number, signal.SIG_DFL)  # below nohup SIGHUP is ignored
    try:
        assert cli.main(["heed", name, "--steps", "9", "--json"]) == 130
    finally:
        signal.signal(number, before)
    assert ORDERS == [Stop()]
    told = lines(capsys)
    assert any(line["event"] == "finished" for line in told)
    assert sum("Stopping" in str(line.get("text")) for line in told) == 1


WORK = """
import os, signal, sys, time
from pathlib import Path
from understudy import cli
from understudy.options import Options
from understudy.stages import jobs
from understudy.stages.events import Finished, Note, Progress, Started, Stop

class WorkOptions(Options):
    pass

def work(end: float, options: WorkOptions):
    yield Started(stage="work", total=None)
    begun, was_told = time.monotonic(), "no"
    while time.monotonic() < begun + end:
        yield Note(text="é " * 9)
        if isinstance((yield Progress(stage="work", done=1)), Stop):
            was_told = "stop"
            break
        time.sleep(0.01)
    Path("saved").write_text(was_told)
    yield Finished(stage="work", summary={"frames": [1]})

jobs._VERBS, jobs._MODULES = {"work": work}, ()
if "nohup" in sys.argv:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
else:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
sys.exit(cli.main(["work", *sys.argv[2:]]))
"""


@pytest.mark.skipif(os.name == "nt", reason="pipes and terminals of POSIX")
@pytest.mark.parametrize("form", ["lines", "--json"])
@pytest.mark.parametrize("way", ["pipe", "terminal", "nohup"])
def test_a_run_saves_when_nobody_reads_it_any_more(way: str, form: str, tmp_path: Path) -> None:
    import pty

    end = "0.5" if way == "nohup" else "30"
    words = [sys.executable, "-c", WORK, way, end, *([form] if form == "--json" else [])]
    ours, theirs = pty.openpty() if way == "terminal" else os.pipe()
    child = subprocess.Popen(
        words,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    os.close(theirs)
    assert os.read(ours, 1)
    os.close(ours)
    told = child.communicate(timeout=30)[1]
    code = 0 if way == "nohup" else 130
    assert (child.returncode, told) == (code, b"")
    assert (tmp_path / "saved").read_text() == ("no" if way == "nohup" else "stop")


def test_a_table_breaks_paths_behind_slashes_and_shows_each_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    path = os.sep.join(
        ["", "films", "a show of two", "merged-versions", "0012", "result-of-it.mp4"]
    )
    facts = {"result": path, "version": path, "frames": 2, "made": 2}
    view = ScreenView()
    view.begin(Job(verb="merge"))
    view.show(Finished(stage="merge", summary=facts))
    told = capsys.readouterr().out
    rows = [row.strip("│ ").split("│")[-1].strip() for row in told.splitlines() if "│" in row]
    assert rows == ["/films/a show of", "two/merged-versions/0012/", "result-of-it.mp4", "2", "2"]
    assert "│ result │" in told and "│ version" not in told


@pytest.mark.parametrize(
    ("frames", "told"),
    [
        ([[13, 29]], "frames 13-29"),
        ([[4, 4]], "frame 4"),
        ([[1, 3], [7, 7]], "frames 1-3, 7"),
        ([5, 6, 7, 9], "frames 5-7, 9"),
        ([5], "frame 5"),
        ([], "none"),
        (12, "12"),
    ],
)
def test_frames_in_a_table_read_as_in_the_lines_before_it(
    frames: object, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("extract", "swap"):
        view = ScreenView()
        view.begin(Job(verb=verb))
        view.show(Finished(stage="extract src", summary={"failed_frames": frames, "b": 1}))
    cells = [line.split("│") for line in capsys.readouterr().out.splitlines()]
    assert ["failed frames", told] in [[each.strip() for each in row[1:3]] for row in cells]
    assert any(f"failed frames {told}, b 1" in row[0] for row in cells)


def test_orders_come_as_json_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    orders = (
        '{"order": "save"}\n{"order": "change", "options": {"steps": 4}}\nnonsense\n{"order":'
        ' "stop"}\n'
    )
    monkeypatch.setattr("sys.stdin", io.StringIO(orders))
    assert cli.main(["heed", "x", "--orders", "--json", "--steps", "200"]) == 130
    assert ORDERS == [Save(), Change(options={"steps": 4}), Stop()]
    assert any("nonsense" in str(line.get("text")) for line in lines(capsys))


def test_help_lists_the_commands_in_the_order_of_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    told = capsys.readouterr().out
    assert told.index("paint") < told.index("heed") < told.index("run")
    assert "Paint src over dst. With care." in " ".join(told.split())


def test_help_of_a_command_shows_arguments_options_and_bounds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["paint", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for piece in (
        "Who is used.",
        "Who is replaced.",
        "Where it goes.",
        "--blur.amount",
        "[0..9] pixels",
        "--no-keep",
    ):
        assert piece in told


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.strip()[0].isdigit()


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_screen_shows_a_bar_with_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    view = ScreenView()
    view.begin(jobs.Job(verb="paint"))
    view.show(Started(stage="paint", total=100, unit="frame"))
    for done in range(1, 21):
        view.show(
            Progress(stage="paint", done=done, total=100, values={"loss": 0.125, "it/s": 3.0})
        )
    view.close()
    told = screen.getvalue()
    assert "20 of 100 frames" in told and "loss 0.125" in told and " left" in told
    assert "it/s" not in told


def test_a_log_gets_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("understudy.cli_view.SECONDS_BETWEEN_LINES", 0.0)
    cli.main(["paint", "a", "b", "c"])
    assert "paint: 1 of 2 frames" in capsys.readouterr().out


def test_a_missing_package_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone() -> None:
        raise ModuleNotFoundError("No module named 'av'", name="av")

    monkeypatch.setattr(jobs, "verbs", gone)
    assert cli.main(["doctor"]) == 10
    told = capsys.readouterr().err
    assert "the package 'av' is not installed" in told and told.count("\n") == 1
