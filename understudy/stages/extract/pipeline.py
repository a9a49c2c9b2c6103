"""The run behind `extract`: detect faces, track them, crop the pictures."""

from __future__ import annotations

import collections
import contextlib
import functools
import io
import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from understudy.core.image import as_bytes
from understudy.core.metrics.summary import FootageInfo
from understudy.core.tracking.places import match_places, places_of
from understudy.errors import BadMedia, NoFaces, WeightsMissing
from understudy.io import atomic, scratch
from understudy.io.faceset.faceset import Faceset, free_path
from understudy.io.footage.base import Footage
from understudy.io.footage.image_sequence import ImageSequence
from understudy.io.footage.stills import read_image
from understudy.io.installation import install_extra
from understudy.io.provenance.manifest import COMMENT, Claim
from understudy.io.video.clip_writer import write_clip
from understudy.parts.iris import load_eye_network
from understudy.stages.carried_marks import CarriedMarks
from understudy.stages.events import (
    Change,
    Event,
    FailedFrame,
    Finished,
    Note,
    Order,
    Progress,
    Saved,
    Started,
    Stop,
    Warned,
)
from understudy.stages.extract import record
from understudy.stages.extract.clip import Clip
from understudy.stages.extract.crop import CropResult, CropTask, CropTasks, crop_faces
from understudy.stages.extract.curation import PLANNED, REMOVED, WRITTEN, CutFaces
from understudy.stages.extract.detect import DetectTask, detect_faces
from understudy.stages.extract.detection_store import DetectionStore
from understudy.stages.extract.detections import Detections, concat_detections
from understudy.stages.extract.face_analyser import make_analyser
from understudy.stages.extract.marked_faces import require_inside
from understudy.stages.extract.marking import MarkingFiles, keep_finder
from understudy.stages.extract.options import ExtractOptions
from understudy.stages.extract.people import warn_of_several_in_faceset
from understudy.stages.extract.record import ExtractRecord
from understudy.stages.extract.report import format_report, write_report
from understudy.stages.extract.track import TrackedFaces, rank_in_frame, track_faces
from understudy.stages.footage_notes import footage_notes
from understudy.stages.frame_ranges import group_ranges
from understudy.stages.parallel.chunks import split_into_chunks
from understudy.stages.parallel.footage_reader import FootageHandle
from understudy.stages.parallel.tally import Steps
from understudy.stages.parallel.workers import map_stepwise
from understudy.types import Faces, Side

Step = Generator[Event, Order | None, bool]
Task = TypeVar("Task", DetectTask, CropTask)
Result = TypeVar("Result", Detections, CropResult)


class Extraction:
    """The extraction of one clip; what is done is on disk at once, so a killed run goes on."""

    def __init__(self, footage: Footage, clip: Clip, side: Side, options: ExtractOptions) -> None:
        if not len(footage):
            raise BadMedia(f"{footage.path}: no frames. Give footage with at least one.")
        self.footage, self.clip, self.side = footage, clip, side
        self.folder, self.state, self.label = clip.faces, clip.state, clip.label
        # What auto means is decided here, not by each process or machine for itself.
        self.asked = keep_finder(self.state, options)
        self.keeps_finder = self.asked.detector != options.detector
        self.options = self.asked.with_identity()
        self.film = FootageHandle.of(footage, any_size=side == "src")
        self.chunks = split_into_chunks(footage, options.every)
        self.marking = MarkingFiles(self.state)
        self.marks = self.marking.read(footage)
        if side == "dst" or not isinstance(footage, ImageSequence):
            # Of src's pictures each may have a size of its own, which only its frame tells.
            for frame, marks in self.marks.known.items():
                for mark in marks:
                    require_inside(f"{self.marking.marks}: frame {frame}", mark, footage.size)
        # Whether no face was found and a person is to mark some.
        self.waits_for_marks = False
        self.failed: dict[int, str] = {}
        self._carried = CarriedMarks(footage, "extract")
        # What the tables of a former run come to, where this one goes by the same.
        self._known: TrackedFaces | None = None
        self.cut_faces = CutFaces.empty()
        # Rows of the faces that have pictures in the end, and of those that were removed by hand.
        self.kept = self.removed = np.zeros(0, np.int64)
        # A wrong name is refused before anything is touched.
        options.detector_part()
        options.landmarker_part()

    def run(self) -> Step:
        """Do what is left to do; True when it ended by itself, False when it was stopped."""
        yield Started(stage=f"extract {self.label}", total=None)
        order = self._order()
        if Faceset(self.folder).is_there and record.looks_at_frames(
            self.state, order, self.options
        ):
            # Weights that are missing end the run before the faces that are there are moved.
            make_analyser(self.options)
        self._refuse_unknown_person(order)
        self.record, said = record.prepare_record(self.clip, self.footage, order, self.options)
        yield from footage_notes(self.footage, f"{self.label}: ")
        yield from (Note(text=f"{self.label}: {each}") for each in [*said, *self._advice()])
        if self.record.is_complete and not self.record.pending:
            # What failed has not been mended since: it is reported again, so that no run looks
            # better than its faces.
            yield from (
                FailedFrame(frame=frame, text=reason) for frame, reason in self.record.failed
            )
            self.record = self.record.model_copy(update={"summary": self._summary_now()})
        else:
            yield from self._prepare_eyes()
            is_done = yield from self._find()
            solved = (self._known or self._solved()) if is_done else None
            if solved is not None and not len(solved) and self.options.asks_for_marks:
                return (yield from self._wait_for_marks())
            if solved is None or not (yield from self._cut(solved)):
                yield Note(text=f"{self.label}: stopped. The same command goes on from there.")
                return False
            yield from self._conclude(solved)
        if self.options.asks_for_marks and not (yield from self._ask_for_marks()):
            return False
        if self.clip.is_only:
            yield from tell_of_faceset(self.side, Faceset(self.folder), self.options)
        yield Finished(stage=f"extract {self.label}", summary=self.record.summary)
        return True

    def _refuse_unknown_person(self, order: ExtractRecord) -> None:
        """End the run before the faces that are there are moved, where nobody is who is wanted.

        Raises BadOption, NoFaces. Only where all frames were looked at in the same way before: else
        nobody knows yet.
        """
        known = record.ExtractRecord.load(self.state)
        if (
            (self.options.person is None and self.options.like is None)
            or known is None
            or known.pending
            or known.marks != order.marks
            or known.differences_in_finding(order)
            or any(
                record.load_detections(self.state, record.chunk_name(each.frames[0]), each.frames)
                is None
                for each in self.chunks
            )
        ):
            return
        solved = self._solved()
        solved.select(self.options)
        if not self.options.redo:
            self._known = solved

    def _advice(self) -> list[str]:
        said = []
        if self.keeps_finder:
            said.append(
                f"the faces that {self.asked.detector} found stay; what it missed is to be marked."
                " To mark all by hand: --detector manual --redo."
            )
        if skipped := [frame for frame in self.marks.known if frame % self.options.every]:
            said.append(
                f"marks in {len(skipped)} frames are passed over, the first in frame {skipped[0]}:"
                f" --every {self.options.every} leaves those frames out."
            )
        every, total = self.options.every, len(self.footage)
        if every > 1 and self.side == "src" and isinstance(self.footage, ImageSequence):
            said.append(
                f"--every {every} counts pictures of a folder as frames: of {total:,}"
                f" {len(range(0, total, every)):,} are looked at. To look at all: --every 1."
            )
        return [*said, *self._advice_on_people()]

    def _advice_on_people(self) -> list[str]:
        if self.asked.identity == "auto" and self.options.identity == "none":
            return [
                "people are not told apart: dlib is not installed. To have it, run"
                f" {install_extra('dlib')}; --identity none leaves it at that."
            ]
        return []

    def _prepare_eyes(self) -> Iterator[Warned]:
        """Fetch the network that looks at eyes; without it they are not measured."""
        if not self.options.eyes:
            return
        try:
            load_eye_network()
        except WeightsMissing as error:
            self.options = self.options.model_copy(update={"eyes": False})
            yield Warned(
                text=(
                    f"{self.label}: where the eyes look and how far they are open is not measured:"
                    f" {error} To do without: --no-eyes."
                )
            )

    def _order(self) -> ExtractRecord:
        """What this run is asked for, as nothing of it were done."""
        marked = {
            str(frame): [mark.plain() for mark in marks]
            for frame, marks in self.marks.known.items()
        }
        return ExtractRecord(
            source=self.film.source,
            finding=self.asked.finding(),
            cutting=self.asked.cutting(),
            marks=marked,
        )

    def _find(self) -> Step:
        """Look at all frames of which no table is there; False when stopped."""
        again, pending = record.load_redone(self.state), set(self.record.pending)
        anew, left = again.attempted_frames() | pending, []
        for chunk in self.chunks:
            known = record.load_detections(
                self.state, record.chunk_name(chunk.frames[0]), chunk.frames
            )
            if known is None:
                left.append(self._task(chunk.frames, chunk.following))
            else:
                yield from self._failures(known, but=anew)
        yield from self._failures(again, but=pending)

        def keep(task: DetectTask, finds: Detections) -> int:
            record.save_detections(self.state, record.chunk_name(task.frames[0]), finds)
            return _count_faces(task, finds)

        if not (yield from self._work("find", detect_faces, left, keep)):
            return False
        fresh: list[Detections] = []

        def renew(task: DetectTask, finds: Detections) -> int:
            fresh.append(finds)
            return _count_faces(task, finds)

        asked = [[frame for frame in chunk.frames if frame in pending] for chunk in self.chunks]
        if not (
            yield from self._work(
                "find again",
                detect_faces,
                [self._task(frames, -1) for frames in asked if frames],
                renew,
            )
        ):
            return False
        if fresh:
            record.save_detections(
                self.state, record.REDONE, concat_detections([again.drop_frames(pending), *fresh])
            )
        return True

    def _solved(self) -> TrackedFaces:
        """Who is who and where, by all tables."""
        parts = record.iter_detections(self.state, [chunk.frames for chunk in self.chunks])
        return track_faces(
            DetectionStore.collect(parts, record.detections_folder(self.state)),
            self.footage,
            self.options,
            self.marks,
            any_size=self.film.any_size,
        )

    def _cut(self, solved: TrackedFaces) -> Step:
        """Write the pictures, chunk by chunk; False when stopped. Raises NoFaces.

        Frames that were looked at again get theirs anew; what is there stays as it is.
        """
        chosen = solved.select(self.options)
        if not len(chosen):
            raise NoFaces(self._no_faces())
        claim = yield from self._carried.claim_of_all()
        pending = self._frames_to_cut_anew(solved.frame[chosen])
        if pending and Faceset(self.folder).is_there:
            # Killed from here on, nobody takes what we put away for removed by hand.
            self.record = self.record.model_copy(update={"pending": sorted(pending)})
            self.record.save(self.state)
            faceset = self.clip.own_faces(self.film.source)
            replaced = np.isin(faceset.faces.frame, sorted(pending))
            faceset.trash(replaced, for_good=True)
        numbers = yield from self._plan(solved, chosen)
        frames = self._frames_of_tasks(solved.frame[chosen[numbers >= 0]], pending)
        tasks = CropTasks(
            self.film, solved, chosen, numbers, frames, self.options, self.clip.prefix
        )

        def write(path: Path, data: bytes) -> None:
            signed = claim.sign_picture(io.BytesIO(data), path) if claim else data
            atomic.write_bytes(path, signed)

        def keep(task: CropTask, made: CropResult) -> int:
            for name, data in made.pictures:
                # What has that name is another face, or the face would not be written.
                write(free_path(self.folder / name), data)
            for name, data in made.overlays:
                write(record.debug_folder(self.state) / name, data)
            start = next(
                chunk.frames[0]
                for chunk in reversed(self.chunks)
                if chunk.frames[0] <= task.frames[0]
            )
            if made.failed:
                failed = np.isin(self.cut_faces.frame, [frame for frame, _ in made.failed])
                self.cut_faces = self.cut_faces.keep(~failed | (self.cut_faces.state != PLANNED))
                self.cut_faces.save(self.state)
            self.record = self.record.model_copy(update={"cut": sorted({*self.record.cut, start})})
            self.record.save(self.state)
            return len(made.pictures)

        return (yield from self._work("cut", crop_faces, tasks, keep))

    def _frames_of_tasks(
        self, with_face: NDArray[np.int64], pending: set[int]
    ) -> list[NDArray[np.int64]]:
        """The frames to be cut, or drawn onto for debugging, ascending, by chunk."""
        wanted = set(with_face.tolist())
        if self.options.debug != "off":
            wanted = set(range(len(self.footage))) - set(self.failed)
        done, result = set(self.record.cut), []
        for chunk in self.chunks:
            shown = wanted.intersection(chunk.frames)
            if chunk.frames[0] in done:
                shown &= pending
            if shown:
                result.append(np.array(sorted(shown)))
        return result

    def _frames_to_cut_anew(self, with_face: NDArray[np.int64]) -> set[int]:
        """Frames that were looked at again, and those that have a face now or then alone.

        A gap that a mark makes short enough is filled, and is none without it.
        """
        pending = set(self.record.pending)
        if not pending:
            return pending
        had_none = set(self._bare_frames())
        has_none = set(range(0, len(self.footage), self.options.every)) - set(with_face.tolist())
        return pending | (had_none ^ has_none)

    def _bare_frames(self) -> list[int]:
        """The frames without a face, as the record has them."""
        step = self.options.every
        return [frame for first, last in self.record.bare for frame in range(first, last + 1, step)]

    def _plan(
        self, solved: TrackedFaces, chosen: NDArray[np.int64]
    ) -> Generator[Event, Order | None, NDArray[np.int64]]:
        """The place of each chosen face among its frame's, (N,), -1 = it gets no picture now.

        That is, it is there already, or was removed by hand. Raises NoFaces when all were.
        """
        source, frame, known = self.film.source, solved.frame[chosen], CutFaces.load(self.state)
        place = places_of(solved.landmarks, solved.rows[chosen])
        gone, lost = known.stays_removed(source, frame, place, solved.track[chosen])
        if lost.any():
            yield Note(
                text=(
                    f"{self.label}: {int(lost.sum())} more faces are left out: every picture of"
                    " their tracks was removed by hand."
                )
            )
        self.kept = chosen[~gone & ~lost]
        self.removed = chosen[gone | lost]
        if not len(self.kept):
            raise NoFaces(
                f"{self.footage.path}: all {len(chosen)} faces that were found were removed by"
                " hand. To have them back: --restore-removed."
            )
        there = np.zeros(len(chosen), bool)
        if Faceset(self.folder).is_there:
            faces = self.clip.own_faces(source).faces
            own = places_of(faces.landmarks, np.arange(len(faces)))
            found = match_places(faces.frame, own, frame, place)
            there[found[found >= 0]] = True
        first = np.array([chunk.frames[0] for chunk in self.chunks])
        state = np.where(lost, REMOVED, np.where(there, WRITTEN, PLANNED))
        rows = ~gone
        self.cut_faces = known.plan(
            source,
            self.record.order_key,
            frame[rows],
            place[rows],
            first[np.searchsorted(first, frame[rows], "right") - 1],
            state[rows],
        )
        self.cut_faces.save(self.state)
        return np.where(gone | lost | there, -1, rank_in_frame(frame))

    def _work(
        self,
        name: str,
        do: Callable[[Task], Steps[Result]],
        tasks: Sequence[Task],
        keep: Callable[[Task, Result], int],
    ) -> Step:
        """Do the tasks, wherever; False when stopped, which it is between two tasks.

        keep: stores what each gave and says how many faces it holds.
        """
        stage, total, began = (
            f"{name} {self.label}",
            sum(len(task.frames) for task in tasks),
            time.monotonic(),
        )
        done = faces = steps = 0
        is_stopped = False
        if not tasks:
            return True
        yield Started(stage=stage, total=total)
        with contextlib.closing(
            map_stepwise(do, tasks, self.options.workers, self.options.engine)
        ) as results:
            for found in results:
                is_kept = not isinstance(found, int)
                if isinstance(found, int):
                    # To the last but one: a task may look at a frame beyond its own.
                    steps = min(max(steps, done + found), total - 1)
                else:
                    task, result = found
                    faces += keep(task, result)
                    yield from self._failures(result)
                    done += len(task.frames)
                    steps = max(steps, done)
                values = {
                    "frames_per_second": steps / max(time.monotonic() - began, 1e-9),
                    "faces": float(faces),
                }
                order = yield Progress(stage=stage, done=steps, total=total, values=values)
                is_stopped = is_stopped or isinstance(order, Stop)
                if is_stopped and is_kept:
                    return False
                if isinstance(order, Change):
                    yield Warned(
                        text=(
                            "extract has no option that can change while it runs. Stop it, and run"
                            " it anew with the other."
                        )
                    )
        return True

    def _task(self, frames: Sequence[int], following: int) -> DetectTask:
        return DetectTask(
            self.film,
            frames,
            self.options,
            self.marks,
            following if self.options.follows_flow else -1,
        )

    def _failures(
        self, result: Detections | CropResult, but: Collection[int] = ()
    ) -> Generator[Event, Order | None, None]:
        """The frames that failed, each told once; not those in `but`."""
        for frame, reason in result.failed:
            if frame not in self.failed and frame not in but:
                self.failed[frame] = reason
                yield FailedFrame(frame=frame, text=reason)

    def _conclude(self, solved: TrackedFaces) -> Generator[Event, Order | None, None]:
        """The report, and the record closed, when all pictures are there."""
        claim = yield from self._carried.claim_of_all()
        if self.options.debug == "video":
            yield Saved(what="debug video", path=self._debug_video(claim))
        looked, kept = np.arange(0, len(self.footage), self.options.every), self.kept
        bare = group_ranges(np.setdiff1d(looked, solved.frame).tolist(), self.options.every)
        facts = FootageInfo(
            self.footage.path.name,
            looked,
            sorted(self.failed.items()),
            self._frame_sizes(looked, solved),
            solved.frame[self.removed].tolist(),
        )
        report = write_report(self.state, self.clip.own_faces(self.film.source), facts, claim)
        yield from (Note(text=line) for line in format_report(report).splitlines())
        yield Saved(what="report", path=self.state / "report.html")
        summary = {
            "side": self.side,
            "frames": len(looked),
            "faces": len(kept),
            "left_out": len(solved) - len(kept) - len(self.removed),
            "removed_by_hand": len(self.removed),
            "people": len(np.unique(solved.person[kept][solved.person[kept] >= 0])),
            "tracks": len(np.unique(solved.track[kept])),
            "filled": int(solved.filled[kept].sum()),
            "frames_without_a_face": [list(each) for each in report.gaps],
            "failed_frames": len(self.failed),
            "folder": str(self.folder),
        }
        closed = {
            "is_complete": True,
            "cut": [chunk.frames[0] for chunk in self.chunks],
            "pending": [],
            "bare": [tuple(each) for each in bare],
            "failed": sorted(self.failed.items()),
            "summary": summary,
        }
        self.cut_faces.finish().save(self.state)
        self.record = self.record.model_copy(update=closed)
        self.record.save(self.state)

    def _summary_now(self) -> dict[str, Any]:
        """The summary of the last run, with the faces and the folder as they are now."""
        source = self.film.source
        faces = self.clip.own_faces(source).faces
        now = {
            "faces": len(faces),
            "removed_by_hand": len(CutFaces.load(self.state).removed(source)),
            "people": len(np.unique(faces.person[faces.person >= 0])),
            "tracks": len(np.unique(faces.track)),
            "filled": int(faces.filled.sum()),
            "folder": str(self.folder),
        }
        # Former versions did not count all of it, nor keep what was cut.
        return {name: now.get(name, value) for name, value in self.record.summary.items()}

    def _frame_sizes(self, looked: NDArray[np.int64], solved: TrackedFaces) -> NDArray[np.int64]:
        """(F, 2) width and height of each frame, of photographs those with a face."""
        result = np.tile(np.array(self.footage.size, np.int64), (len(looked), 1))
        result[np.searchsorted(looked, solved.frame)] = solved.frame_size
        return result

    def _ask_for_marks(self) -> Step:
        """Leave a file in which frames without a face wait to be marked; False when stopped."""
        bare, faces = self._bare_frames(), self.clip.own_faces(self.film.source).faces
        waiting = yield from self._list_frames(bare, faces)
        if waiting is None:
            return False
        name = self.marking.marks.name
        if waiting:
            yield Note(
                text=(
                    f"{self.label}: {_of_many(waiting, len(set(bare) - set(self.marks.known)))}"
                    f" without a face wait in {name} to be marked by hand: measure on the pictures"
                    f" in {self.marking.pictures.name}, write the marks, and run this again."
                )
            )
        else:
            yield Note(text=f"{self.label}: every frame has a face or is marked; none waits.")
        return True

    def _wait_for_marks(self) -> Step:
        """The same where no frame has a face; what to do is said at the end of the command."""
        looked = list(range(0, len(self.footage), self.options.every))
        waiting = yield from self._list_frames(looked, Faces.empty())
        if waiting is None:
            return False
        self.waits_for_marks = True
        summary = {"side": self.side, "frames": len(looked), "faces": 0, "to_mark": waiting}
        yield Finished(stage=f"extract {self.label}", summary=summary)
        return True

    def _list_frames(
        self, bare: Sequence[int], faces: Faces
    ) -> Generator[Event, Order | None, int | None]:
        claim = yield from self._carried.claim_of_all()
        waiting = yield from self.marking.ask(self.footage, self.film, bare, faces, claim)
        if waiting is None:
            yield Note(text=f"{self.label}: stopped. The same command goes on from there.")
        return waiting

    def _debug_video(self, claim: Claim | None) -> Path:
        """The debugging pictures as one video, at the footage's speed; the pictures go."""
        folder = record.debug_folder(self.state)
        path = folder.with_suffix(".mp4")
        looked = range(0, len(self.footage), self.options.every)
        wanted = [
            record.debug_picture(self.state, frame) for frame in looked if frame not in self.failed
        ]
        there = [each for each in wanted if each.is_file()]
        # Where some are gone beside a video, a run was killed while they went.
        if len(there) == len(wanted) or (there and not path.exists()):
            width, height = (side - side % 2 for side in self.footage.size)
            images = (as_bytes(read_image(each))[:height, :width] for each in there)
            fps = max(1, round(self.footage.fps / self.options.every))
            write = functools.partial(write_clip, path, images, (width, height), fps)
            if claim is None:
                collections.deque(write(), maxlen=0)
            else:
                with scratch.unnamed_file(path.parent) as unsigned:
                    collections.deque(write(comment=COMMENT, into=unsigned), maxlen=0)
                    claim.sign(unsigned, path)
        if folder.is_dir():
            atomic.remove_files(folder, {each.name for each in there})
        return path

    def _no_faces(self) -> str:
        where = self.footage.path
        if self.failed:
            return (
                f"{where}: no face found, and {len(self.failed)} frames failed, the first:"
                f" {next(iter(self.failed.values()))}"
            )
        advice = self.options.detector_part().when_nothing_found
        return (
            f"{where}: no face found in any frame. {advice}, mark faces by hand (--fix), or give"
            " other footage."
        )


def tell_of_faceset(
    side: Side, faceset: Faceset, options: ExtractOptions
) -> Iterator[Warned | Saved]:
    """Tell where a side's faces lie, and warn when they are of more people than were asked for."""
    if options.person is None and options.like is None:
        yield from warn_of_several_in_faceset("extract", side, faceset)
    yield Saved(what="faceset", path=faceset.folder)


def ask_for_marks(waiting: Sequence[Extraction]) -> str:
    """What to do where no face was found and some can be marked: for the end of a command."""
    files = " and ".join(str(each.marking.marks) for each in waiting)
    folders = " and ".join(str(each.marking.pictures) for each in waiting)
    failed = sum(len(each.failed) for each in waiting)
    marked = f"what is marked failed in {failed} frames" if failed else "none marked yet"
    return (
        f"no face found, and {marked}: write the marks into {files}, measured on the pictures in"
        f" {folders}, then run the same command again."
    )


def _of_many(count: int, total: int) -> str:
    return f"{count} frames" if count == total else f"{count} of {total} frames, evenly spread,"


def _count_faces(task: DetectTask, finds: Detections) -> int:
    return int(np.isin(finds.frame, task.frames).sum())
