"""Named parts: a decorator fills a plain dict; the siblings in a folder, and entry points outside,
load on first look-up.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from understudy.errors import BadOption

Part = TypeVar("Part")
Registered = TypeVar("Registered")


class Registry(Generic[Part]):
    """Parts of one family by name, e.g. `detectors["blazeface"]`.

    package: dotted name of the folder whose modules register themselves; deleting a file there
    deletes the part. Outside packages add parts through the entry-point group
    `understudy.<family>`.
    """

    def __init__(self, family: str, package: str) -> None:
        self.family, self.package = family, package
        self._parts: dict[str, Part] = {}
        self._loaded = False

    def register(self, name: str) -> Callable[[Registered], Registered]:
        """A decorator that files a class or function under `name`. A second part of that name is
        our mistake.
        """

        def decorate(part: Registered) -> Registered:
            known: Any = self._parts.get(name, part)
            if known is not part:
                raise ValueError(f"{self.family}: two parts are called '{name}'.")
            filed: Any = part
            self._parts[name] = filed
            return part

        return decorate

    def __getitem__(self, name: str) -> Part:
        alike = name.replace("-", "_")
        if name not in self._parts and alike in self._modules():
            # Its siblings may take seconds to load; they wait until they are asked for.
            importlib.import_module(f"{self.package}.{alike}")
        if name not in self._parts:
            self._load()
        if name not in self._parts:
            raise BadOption(
                f"{self.family}: there is no '{name}'. Choose one of: {', '.join(self)}."
            )
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(sorted(self._parts))

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._parts

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        for module in self._modules():
            importlib.import_module(f"{self.package}.{module}")
        for outside in entry_points(group=f"understudy.{self.family}"):
            outside.load()

    def _modules(self) -> list[str]:
        return [
            module.name
            for module in pkgutil.iter_modules(importlib.import_module(self.package).__path__)
        ]
