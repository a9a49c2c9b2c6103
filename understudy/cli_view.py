"""How events reach the user: JSON lines for programs; bars, lines and a table for people."""

from __future__ import annotations

import codecs
import io
import json
import math
import re
import sys
import time
from collections.abc import Sequence
from typing import Literal, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column, Table
from rich.text import Text

from understudy.printable import as_message, printable
from understudy.stages import events
from understudy.stages.events import Event
from understudy.stages.frame_ranges import describe_ranges, group_ranges
from understudy.stages.jobs import Job

# Without a screen (a log file, CI) progress becomes a line now and then.
SECONDS_BETWEEN_LINES = 15.0
SHOWN_VALUES = 5
# The bar tells the rate already.
RATES = {"frames_per_second", "it/s"}


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
    """Bars with rate and time left, lines for notes, warnings and files, and a closing table.

    quiet: tell only what went wrong. Errors go to standard error, everything else to standard
    output.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = _Console(highlight=False)
        self._errors = _Console(stderr=True, highlight=False)
        self._bars = Progress(
            TextColumn("{task.description}", markup=False, table_column=_whole()),
            BarColumn(bar_width=16, table_column=_whole()),
            _Count(table_column=_whole()),
            _Rate(table_column=_whole()),
            _Time(table_column=_whole()),
            _Values(is_ascii=self._console.options.ascii_only),
            console=self._console,
            speed_estimate_period=60,
        )
        # One that cannot move its cursor gets lines.
        self._has_bars = (
            self._console.is_terminal and not self._console.is_dumb_terminal and not quiet
        )
        self._tasks: dict[str, TaskID] = {}
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
            case events.Note(text=text):
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
        self._errors.print(Text(printable(text), "bold red"), soft_wrap=True)

    def close(self) -> None:
        self._stop()

    def _stop(self) -> None:
        # rich ends even bars that never started with an empty line.
        if self._bars.live.is_started:
            self._bars.stop()

    def _line(self, text: str, style: str = "", always: bool = False) -> None:
        if always or not self._quiet:
            self._console.print(Text(printable(text), style), soft_wrap=True)

    def _start(self, event: events.Started) -> None:
        stage, unit = printable(event.stage), printable(event.unit)
        task = self._bars.add_task(stage, total=event.total, unit=unit, values="")
        self._tasks[event.stage] = task
        if self._has_bars:
            self._bars.start()
        else:
            self._line(
                f"{event.stage}: {_many(event.total, event.unit)}"
                if event.total is not None
                else event.stage
            )

    def _advance(self, event: events.Progress) -> None:
        if event.stage not in self._tasks:
            self._start(events.Started(stage=event.stage, total=event.total, unit=""))
        task = self._tasks[event.stage]
        named = [f"{name} {value:.4g}" for name, value in event.values.items() if name not in RATES]
        values = printable("  ".join(named[:SHOWN_VALUES]))
        self._bars.update(task, completed=event.done, values=values, total=event.total)
        if not self._has_bars and time.monotonic() - self._told > SECONDS_BETWEEN_LINES:
            self._told = time.monotonic()
            self._line(_progress_line(self._bars.tasks[self._bars.task_ids.index(task)]))

    def _finish(self, event: events.Finished) -> None:
        task = self._tasks.pop(event.stage, None)
        if task is not None:
            self._bars.stop_task(task)
        if not event.summary or self._quiet:
            return
        # A stage may tell which side it works on: "extract src".
        if event.stage.partition(" ")[0] == self._verb:
            self._console.print(_table(event))
        else:
            self._line(f"{event.stage}: " + _plain(event.summary))


class _Console(Console):
    """A console that leaves to its caller what to do when nobody reads it any more."""

    def on_broken_pipe(self) -> None:
        """Called while the error is handled."""
        raise


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
        f" {place}{'  filled' if face.filled else ''}"
    )


class _Count(ProgressColumn):
    """How many steps are through, and of how many."""

    def render(self, task: Task) -> Text:
        return Text(_count(task))


def _whole() -> Column:
    """A column of one line that is never cut."""
    return Column(no_wrap=True)


class _Values(ProgressColumn):
    """What is worth showing of the last step, as far as the line has room."""

    def __init__(self, is_ascii: bool) -> None:
        super().__init__()
        self._overflow: Literal["crop", "ellipsis"] = "crop" if is_ascii else "ellipsis"

    def render(self, task: Task) -> Text:
        return Text(task.fields["values"], "dim", no_wrap=True, overflow=self._overflow)


class _Rate(ProgressColumn):
    """Steps a second, or seconds a step when they are slow."""

    def render(self, task: Task) -> Text:
        return Text(_rate(task), "dim")


class _Time(ProgressColumn):
    """How long it has taken, and how much longer it will."""

    def render(self, task: Task) -> Text:
        taken = task.finished_time if task.finished else task.elapsed
        left = (
            ""
            if task.finished or task.time_remaining is None
            else f", {_clock(task.time_remaining)} left"
        )
        return Text(f"{_clock(taken or 0)}{left}", "cyan")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _count(task: Task) -> str:
    unit = task.fields["unit"]
    if task.total is None:
        return _many(int(task.completed), unit)
    return f"{task.completed:.0f} of {_many(int(task.total), unit)}"


def _rate(task: Task) -> str:
    speed = task.finished_speed or task.speed
    if not speed:
        return ""
    return f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each"


def _progress_line(task: Task) -> str:
    left = "" if task.time_remaining is None else f"{_clock(task.time_remaining)} left"
    parts = [f"{task.description}: {_count(task)}", _rate(task), left, task.fields["values"]]
    return ", ".join(part for part in parts if part)


def _table(event: events.Finished) -> Table:
    title = Text(printable(_spaced(event.stage)), "table.title")
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in event.summary.items():
        if isinstance(value, dict) and value:
            lines = [f"{_spaced(inner)}: {_plain(one, inner)}" for inner, one in value.items()]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            lines = [_plain(one) for one in value]
        else:
            lines = value.split("\n") if isinstance(value, str) and value else [_plain(value, name)]
        told = "\n".join(as_message(line) for line in lines)
        table.add_row(Text(printable(_spaced(name))), Text(told))
    return table


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


def _many(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 or not unit else f"{count} {unit}s"
