"""What fuzz tests share: damaged bytes, odd texts and trees, and what may come out of a reader.

A fuzz test takes its number of tries from `rounds`: seconds in CI, minutes where the environment
says `UNDERSTUDY_FUZZ=100`. What it tries follows from a seed, so a failure comes again.
"""

from __future__ import annotations

import functools
import os
import random
from collections.abc import Callable, Iterator

from understudy import cli_app
from understudy.errors import UnderstudyError

MOST_CHARACTERS = 500

# Texts that break what takes a name or a value for granted: escapes of a terminal, text that turns
# around, half characters (what a file name that is no text becomes), markup, patterns, protocols.
ODD_TEXTS = (
    "",
    " ",
    "\x00",
    "\n\nAll is well.\n",
    "\r",
    "\t",
    "\x1b[2J\x1b[31mred",
    "\x1b]0;title\x07",
    "\x9b31m",
    "\x7f",
    "\u202egpj.exe",
    "\u2066a\u2069",
    "\u200b\ufeff",
    "\u2028\u2029",
    "\ud800",
    "clip\udcff.mp4",
    "\U0010ffff",
    "é" * 200,
    "a" * 6000,
    "名" * 300,
    "[red]x[/red]",
    "[/]",
    "[link=file:///]x[/link]",
    "<script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "{{ 7 * 7 }}",
    "%s%n%d",
    "%05d.png",
    "{0}{x}",
    "$HOME",
    "~",
    ".",
    "..",
    "../..",
    "/",
    "-",
    "--",
    "-x",
    "--help=1",
    "@file",
    "a:b",
    "file:x.mp4",
    "concat:a|b",
    "http://127.0.0.1:9/x.mp4",
    "CON",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "9" * 5000,
    "-1",
    "0",
    "0x10",
    "1_000",
    "٣",
    "true",
    "null",
    "[]",
    "[" * 2000,
    '{"a":' * 2000,
    "1,2,3",
    "1:2:3",
    ",",
    "=",
    "a=b",
    "7-3",
    "50%",
)

_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF)


def rounds(count: int) -> int:
    """How often to try: `count` times the factor `UNDERSTUDY_FUZZ`, at least once."""
    return max(1, round(count * float(os.environ.get("UNDERSTUDY_FUZZ", "1"))))


def mutations(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """`data` damaged in `count` ways: one to four edits each, of every kind that is below."""
    rng = random.Random(seed)
    for _ in range(count):
        damaged = bytearray(data)
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            rng.choice(_EDITS)(damaged, rng)
        yield bytes(damaged)


def json_trees(count: int, seed: int) -> Iterator[object]:
    """Trees as JSON may hold them, with odd keys, odd texts, and numbers at every edge."""
    rng = random.Random(seed)
    for _ in range(count):
        yield _tree(rng, rng.randrange(5))


@functools.cache
def parser() -> object:
    """The parser of the command line, built once: a test of many lines puts it into `cli`."""
    return cli_app.build_app()


def is_message_fine(text: str) -> bool:
    """Whether a person can be shown this: some text, printable, on one line, and bounded."""
    return 0 < len(text) <= MOST_CHARACTERS and text.isprintable()


def assert_tree_only(action: Callable[[], object]) -> UnderstudyError | None:
    """Run it: what it raises, if anything, is of our tree, with a message fit to be shown."""
    try:
        action()
    except UnderstudyError as error:
        assert is_message_fine(str(error)), ascii(str(error))[:2000]
        return error
    return None


def _flip_bit(data: bytearray, rng: random.Random) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set_byte(data: bytearray, rng: random.Random) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.choice((*_EXTREMES, rng.randrange(256)))


def _truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _zero_run(data: bytearray, rng: random.Random) -> None:
    start, end = _run(data, rng)
    data[start:end] = bytes([rng.choice((0, 0, 0xFF))]) * (end - start)


def _insert_run(data: bytearray, rng: random.Random) -> None:
    start, _ = _run(data, rng)
    data[start:start] = rng.randbytes(rng.choice((1, 2, 8, 64)))


def _delete_run(data: bytearray, rng: random.Random) -> None:
    start, end = _run(data, rng)
    del data[start:end]


def _duplicate_run(data: bytearray, rng: random.Random) -> None:
    start, end = _run(data, rng)
    data[end:end] = data[start:end]


def _change_number(data: bytearray, rng: random.Random) -> None:
    """A field of 1, 2, 4 or 8 bytes, as lengths and counts are: an extreme, or off by a little."""
    width = rng.choice((1, 2, 4, 8))
    if len(data) < width:
        return
    order = rng.choice(("little", "big"))
    start = rng.randrange(len(data) - width + 1)
    now = int.from_bytes(data[start : start + width], order)
    top = 1 << (8 * width)
    value = rng.choice((0, 1, top - 1, top >> 1, (top >> 1) - 1, now + 1, now - 1, now * 2))
    data[start : start + width] = (value % top).to_bytes(width, order)


_EDITS = (
    _flip_bit,
    _set_byte,
    _truncate,
    _zero_run,
    _insert_run,
    _delete_run,
    _duplicate_run,
    _change_number,
)


def _run(data: bytearray, rng: random.Random) -> tuple[int, int]:
    """Where a run begins and ends: mostly short, so that much of the file stays as it was."""
    start = rng.randrange(len(data) + 1)
    length = rng.choice((1, 4, 16, 200, rng.randrange(len(data) + 1)))
    return start, min(start + length, len(data))


def _tree(rng: random.Random, depth: int) -> object:
    if depth and rng.random() < 0.4:
        return [_tree(rng, depth - 1) for _ in range(rng.randrange(4))]
    if depth and rng.random() < 0.6:
        return {rng.choice(ODD_TEXTS): _tree(rng, depth - 1) for _ in range(rng.randrange(4))}
    return rng.choice(
        (
            None,
            True,
            False,
            0,
            -1,
            2**31,
            2**63,
            -(2**64),
            10**400,
            0.0,
            -0.5,
            1e308,
            float("nan"),
            float("inf"),
            [],
            {},
            rng.choice(ODD_TEXTS),
        )
    )
