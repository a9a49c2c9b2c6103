"""Named parts of a family, and the options classes that take their settings.

A part is a class of options whose `build` makes it ready. A file dropped into the family's folder,
or an installed package with an entry point, adds one. Nothing else has to name it.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, create_model
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from understudy.errors import BadOption
from understudy.options import OptionGroup, Options, option


class Part(Options):
    """The options of one part. Those who inherit say in a docstring what the part does."""

    # Where its settings stand in the options of a command; None = under its name.
    settings_name: ClassVar[str | None] = None


AnyPart = TypeVar("AnyPart", bound=Part)
Registered = TypeVar("Registered", bound=Part)
AnyOptions = TypeVar("AnyOptions", bound=Options)


@dataclass(frozen=True)
class Unusable:
    """An entry point or a file that could not be loaded.

    name: its own. origin: where it comes from. reason: why. advice: what to do now.
    """

    name: str
    origin: str
    reason: str
    advice: str


_REGISTRIES: dict[str, Registry[Any]] = {}
_OUTSIDE = "Update the package, or remove it: pip uninstall NAME."
_RENAME = "Let the `settings_name` of its class say another."
_INSIDE = "Mend the file, or delete it."


class Registry(Generic[AnyPart]):
    """The parts of one family by name, e.g. `detectors["blazeface"]`.

    Args:
        family: Name of the family. Installed packages add parts by an entry point in the group
            `understudy.<family>`, whose value is the module that registers them.
        package: Dotted name of the folder whose modules register themselves.
        noun: What one part of the family is called.
    """

    def __init__(self, family: str, package: str, noun: str) -> None:
        self.family, self.package, self.noun = family, package, noun
        _REGISTRIES[family] = self
        self._parts: dict[str, type[AnyPart]] = {}
        self._origins: dict[str, str] = {}
        self._unusable: list[Unusable] = []
        self._origin, self._loaded = "", False

    def register(self, name: str) -> Callable[[type[Registered]], type[Registered]]:
        """A class decorator that registers a part under `name`.

        Raises:
            ValueError: Another part has that name, or it is none to type.
            TypeError: It is no class of options.
        """
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
            raise ValueError(
                f"{self.family}: '{name}' is no name for a part. Use lower-case letters, digits"
                " and single hyphens."
            )

        def decorate(part: type[Registered]) -> type[Registered]:
            if not (isinstance(part, type) and issubclass(part, Part)):
                raise TypeError(f"{self.family}: '{name}' must be a class that inherits Part.")
            known: Any = self._parts.get(name, part)
            if known is not part:
                raise ValueError(
                    f"{self.family}: two parts are called '{name}': {_place(known)} and"
                    f" {_place(part)}. Give one of them another name."
                )
            filed: Any = part
            self._parts[name] = filed
            if self._origin:
                self._origins[name] = self._origin
            return part

        return decorate

    def __getitem__(self, name: str) -> type[AnyPart]:
        """The part of that name. Raises BadOption when there is none, or none that can be used."""
        if name not in self._parts:
            self._load()
        if name not in self._parts:
            raise BadOption(f"{self.family}: '{name}': {self.refusal(name)}")
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(sorted(self._parts))

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._parts

    def names(self, where: Callable[[type[AnyPart]], bool] | None = None) -> list[str]:
        """The parts for which `where` holds; None = all."""
        return [name for name in self if where is None or where(self[name])]

    def configured(self, name: str, options: Options) -> AnyPart:
        """The part with the settings that `options` hold for it. Raises BadOption."""
        part = self[name]
        settings = getattr(options, settings_field(name, part), None)
        return settings if isinstance(settings, part) else part()

    def origins(self) -> dict[str, str]:
        """The parts that installed packages brought: name -> package and version."""
        self._load()
        return {name: origin for name, origin in self._origins.items() if name in self._parts}

    def unusable(self) -> list[Unusable]:
        """What could not be loaded. It raises only for who asks for it by name."""
        self._load()
        return list(self._unusable)

    def refusal(self, name: str, choices: Sequence[str] = ()) -> str:
        """Why a name is none of `choices` (empty = of the parts), and what to do now."""
        for each in self.unusable():
            if each.name == name:
                return f"it is of {each.origin} and cannot be used: {each.reason} {each.advice}"
        return f"there is no such name. Choose one of: {', '.join(choices or self)}."

    def reject(self, name: str, reason: str, advice: str = _OUTSIDE) -> None:
        """Take out a part of an installed package. Raises ValueError for one of our own."""
        origin = self.origins().get(name)
        if origin is None:
            raise ValueError(f"{self.family}: '{name}': {reason}")
        del self._parts[name]
        self._unusable.append(Unusable(name, origin, reason, advice))

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        folder = importlib.import_module(self.package).__path__
        for module in pkgutil.iter_modules(folder):
            # Packages beside the parts hold what they share.
            if not module.ispkg:
                self._try(module.name, f"{self.package}.{module.name}")
        for entry in entry_points(group=f"understudy.{self.family}"):
            self._try(entry.name, entry)

    def _try(self, name: str, source: str | EntryPoint) -> None:
        """Load a file or an entry point. One that fails is remembered, and stops nobody."""
        before = set(self._parts)
        if isinstance(source, EntryPoint):
            package = source.dist
            self._origin = f"{package.name} {package.version}" if package else source.value
        origin = self._origin or str(source)
        advice = _OUTSIDE if self._origin else _INSIDE
        try:
            if isinstance(source, EntryPoint):
                source.load()
                self._check_registered(source.module)
            else:
                importlib.import_module(source)
        # Whatever the file of somebody else raises: the other parts go on working.
        except Exception as error:
            for half_loaded in set(self._parts) - before:
                del self._parts[half_loaded]
            self._unusable.append(Unusable(name, origin, _reason(error), advice))
        finally:
            self._origin = ""

    def _check_registered(self, module: str) -> None:
        top = module.partition(".")[0]
        if not any(part.__module__.partition(".")[0] == top for part in self._parts.values()):
            raise ValueError(
                f"{module} registers none of the {self.family}. It must use"
                f" @{self.family}.register(NAME)"
            )


def registry_of(family: str) -> Registry[Any]:
    """The registry of a family by its name."""
    if family not in _REGISTRIES:
        importlib.import_module(f"understudy.parts.{family}")
    return _REGISTRIES[family]


def settings_field(name: str, part: type[Part]) -> str:
    """The name of the option that holds a part's settings."""
    return part.settings_name or name.replace("-", "_")


@dataclass(frozen=True)
class NameIn:
    """Marks an option as the name of a part: `Annotated[str, NameIn("models", ("auto",))]`.

    A name that is none is refused. --help and the JSON schema list what there is.

    Args:
        family: Name of the family, whose parts are looked up when the first value is checked.
        also: What else may stand there.
        where: Which parts may; None = all.
    """

    family: str
    also: tuple[str, ...] = ()
    where: Callable[[type[Any]], bool] | None = None

    def names(self) -> list[str]:
        """All that may stand there."""
        parts = registry_of(self.family).names(self.where)
        return [*self.also, *(name for name in parts if name not in self.also)]

    def help(self) -> str:
        """The names, for the help of the option."""
        return f"One of: {', '.join(self.names())}."

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "enum": self.names()}

    def _checked(self, name: str) -> str:
        if name in self.also:
            return name
        names = self.names()
        if name not in names:
            refusal = registry_of(self.family).refusal(name, names).removesuffix(".")
            raise PydanticCustomError("part", "{refusal}", {"refusal": refusal})
        return name


@dataclass(frozen=True)
class NamesOf:
    """Marks an option that holds names of parts among others: `Annotated[str, NamesOf("maskers")]`.

    Nothing is checked; --help lists what there is. where: which parts it lists; None = all.
    """

    family: str
    where: Callable[[type[Any]], bool] | None = None

    def help(self) -> str:
        """The names, for the help of the option."""
        return f"There are: {', '.join(registry_of(self.family).names(self.where))}."


def with_parts(
    *registries: Registry[Any], **of_options: Any
) -> Callable[[type[AnyOptions]], type[AnyOptions]]:
    """A class decorator: an option for the settings of each part of these families.

    The help of options that are marked by `NameIn` or `NamesOf` then lists the names.

    Args:
        registries: The families. A part without settings gets no option.
        of_options: What else `option` shall note of each option.
    """

    def decorate(options: type[AnyOptions]) -> type[AnyOptions]:
        fields: dict[str, Any] = {}
        for registry in registries:
            group = OptionGroup(registry.family, f"Settings of each {registry.noun}")
            for name in registry:
                part = registry[name]
                field = settings_field(name, part)
                if not part.model_fields:
                    continue
                if field in fields or hasattr(options, field) or field in options.model_fields:
                    registry.reject(name, f"the name '{field}' of its settings is taken.", _RENAME)
                    continue
                try:
                    default = part()
                except Exception as error:
                    registry.reject(name, f"its settings have no defaults: {_reason(error)}")
                    continue
                about = f"Settings of the {registry.noun} {name}"
                fields[field] = (part, option(default, about, group=group, **of_options))
        for info in options.model_fields.values():
            _list_names(info)
        made = create_model(
            options.__name__,
            __base__=options,
            __module__=options.__module__,
            __doc__=options.__doc__,
            **fields,
        )
        made.__qualname__ = options.__qualname__
        return made

    return decorate


def _list_names(field: FieldInfo) -> None:
    """Put the names that a field may take behind its help, once."""
    for mark in field.metadata:
        help = field.description or ""
        if isinstance(mark, NameIn | NamesOf) and not help.endswith(mark.help()):
            field.description = f"{help} {mark.help()}"


def _place(part: type[Part]) -> str:
    return f"{part.__module__}.{part.__qualname__}"


def _reason(error: Exception) -> str:
    words = " ".join(str(error).split()).removesuffix(".")
    # An error of ours, or of a part's author, says enough by itself.
    kind = "" if isinstance(error, ValueError | TypeError) and words else type(error).__name__
    return ": ".join(each for each in (kind, words) if each) + "."
