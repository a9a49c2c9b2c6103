"""`merge --preview` and `merge --debug`: a few frames as pictures, and no video."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing

import numpy as np

from understudy.io.open_footage import open_footage
from understudy.io.provenance.signing_key import Credentials
from understudy.stages import frame_ranges
from understudy.stages.events import Event, FailedFrame, Finished, Order, Stage, Started
from understudy.stages.merge.context import Workshop
from understudy.stages.merge.debug import debugged
from understudy.stages.merge.frames import Merged, Report
from understudy.stages.merge.preview import ROWS, previewed
from understudy.stages.merge.render import stream
from understudy.stages.merge.signed_stills import Stamp
from understudy.stages.project import Project

Frames = Generator[Merged, None, None]
Way = Callable[[Frames], Generator[Event, Order | None, bool]]


def pictured(project: Project, workshop: Workshop, signer: Credentials) -> Stage:
    """The frames that the options name on sheets, with `preview`, and step by step, with `debug`.

    Where none are named: as many as a sheet holds, spread over the frames with a face. Raises
    BadOption.
    """
    options, footage = workshop.options, workshop.footage
    named = (
        frame_ranges.within(options.frames, len(footage), "frames")
        if options.frames
        else _spread(workshop)
    )
    total = sum(map(len, named))
    went_in = workshop.model if workshop.model.is_file() else project.footage("src")
    stamp, report = Stamp.of([footage.path, went_in], signer), Report()
    # From another thread than its own, footage cannot be read.
    with open_footage(footage.path, index=footage.index) as plates:
        ways: dict[str, Way] = {}
        if options.preview:
            ways["preview"] = lambda merged: previewed(
                project.merged / "preview", plates, merged, total, stamp
            )
        if options.debug:
            ways["debug"] = lambda merged: debugged(
                project.merged / "debug", plates, merged, total, workshop.looks, stamp
            )
        for name, way in ways.items():
            yield Started(stage=name, total=total)
            report = Report()
            with closing(_merged(workshop, report, named)) as merged:
                if not (yield from way(merged)):
                    return
    for frame, reason in report.failed:
        yield FailedFrame(frame=frame, text=reason)
    yield Finished(stage="merge", summary={"frames": total, **report.facts()})


def _merged(workshop: Workshop, report: Report, named: Sequence[range]) -> Frames:
    for frames in named:
        yield from stream(workshop, report, frames)


def _spread(workshop: Workshop) -> list[range]:
    """As many frames with a face as a sheet holds, evenly over the footage; its first ones where no
    frame has any.
    """
    there = sorted(frame for frame in workshop.places if frame < len(workshop.footage)) or range(
        min(ROWS, len(workshop.footage))
    )
    rows = np.unique(np.linspace(0, len(there) - 1, ROWS).round().astype(int))
    return [range(there[row], there[row] + 1) for row in rows]
