"""`merge --preview` and `merge --debug`: a few frames as pictures, and no video."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing

import numpy as np

from understudy.io.open_footage import open_footage
from understudy.io.provenance.manifest import Claim
from understudy.io.provenance.signing_key import Credentials
from understudy.stages import frame_ranges
from understudy.stages.events import Event, FailedFrame, Finished, Order, Stage, Started
from understudy.stages.merge.chosen_options import ChosenOptions
from understudy.stages.merge.context import MergeContext
from understudy.stages.merge.debug import write_debug
from understudy.stages.merge.frames import FrameReport, merge_frames
from understudy.stages.merge.options import MergeOptions
from understudy.stages.merge.predict import MergeFrame
from understudy.stages.merge.presets import apply_preset
from understudy.stages.merge.preview import ROWS, write_previews
from understudy.stages.project import Project

Frames = Generator[MergeFrame, None, None]
WriteStills = Callable[[Frames], Generator[Event, Order | None, bool]]


def render_stills(project: Project, context: MergeContext, signer: Credentials) -> Stage:
    """Write the frames that the options name: on sheets with `preview`, step by step with `debug`.

    Where none are named: as many as a sheet holds, spread over the frames with a face. Raises
    BadOption.
    """
    options, footage = context.options, context.footage
    named = (
        frame_ranges.resolve_ranges(options.frames, len(footage), "frames")
        if options.frames
        else _choose_frames(context)
    )
    total = sum(map(len, named))
    model = context.model_path
    went_in = [model] if model.is_file() else project.footages("src")
    claim = Claim.edited([footage.path, *went_in], signer, consent=project.file.consent)
    report = FrameReport()
    # A file of somebody else's does not tell its iteration.
    learnt = f", iteration {context.iteration}" if context.iteration else ""
    shown = f"model {model.name}{learnt}"
    base = apply_preset(project, MergeOptions(preset=options.preset))
    chosen = ChosenOptions.of(shown, options, base)
    # From another thread than its own, footage cannot be read.
    with open_footage(footage.path, index=footage.index) as plates:
        ways: dict[str, WriteStills] = {}
        if options.preview:
            ways["preview"] = lambda merged: write_previews(
                project.merged / "preview", plates, merged, total, claim, chosen
            )
        if options.debug:
            ways["debug"] = lambda merged: write_debug(
                project.merged / "debug", plates, merged, total, context.keyframes, claim, chosen
            )
        for name, way in ways.items():
            yield Started(stage=name, total=total)
            report = FrameReport()
            with closing(_merge_named(context, report, named)) as merged:
                if not (yield from way(merged)):
                    return
    for frame, reason in report.failed:
        yield FailedFrame(frame=frame, text=reason)
    yield Finished(stage="merge", summary={"frames": total, **report.summary()})


def _merge_named(context: MergeContext, report: FrameReport, named: Sequence[range]) -> Frames:
    for frames in named:
        yield from merge_frames(context, report, frames)


def _choose_frames(context: MergeContext) -> list[range]:
    """As many frames with a face as a sheet holds, evenly over the footage.

    Its first ones where no frame has any.
    """
    there = sorted(frame for frame in context.placements if frame < len(context.footage)) or range(
        min(ROWS, len(context.footage))
    )
    rows = np.unique(np.linspace(0, len(there) - 1, ROWS).round().astype(int))
    return [range(there[row], there[row] + 1) for row in rows]
