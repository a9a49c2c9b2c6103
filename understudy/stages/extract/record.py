"""What an extraction has done so far: `extract.json`, and tables in `found` beside it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from understudy.errors import BadData, BadProject
from understudy.io import atomic, data_files, tables
from understudy.io.faceset.faceset import Faceset
from understudy.io.faceset.journal import Journal, trash_of
from understudy.io.faceset.manual_marks import Mark, parse_faces
from understudy.io.faceset.order import order_path
from understudy.io.faceset.pack import pack_path
from understudy.io.faceset.picture_files import list_pictures
from understudy.io.footage.base import Footage, explain_unreadable
from understudy.io.footage.fingerprint import FootageFingerprint
from understudy.stages.extract.clip import Clip
from understudy.stages.extract.curation import CutFaces, order_key
from understudy.stages.extract.detections import Detections, concat_detections, drop_shared_frames
from understudy.stages.extract.options import ExtractOptions
from understudy.types import Doubles

# The table of the frames that were looked at again, beside those of the chunks.
REDONE, _TABLE = "again", ".safetensors"


class FormerFingerprint(BaseModel):
    """What footage was known by up to version 2 of the record, name and time of change among it.

    bytes: of the file, or of all files of the folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    bytes: int
    mtime_ns: int
    frames: int

    def is_of(self, footage: Footage) -> bool:
        """Whether the footage can be the same. Raises BadMedia when a file is gone.

        Names and times change as footage is moved and copied, so they do not count. Places of faces
        were once kept in pixels that are not square.
        """
        path = footage.path
        with explain_unreadable(path):
            sizes = [sum(file.stat().st_size for file in footage.files)]
            if path.is_dir():
                sizes.append(sum(file.stat().st_size for file in path.iterdir()))
        is_as_large = footage.size == footage.plate_size
        return self.bytes in sizes and self.frames == len(footage) and is_as_large


class ExtractRecord(BaseModel):
    """What a faceset was asked for, and how far it came; extract.json.

    Attributes:
        finding: Options that decide which faces are found.
        cutting: Options that decide which pictures are made of them.
        marks: What was marked by hand, by frame.
        cut: First frames of the chunks whose pictures are written.
        pending: Frames to be looked at again.
        bare: First and last frames of the ranges without a face.
        failed: Frame and reason.
    """

    model_config = ConfigDict(extra="forbid")

    version: Literal[2, 3] = 3
    source: FootageFingerprint | FormerFingerprint
    finding: dict[str, Any]
    cutting: dict[str, Any]
    marks: dict[str, Any] = {}
    cut: list[int] = []
    pending: list[int] = []
    is_complete: bool = False
    bare: list[tuple[int, int]] = []
    failed: list[tuple[int, str]] = []
    summary: dict[str, Any] = {}

    @model_validator(mode="after")
    def _names_frames_that_are_there(self) -> Self:
        ends = [0, *itertools.chain(*self.bare), self.source.frames]
        places = [*self.cut, *self.pending, *(frame for frame, _ in self.failed)]
        if sorted(ends) != ends or not all(0 <= place <= self.source.frames for place in places):
            raise ValueError("frames that the footage has not")
        return self

    @classmethod
    def load(cls, state: Path) -> Self | None:
        """Load the record; None without one that this version can read.

        state: the folder of what is known of a footage.
        """
        try:
            return data_files.read_json_as(record_path(state), cls)
        except BadData:
            return None

    def save(self, state: Path) -> None:
        """Write the record, all or nothing."""
        atomic.write_text(record_path(state), self.model_dump_json(indent=1) + "\n")

    def with_source_of(self, footage: Footage) -> Self:
        """The record, with the footage known as today where it can be the same as it was then."""
        source = self.source
        if isinstance(source, FormerFingerprint) and source.is_of(footage):
            return self.model_copy(update={"version": 3, "source": footage.fingerprint})
        return self

    @property
    def order_key(self) -> str:
        """What tells pictures apart that were asked for with other options."""
        return order_key(self.finding, self.cutting)

    def marks_since(self, other: ExtractRecord) -> dict[int, tuple[Mark, ...]]:
        """What another order has marked that this one has not, by frame."""
        now = {frame: _marks_of(other, frame) or () for frame in other.marks}
        return {
            int(frame): tuple(set(marks) - set(_marks_of(self, frame) or ()))
            for frame, marks in now.items()
        }

    def differences(self, other: ExtractRecord) -> list[str]:
        """In what the two orders differ, in words for people."""
        changed = ExtractOptions.changes(self.cutting, other.cutting, "crop")
        return [*changed, *self.differences_in_finding(other)]

    def differences_in_finding(self, other: ExtractRecord) -> list[str]:
        """As `differences`, of what decides which faces are found."""
        changed = ExtractOptions.changes(self.finding, other.finding, "detect")
        return [*changed, *(["the footage"] if self.source != other.source else [])]


def looks_at_frames(state: Path, order: ExtractRecord, options: ExtractOptions) -> bool:
    """Whether a run finds faces, and does not only cut those that are found already."""
    known = ExtractRecord.load(state)
    return (
        known is None
        or options.redo
        or not known.is_complete
        or bool(known.differences_in_finding(order))
    )


def prepare_record(
    clip: Clip, footage: Footage, order: ExtractRecord, options: ExtractOptions
) -> tuple[ExtractRecord, list[str]]:
    """Return the record to go on from, and what to say; the files are made to match it.

    Faces that follow another order are moved aside with all that belongs to them, to
    `<name>_old_N`: nothing is lost, nothing is mixed, and faces of other clips stay. What was found
    is kept for a new order that only crops other pictures from it.

    Raises:
        BadProject: --redo-missing cannot be done here.
    """
    state = clip.state
    known = ExtractRecord.load(state)
    if known is not None:
        known = known.with_source_of(footage)
    now, before = footage.fingerprint, CutFaces.load(state)
    is_other = known is not None and known.source != now
    known, cut_faces, said = _notice_removed(clip, known, before)
    if known is not None and not is_other:
        cut_faces = cut_faces.allow_marked(now, known.marks_since(order))
    why = ""
    if options.same_shot and (adopted := cut_faces.adopt(now)) is not cut_faces:
        cut_faces, why = adopted, "what was removed by hand from the same shot is left out"
    elif is_other and not options.same_shot:
        said += _of_former(cut_faces, now)
    removed = cut_faces.removed(now)
    brings_back = options.restore_removed and len(removed) > 0
    if brings_back and known is not None:
        known = known.model_copy(update={"cut": [], "is_complete": False})
    if cut_faces is not before:
        cut_faces.save(state)
    record, told = _prepare_files(clip, known, order, options, why)
    if brings_back:
        # Not before their pictures are to be cut: a run that is killed keeps them in mind.
        gone = [removed, *([cut_faces.removed_before(now, alike=True)] * options.same_shot)]
        cut_faces.keep(~np.isin(np.arange(len(cut_faces)), np.concatenate(gone))).save(state)
        said.append(f"{_faces_were(len(removed))} removed by hand, and brought back now.")
    elif len(removed):
        said.append(
            f"{_faces_were(len(removed))} removed by hand and"
            f" {'stays' if len(removed) == 1 else 'stay'} removed; --restore-removed brings all"
            " back."
        )
    elif options.restore_removed:
        said.append("no face was removed by hand, so there is none to bring back.")
    return record, [*said, *told]


def keep_removed(clip: Clip) -> None:
    """Write down which of a clip's pictures were removed by hand, before all others go.

    Raises BadMedia where a picture in the folder is no face of ours.
    """
    before = CutFaces.load(clip.state)
    _, cut_faces, _ = _notice_removed(clip, ExtractRecord.load(clip.state), before)
    if cut_faces is not before:
        cut_faces.save(clip.state)


def _notice_removed(
    clip: Clip, known: ExtractRecord | None, cut_faces: CutFaces
) -> tuple[ExtractRecord | None, CutFaces, list[str]]:
    """Notice which pictures went since the last run; what to say when all did.

    Taken away as a whole, they are cut again: what was found is still there.

    Raises:
        BadMedia: A picture in the folder is no face of ours.
    """
    if known is None or not isinstance(known.source, FootageFingerprint):
        return known, cut_faces, []
    said, is_emptied = list[str](), not Faceset(clip.faces).is_there
    if not is_emptied and cut_faces.order == known.order_key:
        own = clip.own_faces(known.source)
        cut_faces = cut_faces.notice(own, known.source, known.cut, known.pending)
        is_emptied = cut_faces.is_empty_of(own, known.source)
        if is_emptied:
            said.append(f"no picture is left in {clip.faces.name}: all are cut anew.")
    if is_emptied:
        known = known.model_copy(update={"cut": [], "is_complete": False})
    return known, cut_faces, said


def _of_former(cut_faces: CutFaces, now: FootageFingerprint) -> list[str]:
    """What is said of faces that were removed from the footage before this one."""
    if not (others := len(cut_faces.removed_before(now, alike=False))):
        return []
    is_alike = len(cut_faces.removed_before(now, alike=True)) > 0
    return [
        f"{_faces_were(others)} removed by hand from the footage that was there; that means nothing"
        " for this one."
        + (" If it is the same shot, in another grade: --same-shot." if is_alike else "")
    ]


def _faces_were(count: int) -> str:
    return f"{count} face was" if count == 1 else f"{count} faces were"


def _prepare_files(
    clip: Clip,
    known: ExtractRecord | None,
    order: ExtractRecord,
    options: ExtractOptions,
    why_anew: str,
) -> tuple[ExtractRecord, list[str]]:
    """As `prepare_record`, when it is known what people removed."""
    state = clip.state
    if options.redo_missing:
        return _redo_missing(state, known, order)
    if known is None or options.redo or why_anew or known.differences(order):
        return _start_anew(clip, known, order, options.redo, why_anew)
    changed = _frames_of_marks(state, known, order)
    record = known.model_copy(
        update={
            "marks": order.marks if changed else known.marks,
            "pending": sorted({*known.pending, *changed}),
        }
    )
    record.save(state)
    if changed:
        them = "frame was" if len(changed) == 1 else "frames were"
        return record, [
            f"{len(changed)} {them} marked since, or what was found by the marks is damaged;"
            " looked at again."
        ]
    if record.is_complete and not record.pending:
        return record, ["all frames are done already; nothing to do. To start again: --redo."]
    return record, ["going on where the last run came to. To start again: --redo."]


def _start_anew(
    clip: Clip, known: ExtractRecord | None, order: ExtractRecord, redo: bool, why_anew: str
) -> tuple[ExtractRecord, list[str]]:
    said, state = list[str](), clip.state
    making_way = _MakingWay.find(clip, known, order)
    if making_way.has_pictures:
        aside = _move_aside(clip, known, making_way)
        differences = "" if known is None else ", ".join(known.differences(order))
        why = (
            f"they were made with other settings ({differences})"
            if differences
            else why_anew or "there is no record of how they were made"
        )
        said.append(
            f"the faces that were there are in {aside.name} now:"
            f" {'a new start was asked for' if redo else why}."
            + ("" if making_way.is_whole else " faces undo and the last sort leave them out.")
        )
    side = clip.faces.parent
    if clip.is_only and (others := int((~making_way.rows).sum())):
        them = (
            "face came from elsewhere and stays"
            if others == 1
            else "faces came from elsewhere and stay"
        )
        said.append(
            f"{others} {them}. To make all of one face type and size:"
            f" understudy faces recrop {side.parent} {side.name}"
            f" --face-type {order.cutting['face_type']} --size {order.cutting['size']}."
        )
    if known is not None and known.source != order.source and order.marks:
        said.append(
            f"marks.json was made for the footage that was there: its marks in {len(order.marks)}"
            " frames are used as they are. Where they do not fit, take it away and start again:"
            " --redo."
        )
    if known is None or redo or known.differences_in_finding(order):
        _remove_detections(state, max(each.source.frames for each in (known or order, order)))
        record = order
    else:
        # Marks that came since the frames were looked at are a matter for a second look.
        changed = _frames_of_marks(state, known, order)
        record = order.model_copy(update={"pending": sorted({*known.pending, *changed})})
    record.save(state)
    return record, said


@dataclass(frozen=True, slots=True)
class _MakingWay:
    """Which of a side's faces make way for those that a clip is cut into anew.

    rows: (N,) those that were extracted from it. Those of other footage, or that came by import,
    stay: nobody could cut them again here. is_whole: the folder goes as it is, with what belongs to
    it. in_trash: those from that clip that were put away before.
    """

    faceset: Faceset
    rows: NDArray[np.bool_]
    is_whole: bool
    in_trash: tuple[Path, ...] = ()

    @classmethod
    def find(cls, clip: Clip, known: ExtractRecord | None, order: ExtractRecord) -> Self:
        faceset = Faceset(clip.faces, tolerant=True)
        if not faceset.is_there:
            return cls(faceset, np.zeros(0, bool), False)
        sources = [each.source for each in (known, order) if each is not None]
        keys = [each for each in sources if isinstance(each, FootageFingerprint)]

        def extracted(faces: Faceset) -> NDArray[np.bool_]:
            return clip.own_rows(faces, *keys) & (faces.faces.track >= 0)

        rows = extracted(faceset)
        is_whole = clip.is_only and clip.state == clip.faces.parent and bool(rows.all())
        trash, in_trash = Faceset(trash_of(clip.faces), tolerant=True), list[Path]()
        if rows.any() and not is_whole and trash.is_there:
            in_trash = trash.with_copies(extracted(trash))
        return cls(faceset, rows, is_whole, tuple(in_trash))

    @property
    def has_pictures(self) -> bool:
        """Whether there are any that have to make way."""
        if self.is_whole:
            return bool(list_pictures(self.faceset.folder).names)
        return bool(self.rows.any())


def _frames_of_marks(state: Path, known: ExtractRecord, order: ExtractRecord) -> set[int]:
    """The frames whose marks were changed; all with marks where the table of these is damaged."""
    is_damaged = _table(state, REDONE).exists() and load_detections(state, REDONE) is None
    return {
        int(frame)
        for frame in {*known.marks, *order.marks}
        if is_damaged or _marks_of(known, frame) != _marks_of(order, frame)
    }


def _marks_of(record: ExtractRecord, frame: str) -> tuple[Mark, ...] | None:
    """What is marked in a frame, whichever version wrote it."""
    try:
        return parse_faces(record.marks.get(frame), f"frame {frame}")
    except BadData:
        return None


def _redo_missing(
    state: Path, known: ExtractRecord | None, order: ExtractRecord
) -> tuple[ExtractRecord, list[str]]:
    """Have the frames looked at again whose debug picture was deleted.

    The former finding options stay on record, whatever they are now.
    """
    if known is None or not known.is_complete or not known.cutting.get("debug") == "jpg":
        raise BadProject(
            f"{state}: --redo-missing needs debug pictures of a finished run. Run extract with"
            " --debug jpg first."
        )
    order = order.model_copy(update={"finding": known.finding})
    if known.differences(order):
        raise BadProject(
            f"{state}: --redo-missing keeps the kind of pictures, but"
            f" {', '.join(known.differences(order))} differ from what is there. Give the same, or"
            " start again with --redo."
        )
    every = known.finding["every"]
    missing = [
        frame
        for frame in range(0, known.source.frames, every)
        if not debug_picture(state, frame).exists()
    ]
    record = known.model_copy(update={"pending": sorted({*known.pending, *missing})})
    record.save(state)
    return record, [f"{len(missing)} frames whose debug picture is gone are looked at again."]


def record_path(state: Path) -> Path:
    """Where the record lies; state: the folder of what is known of a footage."""
    return state / "extract.json"


def detections_folder(state: Path) -> Path:
    """Where the tables of detections lie, a cache: what misses is detected again."""
    return state / "found"


def debug_folder(state: Path) -> Path:
    """Where the pictures for debugging lie."""
    return state / "debug"


def debug_picture(state: Path, frame: int) -> Path:
    """Where a frame lies with what was found drawn onto it."""
    return debug_folder(state) / f"{frame:06d}.jpg"


def chunk_name(first: int) -> str:
    """What the table of the chunk that starts with this frame is called."""
    return f"{first:06d}"


def save_detections(state: Path, name: str, finds: Detections) -> None:
    """Keep a table of detections under `name`."""
    tables.write_table(_table(state, name), finds.columns(), finds.notes())


def load_detections(state: Path, name: str, frames: Sequence[int] = ()) -> Detections | None:
    """Load the table kept under `name`; None when there is none, or not of these frames."""
    read = tables.read_table(_table(state, name))
    if read is None:
        return None
    try:
        finds = Detections.read(*read)
    except BadData:
        return None
    return finds if finds.attempted_frames().issuperset(frames) else None


def load_redone(state: Path) -> Detections:
    """Load the detections of frames that were looked at again; they replace the first ones."""
    return load_detections(state, REDONE) or concat_detections([])


def iter_detections(state: Path, chunks: Sequence[Sequence[int]]) -> Iterator[Detections]:
    """Yield all detections, in parts in the order of frames, one read at a time.

    Args:
        state: The folder of what is known of the footage.
        chunks: The frames of each part.

    Raises:
        BadProject: A table is missing.
    """
    again = load_redone(state)
    looked = again.attempted_frames()

    def part(frames: Sequence[int]) -> Detections:
        finds = load_detections(state, chunk_name(frames[0]), frames)
        if finds is None:
            raise BadProject(
                f"{_table(state, chunk_name(frames[0]))}: this table went while it was needed. Run"
                " extract again."
            )
        if not looked:
            return finds
        inside = [np.isin(column, frames) for column in (again.frame, again.frames)]
        return concat_detections([finds.drop_frames(looked), again.select(inside[0], inside[1])])

    return drop_shared_frames(part(frames) for frames in chunks)


def frame_sizes(state: Path, count: int) -> Doubles:
    """Return the width and height of each of `count` frames, (count, 2), as they were looked at.

    NaN where no face was found, or the table is gone.
    """
    result, place = np.full((count, 2), np.nan), detections_folder(state)
    for path in sorted(place.iterdir()) if place.is_dir() else ():
        if _is_table(path.name, count) and (finds := load_detections(state, path.stem)) is not None:
            inside = finds.frame < count
            result[finds.frame[inside]] = finds.frame_size[inside]
    return result


def _move_aside(clip: Clip, known: ExtractRecord | None, making_way: _MakingWay) -> Path:
    """Move the faces, and what belongs to them, to the first number that is free for all.

    Where others stay, the pictures go alone.
    """
    state, is_whole = clip.state, making_way.is_whole
    faces = state / clip.faces.name
    # Steps and order are of these very pictures. Killed behind them, the next run moves the faces.
    curated = (Journal(state).folder, order_path(faces)) if is_whole else ()
    own = (*curated, faces, pack_path(faces), debug_folder(state), record_path(state))
    places = dict[Path, Path]()
    for number in itertools.count(1):
        places = {each: each.with_name(f"{each.stem}_old_{number}{each.suffix}") for each in own}
        if not any(map(atomic.is_there, places.values())):
            break
    of_all = () if is_whole else (clip.faces, pack_path(clip.faces))
    with atomic.explain_os_errors(clip.faces):
        if not is_whole:
            _move_own_aside(clip, known, making_way, places[faces])
        for each, place in places.items():
            if atomic.is_there(each) and each not in of_all:
                each.rename(place)
    return places[faces]


def _move_own_aside(
    clip: Clip, known: ExtractRecord | None, making_way: _MakingWay, aside: Path
) -> None:
    """Move some of the pictures of a side. Killed meanwhile, the next run moves the rest.

    Nor does it take those that are gone for removed by hand: what was cut is forgotten before.
    """
    faceset = making_way.faceset
    faceset.require_loose(making_way.rows)
    former = faceset.select(making_way.rows)
    if known is not None:
        replace(CutFaces.load(clip.state), order="").save(clip.state)
        known.model_copy(update={"cut": [], "is_complete": False}).save(clip.state)
    side = clip.faces.parent
    journal = Journal(side)
    # Nor would those that were put away before fit to what is cut now.
    journal.forget(path.relative_to(side).as_posix() for path in making_way.in_trash)
    paths = [*itertools.chain(former.paths, *former.copies.values())]
    goals = [aside / path.name for path in paths]
    journal.move_for_good(
        [
            (path.relative_to(side).as_posix(), goal.relative_to(side).as_posix())
            for path, goal in zip(paths, goals, strict=True)
        ]
    )


def _remove_detections(state: Path, frames: int) -> None:
    """Remove the tables of footage of so many frames; whatever else lies beside them stays."""
    place = detections_folder(state)
    if place.is_dir():
        names = (path.name for path in place.iterdir())
        atomic.remove_files(place, {name for name in names if _is_table(name, frames)})


def _is_table(name: str, frames: int) -> bool:
    """Whether a run over so many frames may have written a table of that name."""
    stem = name.removesuffix(_TABLE)
    if stem == name or not (stem.isascii() and stem.isdigit()):
        return name == f"{REDONE}{_TABLE}"
    return int(stem) < frames and stem == chunk_name(int(stem))


def _table(state: Path, name: str) -> Path:
    return detections_folder(state) / f"{name}{_TABLE}"
