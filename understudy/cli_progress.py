"""Progress of stages: one line of a terminal, as wide as there is room, or lines of a log."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from understudy.printable import printable
from understudy.stages import events

# What a stage tells of its speed itself; the line shows it as the rate.
RATES = ("frames_per_second", "it/s")
# Seconds of the past by which a speed is told.
_SPAN = 60.0
_SHOWN_VALUES = 5
# Widths of the bar, in the order in which it gives way.
_BARS = (16, 12, 8)
_REFRESHES_PER_SECOND = 5


class StageProgress:
    """How far a stage is, how fast it goes, and what is worth showing of its last step."""

    def __init__(self, started: events.Started) -> None:
        self.name, self.unit = printable(started.stage), printable(started.unit)
        self.total, self.done, self._done_before = started.total, started.done, started.done
        self.values: list[str] = []
        self._told_rate = 0.0
        self._began = time.monotonic()
        self._steps: deque[tuple[float, int]] = deque()

    def advance(self, event: events.Progress) -> None:
        self.done, self.total = event.done, event.total
        self._told_rate = next((event.values[each] for each in RATES if each in event.values), 0.0)
        self.values = _values(event.values)
        now = time.monotonic()
        self._steps.append((now, event.done))
        while len(self._steps) > 2 and self._steps[0][0] < now - _SPAN:
            self._steps.popleft()

    @property
    def is_through(self) -> bool:
        return self.total is not None and self.done >= self.total

    @property
    def rate(self) -> float:
        """Steps a second; 0 = not known."""
        if self._told_rate or len(self._steps) < 2:
            return self._told_rate
        (then, before), (now, done) = self._steps[0], self._steps[-1]
        return (done - before) / (now - then) if now > then else 0.0

    def seconds(self) -> float:
        """How long it has taken."""
        return time.monotonic() - self._began

    def seconds_left(self) -> float | None:
        """How much longer it will take; None = not known."""
        if self.total is None or self.is_through or not self.rate:
            return None
        return (self.total - self.done) / self.rate

    def count(self) -> str:
        """How many steps are through, and of how many; "" before the first of nobody knows."""
        if self.total is not None:
            return f"{self.done} of {many(self.total, self.unit)}"
        return many(self.done, self.unit) if self.done else ""

    def line(self) -> str:
        """The line of a log."""
        left = self.seconds_left()
        parts = [
            f"{self.name}: {self.count()}" if self.count() else self.name,
            _rate(self.rate),
            "" if left is None else f"{_clock(left)} left",
            "  ".join(self.values),
        ]
        return ", ".join(part for part in parts if part)

    def closing_line(self) -> str:
        """What stays on the screen of a stage that is through."""
        steps = self.done - self._done_before
        rate = _rate(steps / self.seconds()) if self._steps and self.seconds() else ""
        count = f"{self.name}: {many(self.done, self.unit)}"
        return ", ".join(filter(None, (count, _clock(self.seconds()), rate)))


class ProgressLine:
    """The stage that is at work, on the last line of a terminal; never more than that line.

    What is least useful gives way to a narrow terminal: values, a part of the bar, the time taken,
    the rate, the whole bar, the time left. A stage that is through leaves a line.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stages: dict[str, StageProgress] = {}
        self._live = Live(
            self,
            console=console,
            refresh_per_second=_REFRESHES_PER_SECOND,
            transient=True,
        )

    def start(self, event: events.Started) -> None:
        # Back at the end where it was begun before: a stage may stand in another.
        self._stages.pop(event.stage, None)
        self._stages[event.stage] = StageProgress(event)
        if not self._live.is_started:
            self._live.start()

    def advance(self, event: events.Progress) -> None:
        if event.stage not in self._stages:
            self.start(events.Started(stage=event.stage, total=event.total, unit=""))
        stage = self._stages[event.stage]
        stage.advance(event)
        if stage.is_through:
            del self._stages[event.stage]
            self._leave(stage.closing_line())
        else:
            # The one that was heard of last is at work.
            self._stages[event.stage] = self._stages.pop(event.stage)

    def finish(self, stage: str) -> None:
        self._stages.pop(stage, None)

    def stop(self) -> None:
        # rich ends even what never started with an empty line.
        if self._live.is_started:
            if self._stages and (stage := list(self._stages.values())[-1]).done:
                self._leave(stage.line())
            self._stages.clear()
            self._live.stop()

    def _leave(self, text: str) -> None:
        """A line that stays above."""
        self._console.print(Text(text, "dim"), soft_wrap=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self._stages:
            # A terminal that is full to its last column begins a new line at the next character.
            stage = list(self._stages.values())[-1]
            yield from _fitting(stage, options.max_width - 1, options.ascii_only)


def _fitting(stage: StageProgress, room: int, is_ascii: bool) -> RenderResult:
    """The parts of a line that has so many columns."""
    for parts, bar in _lines(stage):
        widths = [cell_len(text) for text, _ in parts if text]
        if sum(widths) + len(widths) - 1 + (bar + 1 if bar else 0) <= room:
            break
    else:
        parts, bar = [(_cut(stage.name, room, is_ascii), "")], 0
    for place, (text, style) in enumerate(part for part in parts if part[0]):
        if place == 1 and bar:
            yield Text(" ", end="")
            yield _bar(stage, bar, is_ascii)
        yield Text(f"{' ' if place else ''}{text}", style, end="", no_wrap=True)


def _bar(stage: StageProgress, width: int, is_ascii: bool) -> Text:
    """A bar that can be read without colours, too."""
    through, rest = "#-" if is_ascii else "━─"
    filled = width * stage.done // (stage.total or 1)
    bar = Text(through * filled, "bar.complete", end="")
    return bar.append(rest * (width - filled), "bar.back")


def _lines(stage: StageProgress) -> Iterator[tuple[list[tuple[str, str]], int]]:
    """The texts of a line with their styles, and the width of the bar: less and less of them."""
    name, count, rate = (stage.name, ""), (stage.count(), ""), (_rate(stage.rate), "dim")
    taken, left = _clock(stage.seconds()), stage.seconds_left()
    remaining = ("" if left is None else f"{_clock(left)} left", "cyan")
    times = (f"{taken}, {remaining[0]}" if remaining[0] else taken, "cyan")
    bars = _BARS if stage.total else (0,)
    for shown in range(len(stage.values), -1, -1):
        yield [name, count, rate, times, ("  ".join(stage.values[:shown]), "dim")], bars[0]
    for bar in bars:
        yield [name, count, rate, times], bar
    yield [name, count, rate, remaining], bars[-1]
    yield [name, count, remaining], bars[-1]
    yield [name, count, remaining], 0
    yield [name, count], 0
    if stage.total:
        yield [name, (f"{100 * stage.done // stage.total} %", "")], 0


def _cut(text: str, room: int, is_ascii: bool) -> str:
    """The beginning of a text, with a mark where it was cut."""
    mark = "..." if is_ascii else "…"
    if cell_len(text) <= room:
        return text
    return set_cell_size(text, max(room - len(mark), 0)) + mark[: max(room, 0)]


def _values(values: Mapping[str, float]) -> list[str]:
    named = [f"{printable(name)} {value:.4g}" for name, value in values.items()]
    kept = [text for name, text in zip(values, named, strict=True) if name not in RATES]
    return kept[:_SHOWN_VALUES]


def _rate(speed: float) -> str:
    if not speed:
        return ""
    return f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def many(count: int, unit: str) -> str:
    """So many of a unit: "1 frame", "2 frames"."""
    return f"{count} {unit}" if count == 1 or not unit else f"{count} {unit}s"
