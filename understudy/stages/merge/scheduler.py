"""The segments of a merge, done wherever that was asked for, and what happened to their frames."""

from __future__ import annotations

import itertools
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path

from understudy.io import atomic
from understudy.stages.events import Event, FailedFrame, Note, Order, Progress, Started, Stop
from understudy.stages.merge.context import Workshop
from understudy.stages.merge.frames import Report
from understudy.stages.merge.render import RenderTask, render, rendered
from understudy.stages.merge.segments import Segment, Store, runs
from understudy.stages.parallel.footage_reader import Film
from understudy.stages.parallel.workers import spread

Step = Generator[Event, Order | None, bool]


class SegmentWork:
    """The rendering of all segments of a merge. What is done is on disk at once, so a run that was
    killed goes on from there.
    """

    def __init__(
        self, show: Path, workshop: Workshop, store: Store, segments: Sequence[Segment]
    ) -> None:
        self.workshop, self.store, self.segments = workshop, store, segments
        self._show = show
        self._total = sum(len(each.frames) for each in segments)
        self._done = 0
        self._known = 0
        self._began = time.monotonic()

    def run(self) -> Step:
        """Render what is not there yet; False when told to stop. Raises CannotWrite, WorkerLost."""
        atomic.remove_partials(self.store.folder)
        kept = [segment for segment in self.segments if self.store.outcome(segment)]
        left = [segment for segment in self.segments if segment not in kept]
        self._done = self._known = self._frames(kept)
        self.store.check_room(
            self.workshop.footage, self.workshop.options.encode, kept, self._total - self._done
        )
        yield Started(stage="merge", total=self._total)
        if kept:
            yield Note(
                text=(
                    f"{self._done} of {self._total} frames are there from earlier runs, with the"
                    " same faces and choices."
                )
            )
        yield from self._failures(self.report().failed)
        if not left:
            return True
        options = self.workshop.options
        if options.engine == "local" and min(options.workers, len(left)) == 1:
            return (yield from self._here(left))
        return (yield from self._spread(left))

    def finished(self) -> int:
        """How many frames are in segments that are finished."""
        return self._frames([segment for segment in self.segments if self.store.outcome(segment)])

    def report(self) -> Report:
        """What happened to the frames of the segments that are finished."""
        outcomes = [
            outcome for segment in self.segments if (outcome := self.store.outcome(segment))
        ]
        bare, failed = ([each.bare for each in outcomes], [each.failed for each in outcomes])
        return Report(list(itertools.chain(*bare)), list(itertools.chain(*failed)))

    def _here(self, left: Sequence[Segment]) -> Step:
        """In this process, on all cores."""
        for run in runs(left):
            report, told = Report(), 0
            with closing(rendered(self.workshop, run, self.store, report)) as frames:
                for _ in frames:
                    new = report.failed[told:]
                    told += len(new)
                    if (yield from self._progress(1, new)):
                        return False
        return True

    def _spread(self, left: Sequence[Segment]) -> Step:
        """In other processes, a segment each."""
        options, film = self.workshop.options, Film.of(self.workshop.footage, any_size=False)
        tasks = [RenderTask(self._show, film, options, segment, self.store) for segment in left]
        with closing(spread(render, tasks, options.workers, options.engine)) as results:
            for task, outcome in results:
                if (yield from self._progress(len(task.segment.frames), outcome.failed)):
                    return False
        return True

    def _progress(self, frames: int, failed: Sequence[tuple[int, str]]) -> Step:
        """Tell that so many frames more are done, and which failed; True when told to stop."""
        is_stopped = yield from self._failures(failed)
        self._done += frames
        rate = (self._done - self._known) / max(time.monotonic() - self._began, 1e-9)
        order = yield Progress(
            stage="merge", done=self._done, total=self._total, values={"frames_per_second": rate}
        )
        return is_stopped or isinstance(order, Stop)

    def _failures(self, failed: Sequence[tuple[int, str]]) -> Step:
        """Tell them; True when told to stop meanwhile."""
        orders = []
        for frame, reason in failed:
            orders.append((yield FailedFrame(frame=frame, text=reason)))
        return any(isinstance(order, Stop) for order in orders)

    def _frames(self, segments: Sequence[Segment]) -> int:
        return sum(len(segment.frames) for segment in segments)
