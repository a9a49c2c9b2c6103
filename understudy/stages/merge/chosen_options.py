"""What pictures of a merge say of the options behind them: on the sheet, and in its name."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final, Self

from understudy.stages.merge.options import MergeOptions

# Of these a picture shows nothing.
_UNSEEN: Final = frozenset(
    {
        "preview",
        "debug",
        "frames",
        "matte",
        "pictures",
        "audio_track",
        "same_shot",
        "device",
        "workers",
        "engine",
        "encode",
    }
)
# The longest name of a file or folder in bytes, so that lists of them stay readable.
_LONGEST: Final = 60
# What is on every system a plain part of a name, and needs no quotes in a shell.
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9.,+=-]+")


@dataclass(frozen=True, slots=True)
class ChosenOptions:
    """The options of a merge that differ from the defaults, as flags.

    model: the model and its iteration, in words. pairs: name and value of each flag, "" of a
    switch.
    """

    model: str
    pairs: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, model: str, options: MergeOptions, base: MergeOptions) -> Self:
        """What differs from `base`, which holds the defaults and the preset that was named."""
        same = {name: getattr(base, name) for name in (*_UNSEEN, "preset")}
        preset = [("--preset", options.preset)] if options.preset else []
        differing = options.model_copy(update=same).as_flags(base)
        return cls(model, (*preset, *differing))

    @property
    def flags(self) -> str:
        """The flags as they are typed."""
        return " ".join(self._typed())

    @property
    def heading(self) -> tuple[str, str]:
        """The lines above a sheet; no flag is parted from its value."""
        flags = " ".join(each.replace(" ", "\N{NO-BREAK SPACE}") for each in self._typed())
        return self.model, flags or "all options at their defaults"

    def _typed(self) -> list[str]:
        return [f"{name} {shlex.quote(value)}" if value else name for name, value in self.pairs]

    def name_of(self, number: str, suffix: str = "") -> str:
        """A short name for a file: the number, then the options as far as there is room.

        Where some are left out it ends in "_more".
        """
        name = number
        words = list(_words(self.pairs))
        for place, word in enumerate(words):
            more = "" if place == len(words) - 1 else "_more"
            if len(f"{name}_{word}{more}{suffix}") > _LONGEST:
                return f"{name}_more{suffix}"
            name += f"_{word}"
        return name + suffix


def _words(pairs: Iterable[tuple[str, str]]) -> Iterable[str]:
    """Each option once, in letters that are safe in a name, with all its values."""
    for flag, same in groupby(pairs, key=lambda pair: pair[0]):
        values = ",".join(_plain(value) for _, value in same if value)
        yield flag[2:] + (f"={values}" if values else "")


def _plain(value: str) -> str:
    """A value in such letters; of a path its last part."""
    return _UNSAFE.sub("-", Path(value).name if "/" in value else value).rstrip("-.") or "x"
