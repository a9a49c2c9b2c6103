"""`merge --debug`: every step of a frame as a picture, with its numbers."""

from __future__ import annotations

import itertools
import json
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from understudy.core.compose import debug_steps
from understudy.core.drawing.contact_sheet import draw_tiles
from understudy.io import atomic
from understudy.io.footage.base import Footage
from understudy.io.provenance.manifest import Claim
from understudy.stages.events import Event, Order, Progress, Saved, Stop
from understudy.stages.merge.chosen_options import ChosenOptions
from understudy.stages.merge.keyframes import Keyframes
from understudy.stages.merge.predict import MergeFrame
from understudy.types import Array, Frame

_COLUMNS, _SIDE = 4, 360
_SIXTEEN: Final = np.float32(65535)


def write_debug(
    folder: Path,
    footage: Footage,
    merged: Iterable[MergeFrame],
    count: int,
    keyframes: Keyframes,
    claim: Claim,
    chosen: ChosenOptions,
) -> Generator[Event, Order | None, bool]:
    """Write the steps of the frames of a merge, a folder each; False when told to stop.

    Args:
        folder: Where those folders are made.
        footage: The plates.
        merged: The frames.
        count: How many they are.
        keyframes: The options that hold for each face.
        claim: What is signed into the pictures.
        chosen: What the sheets and the numbers say of the options; in the folders' names, too.
    """
    for done, work in enumerate(merged, start=1):
        (plate,) = footage.iter_frames_or_bad([work.frame.index])
        # What cannot be read was merged as the frame before it, which is not kept.
        image = plate.image if isinstance(plate, Frame) else np.zeros_like(work.frame.image)
        numbers = {
            "problem": work.problem,
            "flags": chosen.flags,
            "faces": _numbers(work, keyframes),
        }
        images = _images(work, image)
        yield Saved(
            what="debug",
            path=write_steps(folder, work.frame.index, images, numbers, claim, chosen),
        )
        if isinstance((yield Progress(stage="debug", done=done, total=count)), Stop):
            return False
    return True


def write_steps(
    folder: Path,
    frame: int,
    pictures: Sequence[tuple[str, Array]],
    numbers: Mapping[str, Any],
    claim: Claim,
    chosen: ChosenOptions,
) -> Path:
    """Write the steps of a frame into a new folder; return the path of the sheet of all.

    There will be NN-name.png, of 16 bits where the picture has more than 8, sheet.jpg, and
    numbers.json. It holds the numbers and the size, range and mean of each picture.

    Args:
        folder: Where the new folder is made, named after the frame.
        frame: Its number.
        pictures: Name and picture of every step in order, (H, W) or (H, W, 3), uint8, uint16, or
            float32, whose 0..1 is shown.
        numbers: What goes with them, as plain values.
        claim: What is signed into the pictures.
        chosen: What sheet and name of the folder say of the options.
    """
    name = chosen.name_of(f"{frame:06d}")
    # Earlier ones stay, to be compared.
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    with (
        atomic.first_free(folder / each for each in names) as place,
        atomic.partial_folder(place) as partial,
    ):
        facts = {}
        for number, (name, picture) in enumerate(pictures, start=1):
            file = f"{number:02d}-{name.replace(' ', '-')}.png"
            claim.write_picture(partial.path / file, _to_sixteen_bits(picture))
            facts[file] = _statistics(picture)
        sheet = draw_tiles(pictures, _COLUMNS, _SIDE, chosen.heading)
        claim.write_picture(partial.path / "sheet.jpg", sheet)
        record = {"frame": frame, **numbers, "pictures": facts}
        text = json.dumps(record, indent=1) + "\n"
        atomic.write_text(partial.path / "numbers.json", text)
        partial.settle(place)
    return place / "sheet.jpg"


def _images(work: MergeFrame, plate: Array) -> list[tuple[str, Array]]:
    """The steps of every face, then the whole frame before and after."""
    several = len(work.faces) > 1
    found: list[tuple[str, Array]] = []
    for number, face in enumerate(work.faces.values(), start=1):
        own = (
            []
            if face.warped is None
            else debug_steps.step_images(plate, face.warped, face.light_grid, face.grain)
        )
        found += [(f"face {number} {name}" if several else name, picture) for name, picture in own]
    return [*found, ("whole plate", plate), ("whole result", work.frame.image)]


def _numbers(work: MergeFrame, keyframes: Keyframes) -> list[dict[str, Any]]:
    """What was measured for every face, and the options that hold for it.

    A face outside of the frame has no numbers.
    """
    found = []
    for face in work.faces.values():
        person = face.placement.person
        options = keyframes.options_at(work.frame.index, person).model_dump(mode="json")
        measured = (
            {}
            if face.warped is None
            else debug_steps.step_numbers(face.warped, face.match, face.light_grid, face.grain)
        )
        alone = {"tones alone": [debug_steps.summarize_array(each) for each in face.own_match]}
        found.append({"person": person, "options": options, **measured, **alone})
    return found


def _to_sixteen_bits(picture: Array) -> Array:
    if picture.dtype.kind != "f":
        return picture
    return np.asarray(np.rint(np.clip(np.asarray(picture, np.float32), 0, 1) * _SIXTEEN), np.uint16)


def _statistics(picture: Array) -> dict[str, Any]:
    values = np.asarray(picture, np.float64)
    by_channel = values.reshape(-1, values.shape[2]) if values.ndim == 3 else values.reshape(-1, 1)
    return {
        "size": [picture.shape[1], picture.shape[0]],
        "kind": picture.dtype.name,
        "low": [round(float(low), 6) for low in by_channel.min(0)],
        "high": [round(float(high), 6) for high in by_channel.max(0)],
        "mean": [round(float(mean), 6) for mean in by_channel.mean(0)],
    }
