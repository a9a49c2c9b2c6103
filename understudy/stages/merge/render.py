"""The frames of a merge, rendered and coded segment by segment, here or in another process."""

from __future__ import annotations

import functools
import itertools
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from understudy.errors import BadProject
from understudy.io.open_footage import open_footage
from understudy.io.video.writer import write_part
from understudy.stages.merge.context import Workshop
from understudy.stages.merge.frames import Merged, Report, merged_frames
from understudy.stages.merge.options import MergeOptions
from understudy.stages.merge.predict import Take
from understudy.stages.merge.segments import Outcome, Segment, Store
from understudy.stages.parallel.footage_reader import Film
from understudy.stages.parallel.prefetch import ahead
from understudy.stages.project import Project
from understudy.types import Array, Frame

# Frames that may be coded before anybody has heard of it.
_DEPTH: Final = 4
# Masks are so simple that a slower encoder, which holds many more frames, gains little.
_MATTE: Final = {"preset": "ultrafast"}


@dataclass(frozen=True, slots=True)
class RenderTask:
    """A segment for another process. It reads and writes the same files, so every machine must
    reach the show by its path.
    """

    show: Path
    film: Film
    options: MergeOptions
    segment: Segment
    store: Store


def render(task: RenderTask) -> Outcome:
    """Render and keep the task's segment. Raises BadProject when faces or model have changed since
    the task was made.
    """
    workshop = _opened(task.show, task.film, task.options)
    if workshop.key(task.segment.frames) != task.segment.key:
        raise BadProject(
            f"{task.show}: faces, model or footage changed while they were merged. Run the same"
            " command again."
        )
    for _ in rendered(workshop, [task.segment], task.store, Report(), threads=1):
        continue
    outcome = task.store.outcome(task.segment)
    assert outcome is not None
    return outcome


def rendered(
    workshop: Workshop, segments: Sequence[Segment], store: Store, report: Report, threads: int = 0
) -> Generator[None, None, None]:
    """Render and keep segments that follow one another; comes back after each frame that is on its
    way to the encoder.

    report: what happens to the frames, filled while they pass. threads: that work at a time, 0 =
    one a core. One stream of frames runs through all segments, and the last pictures of one are
    coded while the next begins. Closing it keeps the segments whose frames are all there.
    """
    merged = stream(
        workshop, report, range(segments[0].frames.start, segments[-1].frames.stop), threads
    )
    finishing: Future[None] | None = None
    with closing(merged), ThreadPoolExecutor(1, "understudy-finish") as finisher:
        for segment in segments:
            coding = ahead(_coded(workshop, segment, store, merged, threads), _DEPTH)
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


def stream(
    workshop: Workshop, report: Report, frames: range, threads: int = 0
) -> Generator[Merged, None, None]:
    """The finished frames of a stretch, in order. report: filled while they pass. threads: that
    work on them, 0 = one a core.
    """
    footage = workshop.footage
    return merged_frames(
        Take(footage.path, workshop.places, workshop.recipe, footage.index, threads), report, frames
    )


def _finish(
    segment: Segment, store: Store, report: Report, coding: Generator[int, None, None]
) -> None:
    """Wait for the last pictures of a segment, and declare it finished."""
    for _ in coding:
        continue
    bare = tuple(frame for frame in report.bare if frame in segment.frames)
    failed = tuple((frame, reason) for frame, reason in report.failed if frame in segment.frames)
    store.finish(segment, Outcome(bare=bare, failed=failed))


def _coded(
    workshop: Workshop, segment: Segment, store: Store, merged: Iterator[Merged], threads: int
) -> Generator[int, None, None]:
    """Code the next frames of the stream as the segment, and their masks where they are asked
    for.
    """
    footage, encode = workshop.footage, workshop.options.encode
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
    # A mask comes to be with its picture, and is coded right after it.
    left = iter(lambda: masks.popleft() if masks else None, None)
    mattes = write_part(
        store.matte(segment), left, footage, encode.model_copy(update=_MATTE), threads
    )
    with closing(coding), closing(mattes):
        for done, _ in zip(coding, mattes, strict=True):
            yield done


def _grey(merged: Merged) -> Frame:
    """The mask as a frame, of the depth of the frame that it belongs to."""
    image = merged.frame.image
    matte = np.zeros(image.shape[:2], np.float32) if merged.matte is None else merged.matte
    levels = 255 if image.dtype == np.uint8 else 65535
    grey: Array = np.rint(matte * np.float32(levels)).astype(
        np.uint8 if levels == 255 else np.uint16
    )
    return replace(merged.frame, image=np.broadcast_to(grey[:, :, None], image.shape))


@functools.lru_cache(maxsize=1)
def _opened(show: Path, film: Film, options: MergeOptions) -> Workshop:
    """The workshop of a process that renders one task after the other."""
    footage = open_footage(film.path, index=film.index, threads=1)
    return Workshop.open(Project.load(show), footage, options)
