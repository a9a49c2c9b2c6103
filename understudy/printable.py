"""Text fit to be shown to people, whoever wrote it: printable, on one line, and not too long."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Sequence

# What a message has at most, in characters.
MESSAGE = 500
# Of a message that is cut its end keeps so much: there it says what to do now.
_END = 200
# How much of a value a message repeats.
_VALUE = 100
_CUT = " … "
# So many names of a list are told; the rest are counted.
_NAMED = 5
# So many sentences on files that have something wrong with them.
_SENTENCES = 3


def printable(text: str) -> str:
    r"""Return `text` with all that is not drawn, or turns what is around it, as an escape.

    A new line becomes \n, an escape of the terminal \x1b, and a byte of a file name that is no
    text stays a byte: \xff.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def as_message(text: str) -> str:
    """`text` printable and with at most `MESSAGE` characters, cut in its middle."""
    return shortened(printable(text), MESSAGE)


def shortened(text: str, most: int) -> str:
    """`text` with at most `most` characters, cut in its middle."""
    if len(text) <= most:
        return text
    end = min(_END, most // 2) - len(_CUT)
    return f"{text[: most - len(_CUT) - end]}{_CUT}{text[-end:]}"


def quoted(value: object) -> str:
    """A value as a message repeats it: as in Python, and short however large it is."""
    try:
        return shortened(printable(_SHORT.repr(value)), _VALUE)
    except ValueError:
        # Python writes no number of more than 4300 digits.
        return "a number of too many digits"


def name_some(names: Sequence[str]) -> str:
    """Return the names with commas between them; of many the first five, and how many more.

    Each is as short as a value that a message repeats.
    """
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(shortened(name, _VALUE) for name in names[:_NAMED]) + more


def name_alike(reasons: Iterable[tuple[str, str]]) -> str:
    """Name files by what is wrong with them: "a.jpg, b.jpg: cut short. c.jpg: empty."

    reasons: of each file its name and a sentence. Of many sentences the first are told.
    """
    names: dict[str, list[str]] = {}
    for name, reason in reasons:
        names.setdefault(reason, []).append(name)
    told = [f"{name_some(some)}: {reason}" for reason, some in names.items()]
    left = sum(len(some) for some in list(names.values())[_SENTENCES:])
    return " ".join(told[:_SENTENCES]) + (f" … and {left} more files like these." if left else "")


def pluralize(count: int, what: str) -> str:
    """A count with its noun: 1 face, 2 faces."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = _VALUE


def _escape(char: str) -> str:
    code = ord(char)
    # Python reads a byte that is no text as one of these.
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")
