"""`faces import`: faces from other tools and other shows come into a side, checked, in one step."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePath
from typing import Final, TypeVar

import numpy as np

from understudy.core.face.align import FACE_TYPE_SCALE
from understudy.errors import BadMedia, BadProject, NoFaces
from understudy.io import atomic
from understudy.io.faceset.faceset import Faceset, names_there
from understudy.io.faceset.journal import NEW, Journal
from understudy.io.footage.image_sequence import ImageSequence
from understudy.options import Options, option
from understudy.printable import name_some
from understudy.stages import events
from understudy.stages.carried_marks import CarriedMarks
from understudy.stages.curate.faceset_notes import reading_events
from understudy.stages.curate.new_pictures import NewPicture, Signing
from understudy.stages.events import Event, Finished, Note, Saved, Stage, Started, Stop, Warned
from understudy.stages.exchange.alignment_faces import PictureForm, cut_alignments, match_frames
from understudy.stages.exchange.foreign_pictures import (
    OURS,
    Brought,
    Incoming,
    Look,
    bring_in,
    is_among,
    look_at,
)
from understudy.stages.exchange.foreign_sources import Source, find_source
from understudy.stages.exchange.frame_names import FrameNumbers, FramesOfFootage
from understudy.stages.extract.options import ExtractOptions
from understudy.stages.jobs import verb
from understudy.stages.parallel.workers import map_unordered
from understudy.stages.project import Project
from understudy.types import FaceType, Side

Item = TypeVar("Item")
Made = TypeVar("Made")
Result = TypeVar("Result")
Told = Generator[Event, events.Order | None, Result]

_BATCH: Final = 32
# From so many pictures on that do not come in for the same reason they are told together.
_ALIKE: Final = 4
# Bytes of a name, as most disks allow.
_LONGEST: Final = 255
_UPRIGHT: Final = tuple(FACE_TYPE_SCALE)
# Of the pictures of one type so many may show a little less than a type has, to count as it.
_FEW: Final = 0.1


class FacesImportOptions(Options):
    """What `faces import` asks."""

    first_frame: int | None = option(
        None,
        "Number of the first frame in the names of frames; not set = 1, as other tools count, or 0"
        " where a name has it",
        low=0,
        high=2**40,
    )
    workers: int | None = option(
        None, "Processes that share the work; not set = one a CPU core", low=1, high=1024
    )


@dataclass
class _Import:
    """One run: what came, what was left out, and under which names."""

    project: Project
    side: Side
    options: FacesImportOptions
    known: frozenset[str] = frozenset()
    taken: set[str] = field(default_factory=set)
    brought: list[str] = field(default_factory=list)
    left_out: int = 0
    there: int = 0
    kinds: Counter[str] = field(default_factory=Counter)

    @property
    def folder(self) -> Path:
        """Where pictures wait until all of them are there."""
        return Journal(self.project.faces(self.side).parent).new_pictures

    def leave_out(self, problems: Sequence[str]) -> Iterator[Warned | Note]:
        """Tell what does not come in, and why: one by one, or together where many are alike."""
        self.left_out += len(problems)
        alike: dict[str, list[str]] = defaultdict(list)
        for each in problems:
            place, _, reason = each.partition(": ")
            alike[reason].append(place)
        for reason, places in alike.items():
            if len(places) < _ALIKE:
                yield from (Warned(text=f"left out: {place}: {reason}") for place in places)
            else:
                where = _common_place(places)
                names = name_some([place.removeprefix(where) for place in places])
                of = f" of {where.rstrip(', ')}" if where else ""
                yield Warned(text=f"left out: {len(places)}{of}: {reason} {names}")

    def name(self, name: str, suffix: str) -> tuple[str, tuple[Path, ...]]:
        """A name for a picture that nothing has: its own, or with a number behind it.

        And the pictures of the set that have those before it.
        """
        stem = PurePath(name).stem.lstrip(".").replace("\0", "") or "face"
        plain = Path(stem + suffix)
        plain = plain if len(os.fsencode(plain.name)) <= _LONGEST else atomic.numbered(plain, 1)
        others = (atomic.numbered(plain, number) for number in itertools.count(2))
        rivals = list[Path]()
        for path in itertools.chain([plain], others):
            if path.name not in self.taken:
                break
            if path.name in self.known:
                rivals.append(self.project.faces(self.side) / path.name)
        self.taken.add(path.name)
        return path.name, tuple(rivals)


@verb
def faces_import(show: Path, side: Side, path: list[Path], *, options: FacesImportOptions) -> Stage:
    """Take faces of DeepFaceLab, faceswap or other shows into a side; what does not fit is listed.

    side: whose faces they are. path: face pictures, folders of them, packs (faceset.pak), and
    alignments (.fsa) of the side's footage. Raises NoFaces when none of them fits.
    """
    project = Project.load(show)
    options = project.options("faces_import", options)
    faces = project.faces(side)
    yield Started(stage="read", total=len(path), unit="file")
    sources = []
    for each in path:
        sources.append(find_source(each, faces))
        yield events.Progress(stage="read", done=len(sources), total=len(path))
    yield Finished(stage="read")
    with project.lock(side) as notes, atomic.explain_os_errors(faces.parent):
        yield from notes
        run = _Import(project, side, options)
        run.known = frozenset(names_there(faces))
        run.taken = set(run.known)
        shutil.rmtree(run.folder, ignore_errors=True)
        run.folder.mkdir(parents=True)
        with contextlib.ExitStack() as clearing:
            clearing.callback(shutil.rmtree, run.folder, ignore_errors=True)
            is_done = (yield from _bring_pictures(run, sources)) and (
                yield from _bring_alignments(run, sources)
            )
            if not is_done:
                yield Note(text=f"{side}: stopped; nothing was imported.")
                return
            if not run.brought and not run.there:
                raise NoFaces(_nothing(run, path))
            if run.brought:
                atomic.sync_disks()
                # From here on they are the journal's.
                clearing.pop_all()
                names = name_some([each.name for each in path])
                Journal(faces.parent).carry_out(
                    f"import: {len(run.brought)} faces from {names}",
                    [(f"{NEW}/{name}", f"{faces.name}/{name}") for name in run.brought],
                )
    if run.there:
        yield Note(
            text=f"{run.there} faces were there already, byte for byte, and were passed over."
        )
    if run.brought:
        yield Saved(what="faceset", path=faces)
        yield from _warn_of_types(run)
        yield Note(text=f"To take this back: understudy faces undo {project.folder} {side}.")
    summary = {
        "faces": len(run.brought),
        "already_there": run.there,
        "left_out": run.left_out,
        **run.kinds,
    }
    yield Finished(stage="faces_import", summary=summary)


def _common_place(places: Sequence[str]) -> str:
    """What all places begin with: a folder, or a pack with the comma behind it; "" = nothing."""
    for end in (", ", os.sep):
        head, found, _ = places[0].rpartition(end)
        if found and all(each.startswith(head + end) for each in places):
            return head + end
    return ""


def _warn_of_types(run: _Import) -> Iterator[Event]:
    """Warn where the set shows more than one face type now: nothing is learnt from such a one."""
    faceset = Faceset(run.project.faces(run.side), tolerant=True)
    yield from reading_events(faceset)
    types = Counter(faceset.face_types).most_common()
    if len(types) > 1:
        told = ", ".join(f"{count} {each}" for each, count in types)
        yield Warned(
            text=(
                f"{run.side} has faces of several types now ({told}), and train needs one. To make"
                f" them alike: understudy faces recrop {run.project.folder} {run.side} --face-type"
                f" {types[0][0]}"
            )
        )


def _nothing(run: _Import, paths: list[Path]) -> str:
    where = name_some([str(each) for each in paths])
    if not run.left_out:
        return f"{where}: no face in it. Give another file or folder."
    return (
        f"{where}: nothing of it could be imported; the warnings say why of each. Nothing has"
        " changed."
    )


def _bring_pictures(run: _Import, sources: Sequence[Source]) -> Told[bool]:
    """Look at all pictures, then bring in those that fit; False when stopped."""
    places = [each for source in sources for each in source.pictures]
    if not places:
        return True
    for source in sources:
        yield from run.leave_out(source.problems)
    looks = yield from _map(run, "look", look_at, _batches(places), len(places))
    if looks is None:
        return False
    fit = [each for each in looks if not each.problem]
    yield from run.leave_out([each.problem for each in looks if each.problem])
    if not fit:
        return True
    coming = yield from _plan(run, fit)
    tasks = [(run.folder, each) for each in _batches(coming)]
    done = yield from _map(run, "import", bring_in, tasks, len(coming))
    if done is None:
        return False
    yield from run.leave_out([each.problem for each in done if each.problem])
    yield from _sign_marked(run, done)
    brought = [each.incoming for each in done if not each.problem and not each.is_there]
    run.there += sum(each.is_there for each in done)
    run.brought += [each.name for each in brought]
    run.kinds.update(each.look.kind for each in brought)
    return True


def _sign_marked(run: _Import, done: Sequence[Brought]) -> Told[None]:
    """Sign pictures that said that their face was replaced: what they say now changed them."""
    signing = Signing()
    with tempfile.TemporaryDirectory(prefix="understudy-") as folder:
        for each in done:
            if each.has_manifest and not each.is_there:
                name = each.incoming.name
                given, path = Path(folder) / name, run.folder / name
                given.write_bytes(each.incoming.look.place.read())
                made = NewPicture(name, path.read_bytes(), given)
                path.write_bytes((yield from signing.signed(made)))
                given.unlink()


def _plan(run: _Import, looks: list[Look]) -> Generator[Note, None, list[Incoming]]:
    """As what each picture is to come in; notes tell what was decided."""
    foreign = [each for each in looks if each.kind != OURS]
    frames, told = _frames(run, [each.frame_name for each in foreign])
    counts = Counter(each.place.person for each in foreign if each.place.person)
    people = [name for name, _ in counts.most_common()]
    types = _types(foreign)
    if foreign:
        yield Note(text=told)
    for named, taken in types.items():
        if named != taken:
            yield Note(
                text=(
                    f"{sum(each.told == named for each in foreign)} pictures are called {named},"
                    f" but show no more than {taken}: they come in as that."
                )
            )
    if len(people) > 1:
        numbered = ", ".join(f"{at} = {name}" for at, name in enumerate(people))
        yield Note(text=f"Faces of {len(people)} people, numbered by how many each has: {numbered}")
    return [
        Incoming(
            look,
            *run.name(look.place.name, look.suffix),
            frames.get(look.frame_name, 0),
            # In no folder, or in the only one, nobody said who it is.
            people.index(look.place.person) if len(people) > 1 and look.place.person else -1,
            look.shown if look.kind == OURS else types[look.told],
        )
        for look in looks
    ]


def _frames(run: _Import, names: list[str]) -> tuple[dict[str, int], str]:
    """The frame that each name means, and what is told of that."""
    if run.options.first_frame is None and (known := _named_pictures(run)) is not None:
        found = {name: known.find(name) for name in names}
        if all(frame is not None for frame in found.values()):
            text = "Frames are known by the names of the side's footage."
            return {name: frame for name, frame in found.items() if frame is not None}, text
    numbers = FrameNumbers(names, run.options.first_frame)
    text = f"Frames are known by the numbers in their names; {numbers.first} is the first"
    if run.options.first_frame is None:
        text += " (other: --first-frame)"
    if numbers.unnumbered:
        text += f"; {numbers.unnumbered} names have none, and come behind the others"
    return {name: numbers[name] for name in names}, f"{text}."


def _named_pictures(run: _Import) -> FramesOfFootage | None:
    """The frames of the side's footage, where they are pictures with names."""
    try:
        with run.project.open_footage(run.side) as footage:
            return FramesOfFootage(footage) if isinstance(footage, ImageSequence) else None
    except (BadMedia, BadProject):
        # Faces need no footage to be learnt from.
        return None


def _types(looks: list[Look]) -> dict[FaceType, FaceType]:
    """By the type that pictures are called the widest that nearly all of them show."""
    shown: dict[FaceType, list[int]] = defaultdict(list)
    for each in looks:
        upright = each.shown in _UPRIGHT
        shown[each.told].append(_UPRIGHT.index(each.shown) if upright else -1)
    result: dict[FaceType, FaceType] = {}
    for told, ranks in shown.items():
        rank = sorted(ranks)[int(_FEW * len(ranks))]
        result[told] = _UPRIGHT[rank] if rank >= 0 else told
    return result


def _bring_alignments(run: _Import, sources: Sequence[Source]) -> Told[bool]:
    """Cut the faces of alignments out of the side's footage; False when stopped."""
    given = [each.path for each in sources if each.alignments]
    if not given:
        return True
    form = _form(run)
    with contextlib.ExitStack() as stack:
        footages = [
            stack.enter_context(run.project.open_footage(run.side, each))
            for each in run.project.footages(run.side)
        ]
        for path in given:
            matched = match_frames(path, footages)
            total = len(matched.faces)
            yield from run.leave_out(matched.problems)
            yield Started(stage="import", total=total)
            claim = yield from CarriedMarks(matched.footage, "faces import").claim_of_all()
            cut = stack.enter_context(contextlib.closing(cut_alignments(matched, form)))
            for done, (frame, pictures, problems) in enumerate(cut, 1):
                yield from run.leave_out(problems)
                for number, data in enumerate(pictures):
                    name, rivals = run.name(f"{frame:06d}_{number}", form.suffix)
                    if is_among(data, rivals):
                        run.there += 1
                        continue
                    path = run.folder / name
                    path.write_bytes(claim.sign_picture(io.BytesIO(data), path) if claim else data)
                    run.brought.append(name)
                    run.kinds["faceswap"] += 1
                progress = events.Progress(stage="import", done=done, total=total)
                if isinstance((yield progress), Stop):
                    return False
            yield Finished(stage="import")
    return True


def _form(run: _Import) -> PictureForm:
    """How faces are cut: as those that are there, else as `extract` is told to."""
    asked = run.project.options("extract", ExtractOptions()).preset()
    faces = Faceset(run.project.faces(run.side), tolerant=True)
    if not faces.is_there or not len(faces):
        return PictureForm(asked.face_type, asked.size, f".{asked.format}", asked.jpg_quality)
    size = int(np.median(faces.sides))
    # Of several, the one that most have.
    face_type = Counter(faces.face_types).most_common(1)[0][0]
    return PictureForm(face_type, size, f".{asked.format}", asked.jpg_quality)


def _batches(items: Sequence[Item]) -> list[list[Item]]:
    return [list(items[at : at + _BATCH]) for at in range(0, len(items), _BATCH)]


def _map(
    run: _Import, stage: str, task: Callable[[Item], list[Made]], items: Sequence[Item], total: int
) -> Told[list[Made] | None]:
    """What a task makes of all items, in their order; None when stopped."""
    yield Started(stage=stage, total=total, unit="face")
    made, done = dict[int, list[Made]](), 0
    numbered = partial(_with_number, task)
    with contextlib.closing(
        map_unordered(numbered, list(enumerate(items)), run.options.workers)
    ) as work:
        for (at, _), result in work:
            made[at] = result
            done += len(result)
            progress = events.Progress(stage=stage, done=done, total=total)
            if isinstance((yield progress), Stop):
                return None
    yield Finished(stage=stage)
    return [each for at in sorted(made) for each in made[at]]


def _with_number(task: Callable[[Item], list[Made]], item: tuple[int, Item]) -> list[Made]:
    return task(item[1])
