"""Models of DeepFaceLab 2 in a folder: what each says of itself, and its weight files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from understudy.errors import BadMedia, CannotRead
from understudy.io import system_faults
from understudy.io.dfl import safe_pickle

ModelKind = Literal["SAEHD", "Quick96", "AMP"]

_DATA = re.compile(r"(?:(?P<name>.+)_)?(?P<kind>[A-Za-z0-9]+)_data\.dat")
_KINDS = ("SAEHD", "Quick96", "AMP")
# Beyond this a checkpoint's name has no room, and nobody has trained so long.
MAX_ITERATIONS = 999_999_999
_MOST_LOSS = 1e30
_MOST_DEVICES = 64


@dataclass(frozen=True)
class DflModel:
    """A model in a folder. label: the beginning of the names of its files, unique there."""

    folder: Path
    label: str
    name: str
    kind: ModelKind

    @property
    def data(self) -> Path:
        """The file that says what it is."""
        return self.folder / f"{self.label}_data.dat"


@dataclass(frozen=True)
class DflModelInfo:
    """What a model says of itself.

    options: plain values. losses: of src and dst, (N, 2), the newest last. parts: the file of each
    part, "encoder", "decoder_src", and of what its optimizers know, "src_dst_opt". devices: on how
    many a batch was spread.
    """

    place: DflModel
    iteration: int
    options: Mapping[str, Any]
    losses: tuple[tuple[float, ...], ...] = ()
    parts: Mapping[str, Path] = field(default_factory=dict)
    devices: int = 1


def list_models(folder: Path) -> list[DflModel]:
    """Return the models in a folder that can be read, by label.

    Raises:
        BadMedia: There are only others, or none.
    """
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        if fault := system_faults.reading(error):
            raise CannotRead(f"{folder}: cannot be read: {fault}") from error
        raise BadMedia(
            f"{folder}: not readable: {error.strerror}. Give the folder in which DeepFaceLab keeps"
            " its models."
        ) from None
    matched = [
        found for name in names if (found := _DATA.fullmatch(name)) and found["kind"] != "XSeg"
    ]
    places = [
        DflModel(
            folder,
            found[0].removesuffix("_data.dat"),
            found["name"] or found["kind"],
            cast(ModelKind, found["kind"]),
        )
        for found in matched
        if found["kind"] in _KINDS
    ]
    if not places and matched:
        others = ", ".join(found[0].removesuffix("_data.dat") for found in matched)
        raise BadMedia(
            f"{folder}: {others} cannot be read here; {', '.join(_KINDS)} can. Train that one anew:"
            " understudy train SHOW."
        )
    if not places:
        raise BadMedia(
            f"{folder}: no model of DeepFaceLab 2 here (no *_data.dat). Give the folder in which it"
            " keeps its models."
        )
    return places


def read_model(place: DflModel) -> DflModelInfo:
    """Return what a model says of itself.

    Raises:
        BadMedia: The file is damaged, or of something else.
    """
    held = safe_pickle.loads(safe_pickle.read_file(place.data), str(place.data))
    if not isinstance(held, dict) or not {"iter", "options"} <= set(held):
        raise BadMedia(
            f"{place.data}: not the file of a model (no iter and options in it). Take it from a"
            " backup of the model."
        )
    iteration, options = _simplify(held["iter"]), held["options"]
    if type(iteration) is not int or not 0 <= iteration <= MAX_ITERATIONS:
        raise BadMedia(
            f"{place.data}: iter is {iteration!r:.40}, no number of iterations. Take it from a"
            " backup of the model."
        )
    if not isinstance(options, dict) or not all(isinstance(name, str) for name in options):
        raise BadMedia(
            f"{place.data}: its options are no table of names. Take it from a backup of the model."
        )
    parts = {
        path.stem.removeprefix(f"{place.label}_"): path
        for path in sorted(place.folder.glob(f"{_fits_exactly(place.label)}_*.npy"))
    }
    return DflModelInfo(
        place,
        iteration,
        {name: _simplify(value) for name, value in options.items()},
        _losses(held.get("loss_history")),
        parts,
        _device_count(held.get("choosed_gpu_indexes")),
    )


def _device_count(held: object) -> int:
    """On how many devices a model was trained, as far as it says that."""
    return min(len(held), _MOST_DEVICES) if isinstance(held, list | tuple) and held else 1


def _simplify(value: object) -> Any:
    """A number of numpy's as one of Python's."""
    return value.item() if isinstance(value, np.generic) else value


def _losses(held: object) -> tuple[tuple[float, ...], ...]:
    """Rows of losses, as many as are whole: those of another form, and all before, are left out."""
    rows: list[tuple[float, ...]] = []
    for row in reversed(held) if isinstance(held, list) else ():
        values = [_simplify(each) for each in row] if isinstance(row, list | tuple) else []
        if isinstance(row, np.ndarray) and row.shape == (2,):
            values = row.tolist()
        if len(values) != 2 or not all(map(_is_loss, values)):
            break
        rows.append((float(values[0]), float(values[1])))
    return tuple(reversed(rows))


def _is_loss(value: object) -> bool:
    # No whole number of any length becomes a float.
    return type(value) in (int, float) and -_MOST_LOSS < value < _MOST_LOSS  # type: ignore[operator]


def _fits_exactly(label: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", label)
