"""A job is data: a verb, its arguments and its options, from Python, the CLI or a file."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, validate_call

from understudy.errors import BadData, BadOption
from understudy.io import data_files
from understudy.options import Options, check_texts, readable
from understudy.printable import quoted
from understudy.stages.events import Stage

Verb = Callable[..., Stage]
Decorated = TypeVar("Decorated", bound=Verb)

_VERBS: dict[str, Verb] = {}
# Modules of this package that hold verbs, in the order in which --help lists them.
_MODULES = (
    "new",
    "clips",
    "extract.command",
    "curate.faces",
    "curate.sort",
    "curate.coverage",
    "curate.choice",
    "curate.renaming",
    "curate.undo",
    "curate.recrop",
    "curate.convert",
    "curate.edited_elsewhere",
    "curate.face_pictures",
    "exchange.import_faces",
    "exchange.export_faces",
    "curate.pack",
    "train.command",
    "saved_models.command",
    "saved_models.import_dfl",
    "saved_models.restore",
    "history",
    "merge.command",
    "export.command",
    "swap",
    "measure",
    "footage",
    "verify",
    "doctor",
    "models",
    "demo",
)


def verb(function: Decorated) -> Decorated:
    """File a stage under its own name as a command.

    Its parameters before `options` are the command's arguments; `options` is an `Options` whose
    fields are its flags. The docstring's first paragraph is the command's help.
    """
    _VERBS[function.__name__] = function
    return function


def verbs() -> dict[str, Verb]:
    """Every command by name, in the order of `_MODULES`, whichever was loaded first."""
    places = {f"understudy.stages.{name}": place for place, name in enumerate(_MODULES)}
    for module in places:
        importlib.import_module(module)
    known = sorted(_VERBS.items(), key=lambda each: places.get(each[1].__module__, len(places)))
    return dict(known)


def command_words(name: str) -> str:
    """What a user types for a verb: `faces_save_metadata` is `faces save-metadata`."""
    above, _, below = name.partition("_")
    return f"{above} {below.replace('_', '-')}".strip()


def options_of(function: Verb) -> type[Options]:
    """The `Options` class that a verb takes."""
    hint = inspect.signature(function, eval_str=True).parameters["options"].annotation
    assert isinstance(hint, type) and issubclass(hint, Options)
    return hint


class Job(BaseModel):
    """One order for one verb; arguments and options are plain values, as in a job file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verb: str
    arguments: dict[str, Any] = {}
    options: dict[str, Any] = {}

    @classmethod
    def load(cls, path: Path) -> Job:
        """The job in a JSON file. Raises BadOption when it is missing or not a job."""
        try:
            return cls.model_validate(data_files.read_json(path))
        except BadData as error:
            raise BadOption(
                f"{path}: job file: {error.reason}. Give the path of a JSON file."
            ) from None
        except ValidationError as error:
            raise BadOption(readable(error, str(path))) from None


def run(job: Job) -> Stage:
    """Run a job and yield its events; orders that are sent in reach the stage.

    Raises:
        BadOption: There is no such verb, or an option is wrong.
    """
    known = verbs()
    if job.verb not in known:
        raise BadOption(
            f"job: there is no command '{job.verb}'. Choose one of: {', '.join(known)}."
        )
    function = known[job.verb]
    check_texts(job.arguments, job.verb)
    takes = [name for name in inspect.signature(function).parameters if name != "options"]
    if unknown := sorted(set(job.arguments) - set(takes)):
        raise BadOption(
            f"{job.verb}: there is no argument {quoted(unknown[0])}. It takes: {', '.join(takes)};"
            " options have a place of their own."
        )
    options = options_of(function).layered(job.options, where=job.verb)
    try:
        stage: Stage = validate_call(function)(**job.arguments, options=options)
    except ValidationError as error:
        raise BadOption(readable(error, job.verb)) from None
    yield from stage


def call(name: str) -> Verb:
    """A command as a Python function: `call("swap")("a.mp4", "b.mp4", "c.mp4", minutes=5)`.

    It yields the command's events. Its arguments are those of the command. Options go in by name,
    nested ones as dicts, or all together as `options=`.
    """
    function = verbs()[name]
    arguments = inspect.Signature(
        [one for one in inspect.signature(function).parameters.values() if one.name != "options"]
    )

    def command(*args: Any, options: Options | None = None, **named: Any) -> Stage:
        given = {key: named.pop(key) for key in list(named) if key in arguments.parameters}
        layers = {} if options is None else options.set_values()
        return run(
            Job(
                verb=name,
                arguments=dict(arguments.bind(*args, **given).arguments),
                options={**layers, **named},
            )
        )

    command.__name__, command.__doc__ = name, function.__doc__
    return command
