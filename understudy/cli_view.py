"""How events reach the user: JSON lines for programs; a bar, lines and a table for people."""

from __future__ import annotations

import codecs
import io
import json
import math
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from rich.cells import cell_len
from rich.console import Console
from rich.containers import Lines
from rich.table import Table
from rich.text import Text

from understudy.cli_called import as_called
from understudy.cli_progress import ProgressLine, StageProgress, many
from understudy.printable import as_message, printable
from understudy.stages import events
from understudy.stages.events import Event
from understudy.stages.frame_ranges import describe_ranges, group_ranges
from understudy.stages.jobs import Job

# Without a screen (a log file, CI) progress becomes a line now and then.
SECONDS_BETWEEN_LINES = 15.0

# What stands for a character of ours where the encoding of a stream lacks it.
_PLAIN = {"…": "...", "×": "x", "–": "-", "’": "'"}


def write_any_text() -> None:
    """From now on standard output and error take any text, whatever their encoding is."""
    codecs.register_error("understudy", _stand_in)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="understudy")


def _stand_in(error: UnicodeError) -> tuple[str | bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    plain = _PLAIN.get(error.object[error.start])
    return (plain, error.start + 1) if plain else codecs.backslashreplace_errors(error)


class View(Protocol):
    """Where a command's events go."""

    def begin(self, job: Job) -> None:
        """A job is about to run."""

    def show(self, event: Event) -> None:
        """Tell one event."""

    def say(self, text: str) -> None:
        """Tell a remark of the shell's own."""

    def error(self, text: str, kind: str, exit_code: int) -> None:
        """Tell what ended the run."""

    def close(self) -> None:
        """Leave the screen in order."""


class JsonView:
    """One JSON object a line on standard output, in ASCII.

    The last one is `{"event": "error", …}` when the run failed.
    """

    def begin(self, job: Job) -> None:
        pass

    def show(self, event: Event) -> None:
        self._write(event.model_dump())

    def say(self, text: str) -> None:
        self.show(events.Note(text=text))

    def error(self, text: str, kind: str, exit_code: int) -> None:
        self._write({"event": "error", "kind": kind, "text": text, "exit_code": exit_code})

    def close(self) -> None:
        pass

    def _write(self, message: dict[str, object]) -> None:
        line = json.dumps(message, ensure_ascii=False, default=str, separators=(",", ":"))
        # None where it is closed.
        if sys.stdout is not None:
            sys.stdout.write(re.sub("[^\x00-\x7e]", _ascii, line) + "\n")
            sys.stdout.flush()


class ScreenView:
    """A bar with rate and time left, lines for notes, warnings and files, and a closing table.

    quiet: tell only what went wrong. Errors go to standard error, everything else to standard
    output.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = _Console(highlight=False)
        self._errors = _Console(stderr=True, highlight=False)
        # One that cannot move its cursor gets lines.
        has_bar = self._console.is_terminal and not self._console.is_dumb_terminal and not quiet
        self._bar = ProgressLine(self._console) if has_bar else None
        self._stages: dict[str, StageProgress] = {}
        self._told = time.monotonic()
        self._verb = ""

    def begin(self, job: Job) -> None:
        self._verb = job.verb

    def show(self, event: Event) -> None:
        match event:
            case events.Warned(text=text):
                self._line(f"Warning: {text}", "yellow", always=True)
            case events.FailedFrame(frame=frame, text=text):
                self._line(f"Frame {frame} failed: {text}", "red", always=True)
            case events.Note(text=text) | events.FaceGap(text=text):
                self._line(text)
            case events.Saved(what=what, path=path):
                self._line(f"{what}: {path}", "green")
            case events.FaceRow():
                self._line(_face_line(event))
            case events.Suspicious():
                where = f"{event.file} (frame {event.frame}, track {event.track})"
                self._line(
                    f"{where}: {event.reason}, {event.value:.3g}, bound {event.bound:g}", "yellow"
                )
            case events.Started():
                self._start(event)
            case events.Progress():
                self._advance(event)
            case events.Finished():
                self._finish(event)

    def say(self, text: str) -> None:
        self._line(text, "yellow", always=True)

    def error(self, text: str, kind: str, exit_code: int) -> None:
        self._stop()
        _print_line(self._errors, text, "bold red")

    def close(self) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _line(self, text: str, style: str = "", always: bool = False) -> None:
        if always or not self._quiet:
            _print_line(self._console, text, style)

    def _start(self, event: events.Started) -> None:
        if self._bar is not None:
            self._bar.start(event)
            return
        self._stages[event.stage] = StageProgress(event)
        total = None if event.total is None else many(event.total, event.unit)
        self._line(event.stage if total is None else f"{event.stage}: {total}")

    def _advance(self, event: events.Progress) -> None:
        if self._bar is not None:
            self._bar.advance(event)
            return
        if event.stage not in self._stages:
            self._start(events.Started(stage=event.stage, total=event.total, unit=""))
        self._stages[event.stage].advance(event)
        if time.monotonic() - self._told > SECONDS_BETWEEN_LINES:
            self._told = time.monotonic()
            self._line(self._stages[event.stage].line())

    def _finish(self, event: events.Finished) -> None:
        self._stages.pop(event.stage, None)
        if self._bar is not None:
            self._bar.finish(event.stage)
        if not event.summary or self._quiet:
            return
        summary = dict(event.summary)
        # Sentences, too long for a table.
        sentences = {name: summary.pop(name, None) for name in ("quality", "verdict")}
        # A stage may tell which side it works on: "extract src".
        if event.stage.partition(" ")[0] == self._verb:
            self._console.print(_table(event.stage, summary))
            for name, sentence in sentences.items():
                if sentence is not None:
                    self._line(f"{name}: {sentence}")
        else:
            self._line(f"{event.stage}: " + _plain(summary))


class _Console(Console):
    """A console that leaves to its caller what to do when nobody reads it any more."""

    def on_broken_pipe(self) -> None:
        """Called while the error is handled."""
        raise


def _print_line(console: Console, text: str, style: str) -> None:
    """Print a line, on a terminal broken between words.

    What no break saves, such as a long path, is left whole, so that it can be copied, and so is all
    that goes into a file or a pipe.
    """
    line = printable(as_called(text))
    widest = max(map(cell_len, line.split()), default=0)
    is_whole = not console.is_terminal or widest > console.width
    console.print(Text(line, style), soft_wrap=is_whole)


def _face_line(face: events.FaceRow) -> str:
    """One face on one line of fixed columns."""
    x0, y0, x1, y1 = face.box
    pitch, yaw, roll = (math.degrees(angle) for angle in face.pose)
    seconds = "" if face.pts is None else f"{face.pts:9.3f} s"
    who = f"track {face.track:<4d} person {face.person:<3d}"
    place = f"{x1 - x0:.0f}x{y1 - y0:.0f} at {x0:.0f},{y0:.0f}"
    turned = f"pitch {pitch:+4.0f} yaw {yaw:+4.0f} roll {roll:+4.0f}"
    return (
        f"{face.file}  {seconds}  {who} score {face.score:.2f}  {turned} "
        f" {place}{'  filled' if face.filled else ''}{'  by hand: ' if face.marked else ''}"
        f"{face.marked}"
    )


def _table(stage: str, summary: Mapping[str, Any]) -> Table:
    title = Text(printable(_spaced(stage)), "table.title")
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    paths = set[str]()
    for name, value in summary.items():
        if isinstance(value, str) and os.sep in value:
            # A result of a few frames is its version; programs find it under both names.
            if value in paths:
                continue
            paths.add(value)
        if isinstance(value, dict) and value:
            lines = [f"{_spaced(inner)}: {_plain(one, inner)}" for inner, one in value.items()]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            lines = [_plain(one) for one in value]
        else:
            lines = value.split("\n") if isinstance(value, str) and value else [_plain(value, name)]
        told = "\n".join(as_message(as_called(line)) for line in lines)
        table.add_row(Text(printable(_spaced(name))), _Cell(told))
    return table


class _Cell(Text):
    """A text whose paths are broken behind slashes, where they have to be."""

    def wrap(self, console: Console, width: int, **options: Any) -> Lines:
        words = (_broken(word, width) for word in self.plain.split(" "))
        return Text(" ".join(words)).wrap(console, width, **options)


def _broken(word: str, width: int) -> str:
    rows = [""]
    for part in re.findall(r"[^/\\]*[/\\]+|[^/\\]+", word):
        if rows[-1] and cell_len(rows[-1] + part) > width:
            rows.append("")
        rows[-1] += part
    return "\n".join(rows)


def _plain(value: object, name: str = "") -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        if "frames" in name and (ranges := _ranges(value)):
            is_one = len(ranges) == 1 and ranges[0][0] == ranges[0][1]
            return as_message(f"{'frame' if is_one else 'frames'} {describe_ranges(ranges)}")
        return ", ".join(_plain(one) for one in value) or "none"
    if isinstance(value, dict):
        return (
            ", ".join(f"{_spaced(key)} {_plain(one, key)}" for key, one in value.items()) or "none"
        )
    return "none" if value is None or value == "" else as_message(str(value))


def _ranges(frames: Sequence[object]) -> list[list[int]]:
    """[first, last] of every range, for frames that come so or each for itself; else nothing."""
    if all(type(each) is int for each in frames):
        return group_ranges(each for each in frames if isinstance(each, int))
    pairs = [
        list(each)
        for each in frames
        if isinstance(each, (list, tuple)) and [type(end) for end in each] == [int, int]
    ]
    return pairs if len(pairs) == len(frames) else []


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _ascii(match: re.Match[str]) -> str:
    """A character of a JSON text in ASCII. Half a character has no form that all programs read."""
    char = match[0]
    is_half = "\ud800" <= char <= "\udfff"
    return f"\\{printable(char)}" if is_half else json.dumps(char)[1:-1]
