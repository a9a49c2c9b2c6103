"""`demo`: a whole swap on two people who do not exist, made on the spot."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np

from understudy.core.synthetic import clip
from understudy.core.synthetic.voice import synthesize_voice
from understudy.errors import BadOption, MissingExtra
from understudy.io import atomic
from understudy.io.installation import install_extra
from understudy.io.video.clip_writer import write_clip
from understudy.options import Options, option
from understudy.stages.events import (
    Event,
    Finished,
    Note,
    Order,
    Progress,
    Saved,
    Stage,
    Started,
    Stop,
)
from understudy.stages.jobs import verb
from understudy.stages.measure import MeasureOptions, measure
from understudy.stages.project import Project, resolve_options
from understudy.stages.swap import SwapOptions, run_to_end, swap
from understudy.stages.train.options import TrainOptions
from understudy.types import Bytes, Doubles

FPS = 25


class DemoOptions(Options):
    """What `demo` asks."""

    minutes: float = option(4.5, "Train so long", low=0.01, high=600, usual=True)
    seconds: float = option(6, "Length of the clips", low=0.2, high=60, usual=True)
    width: int = option(640, "Width of the clips", low=160, high=1920, unit="pixels", usual=True)
    height: int = option(480, "Height of the clips", low=160, high=1080, unit="pixels", usual=True)
    seed: int = option(
        0, "Another number gives other performances", low=0, high=2**32 - 1, usual=True
    )
    train: TrainOptions = option(TrainOptions(), "Learning both faces, as train does")


@verb
def demo(out: Path = Path("demo"), *, options: DemoOptions) -> Stage:
    """Make two clips of synthetic people and swap their faces.

    Makes src.mp4, dst.mp4, result.mp4 and sheet.png in a folder.

    out: the folder. The same command goes on where it was stopped, and says so when all is done.
    """
    options = resolve_options("demo", options)
    if atomic.is_link(out):
        raise BadOption(f"{out}: a link. Give the folder that it leads to, or another one.")
    result, sheet, show = out / "result.mp4", out / "sheet.png", out / "result.show"
    for person, name in (("src", "a"), ("dst", "b")):
        if not atomic.is_there(out / f"{person}.mp4") and not (
            yield from _film(out / f"{person}.mp4", person, name, options)
        ):
            return
    told = {"result": str(result), "sheet": str(sheet)}
    if atomic.is_there(result):
        yield Note(text=f"{result}: is there already. Delete the folder {out} to see it made anew.")
    else:
        orders = SwapOptions(
            minutes=options.minutes,
            consent="Two synthetic people; nobody to ask.",
            train=options.train,
        )
        swapped = yield from run_to_end(swap(out / "src.mp4", out / "dst.mp4", result, orders))
        if swapped is None:
            return
        told["quality"] = swapped["quality"]
    if not sheet.exists() and (yield from run_to_end(measure(show, MeasureOptions()))) is None:
        return
    atomic.write_bytes(sheet, (Project.load(show).folder / "sheet.png").read_bytes())
    yield Saved(what="result", path=result)
    yield Saved(what="sheet", path=sheet)
    yield Finished(stage="demo", summary=told)


def load_portrait() -> Bytes:
    """The picture that both people are made from. Raises MissingExtra without scikit-image."""
    if importlib.util.find_spec("skimage") is None:
        raise MissingExtra(
            "demo: scikit-image, whose portrait it uses, is not installed. Run:"
            f" {install_extra('demo')}."
        )
    picture: Bytes = importlib.import_module("skimage.data").astronaut()
    return picture


def _film(
    path: Path, side: str, name: str, options: DemoOptions
) -> Generator[Event, Order | None, bool]:
    """Make one clip with its sound; False when told to stop."""
    person: clip.Person = "a" if name == "a" else "b"
    frames, size = (
        max(1, round(options.seconds * FPS)),
        (
            options.width // 2 * 2,
            options.height // 2 * 2,
        ),
    )
    stage = f"film {side}"
    yield Started(stage=stage, total=frames)
    performance = clip.Performance.of(person, options.seed)
    rig = clip.make_rig(load_portrait(), person)
    opening = np.array(
        [_mouth(performance.points(rig.rest, number / FPS)) for number in range(frames)], np.float32
    )
    sound = synthesize_voice(
        opening, FPS, pitch=205.0 if person == "a" else 115.0, seed=options.seed
    )
    for done in write_clip(path, _pictures(person, frames, size, options.seed), size, FPS, sound):
        if isinstance((yield Progress(stage=stage, done=done, total=frames)), Stop):
            return False
    yield Saved(what="clip", path=path)
    return True


def _pictures(
    person: clip.Person, frames: int, size: tuple[int, int], seed: int
) -> Iterator[Bytes]:
    for image, _ in clip.render_clip(load_portrait(), person, frames, size, seed, FPS):
        yield image


def _mouth(points: Doubles) -> float:
    return float(points[66, 1] - points[62, 1])
