"""The options of a merge frame by frame and person by person, as `--at` sets them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from pydantic import ValidationError

from understudy.core.compose.options import CompositeOptions
from understudy.errors import BadOption
from understudy.options import readable
from understudy.parts.blenders import blenders
from understudy.parts.maskers import names_in
from understudy.stages import frame_ranges
from understudy.stages.merge.options import MergeOptions

_ALWAYS: Final = range(frame_ranges.OPEN_END)
_NUMBERS: Final = {
    name for name, info in CompositeOptions.model_fields.items() if info.annotation in (int, float)
}
_LISTS: Final = {
    name
    for name, info in CompositeOptions.model_fields.items()
    if info.annotation == tuple[str, ...]
}
_FORM: Final = "Write it as '100-120: erode=4 blur=10 ease=12' or 'person=1: masks=learned,dst'"


@dataclass(frozen=True, slots=True)
class Keyframe:
    """Options for some frames or one person, as one `--at` says them.

    person: None = whoever it is. ease: frames, see `Keyframes`.
    """

    text: str
    spans: tuple[range, ...]
    person: int | None
    values: Mapping[str, Any]
    ease: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a text such as "100-120 person=1: erode=4 ease=12".

        Raises BadOption naming it and the choices.
        """
        where = f"at '{text}'"
        head, colon, body = text.partition(":")
        values = _parse_values(body.split(), where)
        ease = values.pop("ease", "0")
        if not colon or not head.strip() or not values:
            raise BadOption(f"{where}: not understood. {_FORM}.")
        if not re.fullmatch(r"\d{1,6}", ease, re.ASCII):
            raise BadOption(f"{where}: ease cannot be '{ease}'. Give a number of frames.")
        spans, person = _parse_scope(head.split(), where)
        return cls(text, spans, person, _validate(values, where), int(ease))

    @property
    def is_everywhere(self) -> bool:
        """Whether it holds for all frames and everybody."""
        return self.person is None and _ALWAYS in self.spans

    def weight(self, frame: int, person: int) -> float:
        """How far it holds there, 0..1."""
        if self.person is not None and person != self.person:
            return 0.0
        return max(_ease_weight(frame, span, self.ease) for span in self.spans)


@dataclass(frozen=True, slots=True)
class AveragingRadius:
    """How many frames before and after one are averaged: masks, then colours, then light.

    Each is measured with the average of the one before.
    """

    mask: int
    color: int
    light: int

    @property
    def total(self) -> int:
        """So many frames before and after one count in it."""
        return self.mask + self.color + self.light


@dataclass(frozen=True, slots=True)
class Keyframes:
    """The options of each face of each frame: `base`, and over that the entries; later ones win.

    At the border of its frames a choice switches at once. A number runs, within the first and last
    `ease` frames of the entry, from what holds without the entry to what it says. Plain data, to be
    sent to other processes.
    """

    base: CompositeOptions
    entries: tuple[Keyframe, ...] = ()
    _cache: dict[tuple[float, ...], CompositeOptions] = field(
        default_factory=dict, compare=False, repr=False
    )

    @classmethod
    def parse(cls, options: MergeOptions) -> Self:
        """The options of a merge and what their `at` says. Raises BadOption."""
        base = CompositeOptions(
            **{name: getattr(options, name) for name in CompositeOptions.model_fields}
        )
        return cls(base, tuple(Keyframe.parse(text) for text in options.at))

    def options_at(self, frame: int, person: int = -1) -> CompositeOptions:
        """What holds for a person (-1 = nobody knows who) in a frame, counted from 0."""
        weights = tuple(entry.weight(frame, person) for entry in self.entries)
        if weights not in self._cache:
            self._cache[weights] = self._interpolate(weights)
        return self._cache[weights]

    @property
    def persons(self) -> set[int]:
        """The people for whom something is set by themselves."""
        return {entry.person for entry in self.entries if entry.person is not None}

    @property
    def masks(self) -> frozenset[str]:
        """The names of all masks that any face may have."""
        return names_in([name for names in self.values_of("masks") for name in names])

    def values_of(self, name: str) -> set[Any]:
        """Every value that an option may take somewhere; of numbers that run, the ends."""
        values = {getattr(self.base, name)}
        for entry in self.entries:
            if name in entry.values:
                values = (set() if entry.is_everywhere else values) | {entry.values[name]}
        return values

    def to_json(self, frames: range) -> str:
        """All that holds in these frames; the same text only for the same options in each."""
        everybody = self._runs(frames, -1)
        persons = {entry.person for entry in self.entries if entry.person is not None}
        own = {
            str(person): runs
            for person in sorted(persons)
            if (runs := self._runs(frames, person)) != everybody
        }
        return json.dumps(
            {"everybody": everybody, "persons": own}, sort_keys=True, separators=(",", ":")
        )

    @property
    def averaging(self) -> AveragingRadius:
        """How far the averages in time reach that the options ask for anywhere."""
        steady = max(self.values_of("steady"))
        has_light = any(
            blenders[CompositeOptions(mode=mode).blender].has_light
            for mode in self.values_of("mode")
        )
        return AveragingRadius(
            max(self.values_of("steady_mask")),
            steady,
            steady if has_light or max(self.values_of("grain")) else 0,
        )

    def unused(self, count: int, persons: Iterable[int]) -> list[str]:
        """The entries that change nothing.

        count: frames of the footage. persons: those who are in it.
        """
        known = set(persons)
        return [
            entry.text
            for entry in self.entries
            if all(span.start >= count for span in entry.spans)
            or (entry.person is not None and entry.person not in known)
        ]

    def _interpolate(self, weights: tuple[float, ...]) -> CompositeOptions:
        values = dict(self.base)
        for entry, weight in zip(self.entries, weights, strict=True):
            for name, value in entry.values.items() if weight else ():
                before = values[name]
                between = (
                    before + weight * (value - before) if name in _NUMBERS and weight < 1 else value
                )
                values[name] = (
                    round(between) if isinstance(before, int) and name in _NUMBERS else between
                )
        return CompositeOptions(**values)

    def _runs(self, frames: range, person: int) -> list[tuple[int, dict[str, Any]]]:
        """What holds for a person, as (frames one after the other, options)."""
        runs: list[tuple[int, CompositeOptions]] = []
        for frame in frames:
            now = self.options_at(frame, person)
            if runs and (runs[-1][1] is now or runs[-1][1] == now):
                runs[-1] = (runs[-1][0] + 1, now)
            else:
                runs.append((1, now))
        return [(count, options.deviating("render")) for count, options in runs]


def _parse_values(words: list[str], where: str) -> dict[str, str]:
    """Names and values of "name=value" words; a name may be written as in a flag, with hyphens."""
    values: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        name = name.replace("-", "_")
        if not (name and sign and value):
            raise BadOption(f"{where}: '{word}' is not understood. {_FORM}.")
        if name in values:
            raise BadOption(f"{where}: '{name}' stands there twice. Leave one.")
        values[name] = value
    return values


def _parse_scope(words: list[str], where: str) -> tuple[tuple[range, ...], int | None]:
    """The ranges of frames and the person that the head of an entry names."""
    persons = [word.partition("=")[2] for word in words if word.startswith("person=")]
    frames = [word for word in words if not word.startswith("person=")]
    if (
        len(persons) > 1
        or len(frames) > 1
        or not all(re.fullmatch(r"\d{1,9}", each, re.ASCII) for each in persons)
    ):
        raise BadOption(
            f"{where}: before the colon stand frames, one person by number, or both. {_FORM}."
        )
    spans = frame_ranges.parse_ranges(frames[0], where) if frames else (_ALWAYS,)
    return spans, int(persons[0]) if persons else None


def _validate(values: Mapping[str, str], where: str) -> dict[str, Any]:
    """The values as the options have them."""
    unknown = sorted(set(values) - set(CompositeOptions.model_fields))
    if unknown:
        choices = ", ".join(CompositeOptions.model_fields)
        raise BadOption(
            f"{where}: '{unknown[0]}' is nothing that may differ from shot to shot. Choose from:"
            f" {choices}; or ease."
        )
    plain: dict[str, Any] = {
        name: value.split(",") if name in _LISTS else value for name, value in values.items()
    }
    try:
        chosen = CompositeOptions.model_validate(plain)
    except ValidationError as error:
        raise BadOption(readable(error, where)) from None
    return {name: getattr(chosen, name) for name in values}


def _ease_weight(frame: int, span: range, ease: int) -> float:
    """How far an entry holds in a frame: 0 outside its frames, 1 within.

    It rises gently over `ease` frames at either border. Where the footage begins, and where a range
    has no end, nothing rises. In a range too short for both, it rises as long as half of it lasts,
    so that its middle has all.
    """
    if frame not in span:
        return 0.0
    begins, ends = span.start > 0, span.stop < frame_ranges.OPEN_END
    limit = (len(span) - 1) // (begins + ends) if begins or ends else 0
    steps = min(ease, limit) + 1
    inside = min(
        frame - span.start + 1 if begins else steps, span.stop - frame if ends else steps, steps
    )
    share = inside / steps
    return share * share * (3 - 2 * share)
