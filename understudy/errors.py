"""Everything that can go wrong, as one tree. Every message says what, where, and what to do now.

UnderstudyError          exit code 1
├── BadOption            2   an option has no such name or value
├── BadMedia             3   a video, picture or folder cannot be read, or holds nothing
├── BadProject           4   the show's folder or project file does not fit the order
│   ├── Busy             5   another run holds it
│   └── BadData          4   a file of JSON or TOML, or a table, does not hold what it should
├── NoFaces              6   footage or faceset without a usable face
├── WeightsMissing       7   a weight file is neither here nor to be had
├── CannotWrite          8   the disk is full, or the place is read-only
├── CannotRead           13  a file is there, but may not be read, or its disk fails
├── Diverged             9   training broke down again and again
├── DegeneratePoints     1   landmarks from which no alignment follows
├── MissingExtra         10  an optional package is not installed
├── WorkerLost           11  a worker process died again and again over the same work,
│                            or a rank of a process group is gone
└── DeviceLost           12  the device on which a model learnt no longer answers
"""

from __future__ import annotations

from understudy.printable import as_message, printable, shortened

# What goes into another message, in characters.
_REASON = 300


class UnderstudyError(Exception):
    """The root: a message, made fit to be shown. `exit_code` is what the command line returns."""

    exit_code = 1

    def __init__(self, text: str) -> None:
        super().__init__(as_message(text))


class BadOption(UnderstudyError):
    """An option has no such name or value."""

    exit_code = 2


class BadMedia(UnderstudyError):
    """A video, picture or folder cannot be read, or holds nothing."""

    exit_code = 3


class BadProject(UnderstudyError):
    """The show's folder or project file does not fit the order."""

    exit_code = 4


class Busy(BadProject):
    """Another run holds the show or the model."""

    exit_code = 5


class BadData(BadProject):
    """A file of JSON or TOML, or a table, does not hold what it should.

    reason: why, without the name of the file: who asked for it says what that means there.
    """

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.reason = shortened(printable(reason or text), _REASON)


class NoFaces(UnderstudyError):
    """Footage or a faceset has no usable face."""

    exit_code = 6


class WeightsMissing(UnderstudyError):
    """A weight file is neither here nor to be had."""

    exit_code = 7


class CannotWrite(UnderstudyError):
    """The disk is full, or the place is read-only."""

    exit_code = 8


class CannotRead(UnderstudyError):
    """A file is there, but not for this user, or its disk fails: nothing is known of it.

    No BadData: what is damaged may be made anew, and what cannot be read is left as it is.
    """

    exit_code = 13


class Diverged(UnderstudyError):
    """Training broke down again and again."""

    exit_code = 9


class DegeneratePoints(UnderstudyError):
    """No alignment follows from these landmarks."""

    exit_code = 1


class MissingExtra(UnderstudyError):
    """An optional package is not installed."""

    exit_code = 10


class WorkerLost(UnderstudyError):
    """A worker died again and again over the same work, or a rank is gone."""

    exit_code = 11


class DeviceLost(UnderstudyError):
    """The device on which a model learnt no longer answers."""

    exit_code = 12


# Not errors of ours, but part of the same table: a run that finished with listed failures, and a
# run the user stopped.
EXIT_FAILED_FRAMES = 20
EXIT_INTERRUPTED = 130
