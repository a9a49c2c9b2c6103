"""The command line: a verb is a command, its options are flags, its events lines, bars or JSON."""

from __future__ import annotations

import contextlib
import difflib
import errno
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from cyclopts.exceptions import (
    CycloptsError,
    MissingArgumentError,
    UnknownOptionError,
    UnusedCliTokensError,
)
from pydantic import ValidationError

from understudy.cli_app import GlobalFlags, ParsedCommand, build_app
from understudy.cli_called import as_called
from understudy.cli_crash import report_crash
from understudy.cli_help import HelpRequest, print_help
from understudy.cli_orders import Orders
from understudy.cli_view import JsonView, ScreenView, View, write_any_text
from understudy.errors import (
    EXIT_FAILED_FRAMES,
    EXIT_INTERRUPTED,
    BadOption,
    BadProject,
    MissingExtra,
    UnderstudyError,
)
from understudy.io import processes
from understudy.io.atomic import explain_os_errors, is_there
from understudy.io.installation import install_missing
from understudy.options import check_texts, readable
from understudy.printable import printable, quoted
from understudy.stages import jobs
from understudy.stages.events import Event, FailedFrame
from understudy.stages.jobs import Job

# Commands that are taken for each other: what to say where a line of one is not understood.
_OTHERS = {
    "models": "The models that you trained: understudy trained SHOW. ",
    "trained": "The weights that others trained: understudy models. ",
}


def main(tokens: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code: docs/exit-codes.md.

    tokens: without the program's name; None = those of this process.
    """
    # Threads that spin while they wait steal the cores from the readers and writers, and those that
    # sleep at once wake too late for the next operation: they spin for a tenth of a millisecond.
    # Must be set before torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    words = list(sys.argv[1:] if tokens is None else tokens)
    write_any_text()
    view = _view(GlobalFlags.from_tokens(words))
    try:
        try:
            with explain_os_errors(), contextlib.closing(view):
                check_texts({"the folder": _here()}, "understudy")
                command = parse(words)
                return 0 if command is None else _run(command, view)
        except BrokenPipeError:
            raise
        except Exception as error:
            return _tell(view, *_explain(error, words))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our lines has gone (`| head`): nobody is left to tell.
        _silence()
        return 1


def parse(tokens: Sequence[str]) -> ParsedCommand | None:
    """Parse a command line; None after --help and --version, which are shown at once.

    Raises BadOption for a line that is not understood.
    """
    app = build_app()
    asked = HelpRequest.from_tokens(tokens, app)
    if asked is not None:
        verb = jobs.verbs().get("_".join(asked.words).replace("-", "_"))
        print_help(asked, app, None if verb is None else jobs.options_of(verb))
        return None
    try:
        command: ParsedCommand | None = app.meta(
            _joined(tokens), exit_on_error=False, print_error=False
        )
    except CycloptsError as error:
        raise BadOption(_explanation(error)) from None
    except RecursionError:
        # A value that begins with a bracket is read as JSON.
        raise BadOption(
            "understudy: a value in this line has brackets within brackets without end. See --help"
            " for what it may be."
        ) from None
    return command


def _joined(tokens: Sequence[str]) -> list[str]:
    """The words of a line, those that begin with a negative number as values of the flag before.

    `--at "-30: erode=4"` means the frames up to 30: no flag begins with a digit.
    """
    words: list[str] = []
    for word in tokens:
        flag = words[-1] if words else ""
        if re.match(r"-\d", word) and flag.startswith("--") and "=" not in flag:
            words[-1] = f"{flag}={word}"
        else:
            words.append(word)
    return words


def _run(command: ParsedCommand, view: View) -> int:
    """Run the job, show its events, and return its exit code."""
    if command.flags.config is not None:
        check_texts({"config": command.flags.config}, "understudy")
        if not is_there(command.flags.config):
            raise BadOption(
                f"{command.flags.config}: there is no such options file. Mend --config, or leave"
                " it out."
            )
        os.environ["UNDERSTUDY_CONFIG"] = str(command.flags.config)
    failed = False
    view.begin(command.job)
    stage = jobs.run(command.job)
    with (
        Orders(from_stdin=command.flags.orders, say=view.say) as orders,
        contextlib.closing(stage),
    ):
        with contextlib.suppress(StopIteration):
            event = next(stage)
            while True:
                _show(event, view, orders)
                failed = failed or isinstance(event, FailedFrame)
                event = stage.send(orders.after(event))
        if orders.stopped:
            # torchrun would take any code for a rank that fell out.
            return EXIT_INTERRUPTED if processes.torchrun_ranks()[1] == 1 else 0
    return EXIT_FAILED_FRAMES if failed else 0


def _show(event: Event, view: View, orders: Orders) -> None:
    """Show an event. Where nobody reads any more, what there is shall be saved all the same."""
    try:
        view.show(event)
    except OSError as error:
        # The reader of a pipe has gone, or the terminal.
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise
        _silence()
        orders.readers_gone()


def _silence() -> None:
    """From now on all that is told goes nowhere; Python must not try again at exit, either."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and (stream is sys.stdout or stream.isatty()):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _here() -> Path:
    """The folder that we run in. Raises BadProject where it is gone."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise BadProject(
            "understudy: the folder that it was started in is gone. Change to another one, and run"
            " the same command again."
        ) from None


def _view(flags: GlobalFlags) -> View:
    view: View = JsonView() if flags.json else ScreenView(quiet=flags.quiet)
    # The first process of a team tells what all of them do.
    return _ErrorView(view) if processes.torchrun_ranks()[0] else view


def _explain(error: Exception, tokens: Sequence[str]) -> tuple[str, str, int]:
    """What ended the run, in words, by its kind, and as an exit code."""
    if isinstance(error, UnderstudyError):
        return str(error), type(error).__name__, error.exit_code
    if isinstance(error, MemoryError):
        text = (
            "understudy: the memory is used up. Close other programs, or ask for less at once"
            " (--workers, --batch), and run the same command again."
        )
        return text, UnderstudyError.__name__, UnderstudyError.exit_code
    if isinstance(error, ModuleNotFoundError):
        # Without a package not even `doctor` can start, so the advice has to come from here.
        if error.name is not None and not error.name.startswith("understudy"):
            text = (
                f"understudy: the package '{error.name}' is not installed. Run:"
                f" {install_missing()}."
            )
            return text, MissingExtra.__name__, MissingExtra.exit_code
    return report_crash(error, tokens), "Crash", UnderstudyError.exit_code


def _tell(view: View, text: str, kind: str, exit_code: int) -> int:
    """Tell what ended the run; on standard error where the view cannot (a full disk, a mistake)."""
    try:
        view.error(text, kind, exit_code)
    except BrokenPipeError:
        raise
    except Exception:
        with contextlib.suppress(OSError):
            if sys.stderr is not None:
                sys.stderr.write(f"{printable(as_called(text))}\n")
    return exit_code


class _ErrorView:
    """Of another view only what ended the run."""

    def __init__(self, view: View) -> None:
        self._view = view

    def begin(self, job: Job) -> None:
        pass

    def show(self, event: Event) -> None:
        pass

    def say(self, text: str) -> None:
        pass

    def error(self, text: str, kind: str, exit_code: int) -> None:
        self._view.error(text, kind, exit_code)

    def close(self) -> None:
        self._view.close()


def _explanation(error: CycloptsError) -> str:
    """What is wrong with the command line, where, and what now."""
    where = " ".join(("understudy", *(error.command_chain or ())))
    if isinstance(error.__cause__, ValidationError):
        return readable(error.__cause__, where)
    hint = _OTHERS.get(where.partition(" ")[2], "")
    return f"{where}: {_fault(error)} {hint}See `{where} --help`."


def _close_options(name: str, options: Sequence[str]) -> str:
    """The options that were meant, perhaps, as `--merge.erode` by `--erode`; "" = none is alike."""
    lasts = dict[str, list[str]]()
    for each in sorted(options, key=lambda option: option.count(".")):
        lasts.setdefault(each if "." in name else each.rpartition(".")[2].lstrip("-"), []).append(
            each
        )
    found = difflib.get_close_matches(name if "." in name else name.lstrip("-"), lasts, 1)
    return " or ".join(lasts[found[0]][:3]) if found else ""


def _fault(error: CycloptsError) -> str:
    """What is wrong with the command line, as a sentence."""
    if isinstance(error, UnusedCliTokensError):
        return f"too many words, from {quoted((error.unused_tokens or [''])[0])} on."
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        name = error.argument.name
        is_flag = error.argument.index is None
        values = "a value" if (count := error.argument.token_count()[0]) < 2 else f"{count} values"
        return f"{name} needs {values}." if is_flag else f"{name.lstrip('-').upper()} is missing."
    if isinstance(error, UnknownOptionError):
        name = error.token.keyword or error.token.value
        close = _close_options(
            name, [name for each in error.argument_collection for name in each.names]
        )
        hint = f" Did you mean {close}?" if close else ""
        return f"there is no option {name}.{hint}"
    with contextlib.suppress(AttributeError):
        error.verbose = False
    text = " ".join(str(error).split())
    return text if text.endswith((".", "?")) else f"{text}."
