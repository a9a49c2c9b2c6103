"""`frames`, `cut` and `denoise`: footage made ready before the work begins."""

from __future__ import annotations

import bisect
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np

from understudy.errors import BadOption, BadProject
from understudy.io import atomic, scratch
from understudy.io.footage import stills
from understudy.io.footage.base import Footage
from understudy.io.footage.denoise import make_denoiser
from understudy.io.footage.image_sequence import ImageSequence
from understudy.io.footage.image_sequence_writer import locked_folder
from understudy.io.footage.options import FootageOptions
from understudy.io.open_footage import open_footage
from understudy.io.provenance.manifest import COMMENT
from understudy.io.video.audio import SoundOptions, SoundPlan, choose_sound
from understudy.io.video.encode_options import EncodeOptions, encoding_notes
from understudy.io.video.writer import check_target, frame_rate_fraction, write_video
from understudy.options import option
from understudy.stages.carried_marks import CarriedMarks
from understudy.stages.events import Finished, Note, Progress, Saved, Stage, Started, Stop
from understudy.stages.footage_notes import footage_notes, sound_losses, sound_notes
from understudy.stages.jobs import verb
from understudy.stages.project import resolve_options
from understudy.types import Array, Frame

# More pictures than that, and more for each frame, come of times that make no sense.
_MOST_PICTURES, _MOST_REPEATS = 100_000, 1000


class FramesOptions(FootageOptions):
    """What `frames` asks."""

    fps: float | None = option(
        None,
        "Pictures a second, picked by time; not set = every frame",
        low=0,
        high=1000,
        unit="pictures/s",
        affects="render",
        formerly=0,
    )
    format: Literal["png", "jpg"] = option(
        "png", "Kind of file; png keeps more than 8 bits, jpg does not", affects="render"
    )
    quality: int = option(95, "Quality of jpg", low=1, high=100, affects="render")


class CutOptions(EncodeOptions, SoundOptions, FootageOptions):
    """What `cut` asks. Times are seconds or HH:MM:SS.mmm, counted from the first frame."""

    start: str = option("0", "Where the cut begins: the first frame shown at or after it")
    end: str | None = option(
        None,
        "Where the cut ends: frames shown at or after it are left out; not set = the end",
        formerly="",
    )


class DenoiseOptions(EncodeOptions, SoundOptions, FootageOptions):
    """What `denoise` asks."""

    factor: int = option(
        5, "Strength: the noise's standard deviation in levels of 255", low=1, high=20
    )


@verb
def frames(footage: Path, out: Path, options: FramesOptions) -> Stage:
    """Write footage as numbered pictures (00001.png, …) into a folder; a stopped run goes on.

    footage: a video or a folder of pictures. out: a new or empty folder, or the one of the stopped
    run.
    """
    options = resolve_options("frames", options)
    with open_footage(footage, reading=FootageOptions.of(options)) as source:
        yield from footage_notes(source)
        if source.size != source.plate_size:
            width, height = source.size
            yield Note(text=f"The pictures have square pixels: {width}x{height}.")
        if source.field_order is not None:
            yield Note(text="A picture shows the first field of its frame, at full height.")
        picks = pick_frames(source, options.fps)
        plan = {
            "made_by": "frames",
            "footage": footage.name,
            "frames": len(source),
            "pictures": len(picks),
        }
        with locked_folder(out, plan, options):
            digits = max(5, len(str(len(picks))))
            names = [f"{number:0{digits}d}.{options.format}" for number in range(1, len(picks) + 1)]
            yield from _write_pictures("frames", source, picks, out, names, options.quality)


@verb
def cut(footage: Path, out: Path, options: CutOptions) -> Stage:
    """Write a part of footage as a new video, with its sound.

    footage: a video or a folder of pictures; of a video that was cut off, what is there. out: a new
    .mp4, .mov or .mkv.
    """
    options = resolve_options("cut", options)
    _check_new(out, options)
    with open_footage(footage, reading=FootageOptions.of(options)) as source:
        yield from footage_notes(source)
        first, stop = _span(source, options)
        begin = source.pts[first] * source.time_base
        end = begin + source.seconds(stop) - source.seconds(first)
        sound = choose_sound(source, options, out.suffix.lower(), begin, end)
        shifted = (_shift_time(frame, source, first) for frame in source.frames(first, stop))
        yield from _encode("cut", source, shifted, stop - first, out, options, sound)


@verb
def denoise(footage: Path, out: Path, options: DenoiseOptions) -> Stage:
    """Take noise out of footage, frame by frame; a video keeps its sound, a folder gives a folder.

    footage: a video, a folder of pictures or a picture; it stays as it is. out: a new video file, a
    folder as in `frames`, or of one picture a new picture.
    """
    options = resolve_options("denoise", options)
    with open_footage(footage, reading=FootageOptions.of(options)) as source:
        yield from footage_notes(source)
        if isinstance(source, ImageSequence):
            if len(source) == 1 and out.suffix.lower() in stills.SUFFIXES and not out.is_dir():
                yield from _denoise_picture(source, out, options.factor)
            else:
                yield from _denoise_pictures(source, out, options)
            return
        _check_new(out, options)
        cleaned = map(_plate_denoiser(source, options.factor), source)
        sound = choose_sound(source, options, out.suffix.lower())
        yield from _encode("denoise", source, cleaned, len(source), out, options, sound)


def pick_frames(footage: Footage, fps: float | None) -> list[int]:
    """Pick the frames on screen at 0, 1/fps, 2/fps, … seconds after the first one, until the end.

    fps: None = every frame once. Raises BadOption where that makes millions of pictures.
    """
    if fps is None:
        return list(range(len(footage)))
    step = 1 / (frame_rate_fraction(fps) * footage.time_base)
    count = int(-(-footage.duration / footage.time_base // step))
    if count > max(_MOST_PICTURES, _MOST_REPEATS * len(footage)):
        raise BadOption(
            f"{footage.path}: {fps:g} pictures a second over {float(footage.duration):.0f} seconds"
            f" are {count}. Leave fps out: every frame once, {len(footage)}."
        )
    return [
        bisect.bisect_right(footage.pts, footage.pts[0] + number * step) - 1
        for number in range(count)
    ]


def parse_time(clock: str, name: str) -> Fraction:
    """Read "90", "1:30" or "00:01:30.000" as seconds. Raises BadOption that names the option."""
    parts = clock.strip().split(":")
    try:
        values = [Fraction(part) for part in parts]
    except (ValueError, ZeroDivisionError):
        values = []
    if not 1 <= len(values) <= 3 or min(values) < 0 or any(value >= 60 for value in values[1:]):
        raise BadOption(
            f"cut: option '{name}' cannot be '{clock}'. Give seconds (90.5) or HH:MM:SS.mmm"
            " (00:01:30.500)."
        )
    total = Fraction(0)
    for value in values:
        total = total * 60 + value
    return total


def _check_new(out: Path, options: EncodeOptions) -> None:
    check_target(out, options)
    _require_new(out)


def _require_new(out: Path) -> None:
    """Raise BadProject where there is something already."""
    if atomic.is_there(out):
        # Of a run that died as it was done.
        atomic.remove_partials(out.parent)
        raise BadProject(
            f"{out}: is there already, and nothing is ever overwritten. Choose another name, or"
            " delete it."
        )


def _span(source: Footage, options: CutOptions) -> tuple[int, int]:
    """The first frame of the cut and the one after its last."""
    start = parse_time(options.start, "start")
    end = parse_time(options.end, "end") if options.end else source.duration
    times = [source.seconds(index) for index in range(len(source))]
    first, stop = bisect.bisect_left(times, start), bisect.bisect_left(times, end)
    if first >= stop:
        raise BadOption(
            f"cut: no frame from start {float(start):g} to end {float(end):g} seconds;"
            f" {source.path.name} lasts {float(source.duration):.3f}. Give an end after the start,"
            " both within."
        )
    return first, stop


def _shift_time(frame: Frame, source: Footage, first: int) -> Frame:
    """The frame with its time counted from frame `first`."""
    return frame if frame.pts is None else replace(frame, pts=frame.pts - source.pts[first])


def _encode(
    stage: str,
    source: Footage,
    images: Iterator[Frame],
    total: int,
    out: Path,
    options: EncodeOptions,
    sound: SoundPlan | None,
) -> Stage:
    """Encode the frames into `out`, with the mark of the footage; a Stop leaves nothing."""
    claim = yield from CarriedMarks(source, stage).claim_of_all()
    if claim is not None and out.suffix.lower() == ".mkv":
        raise BadOption(
            f"{out}: {source.path.name} is marked as synthetic, and .mkv cannot carry the mark on."
            " Name it .mp4 or .mov."
        )
    yield from (Note(text=each) for each in encoding_notes(source, options, out.suffix))
    yield from sound_notes(sound, "cut" if stage == "cut" else "denoise")
    yield Started(stage=stage, total=total)
    with contextlib.ExitStack() as stack:
        stack.enter_context(atomic.sole_writer(out))
        # Another run may have made it meanwhile.
        _check_new(out, options)
        unsigned = stack.enter_context(scratch.unnamed_file(out.parent)) if claim else None
        comment = COMMENT if claim else ""
        writing = write_video(out, images, source, options, sound, comment, unsigned)
        for done in writing:
            order = yield Progress(stage=stage, done=done, total=total)
            if isinstance(order, Stop) and done < total:
                writing.close()
                yield Note(text=f"{out}: stopped; half a video is no video, so nothing was kept.")
                yield Finished(stage=stage, summary={"frames": 0, "stopped": True})
                return
        if claim and unsigned:
            claim.sign(unsigned, out)
    yield from sound_losses(sound)
    yield Saved(what="result", path=out)
    yield Finished(stage=stage, summary={"frames": total, "stopped": False})


def _plate_denoiser(source: Footage, factor: int) -> Callable[[Frame], Frame]:
    """A function that denoises what is written of a frame; the fields of interlaced ones apart."""
    width, height = source.plate_size
    if source.field_order is None:
        clean = make_denoiser((width, height), factor)
    else:
        clean_field = make_denoiser((width, height // 2), factor)

        def clean(plate: Array) -> Array:
            both = np.empty_like(plate)
            both[0::2], both[1::2] = clean_field(plate[0::2]), clean_field(plate[1::2])
            return both

    def denoise(frame: Frame) -> Frame:
        if frame.plate is None:
            return replace(frame, image=clean(frame.image))
        return replace(frame, plate=clean(frame.plate))

    return denoise


def _denoise_pictures(source: ImageSequence, out: Path, options: DenoiseOptions) -> Stage:
    """Each picture under its own name in `out`; those that are there already stay."""
    clean = make_denoiser(source.size, options.factor)
    plan: dict[str, object] = {
        "made_by": "denoise",
        "footage": source.path.name,
        "pictures": len(source),
        "factor": options.factor,
    }
    with locked_folder(out, plan, FootageOptions.of(options)):
        every, names = range(len(source)), [_writable(name) for name in source.frame_names]
        yield from _write_pictures("denoise", source, every, out, names, change=clean)


def _denoise_picture(source: ImageSequence, out: Path, factor: int) -> Stage:
    """The only picture as a file of its own."""
    _require_new(out)
    clean = make_denoiser(source.size, factor)
    yield from _write_pictures("denoise", source, [0], out.parent, [out.name], change=clean)


def _writable(name: str) -> str:
    """A picture's name with an ending that says what is written."""
    return name if Path(name).suffix.lower() in stills.SUFFIXES else f"{name}.png"


def _write_pictures(
    stage: str,
    source: Footage,
    picks: Sequence[int],
    out: Path,
    names: Sequence[str],
    quality: int = 95,
    *,
    change: Callable[[Array], Array] = lambda image: image,
) -> Stage:
    """Write each pick under its name in `out`, with the mark that it has; those there stay."""
    total = len(picks)
    yield Started(stage=stage, total=total)
    todo = [place for place, name in enumerate(names) if not (out / name).exists()]
    done = total - len(todo)
    if done:
        yield Note(text=f"{out}: {done} of {total} pictures are there already.")
    marks = CarriedMarks(source, stage)
    images = source.iter_frames(picks[place] for place in todo)
    for place, frame in zip(todo, images, strict=True):
        claim = yield from marks.claim(frame.index)
        image = change(frame.image)
        if claim is None:
            stills.write_image(out / names[place], image, quality)
        else:
            claim.write_picture(out / names[place], image, quality)
        done += 1
        if isinstance((yield Progress(stage=stage, done=done, total=total)), Stop):
            break
    yield Saved(what="frames", path=out)
    yield Finished(stage=stage, summary={"pictures": done, "of": total, "stopped": done < total})
