"""The segments of a merge, rendered and encoded in this process or others, and kept."""

from __future__ import annotations

import functools
import itertools
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from understudy.core.image import as_dtype, resize
from understudy.errors import BadProject
from understudy.io.footage import stills
from understudy.io.open_footage import open_footage
from understudy.io.video import segment_file
from understudy.io.video.encode_options import resolve_encoding
from understudy.io.video.writer import write_part
from understudy.stages.events import Event, FailedFrame, Note, Order, Progress, Started, Stop
from understudy.stages.merge.context import MergeContext
from understudy.stages.merge.frames import FrameReport, merge_frames
from understudy.stages.merge.keyframes import Keyframes
from understudy.stages.merge.options import MergeOptions
from understudy.stages.merge.predict import MergeFrame
from understudy.stages.merge.segments import (
    Segment,
    SegmentRecord,
    SegmentStore,
    group_consecutive,
    segment_key,
)
from understudy.stages.parallel.footage_reader import FootageHandle
from understudy.stages.parallel.prefetch import prefetch
from understudy.stages.parallel.tally import Steps
from understudy.stages.parallel.workers import map_stepwise
from understudy.stages.project import Project
from understudy.types import Frame

Step = Generator[Event, Order | None, bool]

# Frames that may be encoded before anybody has heard of it.
_DEPTH: Final = 4


class SegmentRenderer:
    """Renders the segments of a merge that are not there yet.

    What is done is on disk at once, so a run that was killed goes on from there.
    """

    def __init__(
        self, show: Path, context: MergeContext, store: SegmentStore, segments: Sequence[Segment]
    ) -> None:
        self.context, self.store, self.segments = context, store, segments
        self._show = show
        self._total = _count(segments)
        self._done = 0
        self._known = 0
        self._began = time.monotonic()

    def run(self) -> Step:
        """Render what is not there yet; False when told to stop. Raises CannotWrite, WorkerLost."""
        self.store.remove_former()
        damaged = self.store.invalidate_damaged(self.segments)
        kept = [segment for segment in self.segments if self.store.record_of(segment)]
        left = [segment for segment in self.segments if segment not in kept]
        self._done = self._known = _count(kept)
        options = self.context.options
        self.store.check_free_space(
            self.context.footage,
            options.encode,
            kept,
            self._total - self._done,
            as_pictures=options.pictures,
        )
        yield Started(stage="merge", total=self._total)
        if kept:
            yield Note(
                text=(
                    f"{self._done} of {self._total} frames are there from earlier runs, with the"
                    " same faces and choices."
                )
            )
        if damaged:
            yield Note(
                text=(
                    f"{_count(damaged)} frames from earlier runs were damaged on the disk, and are"
                    " rendered again."
                )
            )
        yield from self._report_failures(self.report().failed)
        if not left:
            return True
        if options.engine == "local" and min(options.workers, len(left)) == 1:
            return (yield from self._render_here(left))
        return (yield from self._render_elsewhere(left))

    def finished(self) -> int:
        """How many frames are in segments that are finished."""
        return _count([segment for segment in self.segments if self.store.record_of(segment)])

    def report(self) -> FrameReport:
        """What happened to the frames of the segments that are finished."""
        records = [record for segment in self.segments if (record := self.store.record_of(segment))]
        bare, failed = ([each.bare for each in records], [each.failed for each in records])
        return FrameReport(list(itertools.chain(*bare)), list(itertools.chain(*failed)))

    def _render_here(self, left: Sequence[Segment]) -> Step:
        """In this process, on all cores."""
        for run in group_consecutive(left):
            report, reported = FrameReport(), 0
            with closing(render_segments(self.context, run, self.store, report)) as frames:
                for _ in frames:
                    new = report.failed[reported:]
                    reported += len(new)
                    if (yield from self._report_progress(1, new)):
                        return False
        return True

    def _render_elsewhere(self, left: Sequence[Segment]) -> Step:
        """In other processes, a segment each."""
        options, film = self.context.options, FootageHandle.of(self.context.footage, any_size=False)
        tasks = [SegmentTask(self._show, film, options, segment, self.store) for segment in left]
        finished, is_stopped = self._done, False
        with closing(map_stepwise(render_task, tasks, options.workers, options.engine)) as results:
            for found in results:
                failed: Sequence[tuple[int, str]] = ()
                if isinstance(found, int):
                    done = finished + found
                else:
                    task, record = found
                    finished += len(task.segment.frames)
                    done, failed = finished, record.failed
                # A segment whose worker died begins anew.
                new = max(done - self._done, 0)
                is_stopped = (yield from self._report_progress(new, failed)) or is_stopped
                # What is finished by now is kept.
                if is_stopped and not isinstance(found, int):
                    return False
        return True

    def _report_progress(self, frames: int, failed: Sequence[tuple[int, str]]) -> Step:
        """Report that so many frames more are done, and which failed; True when told to stop."""
        is_stopped = yield from self._report_failures(failed)
        self._done += frames
        rate = (self._done - self._known) / max(time.monotonic() - self._began, 1e-9)
        order = yield Progress(
            stage="merge", done=self._done, total=self._total, values={"frames_per_second": rate}
        )
        return is_stopped or isinstance(order, Stop)

    def _report_failures(self, failed: Sequence[tuple[int, str]]) -> Step:
        """Report the frames that failed; True when told to stop meanwhile."""
        orders = []
        for frame, reason in failed:
            orders.append((yield FailedFrame(frame=frame, text=reason)))
        return any(isinstance(order, Stop) for order in orders)


@dataclass(frozen=True, slots=True)
class SegmentTask:
    """A segment for another process.

    It reads and writes the same files, so every machine must reach the show by its path.
    """

    show: Path
    film: FootageHandle
    options: MergeOptions
    segment: Segment
    store: SegmentStore


def render_task(task: SegmentTask) -> Steps[SegmentRecord]:
    """Render and keep the task's segment, yielding after each frame.

    Raises BadProject when faces or model have changed since the task was made.
    """
    context = _open_context(task.show, task.film, task.options)
    if segment_key(context, task.segment.frames) != task.segment.key:
        raise BadProject(
            f"{task.show}: faces, model or footage changed while they were merged. Run the same"
            " command again."
        )
    yield from render_segments(context, [task.segment], task.store, FrameReport(), threads=1)
    record = task.store.record_of(task.segment)
    assert record is not None
    return record


def render_segments(
    context: MergeContext,
    segments: Sequence[Segment],
    store: SegmentStore,
    report: FrameReport,
    threads: int = 0,
) -> Generator[None, None, None]:
    """Render and keep segments that follow one another; yields after each frame.

    One stream of frames runs through all segments, and the last frames of one are encoded while the
    next begins. Closing it keeps the segments whose frames are all there.

    Args:
        context: what the merge works with.
        segments: one after the other, without a gap.
        store: where they are kept.
        report: what happens to the frames, filled while they pass.
        threads: that work at a time, 0 = one a core.
    """
    span = range(segments[0].frames.start, segments[-1].frames.stop)
    merged = merge_frames(context, report, span, threads)
    finishing: Future[None] | None = None
    with closing(merged), ThreadPoolExecutor(1, "understudy-finish") as finisher:
        for segment in segments:
            coding = prefetch(_encode(context, segment, store, merged, threads), _DEPTH)
            try:
                for done in coding:
                    if done == len(segment.frames):
                        break
                    yield
            except BaseException:
                # Before the stream, from which its thread may still be taking a frame.
                coding.close()
                raise
            if finishing is not None:
                finishing.result()
            finishing = finisher.submit(_finish, segment, store, report, coding)
            yield
        if finishing is not None:
            finishing.result()


def _finish(
    segment: Segment, store: SegmentStore, report: FrameReport, coding: Generator[int, None, None]
) -> None:
    """Wait for the last frames of a segment, and declare it finished."""
    for _ in coding:
        continue
    bare = tuple(frame for frame in report.without_face if frame in segment.frames)
    failed = tuple((frame, reason) for frame, reason in report.failed if frame in segment.frames)
    store.finish(segment, SegmentRecord(bare=bare, failed=failed))


def _encode(
    context: MergeContext,
    segment: Segment,
    store: SegmentStore,
    merged: Iterator[MergeFrame],
    threads: int,
) -> Generator[int, None, None]:
    """Encode the next frames of the stream as the segment, and their masks where asked for."""
    store.begin(segment)
    if context.options.pictures:
        yield from _pack(segment, store, merged)
        return
    footage, encode = context.footage, context.options.encode
    masks: deque[Frame] = deque()

    def pictures() -> Iterator[Frame]:
        for each in itertools.islice(merged, len(segment.frames)):
            if store.has_matte:
                masks.append(_grey(each))
            yield each.frame

    coding = write_part(store.video(segment), pictures(), footage, encode, threads)
    if not store.has_matte:
        yield from coding
        return
    # A mask comes to be with its picture, and is encoded right after it.
    left = iter(lambda: masks.popleft() if masks else None, None)
    # A mask has no colour to keep finely, and is so simple that a slower encoder, which holds many
    # more frames, gains little.
    fast = resolve_encoding(encode, footage, chroma="420").model_copy(
        update={"preset": "ultrafast"}
    )
    mattes = write_part(store.matte(segment), left, footage, fast, threads)
    with closing(coding), closing(mattes):
        for done, _ in zip(coding, mattes, strict=True):
            yield done


def _pack(
    segment: Segment, store: SegmentStore, merged: Iterator[MergeFrame]
) -> Generator[int, None, None]:
    """Keep the next frames of the stream as pictures, and their masks where asked for."""
    masks: deque[bytes] = deque()

    def pictures() -> Iterator[bytes]:
        for each in itertools.islice(merged, len(segment.frames)):
            if store.has_matte:
                masks.append(_png(_grey(each), is_grey=True))
            yield _png(each.frame)

    coding = segment_file.write_pictures(store.video(segment), pictures())
    if not store.has_matte:
        yield from coding
        return
    left = iter(lambda: masks.popleft() if masks else b"", b"")
    mattes = segment_file.write_pictures(store.matte(segment), left)
    with closing(coding), closing(mattes):
        for done, _ in zip(coding, mattes, strict=True):
            yield done


def _png(frame: Frame, *, is_grey: bool = False) -> bytes:
    """The pixels that a video would get of a frame, as the file of a picture."""
    image = frame.image if frame.plate is None else frame.plate
    return stills.encode_image(np.ascontiguousarray(image[..., 0]) if is_grey else image, ".png")


def _grey(merged: MergeFrame) -> Frame:
    """The mask as a frame, of the depth and shape of the frame that it belongs to."""
    image, plate = merged.frame.image, merged.frame.plate
    matte = np.zeros(image.shape[:2], np.float32) if merged.matte is None else merged.matte
    dtype = np.dtype(np.uint8 if image.dtype == np.uint8 else np.uint16)
    as_plate = None if plate is None else resize(matte, (plate.shape[1], plate.shape[0]))
    grey, plate_grey = (
        None
        if each is None
        else np.broadcast_to(as_dtype(each, dtype)[:, :, None], (*each.shape, 3))
        for each in (matte, as_plate)
    )
    assert grey is not None
    return replace(merged.frame, image=grey, plate=plate_grey)


@functools.lru_cache(maxsize=1)
def _open_context(show: Path, film: FootageHandle, options: MergeOptions) -> MergeContext:
    """The context of a process that renders one task after the other."""
    footage = open_footage(film.path, index=film.index, threads=1)
    return MergeContext.open(Project.load(show), footage, options, Keyframes.parse(options))


def _count(segments: Sequence[Segment]) -> int:
    return sum(len(segment.frames) for segment in segments)
