"""Options, declared once beside what they steer: flags, files and forms all come from there."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from understudy.errors import BadOption
from understudy.printable import printable, quoted, shortened

# What has to be made again when an option changes. "nothing", in a part: not even what the part is
# for.
Affects = Literal["detect", "crop", "render", "nothing"]
# So many of the problems of one set of options are told.
_TOLD = 3
# With what a problem's place ends where a value may be of several kinds.
_KINDS = ("int", "float", "str", "bool")
# How our checker says what a value should be, and how people do.
_WORDS = {
    "Input should be a valid integer": "must be a whole number",
    "Input should be a valid ": "must be a ",
    "Input should be": "must be",
}


class Options(BaseModel):
    """A frozen set of options.

    Unknown names are refused. Defaults are checked like any other value. None means "not set".
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _read_former_values(cls, values: Any) -> Any:
        """Read what once stood for "not set" as None, and so the word none where no text fits."""
        if not isinstance(values, Mapping):
            return values
        values, former = _spelled(cls, values), _former_values(cls)
        return {
            name: _mean(value, former[name]) if name in former else value
            for name, value in values.items()
        }

    @classmethod
    def layered(cls, *layers: Mapping[str, Any], where: str = "options") -> Self:
        """Return the options with later layers winning over earlier ones.

        Layers are nested dicts that name only what they set. Raises BadOption naming the option,
        the value and what is allowed.
        """
        merged: dict[str, Any] = {}
        for layer in layers:
            merged = _overlaid(merged, _spelled(cls, layer))
        check_texts(merged, where)
        try:
            return cls.model_validate(merged)
        except ValidationError as error:
            raise BadOption(readable(error, where, cls)) from None

    def set_values(self) -> dict[str, Any]:
        """Only what was set explicitly, as a nested dict of plain values: a layer for `layered`."""
        return self.model_dump(mode="json", exclude_unset=True)

    def changed_in(self, other: Options) -> list[str]:
        """Dotted names of the options whose values differ between the two."""
        return _differences(self.model_dump(mode="json"), other.model_dump(mode="json"))

    def affecting(self, what: Affects) -> dict[str, Any]:
        """The options that affect `what`, as plain values by dotted name.

        The options of a part affect what the field that holds the part does, if they say nothing.
        """
        return dict(_affecting(self, what, None, ""))

    def deviating(self, what: Affects) -> dict[str, Any]:
        """Of these options only those that differ from their defaults.

        So an option that is added later, at its default, changes nothing in it.
        """
        defaults = type(self)().affecting(what)
        return {
            name: value
            for name, value in self.affecting(what).items()
            if name not in defaults or defaults[name] != value
        }

    def as_flags(self, base: Options) -> list[tuple[str, str]]:
        """The flags that make these options of `base`: name and value, "" where it is a switch.

        An option that takes several values comes once for each. What no flag can say is left out:
        an option that is not set here, but in `base`.
        """
        return [
            flag
            for name in type(self).model_fields
            for flag in _flags(name, getattr(self, name), getattr(base, name))
        ]

    @classmethod
    def live_names(cls) -> set[str]:
        """Dotted names of the options that may change while a run goes on."""
        names: set[str] = set()
        for name, info in cls.model_fields.items():
            if inner := _options_in(info):
                names |= {f"{name}.{each}" for each in inner.live_names()}
            elif notes_of(info).live:
                names.add(name)
        return names


@dataclass(frozen=True, slots=True)
class OptionGroup:
    """Options that belong together: --help lists them in one line, and shows them by the name."""

    name: str
    about: str


@dataclass(frozen=True, slots=True)
class Notes:
    """What is known of an option beside what pydantic keeps.

    former: old values, and what each means now. usual, group: as `option` takes them.
    """

    unit: str = ""
    live: bool = False
    affects: Affects | None = None
    former: tuple[tuple[Any, Any], ...] = ()
    usual: bool | tuple[str, ...] = False
    group: OptionGroup | None = None

    def __call__(self, schema: dict[str, Any]) -> None:
        """Add to the JSON schema of the option what a form can use."""
        schema |= {
            "unit": self.unit,
            "live": self.live,
            "affects": self.affects,
            "usual": self.usual is True,
            "group": self.group.name if self.group else "",
        }


def option(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    live: bool = False,
    affects: Affects | None = None,
    formerly: Any = None,
    usual: bool | tuple[str, ...] = False,
    group: OptionGroup | None = None,
) -> Any:
    """Declare one option.

    Args:
        default: Its value where nothing is set; None = not set.
        help: What it does, without the full stop.
        low: Least value, inclusive.
        high: Greatest value, inclusive.
        unit: Unit of the value.
        live: Whether it may change while a run goes on.
        affects: What has to be made again when it changes. None: nothing, or, in a part, what the
            field that holds the part says.
        formerly: A value that once stood for None and is still read as None; or a dict of old
            values and what each means now.
        usual: Whether --help shows it first; of a set of options, the dotted names within it that
            stand among the usual ones of the whole command, too.
        group: Under which name --help lists it where it is not shown first; None = among the
            other ones, or, for a set of options, under its own name.
    """
    former = formerly if isinstance(formerly, dict) else {formerly: None}
    has_bounds = low is not None or high is not None
    bounds = f" [{_number(low)}..{_number(high)}]" if has_bounds else ""
    measure = (
        f" {unit}" if has_bounds and unit else f" ({unit})" if unit and unit not in help else ""
    )
    return Field(
        default=default,
        ge=low,
        le=high,
        description=f"{help}{bounds}{measure}.",
        json_schema_extra=Notes(
            unit, live, affects, () if formerly is None else tuple(former.items()), usual, group
        ),
    )


def check_texts(values: Mapping[str, Any], where: str) -> None:
    """Raise BadOption where a text or path in `values` is one that no file of ours can hold."""
    waiting = [(name, value) for name, value in values.items()]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(f"{name}.{inner}", each) for inner, each in value.items()]
        elif isinstance(value, list | tuple):
            waiting += [(name, each) for each in value]
        elif isinstance(value, str | Path) and (problem := _text_problem(value)):
            raise BadOption(f"{where}: {name} is {problem}")


def readable(error: ValidationError, where: str, of: type[Options] | None = None) -> str:
    """Return a validation error in our words: where, what came, what may, for the first few.

    of: the options that were asked for; then a name that is none is answered with one that is.
    """
    places: dict[tuple[int | str, ...], list[ErrorDetails]] = {}
    for problem in error.errors(include_url=False):
        places.setdefault(_place(problem), []).append(problem)
    told = []
    for place, problems in list(places.items())[:_TOLD]:
        name = shortened(".".join(map(str, place)) or "value", 60)
        if problems[0]["type"] == "extra_forbidden":
            close = _close_name(of, place)
            hint = f"Did you mean '{close}'? Else take it out" if close else "Take it out"
            told.append(
                f"{where}: there is no option '{name}'. {hint}, or see --help for the names."
            )
        else:
            why = ", or ".join(_in_our_words(each["msg"]) for each in problems)
            told.append(
                f"{where}: option '{name}' cannot be {quoted(problems[0]['input'])}:"
                f" {shortened(why, 300)}."
            )
    if len(places) > _TOLD:
        told.append(f"{len(places) - _TOLD} more do not fit.")
    return " ".join(told)


def _place(problem: ErrorDetails) -> tuple[int | str, ...]:
    """Where a problem is, without the kind of value that was tried there."""
    place = problem["loc"]
    is_kind = bool(place) and (place[-1] in _KINDS or not str(place[-1]).replace("_", "").isalnum())
    return place[:-1] if is_kind and problem["type"] != "extra_forbidden" else place


def _in_our_words(message: str) -> str:
    """Say what a value should be as a person would."""
    text = message.partition(", unable to parse")[0].removesuffix(".")
    for theirs, ours in _WORDS.items():
        text = text.replace(theirs, ours)
    return text


def _close_name(of: type[Options] | None, place: tuple[int | str, ...]) -> str:
    """The name that was meant, perhaps, where there is no option; "" = none is like it."""
    *above, name = map(str, place)
    for each in above:
        of = _options_in(of.model_fields.get(each)) if of else None
    found = difflib.get_close_matches(name.replace("-", "_"), of.model_fields if of else (), 1)
    return ".".join([*above, *found]) if found else ""


def _options_in(info: FieldInfo | None) -> type[Options] | None:
    """The class of options that a field holds, if it does."""
    kind = info.annotation if info else None
    return kind if isinstance(kind, type) and issubclass(kind, Options) else None


def _spelled(of: type[Options], values: Mapping[str, Any]) -> dict[str, Any]:
    """The same with the names that Python has for options whose own are words of the language.

    So `from` is `from_` in a file, a job and a dict as it is on the command line.
    """
    result: dict[str, Any] = {}
    for name, value in values.items():
        own = name if name in of.model_fields or f"{name}_" not in of.model_fields else f"{name}_"
        inner = _options_in(of.model_fields.get(own))
        result[own] = _spelled(inner, value) if inner and isinstance(value, Mapping) else value
    return result


def _text_problem(value: str | Path) -> str:
    """What is wrong with a text or name that goes into files, and what now; "" = nothing."""
    text = str(value)
    shown = shortened(printable(text), 200)
    # In any other session a name that was kept as text would be another one.
    is_local = isinstance(value, Path) and sys.getfilesystemencoding() != "utf-8"
    if is_local and not text.isascii():
        return (
            f"{shown}, which this session reads as {sys.getfilesystemencoding()}. Set PYTHONUTF8=1"
            " or LC_ALL=C.UTF-8, and run the same command again."
        )
    # Python reads bytes of a name that are no UTF-8 as halves of characters.
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        return (
            f"{shown}, which is no text in UTF-8. Give the file or folder another name, or a link"
            " to it, and name that."
        )
    return ""


def notes_of(info: FieldInfo) -> Notes:
    """What `option` noted of a field."""
    return info.json_schema_extra if isinstance(info.json_schema_extra, Notes) else Notes()


@cache
def _former_values(options: type[Options]) -> dict[str, tuple[tuple[Any, Any], ...]]:
    """The old values of each option that has some, with what they mean now."""
    found = {}
    for name, info in options.model_fields.items():
        kinds = get_args(info.annotation)
        # A file of TOML cannot say null, nor can a flag.
        word = (("none", None),) if NoneType in kinds and str not in kinds else ()
        if former := (*notes_of(info).former, *word):
            found[name] = former
    return found


def _mean(value: Any, former: tuple[tuple[Any, Any], ...]) -> Any:
    """What a value means that may be an old one. Flags give numbers as text."""
    for old, now in former:
        if isinstance(old, str) or isinstance(value, bool):
            is_old = value == old and type(value) is type(old)
        else:
            is_old = _as_number(value) == old
        if is_old:
            return now
    return value


def _as_number(value: Any) -> Any:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _affecting(
    options: Options, what: Affects, inherited: Affects | None, prefix: str
) -> Iterator[tuple[str, Any]]:
    plain = options.model_dump(mode="json")
    for name, info in type(options).model_fields.items():
        value, affects = getattr(options, name), notes_of(info).affects or inherited
        if isinstance(value, Options):
            yield from _affecting(value, what, affects, f"{prefix}{name}.")
        elif affects == what:
            yield f"{prefix}{name}", plain[name]


def _flags(path: str, value: Any, base: Any) -> Iterator[tuple[str, str]]:
    """The flags that make an option's value of another; `path` is its dotted name."""
    *parts, name = (part.rstrip("_").replace("_", "-") for part in path.split("."))
    if isinstance(value, Options):
        for inner in type(value).model_fields:
            yield from _flags(f"{path}.{inner}", getattr(value, inner), getattr(base, inner))
    elif value == base or value is None:
        return
    elif isinstance(value, bool):
        yield f"--{'.'.join([*parts, name if value else f'no-{name}'])}", ""
    else:
        for each in value if isinstance(value, tuple | list) else (value,):
            told = f"{each:g}" if isinstance(each, float) else str(each)
            yield f"--{'.'.join([*parts, name])}", told


def _overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for name, value in above.items():
        nested = isinstance(value, Mapping) and isinstance(result.get(name), Mapping)
        result[name] = _overlaid(result[name], value) if nested else value
    return result


def _differences(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> list[str]:
    names = []
    for name in sorted({*one, *other}):
        left, right = one.get(name), other.get(name)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            names += _differences(left, right, f"{prefix}{name}.")
        elif left != right:
            names.append(f"{prefix}{name}")
    return names


def _number(bound: float | None) -> str:
    return "" if bound is None else f"{bound:g}"
