"""A terminal to run commands in, and its screen to read: what a user would see, row by row."""

from __future__ import annotations

import contextlib
import os
import re
import select
import struct
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from rich.cells import get_character_cell_size


class Screen:
    """What is written to a terminal, as rows; what runs over the last column goes on in the next.

    overruns: how often that happened.
    """

    def __init__(self, columns: int) -> None:
        self.columns, self.rows, self.overruns = columns, [[""]], 0
        self._row = self._column = 0

    def text(self) -> list[str]:
        return ["".join(row).rstrip() for row in self.rows]

    def feed(self, text: str) -> None:
        for escape, char in re.findall(r"(\x1b\[[?0-9;]*[A-Za-z])|(.)", text, re.DOTALL):
            if escape:
                self._obey(escape[-1], re.sub(r"\D", "", escape))
            elif char == "\r":
                self._column = 0
            elif char == "\n":
                self._down()
            else:
                self._write(char)

    def _obey(self, what: str, number: str) -> None:
        if what == "A":
            self._row = max(0, self._row - int(number or 1))
        elif what == "K":
            row = self.rows[self._row]
            del row[0 if number == "2" else self._column :]
        else:
            assert what in "hlm", f"a screen that is read here cannot do {what}"

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self.rows):
            self.rows.append([])

    def _write(self, char: str) -> None:
        width = get_character_cell_size(char)
        if self._column + width > self.columns:
            self.overruns += 1
            self._down()
            self._column = 0
        row = self.rows[self._row]
        row.extend(" " * (self._column + width - len(row)))
        row[self._column : self._column + width] = [char, *[""] * (width - 1)]
        self._column += width


def run_in_terminal(
    words: Sequence[str],
    columns: int,
    settings: Mapping[str, str] | None = None,
    look: Callable[[Screen, float], int | None] = lambda screen, seconds: None,
) -> tuple[int, Screen]:
    """The exit code of a program in a terminal of so many columns, and the screen it leaves.

    look: called after each piece of output; a number that it returns is the new width.
    """
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()

    def resize(columns: int) -> None:
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    resize(columns)
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    child = subprocess.Popen(
        words,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment | {"TERM": "xterm"} | dict(settings or {}),
    )
    os.close(theirs)
    screen, began, rest = Screen(columns), time.monotonic(), b""
    with contextlib.suppress(OSError):  # that is how a terminal ends
        while True:
            ready, _, _ = select.select([ours], [], [], 60)
            assert ready, "nothing is told for a minute"
            rest += os.read(ours, 65536)
            whole = rest.decode("utf-8", "ignore")
            # An escape sequence, or a character, may not have come whole.
            cut = whole.rfind("\x1b") if re.search(r"\x1b\[?[?0-9;]*$", whole) else len(whole)
            screen.feed(whole[:cut])
            rest = rest[len(whole[:cut].encode()) :]
            width = look(screen, time.monotonic() - began)
            if width is not None:
                screen.columns = width
                resize(width)
    os.close(ours)
    return child.wait(), screen
