"""Reports of crashes: what a mistake of ours left behind, in a file that can be sent to us."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence

from understudy.printable import printable, shortened

# Of what an error says the message repeats so much; the file has all of it.
_SAID = 200


def report_crash(error: Exception, tokens: Sequence[str]) -> str:
    """Write a report of `error` and say where it lies. It holds the command line and no pictures.

    Where none can be written the message says in which line of ours it happened.
    """
    said = shortened(printable(_last_line(error)), _SAID).removesuffix(".")
    try:
        path = _write(error, tokens)
    except (OSError, MemoryError) as trouble:
        why = shortened(printable(str(trouble)) or type(trouble).__name__, _SAID // 2)
        return (
            f"understudy: a mistake of ours: {said}, {_place(error)}. No report could be written:"
            f" {why}. Please report this line."
        )
    return (
        f"understudy: a mistake of ours: {said}. The whole story is in {path}: please report it"
        " with that file."
    )


def _write(error: Exception, tokens: Sequence[str]) -> str:
    """The path of a new file; nothing that is there is written to, nor what a link points at."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    handle, path = tempfile.mkstemp(f"-{os.getpid()}.txt", f"understudy-crash-{stamp}-")
    # A file name that is no text is repeated in the command line, and often in the error.
    with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"understudy {' '.join(tokens)}\nPython {sys.version}\n{sys.platform}\n\n")
        file.writelines(traceback.format_exception(error))
    return path


def _last_line(error: Exception) -> str:
    """Kind and text of an error; an error that cannot tell its text is told, too."""
    return "".join(traceback.format_exception_only(error)).strip()


def _place(error: Exception) -> str:
    """Where it happened: file and line."""
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    return "".join(f"in {os.path.basename(each.filename)}, line {each.lineno}" for each in frames)
