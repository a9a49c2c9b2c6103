"""`merge`: the trained face laid into the dst footage, encoded, marked."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from understudy.core.composite import Look
from understudy.io import atomic, provenance
from understudy.io.footage import open_footage
from understudy.io.sequence import Footage
from understudy.io.video_writer import EncodeOptions, write_video
from understudy.options import Options, option
from understudy.parts.blenders import BLENDERS
from understudy.parts.color_transfers import COLOR_TRANSFERS
from understudy.parts.maskers import maskers
from understudy.parts.maskers.segmented import ON_DST, ON_PRD
from understudy.stages.chosen_model import described, model_place, show_type
from understudy.stages.events import Event, FailedFrame, Finished, Note, Order, Progress, Saved, Stage, Started, Stop, Warned
from understudy.stages.jobs import verb
from understudy.stages.merging import Recipe, Report, Scene, merged_frames
from understudy.stages.project import Project
from understudy.stages.segmenters import asked_for
from understudy.stages.segmenting import Segmenting
from understudy.types import Frame

COMMENT = "synthetic: a face in this video was replaced by a trained model (Understudy). See the content credentials inside."
_MAKING = ".making-"


class MergeOptions(Options):
    """What `merge` asks. Sizes are in percent of the face square's side, so they mean the same in every shot."""

    model: str = option("", "Name of the model, or the path of a .dfm or .onnx file; empty = the only one that there is")
    checkpoint: Literal["newest", "best"] = option(
        "newest", "Which weights of the model: the newest, or the best on held-out faces"
    )
    mode: Literal["overlay", "seamless"] = option("overlay", "overlay lays the face in; seamless also takes the plate's light")
    masks: tuple[str, ...] = option(
        ("learned",), "Masks, multiplied: learned, learned-prd, learned-dst, dst (hull), full, xseg-prd, xseg-dst"
    )
    segmenter: str = option("", "Name of the segmenter for xseg-prd and xseg-dst; empty = the only one that there is")
    erode: float = option(2, "Move the mask's outline inwards; negative = outwards", low=-20, high=20, unit="%")
    blur: float = option(8, "Width of the mask's feathered edge", low=0, high=40, unit="%")
    color_transfer: Literal["none", "rct", "lct", "mkl", "mkl-m", "idt", "idt-m", "sot-m", "mix-m"] = option(
        "rct",
        "How the new face takes the colours of the one it replaces; -m and rct look within the mask, the others at the square",
    )
    morph: float = option(-1, "How much of the face becomes src's, 0 to 1 (amp); -1 = the model's own", low=-1, high=1)
    face_type: Literal["auto", "half", "mid-full", "full", "whole", "head"] = option(
        "auto", "What the faces of a .dfm show that does not tell it; auto = what it tells, else whole"
    )
    face_scale: float = option(0, "Enlarge the new face", low=-30, high=30, unit="%")
    sharpen: float = option(0, "Sharpen the new face", low=0, high=200, unit="%")
    smooth: bool = option(True, "Steady the place of the face from frame to frame")
    device: str = option("auto", "Where to compute: auto, cpu, cuda, cuda:1, mps, …")
    encode: EncodeOptions = option(EncodeOptions(), "How the video is coded")

    def look(self) -> Look:
        """The part of the options that a frame's composite needs."""
        return Look(
            blend=BLENDERS[self.mode],
            transfer=COLOR_TRANSFERS[self.color_transfer],
            erode=self.erode,
            blur=self.blur,
            scale=self.face_scale,
            sharpen=self.sharpen,
        )


@verb
def merge(show: Path, options: MergeOptions) -> Stage:
    """Lay the model's face into the dst footage of a show and write the video: same frames, same sound, marked as synthetic.

    Each run makes a new folder merged/NNN; result.mp4 is the newest. Raises NoFaces, BadProject, BadOption, CannotWrite.
    """
    project = Project.load(show)
    options = project.options("merge", options)
    model = model_place(project, options.model)
    for name in options.masks:
        maskers[name]  # an unknown name is told before any work
    segmenter = asked_for(project, options.segmenter, options.masks)
    signer = provenance.proven()
    with project.held("merged"), open_footage(project.footage("dst")) as footage, _making(project.merged) as folder:
        scene = Scene.of(project.faces("dst"), smooth=options.smooth)
        if scene.last_frame >= len(footage):
            yield Warned(text=f"{project.faces('dst')}: faces of frames beyond the end of {footage.path.name} are left out.")
        recipe = Recipe.load(model, options.device, options.look(), options.masks, options.checkpoint == "best")
        if options.face_type != "auto":
            show_type(recipe.model, options.face_type)
        if segmenter is not None:
            segmenting = Segmenting.load(segmenter, options.device, options.masks)
            recipe = replace(recipe, segmenting=segmenting)
            yield Note(text=f"segmenter {segmenter.path.stem}, of {segmenter.face_type} faces")
            yield from (Warned(text=each) for each in segmenting.limits(recipe.model.face_type))
        elif options.segmenter:
            yield Note(text=f"segmenter {options.segmenter}: not used, since none of the masks is {ON_PRD} or {ON_DST}.")
        if options.morph >= 0:
            recipe.model.set_morph(options.morph)
        yield Started(stage="merge", total=len(footage))
        yield Note(text=f"model {model.name}, {described(recipe.model, recipe.iteration)}")
        report = Report()
        video = folder / f"result{'.mov' if options.encode.codec == 'prores' else '.mp4'}"
        unsigned = video.with_stem("unsigned")
        if not (yield from _write(unsigned, merged_frames(footage.path, scene, recipe, report), footage, options, report)):
            yield Note(text="merge: stopped. Nothing was written; the results of earlier runs are untouched.")
            return
        # A model that came as a file learnt from footage that nobody knows here.
        went_in = model if model.is_file() else project.footage("src")
        provenance.sign(unsigned, video, [footage.path, went_in], signer)
        unsigned.unlink()
        fingerprint = {"model_sha256": provenance.fingerprint(model)} if model.is_file() else {}
        facts = {"model": model.name, **fingerprint, "iteration": recipe.iteration, "frames": len(footage), **report.facts()}
        record = {"understudy": version("understudy"), **facts, "options": options.model_dump(mode="json")}
        atomic.write_text(folder / "merge.json", json.dumps(record, indent=2) + "\n")
        final = _numbered(folder, project.merged) / video.name
        result = project.result.with_suffix(video.suffix)
        _link(final, result)
    yield Saved(what="version", path=final)
    yield Saved(what="result", path=result)
    yield Finished(stage="merge", summary={**facts, "result": str(result), "version": str(final)})


def _write(
    path: Path, frames: Generator[Frame, None, None], footage: Footage, options: MergeOptions, report: Report
) -> Generator[Event, Order | None, bool]:
    """Encode the frames, telling how it goes; False when told to stop."""
    sound = footage.path if footage.has_audio else None
    began, told = time.monotonic(), 0
    writing = write_video(path, frames, footage, options.encode, sound, comment=COMMENT)
    with contextlib.closing(frames), contextlib.closing(writing):
        for done in writing:
            order: Order | None = None
            while told < len(report.failed):
                frame, text = report.failed[told]
                told += 1
                order = (yield FailedFrame(frame=frame, text=text)) or order
            rate = done / max(time.monotonic() - began, 1e-9)
            values = {"frames_per_second": rate}
            order = (yield Progress(stage="merge", done=done, total=len(footage), values=values)) or order
            if isinstance(order, Stop):
                return False
    return True


@contextlib.contextmanager
def _making(merged: Path) -> Iterator[Path]:
    """A folder to make a version in; what is still in it afterwards goes, and so does what killed runs left."""
    with atomic.explained(merged):
        merged.mkdir(parents=True, exist_ok=True)
        for left in merged.glob(f"{_MAKING}*"):
            shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=_MAKING, dir=merged))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _numbered(folder: Path, merged: Path) -> Path:
    """The finished folder under its number, the next after all that are there."""
    numbers = [int(each.name) for each in merged.iterdir() if each.name.isdecimal()]
    final = merged / f"{max(numbers, default=0) + 1:03d}"
    folder.chmod(0o755)
    return folder.rename(final)


def _link(video: Path, result: Path) -> None:
    """`result` becomes the same file as `video`, or a copy where the disk knows no links."""
    with atomic.writing(result) as partial:
        partial.unlink()
        try:
            os.link(video, partial)
        except OSError:
            shutil.copyfile(video, partial)
