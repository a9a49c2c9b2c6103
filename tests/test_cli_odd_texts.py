"""Whatever a name, a file or an error holds, the terminal and programs get clean lines."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from fuzzing import ODD_TEXTS, is_message_fine

from understudy import cli
from understudy.cli_view import JsonView, ScreenView, View
from understudy.errors import BadMedia
from understudy.options import Options, option
from understudy.stages import events, jobs
from understudy.stages.events import Change, Event, Note, Progress, Stage, Stop
from understudy.stages.jobs import Job

NOT_UTF8 = os.fsdecode(b"caf\xe9.mp4")
# What a terminal acts on, or cannot be written: none of it may come through.
ACTED_ON = "\x07\x9b\x00\x08\x7f\u202e\u2066\u2028\ud800\udcff"

ESCAPE = r"\x1b\[[0-9;?]*[A-Za-z]"


def short(odd: str) -> str:
    return ascii(odd[:16])


def odd_events(odd: str) -> list[Event]:
    """An event of every kind, with an odd text wherever one fits."""
    path = Path(odd.replace("\0", "") or "x")
    face: dict[str, Any] = {"box": (0, 0, 1, 1), "pose": (0, 0, 0), "face_type": "full"}
    place: dict[str, Any] = {"frame": 1, "track": 0, "person": 0, "file": odd}
    return [
        events.Started(stage=odd, total=3, unit=odd),
        events.Progress(stage=odd, done=1, total=3, values={odd: 0.5}),
        events.Note(text=odd),
        events.Warned(text=odd),
        events.FailedFrame(frame=7, text=odd),
        events.Saved(what=odd, path=path),
        events.FaceRow(pts=1.5, landmarks=(), raw=(), score=0.5, filled=False, **face, **place),
        events.Suspicious(reason="jump", value=1.0, bound=2.0, **place),
        events.FaceGap(
            kind=odd,
            faces=3,
            share=0.5,
            axis=odd,
            low=0.0,
            high=1.0,
            nearest=2.0,
            src_faces=0,
            frames=((3, 5),),
            text=odd,
        ),
        events.Measured(model=odd, iteration=3, values={odd: 0.25}, text=odd),
        events.Finished(stage="odd", summary={odd: odd, "a": {odd: [odd]}, "b": path}),
        events.Finished(stage=odd, summary={"text": odd}),
    ]


def told_by(make: Callable[[], View], odd: str) -> None:
    view = make()
    view.begin(Job(verb="odd"))
    for event in odd_events(odd):
        view.show(event)
    view.say(odd)
    view.error(odd, "BadMedia", 3)
    view.close()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def use_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "400")
    return screen


@pytest.mark.parametrize("odd", ODD_TEXTS, ids=short)
def test_a_screen_gets_printable_lines(odd: str, capsys: pytest.CaptureFixture[str]) -> None:
    told_by(ScreenView, odd)
    told = capsys.readouterr()
    assert all(line.isprintable() for line in (told.out + told.err).split("\n"))


@pytest.mark.parametrize("odd", ODD_TEXTS, ids=short)
def test_bars_on_a_terminal_pass_nothing_on_that_it_acts_on(
    odd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = use_terminal(monkeypatch)
    told_by(ScreenView, "plain")
    plain = terminal.getvalue()
    told_by(ScreenView, odd)
    told = terminal.getvalue().removeprefix(plain)
    # Colours and moves of the cursor are rich's own; names add none.
    own = {*re.findall(ESCAPE, plain), "\x1b[1A"}
    assert set(re.findall(ESCAPE, told)) <= own and told.count("\x1b") == len(
        re.findall(ESCAPE, told)
    )
    assert not set(told) & set(ACTED_ON), ascii(told)


def test_markup_in_names_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = use_terminal(monkeypatch)
    told_by(ScreenView, "[red]x[/red]")
    told_by(ScreenView, "[/]")
    assert "[red]x[/red]" in terminal.getvalue() and "[/]" in terminal.getvalue()


@pytest.mark.parametrize("odd", ODD_TEXTS, ids=short)
def test_programs_get_json_lines_that_any_reader_takes(
    odd: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told_by(JsonView, odd)
    told = capsys.readouterr().out
    assert told.isascii() and told.count("\n") == len(odd_events(odd)) + 2
    for line in told.splitlines():
        json.loads(line)
        if '"event":"error"' not in line:
            # A strict reader: it takes no half of a character.
            events.read_event.validate_json(line)


def test_json_lines_hold_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    view = JsonView()
    view.show(events.Saved(what="result", path=Path("/名/é \x1b😀")))
    view.show(events.Saved(what="result", path=Path("/") / NOT_UTF8))
    named, not_text = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert named["path"] == "/名/é \x1b😀" and not_text["path"] == r"/caf\xe9.mp4"


class OddOptions(Options):
    how: str = option("", "What to raise")


class NoText(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def odd(what: str, options: OddOptions) -> Stage:
    """Raise what is asked for."""
    yield Note(text=what)
    match options.how:
        case "deep":
            odd_depth(0)
        case "memory":
            raise MemoryError
        case "no-text":
            raise NoText
        case "media":
            raise BadMedia(f"{what}: cannot be read. Give another file.")
        case "crash":
            raise RuntimeError(what)
    for _ in range(200):
        order = yield Progress(stage="odd", done=1)
        if isinstance(order, Stop):
            return
        if isinstance(order, Change):
            yield Note(text=f"changed {order.options}")


def odd_depth(depth: int) -> int:
    return odd_depth(depth + 1) + 1


@pytest.fixture(autouse=True)
def verbs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(jobs, "_VERBS", {"odd": odd})
    monkeypatch.setattr(jobs, "_MODULES", ())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.mark.parametrize("odd", [each for each in ODD_TEXTS if each], ids=short)
@pytest.mark.parametrize("how", ["media", "crash"])
def test_an_error_about_an_odd_name_is_one_line(
    how: str, odd: str, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = {"media": 3, "crash": 1}
    # Named by a flag: a word that begins with a hyphen would be one.
    code = cli.main(["odd", f"--what=x{odd}", f"--how={how}"])
    told = capsys.readouterr().err
    assert code in (codes[how], 2) and is_message_fine(told.removesuffix("\n"))
    assert code != 2 or "no text in UTF-8" in told


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("deep", "RecursionError: maximum recursion depth exceeded"),
        ("no-text", "NoText: <exception str() failed>"),
        ("crash", r"RuntimeError: \x1b[2J"),
    ],
)
def test_any_crash_is_told_in_a_line_and_kept_in_a_file(
    how: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main(["odd", "\x1b[2J" + "x" * 6000, "--how", how]) == 1
    told = capsys.readouterr().err
    (report,) = tmp_path.iterdir()
    assert said in told and str(report) in told and is_message_fine(told.removesuffix("\n"))
    kept = report.read_text(encoding="utf-8")
    assert "Traceback" in kept and kept.startswith("understudy odd ")
    assert report.stat().st_mode & 0o777 == 0o600


def test_a_crash_report_repeats_a_name_that_is_no_text(tmp_path: Path) -> None:
    from understudy.cli_crash import report_crash

    error = ValueError(f"{NOT_UTF8} \ud800")
    assert r"caf\xe9.mp4 \ud800" in report_crash(error, ["odd", NOT_UTF8])
    (report,) = tmp_path.iterdir()
    assert r"understudy odd caf\udce9.mp4" in report.read_text(encoding="utf-8")


def test_a_crash_report_goes_into_a_new_file_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from understudy.cli_crash import report_crash

    names = iter(["same", "same", "other"])
    monkeypatch.setattr("tempfile._get_candidate_names", lambda: names)
    monkeypatch.setattr("time.strftime", lambda form: "now")
    theirs = tmp_path / "theirs"
    theirs.write_text("theirs")
    (tmp_path / f"understudy-crash-now-same-{os.getpid()}.txt").symlink_to(theirs)
    assert "other" in report_crash(ValueError("wheel came off"), [])
    assert theirs.read_text() == "theirs"


def test_a_crash_is_told_where_no_report_can_be_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    assert cli.main(["odd", "wheel came off", "--how", "crash"]) == 1
    told = capsys.readouterr().err
    assert "wheel came off, in test_cli_odd_texts.py, line" in told
    assert "No report could be written" in told and is_message_fine(told.removesuffix("\n"))


def test_memory_that_is_used_up_is_no_mistake_of_ours(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main(["odd", "x", "--how", "memory"]) == 1
    assert "memory is used up" in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.parametrize("method", ["begin", "show", "error", "close"])
def test_a_view_that_breaks_down_hides_no_message(
    method: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise ValueError("the screen fell over")

    monkeypatch.setattr(ScreenView, method, fail)
    code = cli.main(["odd", "a.mp4", "--how", "media"])
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and is_message_fine(told.removesuffix("\n"))
    if method == "error":
        assert code == 3 and told.startswith("a.mp4: cannot be read.")
    else:
        assert code == 1 and "the screen fell over" in told


@pytest.mark.parametrize(
    "value", ["a\0b", NOT_UTF8, "\ud800"], ids=["nul", "bytes", "half a character"]
)
@pytest.mark.parametrize("place", ["argument", "option", "config", "job"])
def test_a_name_that_no_file_of_ours_can_hold_is_refused(
    place: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = {
        "argument": ["odd", value],
        "option": ["odd", "x", "--how", value],
        "config": ["odd", "x", "--config", value],
        "job": ["run", value],
    }[place]
    assert cli.main(line) == 2
    told = capsys.readouterr().err
    assert "no text in UTF-8. Give the file or folder another name" in told
    assert is_message_fine(told.removesuffix("\n"))


@pytest.mark.parametrize("odd", [each for each in ODD_TEXTS if each.strip()], ids=short)
def test_an_odd_line_of_orders_is_told_and_no_more(
    odd: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = odd.encode("utf-8", "surrogatepass") * 20 + b'\n{"order": "stop"}\n'
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(sent), encoding="utf-8"))
    assert cli.main(["odd", "x", "--orders", "--json"]) in (0, 130)
    for line in capsys.readouterr().out.splitlines():
        told = json.loads(line)
        assert told["event"] != "note" or is_message_fine(told["text"])


def test_an_order_longer_than_any_is_skipped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = '{"order": "change", "options": {"a": "' + "x" * 10**6 + '"}}\n{"order": "stop"}\n'
    monkeypatch.setattr("sys.stdin", io.StringIO(sent))
    assert cli.main(["odd", "x", "--orders", "--json"]) == 130
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sum("is not an order" in each.get("text", "") for each in told) == 1


def run(words: Sequence[str | bytes], **settings: Any) -> subprocess.CompletedProcess[bytes]:
    command: list[str | bytes] = [sys.executable, "-m", "understudy", *words]
    return subprocess.run(command, capture_output=True, timeout=60, check=False, **settings)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_of_another_encoding_gets_what_it_can_show(
    encoding: str, tmp_path: Path
) -> None:
    settings = os.environ | {"PYTHONIOENCODING": encoding}
    done = run(["faces", "名é", "src"], env=settings, cwd=tmp_path)
    assert done.returncode == 4 and b"\\u540d" in done.stderr and b"Traceback" not in done.stderr


CONSOLES = {
    "Windows-1252": {"PYTHONIOENCODING": "cp1252:strict"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


@pytest.mark.parametrize("console", CONSOLES)
def test_a_console_that_is_not_utf_8_gets_help_and_errors(console: str, tmp_path: Path) -> None:
    settings = {"env": os.environ | CONSOLES[console], "cwd": tmp_path}
    helped = run(["merge", "--help", "--json"], **settings)
    assert (helped.returncode, helped.stderr) == (0, b"")
    assert "…".encode() not in helped.stdout and b"..." in helped.stdout
    refused = run(["frames", "名é.mp4", "out"], **settings)
    assert refused.returncode in (2, 3) and b"Traceback" not in refused.stderr
    if console == "C":
        assert b"this session reads as ascii. Set PYTHONUTF8=1" in refused.stderr
    else:
        assert b"\\u540d" in refused.stderr and b"no such file" in refused.stderr


BARS = """
import sys, time
from understudy.cli_view import ScreenView, write_any_text
from understudy.stages.events import Finished, Progress, Started
write_any_text()
view = ScreenView()
view.show(Started(stage="train", total=500, unit="iteration"))
for done in range(1, 40):
    values = {"src": 3.801, "dst": 4.557, "mask": 0.5682, "codes": 0.07454, "mouth": 0.129}
    view.show(Progress(stage="train", done=done, total=500, values=values))
    time.sleep(0.01)
view._told -= 99
view.show(Progress(stage="train", done=40, total=500, values={"src": 3.8}))
view.close()
"""


@pytest.mark.skipif(os.name == "nt", reason="terminals of POSIX")
@pytest.mark.parametrize("terminal", ["xterm", "dumb"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii:strict"])
def test_progress_is_one_line_of_a_terminal(terminal: str, encoding: str) -> None:
    import pty

    ours, theirs = pty.openpty()
    settings = {"TERM": terminal, "PYTHONIOENCODING": encoding, "COLUMNS": "80", "LINES": "24"}
    path = {"PYTHONPATH": str(Path(cli.__file__).parent.parent)}
    child = subprocess.Popen(
        [sys.executable, "-c", BARS],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | settings | path,
    )
    os.close(theirs)
    told = b""
    with contextlib.suppress(OSError):  # that is how a terminal ends
        while piece := os.read(ours, 65536):
            told += piece
    os.close(ours)
    assert child.wait() == 0 and b"Traceback" not in told
    lines = told.decode().splitlines()
    if terminal == "dumb":
        assert lines[0] == "train: 500 iterations"
        assert lines[-1].startswith("train: 40 of 500 iterations") and "src 3.8" in lines[-1]
    else:
        assert "of 500 iterations" in told.decode() and "src 3.8" in told.decode()
        assert b"\x1b[1A" not in told, "it took more than one line"
    assert told.isascii() or encoding == "utf-8"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("line", [["--help"], ["verify", "none.mp4", "--json"]])
def test_output_that_cannot_be_written_is_told(line: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "understudy", *line]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, check=False, timeout=60
        )
    told = done.stderr.decode()
    assert (done.returncode, told) in (
        (8, "output: the disk is full. Free some space and run the same command again.\n"),
        (3, "none.mp4: no such file. Check the name.\n"),
    )


def test_bytes_in_the_line_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / NOT_UTF8).write_bytes(b"")
    done = run([b"frames", b"caf\xe9.mp4", b"out"], cwd=tmp_path)
    assert done.returncode == 2 and rb"footage is caf\xe9.mp4, which is no text" in done.stderr


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    # The shell may stay in a folder that something else has removed.
    script = 'mkdir gone && cd gone && rmdir ../gone && exec "$0" -m understudy faces x src'
    settings = os.environ | {"PYTHONPATH": str(Path(cli.__file__).parent.parent)}
    done = subprocess.run(
        ["sh", "-c", script, sys.executable],
        cwd=tmp_path,
        env=settings,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 4 and b"started in is gone" in done.stderr
