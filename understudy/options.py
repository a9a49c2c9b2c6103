"""Options, declared once beside what they steer; CLI flags, project file and web forms all come
from the declaration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from understudy.errors import BadOption


class Options(BaseModel):
    """A frozen set of options. Unknown names are refused; defaults are checked like any other
    value.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )

    @classmethod
    def layered(cls, *layers: Mapping[str, Any], where: str = "options") -> Self:
        """The options with later layers winning over earlier ones; layers are nested dicts that
        name only what they set.

        Raises BadOption naming the option, the value and what is allowed.
        """
        merged: dict[str, Any] = {}
        for layer in layers:
            merged = _overlaid(merged, layer)
        try:
            return cls.model_validate(merged)
        except ValidationError as error:
            raise BadOption(readable(error, where)) from None

    def set_values(self) -> dict[str, Any]:
        """Only what was set explicitly, as a nested dict of plain values: a layer for `layered`."""
        return self.model_dump(mode="json", exclude_unset=True)

    def changed_in(self, other: Options) -> list[str]:
        """Dotted names of the options whose values differ between the two."""
        return _differences(self.model_dump(mode="json"), other.model_dump(mode="json"))

    @classmethod
    def live_names(cls) -> set[str]:
        """Dotted names of the options that may change while a run goes on."""
        names: set[str] = set()
        for name, info in cls.model_fields.items():
            if isinstance(info.annotation, type) and issubclass(info.annotation, Options):
                names |= {f"{name}.{inner}" for inner in info.annotation.live_names()}
            elif isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get("live"):
                names.add(name)
        return names


def option(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    live: bool = False,
) -> Any:
    """One option: its default, what it does, its inclusive bounds, its unit; `live` = may change
    while a run goes on.
    """
    bounds = "" if low is None and high is None else f" [{_number(low)}..{_number(high)}]"
    return Field(
        default=default,
        ge=low,
        le=high,
        description=f"{help}{bounds}{f' {unit}' if unit else ''}.",
        json_schema_extra={"unit": unit, "live": live},
    )


def readable(error: ValidationError, where: str) -> str:
    """A validation error in our words: one line an option, each with where, what came, what is
    allowed.
    """
    lines = []
    for problem in error.errors(include_url=False):
        name = ".".join(str(part) for part in problem["loc"]) or "value"
        if problem["type"] == "extra_forbidden":
            lines.append(
                f"{where}: there is no option '{name}'. Take it out, or see --help for the names."
            )
        else:
            lines.append(
                f"{where}: option '{name}' cannot be {problem['input']!r}: {problem['msg']}. Give a"
                " value that fits."
            )
    return "\n".join(lines)


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
