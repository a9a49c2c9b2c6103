"""`merge`: the predicted face composited into the dst footage, encoded and signed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from understudy.io import atomic, scratch
from understudy.io.faceset.face_image import SUFFIXES
from understudy.io.faceset.faceset import Faceset
from understudy.io.footage.base import Footage
from understudy.io.provenance import manifest
from understudy.io.provenance.signing_key import Credentials
from understudy.io.video.audio import SoundPlan, choose_sound
from understudy.io.video.concat import concat
from understudy.io.video.encode_options import encoding_notes, pixel_format
from understudy.stages import frame_ranges
from understudy.stages.curate.faceset_notes import faceset_notes
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
    Warned,
)
from understudy.stages.extract.known_footage import (
    notes_on_gathered,
    require_known_footage,
    rows_of_footage,
)
from understudy.stages.extract.person_choice import choose_person
from understudy.stages.footage_notes import footage_notes, sound_losses, sound_notes
from understudy.stages.jobs import verb
from understudy.stages.merge import versions
from understudy.stages.merge.context import MergeContext
from understudy.stages.merge.frames import FrameReport, merge_frames
from understudy.stages.merge.keyframes import Keyframes
from understudy.stages.merge.learned_masks import replace_young_masks
from understudy.stages.merge.options import MergeOptions
from understudy.stages.merge.picture_sequence import picture_notes, write_pictures
from understudy.stages.merge.presets import apply_preset
from understudy.stages.merge.render import SegmentRenderer
from understudy.stages.merge.segments import SegmentStore, make_segments
from understudy.stages.merge.stills import render_stills
from understudy.stages.project import Project
from understudy.stages.saved_models.quality import describe_model_quality
from understudy.stages.show_folders import remove_leftovers
from understudy.stages.signer import find_signer

# The result of a dst that is one picture, as a picture, too.
_PICTURE: Final = "result.png"
_UNTOUCHED: Final = "The results of earlier runs are untouched."

Step = Generator[Event, Order | None, bool]


@verb
def merge(show: Path, options: MergeOptions) -> Stage:
    """Lay the model's face into a show's dst footage: same frames, same sound, marked as synthetic.

    Each run makes a new folder merged/NNN; result.mp4 is the newest. Frames that were rendered
    before from the same faces, with the same model and choices, are taken as they are: so a run
    that was stopped or killed goes on. Raises NoFaces, BadProject, BadOption, WeightsMissing,
    CannotWrite.
    """
    project = Project.load(show)
    asked = project.options("merge", options)
    options = apply_preset(project, asked)
    # A preset of ours that says what holds by default chooses nothing.
    are_chosen = "masks" in asked.model_fields_set or options.masks != MergeOptions().masks
    keyframes = Keyframes.parse(options)
    signer = yield from find_signer()
    with contextlib.ExitStack() as held:
        if options.preview or options.debug:
            # They are files of their own, whatever else runs.
            remove_leftovers(project.folder, "merged")
        else:
            held.enter_context(project.lock("merged"))
        footage = held.enter_context(project.open_footage("dst"))
        chosen = frame_ranges.resolve_ranges(options.frames, len(footage), "frames")
        yield from require_known_footage(project, "dst", footage, same_shot=options.same_shot)
        if not options.pictures:
            # What cannot be coded is told before any work.
            pixel_format(options.encode, footage)
        faceset = Faceset(project.faces("dst"))
        person = choose_person(
            project,
            "dst",
            options.person,
            options.like,
            choose=lambda faces: rows_of_footage(project, "dst", faces, footage),
        )
        # Whom a picture shows is found out once, not by each worker.
        options = options.model_copy(update={"person": person, "like": None})
        context = MergeContext.open(project, footage, options, keyframes)
        notes = (
            picture_notes(footage) if options.pictures else encoding_notes(footage, options.encode)
        )
        yield from (Note(text=each) for each in notes)
        yield from footage_notes(footage)
        yield from faceset_notes(faceset)
        ours = rows_of_footage(project, "dst", faceset, footage)
        yield from notes_on_gathered(faceset, ours, "they are not merged")
        yield from context.remarks()
        if options.pictures and options.encode != MergeOptions().encode:
            yield Warned(
                text=(
                    "encode: does nothing with --pictures, which are lossless PNG. Merge without"
                    " --pictures for a video."
                )
            )
        context = yield from replace_young_masks(project, context, are_chosen=are_chosen)
        if options.preview or options.debug:
            yield from render_stills(project, context, signer)
        else:
            sound = None if options.pictures else _sound(footage, options, chosen)
            yield from sound_notes(sound, "merge")
            yield from _render_version(project, context, chosen, sound, signer)


def _render_version(
    project: Project,
    context: MergeContext,
    chosen: Sequence[range],
    sound: SoundPlan | None,
    signer: Credentials,
) -> Stage:
    """Render the chosen frames, put them together, and number the result."""
    options = context.options
    renderer = SegmentRenderer(
        project.folder,
        context,
        SegmentStore(
            project.merged / "segments",
            context.has_matte,
            MergeOptions().affecting("render"),
        ),
        make_segments(context, chosen),
    )
    if not (yield from renderer.run()):
        total = sum(map(len, chosen))
        done = (
            f"{renderer.finished()} of {total} frames are finished, and the same command goes on"
            " from there."
        )
        yield Note(text=f"merge: stopped. {done} {_UNTOUCHED}")
        return
    facts = _summary(context, renderer)
    suffix = _suffix(options)
    # A model that came as a file learnt from footage that nobody knows here.
    model = context.model_path
    claim = manifest.Claim.edited(
        [context.footage.path, *([model] if model.is_file() else project.footages("src"))],
        signer,
        consent=project.file.consent,
    )
    with versions.new_version_folder(project.merged) as folder:
        for name in ("result", "matte") if context.has_matte else ("result",):
            path = folder.path / f"{name}{suffix}"
            heard = None if name == "matte" else sound
            joined = (
                write_pictures(path, renderer, claim)
                if options.pictures
                else _concat(path, renderer, chosen, heard, claim)
            )
            if not (yield from joined):
                yield Note(
                    text=(
                        "merge: stopped. All frames are finished, and the same command puts them"
                        f" together. {_UNTOUCHED}"
                    )
                )
                return
        if context.shows_one_picture:
            for merged in merge_frames(context, FrameReport(), range(1)):
                claim.write_picture(folder.path / _PICTURE, merged.frame.image)
        _write_record(folder.path / versions.RECORD, renderer, facts)
        final = versions.publish(folder, project.merged)
    if (used := versions.newest_segment_keys(project.merged)) is not None:
        renderer.store.remove_others(used)
    video = result = final / f"result{suffix}"
    yield Saved(what="version", path=video)
    if context.has_matte:
        yield Saved(what="matte", path=final / f"matte{suffix}")
    # A few frames are no result: they are to be looked at.
    if not options.frames and not options.pictures:
        result = project.result.with_suffix(suffix)
        versions.link_result(video, result)
        yield Saved(what="result", path=result)
        if context.shows_one_picture:
            versions.link_result(final / _PICTURE, project.result.with_suffix(".png"))
            yield Saved(what="picture", path=project.result.with_suffix(".png"))
    made = {"result": str(result), "version": str(video)}
    # Where the show has no src, or only a few frames or pictures were ever merged, it would fail.
    can_measure = project.result.is_file() and any(
        each.suffix.lower() in SUFFIXES for each in project.faces("src").glob("*")
    )
    quality = describe_model_quality(
        model, context.iteration, context.likeness, project.folder, can_measure=can_measure
    )
    yield Finished(stage="merge", summary={**facts, **made, "quality": quality})


def _concat(
    path: Path,
    renderer: SegmentRenderer,
    chosen: Sequence[range],
    sound: SoundPlan | None,
    claim: manifest.Claim,
) -> Step:
    """Concatenate the segments and sign the video; False when told to stop.

    path: result.*, or matte.* for their masks.
    """
    footage, options = renderer.context.footage, renderer.context.options
    is_matte = path.stem == "matte"
    total = sum(map(len, chosen))
    yield Started(stage=f"join {path.stem}", total=total)
    parts = [renderer.store.encoded_part(segment, matte=is_matte) for segment in renderer.segments]
    # Without a name, since without a mark.
    with scratch.unnamed_file(path.parent) as unsigned:
        joining = concat(
            path,
            parts,
            footage,
            options.encode,
            sound,
            manifest.COMMENT,
            unsigned,
        )
        with contextlib.closing(joining):
            for done in joining:
                order = yield Progress(stage=f"join {path.stem}", done=done, total=total)
                if isinstance(order, Stop):
                    return False
        claim.sign(unsigned, path)
    yield from sound_losses(sound)
    return True


def _write_record(path: Path, renderer: SegmentRenderer, facts: dict[str, Any]) -> None:
    """Write what the version was made of and with."""
    footage, options = renderer.context.footage, renderer.context.options
    record = {
        "understudy": version("understudy"),
        **facts,
        "footage": {"name": footage.path.name, **footage.fingerprint.model_dump(mode="json")},
        "options": options.model_dump(mode="json"),
        "segments": [segment.key for segment in renderer.segments],
    }
    atomic.write_text(path, json.dumps(record, indent=2) + "\n")


def _suffix(options: MergeOptions) -> str:
    """Of the result's name; "" of a folder of pictures."""
    if options.pictures:
        return ""
    return ".mov" if options.encode.codec == "prores" else ".mp4"


def _sound(footage: Footage, options: MergeOptions, chosen: Sequence[range]) -> SoundPlan | None:
    """The chosen sound of the footage: all of it, or from the first chosen frame to the last."""
    first, end = chosen[0].start, chosen[-1].stop
    if end - first == len(footage):
        return choose_sound(footage, options, _suffix(options))
    begin = footage.pts[first] * footage.time_base
    stop = begin + footage.seconds(end) - footage.seconds(first)
    return choose_sound(footage, options, _suffix(options), begin, stop)


def _summary(context: MergeContext, renderer: SegmentRenderer) -> dict[str, Any]:
    """What the end of a merge reports, as plain values."""
    model = context.model_path
    known = {"model_sha256": manifest.fingerprint(model)} if model.is_file() else {}
    frames = sum(len(segment.frames) for segment in renderer.segments)
    return {
        "model": model.name,
        **known,
        "iteration": context.iteration,
        "frames": frames,
        **renderer.report().summary(),
    }
