"""The grammar of the command line, made from the verbs.

Parameters of a verb before `options` are arguments; the fields of its options are flags.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, get_args

from cyclopts import App, Parameter

from understudy.options import Options, check_texts
from understudy.registry import NameIn
from understudy.stages import jobs
from understudy.stages.jobs import Job, Verb

_ABOUT = """Put one person's face onto another person's performance in film footage, with consent.

A whole swap in one line: understudy swap --src A.mp4 --dst B.mp4 --out C.mp4.
Step by step: new, extract, train, merge.
"""
# Other names of commands.
ALIASES = {"weights": "models"}


@dataclass(frozen=True)
class GlobalFlags:
    """The flags that mean the same in every command."""

    json: bool = False
    quiet: bool = False
    orders: bool = False
    config: Path | None = None

    @classmethod
    def from_tokens(cls, tokens: Sequence[str]) -> GlobalFlags:
        """Guess before the line is parsed.

        So even a line that cannot be parsed gets its answer in the right form.
        """
        return cls(json="--json" in tokens, quiet="--quiet" in tokens)


@dataclass(frozen=True)
class ParsedCommand:
    """What a command line asks for."""

    job: Job
    flags: GlobalFlags


def build_app() -> App:
    """Build the parser of every command.

    `build_app().meta(tokens)` gives an `ParsedCommand`, or None after --help or --version.
    """
    app = App(
        name="understudy",
        help=_ABOUT,
        version=version("understudy"),
        result_action="return_value",
        # `cli_help` prints the pages.
        help_flags=(),
        default_parameter=Parameter(negative_iterable=(), show_choices=True),
    )
    for place, (name, verb) in enumerate(jobs.verbs().items()):
        # `faces_check` is the command `check` of `faces`.
        above, _, below = jobs.command_words(name).partition(" ")
        (app[above] if below else app).command(
            _command(verb),
            name=[below or above, *(alias for alias, of in ALIASES.items() if of == name)],
            sort_key=place,
            help=_first_paragraph(verb),
        )
    app.command(
        _run,
        name="run",
        sort_key=len(jobs.verbs()),
        help="Run a job from a JSON file: verb, arguments, options.",
    )
    _add_global_flags(app)
    return app


def _add_global_flags(app: App) -> None:
    """Let --json, --quiet, --config and --orders stand anywhere in the line."""

    def launch(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        json: Annotated[
            bool,
            Parameter(negative=(), help="Tell events as JSON lines on standard output."),
        ] = False,
        quiet: Annotated[bool, Parameter(negative=(), help="Tell only what went wrong.")] = False,
        config: Annotated[
            Path | None,
            Parameter(help="Your own defaults: a TOML file with a table for each command."),
        ] = None,
        orders: Annotated[
            bool,
            Parameter(
                negative=(),
                help="Take orders (stop, save, …) as JSON from standard input.",
            ),
        ] = False,
    ) -> ParsedCommand | None:
        job = app(tokens, exit_on_error=False, print_error=False)
        return None if job is None else ParsedCommand(job, GlobalFlags(json, quiet, orders, config))

    app.meta.result_action = "return_value"
    app.meta.default(launch)


def _run(job: Annotated[Path, Parameter(help="The job file.")]) -> Job:
    check_texts({"job": job}, "run")
    return Job.load(job)


def _command(verb: Verb) -> Callable[..., Job]:
    """Make a function for cyclopts that has the verb's parameters and returns the job."""
    parameters = []
    for parameter in _arguments(verb):
        note = Parameter(help=_argument_help(parameter, verb))
        parameters.append(parameter.replace(annotation=Annotated[parameter.annotation, note]))
    if jobs.options_of(verb).model_fields:
        options: Any = Annotated[jobs.options_of(verb), Parameter(name="*")]
        parameters.append(
            inspect.Parameter(
                "options", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=options
            )
        )
    signature = inspect.Signature(parameters)

    def command(*args: Any, **kwargs: Any) -> Job:
        given = dict(signature.bind(*args, **kwargs).arguments)
        options: Options | None = given.pop("options", None)
        return Job(
            verb=verb.__name__,
            arguments=given,
            options={} if options is None else options.set_values(),
        )

    command.__name__ = verb.__name__
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _arguments(verb: Verb) -> list[inspect.Parameter]:
    return [
        one
        for one in inspect.signature(verb, eval_str=True).parameters.values()
        if one.name != "options"
    ]


def _first_paragraph(verb: Verb) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join(inspect.cleandoc(verb.__doc__ or "").split("\n\n")[0].split())


def _argument_help(argument: inspect.Parameter, verb: Verb) -> str:
    """What a docstring says of an argument, and the names of the parts that it may be."""
    names = [each.help() for each in get_args(argument.annotation) if isinstance(each, NameIn)]
    return " ".join([_told_of(argument.name, verb), *names])


def _told_of(argument: str, verb: Verb) -> str:
    """Find what a docstring says behind `argument:`."""
    names = "|".join(one.name for one in _arguments(verb))
    for paragraph in inspect.cleandoc(verb.__doc__ or "").split("\n\n")[1:]:
        found = re.search(
            rf"\b{argument}: (.*?)(?=\s*\b(?:(?:{names}): |Raises )|$)", " ".join(paragraph.split())
        )
        if found:
            return found.group(1)[:1].upper() + found.group(1)[1:]
    # The one argument that means the same in every command.
    return "The folder of the show." if argument == "show" else ""
