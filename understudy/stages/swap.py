"""`swap`: two clips in, one finished swap out; the other verbs, one after the other."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.errors import BadMedia, BadOption, BadProject
from understudy.io import atomic
from understudy.io.footage import stills
from understudy.io.footage.options import FootageOptions
from understudy.io.model_files import checkpoint
from understudy.io.open_footage import open_footage
from understudy.io.video.audio import choose_sound
from understudy.options import option
from understudy.stages.events import Event, Finished, Note, Order, Saved, Stage
from understudy.stages.extract.command import extract
from understudy.stages.extract.known_footage import knows_footage
from understudy.stages.extract.options import ExtractOptions
from understudy.stages.jobs import verb
from understudy.stages.merge.command import merge
from understudy.stages.merge.options import MergeOptions
from understudy.stages.new import NewOptions, new
from understudy.stages.project import (
    CONSENT_OPTION,
    PROJECT_FILE,
    Consent,
    Project,
    resolve_options,
)
from understudy.stages.train.options import TrainOptions
from understudy.types import Side

if TYPE_CHECKING:
    from understudy.stages.train.auto import Resolved


class SwapOptions(FootageOptions):
    """What `swap` asks; every option of the stages stands under the stage's name."""

    minutes: float = option(
        10,
        "Train so long in all, runs before this one counted; not heeded when iterations are set",
        low=0.01,
        usual=True,
    )
    iterations: int | None = option(
        None,
        "Train so many iterations in all; not set = go by minutes",
        low=1,
        formerly=0,
        usual=True,
    )
    overwrite: bool = option(False, "Replace the result when it is there already", usual=True)
    consent: Consent | None = CONSENT_OPTION
    extract: ExtractOptions = option(
        ExtractOptions(), "Finding the faces, as extract does", usual=("quality", "face_type")
    )
    train: TrainOptions = option(
        TrainOptions(), "Learning both faces, as train does", usual=("model", "batch", "device")
    )
    merge: MergeOptions = option(
        MergeOptions(),
        "Laying the new face in, as merge does",
        usual=("preset", "erode", "blur"),
    )


@verb
def swap(src: Path | list[Path], dst: Path, out: Path, options: SwapOptions) -> Stage:
    """Put the face of src onto the performance in dst: new, extract, train and merge in one go.

    src: footage of the person whose face is used; --src A --src B for several clips. dst: footage
    whose face is replaced. out: the finished video, .mp4, or of one picture also .png. The work
    lies in a show beside it (NAME.show): the same command goes on where it was stopped.
    """
    # Late: --help need not wait for torch.
    from understudy.stages.train.resolve import model_name
    from understudy.stages.train.run import run_training

    options = resolve_options("swap", options)
    clips = [src] if isinstance(src, Path) else src
    suffix = ".mov" if options.merge.encode.codec == "prores" else ".mp4"
    is_picture = out.suffix.lower() in stills.SUFFIXES and _is_one_picture(dst, options)
    made = ".png" if is_picture else suffix
    show = validate_out(out, made, options.overwrite).with_suffix(".show")
    atomic.check_depth(show.absolute())
    for footage in (*clips, dst):
        if out.exists() and footage.exists() and out.samefile(footage):
            raise BadOption(f"{out}: is footage of this swap. Choose another name for the result.")
    _refuse_parts(options, show)
    project = yield from _open_show(show, clips, dst, options)
    _check_sound(project, options.merge, suffix)
    if (yield from run_to_end(extract(show, options=options.extract))) is None:
        return
    resolved = _resolve_training(project, options)
    model = model_name(resolved.options)
    if _is_trained(project.model(model), resolved.options):
        yield Note(
            text=(
                "train: learnt as much as was asked for already. To learn more, give more minutes"
                " or iterations."
            )
        )
    elif (yield from run_to_end(run_training(project, resolved))) is None:
        return
    merged = yield from run_to_end(merge(show, _merge_options(project, options, model)))
    if merged is None:
        return
    with atomic.partial_file(out) as partial:
        shutil.copyfile(project.result.with_suffix(out.suffix), partial)
    yield Saved(what="result", path=out)
    quality = {name: merged[name] for name in ("quality",) if name in merged}
    yield Finished(stage="swap", summary={"result": str(out), "show": str(show), **quality})


def _open_show(
    show: Path, src: list[Path], dst: Path, options: SwapOptions
) -> Generator[Event, Order | None, Project]:
    """The show of a swap: the one that is there, or a new one."""
    if not atomic.is_there(show / PROJECT_FILE):
        reading = FootageOptions.of(options).model_dump()
        yield from new(show, src, dst, NewOptions(consent=options.consent, **reading))
        return Project.load(show)
    project = _check_footage(Project.load(show), src, dst, options)
    yield Note(text=f"{show.name}: goes on with the work that is there")
    if options.consent is not None and options.consent != project.file.consent:
        project = project.with_consent(options.consent)
        project.save()
        yield Note(text=f"{show.name}: notes down the consent that is given now")
    return project


def _refuse_parts(options: SwapOptions, show: Path) -> None:
    """Raise BadOption for what would end in no whole swap."""
    for name in ("frames", "preview", "debug", "pictures"):
        if getattr(options.merge, name):
            raise BadOption(
                f"merge.{name}: swap makes a whole video. Run it without, then: understudy merge"
                f" {show} --{name} …"
            )
    if options.train.exchange:
        raise BadOption(
            "train.exchange: swap merges what it has learnt, and an exchanged model would give"
            " dst's own face. Run train by itself, there and back, then merge."
        )


def _is_one_picture(dst: Path, options: SwapOptions) -> bool:
    with open_footage(dst, reading=FootageOptions.of(options)) as footage:
        return len(footage) == 1 and not footage.is_video


def run_to_end(stage: Stage) -> Generator[Event, Order | None, dict[str, Any] | None]:
    """Pass a stage's events on and orders in to it; what it did, or None when it was stopped."""
    last: Event | None = None
    order: Order | None = None
    try:
        while True:
            last = stage.send(order)
            order = yield last
    except StopIteration:
        is_through = isinstance(last, Finished) and last.summary.get("ended") not in (
            "stopped",
            "interrupted",
        )
        return last.summary if isinstance(last, Finished) and is_through else None
    finally:
        stage.close()


def validate_out(out: Path, suffix: str, overwrite: bool) -> Path:
    """Return `out` when a result may be written there.

    Raises:
        BadOption: It is there already, or named for another format.
    """
    if out.suffix != suffix:
        raise BadOption(
            f"{out}: the result will be a {suffix[1:]} file. Give it a name that ends in {suffix}."
        )
    if atomic.is_there(out) and (out.is_dir() or not overwrite):
        raise BadOption(
            f"{out}: is there already. Choose another name, or replace it with --overwrite."
        )
    return out


def _check_footage(project: Project, src: list[Path], dst: Path, options: SwapOptions) -> Project:
    """The show, when it is about this very footage: other work is never mixed in."""
    for name in FootageOptions.model_fields:
        asked, known = getattr(options, name), getattr(project.file.footage, name)
        if name in options.model_fields_set and asked != known:
            raise BadProject(
                f"{project.folder}: was made with {name} {known}, not {asked}. Name the result"
                " otherwise."
            )
    sides: tuple[tuple[Side, list[Path]], ...] = (("src", src), ("dst", [dst]))
    for side, paths in sides:
        known = project.footages(side)
        for path in paths:
            if not path.exists():
                raise BadMedia(f"{path}: no such file or folder. Check the name.")
        if [path.resolve() for path in paths] != [path.resolve() for path in known]:
            moved = project.with_footage(side, *paths)
            if len(paths) != len(known) or not knows_footage(moved, side):
                raise BadProject(
                    f"{project.folder}: was made with {side} {_listed(known)}, not"
                    f" {_listed(paths)}. Name the result otherwise."
                )
            moved.save()
            project = moved
        if knows_footage(project, side) is False:
            raise BadProject(
                f"{_listed(paths)}: not the footage that {project.folder} was made with: its"
                " pictures are others now. Name the result otherwise, or put back the footage that"
                f" was there. To go on with the new one: understudy extract {project.folder}"
                f" {side}, then the same command again."
            )
    return project


def _listed(paths: list[Path]) -> str:
    return ", ".join(map(str, paths))


def _check_sound(project: Project, flags: MergeOptions, suffix: str) -> None:
    """Raise BadOption where there is no sound track of the number that is asked for."""
    options = project.options("merge", flags)
    if isinstance(options.audio_track, int):
        with project.open_footage("dst") as footage:
            choose_sound(footage, options, suffix)


def _merge_options(project: Project, options: SwapOptions, trained: str) -> MergeOptions:
    """The merge options, with the model that was trained when they name none."""
    if project.options("merge", options.merge).model:
        return options.merge
    return MergeOptions.layered(options.merge.set_values(), {"model": trained})


def _resolve_training(project: Project, options: SwapOptions) -> Resolved:
    """The options of train, with the end that swap sets."""
    from understudy.stages.train.auto import resolve

    own = project.options("train", options.train)
    goal: dict[str, Any] = {}
    if options.iterations:
        goal = {"iterations": options.iterations, "minutes": None}
    elif "minutes" in options.model_fields_set or not (own.iterations or own.minutes):
        goal = {"minutes": options.minutes}
    # Else the train options, or the project file, say themselves when to stop.
    merged = project.options("merge", options.merge)
    if own.dst_person is None and own.dst_like is None:
        # Who is replaced is who is learnt.
        goal |= {"dst_person": merged.person, "dst_like": merged.like}
    flags = TrainOptions.layered(options.train.set_values(), goal, where="swap")
    return resolve(project, flags)


def _is_trained(folder: Path, end: TrainOptions) -> bool:
    """Whether the model in a folder has learnt as much as the options ask for."""
    from understudy.stages.saved_models.recipe import CHECKPOINTS

    saved, _ = checkpoint.load_newest(folder / CHECKPOINTS)
    if saved is None:
        return False
    minutes = saved.state.get("seconds", 0.0) / 60
    # A second more or less is no reason to begin again: loading alone would cost more.
    is_long_enough = end.minutes is not None and end.minutes - minutes < 1 / 60
    return is_long_enough or 0 < (end.iterations or 0) <= saved.iteration
