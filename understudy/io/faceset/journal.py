"""The journal of a faceset: each change of its files is a step, that is done or taken back whole.

A step is a sentence and renames. It is written to `journal/` before the first of them, and the name
of its record says how far it is: `000007.begin.json` while what stands in the way is moved aside,
`000007.place.json` while all takes its place, `000007.json` when it is done. `.lift` and `.return`
are the same backwards, and `.unplace` is `.lift` of a step that failed. Within one of these states
a file is here when its rename is still to come, and there when it is done. So a run that was killed
between any two is finished by looking which files are where.

Nothing is ever deleted or overwritten. Where two files want one name, the one that has it keeps it.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Final, Literal
from urllib.parse import quote_from_bytes, unquote_to_bytes

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from understudy.errors import BadData, BadProject, CannotWrite
from understudy.io import atomic, data_files
from understudy.io.faceset.order import follow_renames, forget_faces

Move = tuple[str, str]
_State = Literal["begin", "place", "done", "lift", "unplace", "return"]

# Where pictures wait that a step is to bring into the set, and where they go when it is taken back.
NEW: Final = "faces_new"
_TRASH: Final = "faces_trash"
_RECORD: Final = re.compile(r"([0-9]{6,})(?:\.(begin|place|lift|unplace|return))?\.json")
# How a step is taken back from each state on.
_TURNED: Final[dict[_State, _State]] = {"begin": "return", "place": "unplace", "done": "lift"}
# Faces of a film of hours are some hundred thousand, with two names each.
_MOST_VALUES: Final = 12_000_000


def _checked(path: str) -> str:
    """A quoted path below the side's folder. Raises ValueError for any other."""
    plain = _unquote(path)
    parts = PurePosixPath(plain).parts
    if not parts or parts[0] == "/" or ".." in parts or "\0" in plain:
        raise ValueError("a path that leads out of the show")
    return path


_Path = Annotated[str, AfterValidator(_checked)]


def trash_of(folder: Path) -> Path:
    """Where what is taken out of a folder of pictures goes."""
    return folder.with_name(f"{folder.name}_trash")


class _Record(BaseModel):
    """A step as it is kept. aside: how the names begin under which files wait; "" = none does.

    Paths are quoted as in addresses: names of files need be no text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    what: str
    when: float
    aside: str = Field(pattern=r"^(step-[0-9]+-[0-9]+)?$")
    moves: tuple[tuple[_Path, _Path], ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A change of a faceset.

    Attributes:
        number: From 1.
        what: A sentence.
        when: Seconds since 1970.
        moves: (from, to), below the side's folder.
        is_done: False while a run that began it has neither finished it nor taken it back.
        is_leaving: Whether it is being taken back.
        left: Of the moves those that stay undone, since something else has that name.
        missing: Those of which nobody knows where the file is: deleted by hand, or moved.
    """

    number: int
    what: str
    when: float
    moves: tuple[Move, ...]
    is_done: bool = True
    is_leaving: bool = False
    left: tuple[Move, ...] = ()
    missing: tuple[Move, ...] = ()


class Journal:
    """The steps of the faceset in `side`, the folder of a side of a show.

    Whoever changes a set holds the lock of that side (`Project.lock`), which finishes what a run
    that was killed has begun. New pictures are written into `new_pictures` first; then one step
    moves the old ones to the trash (`into_trash`) and the new ones to their places.
    """

    def __init__(self, side: Path) -> None:
        self.side, self.folder = side, side / "journal"

    @property
    def new_pictures(self) -> Path:
        """Where pictures wait that a step is to bring in; whoever writes there clears it first.

        It goes with the step that leaves it empty.
        """
        return self.side / NEW

    def carry_out(self, what: str, moves: Sequence[Move]) -> Step | None:
        """Move each file from its place to another, all or nothing; returns the step.

        The moves are meant at once: names may be exchanged. None when there is nothing to move.

        Args:
            what: A sentence, for people, e.g. "drop: 12 faces of the group black".
            moves: (from, to), as below the side's folder with "/"; each at most once as either.

        Raises:
            ValueError: A file is moved twice, or two to one place.
            CannotWrite: A place is taken or read-only; then nothing has moved.
            Busy: Another run is changing the set.
        """
        sources, goals = {source for source, _ in moves}, {goal for _, goal in moves}
        if len(sources) < len(moves) or len(goals) < len(moves):
            raise ValueError("a file is moved twice, or two to one place")
        if not moves:
            return None
        with self._alone():
            self._finish()
            for _, goal in moves:
                if goal not in sources and os.path.lexists(self.side / goal):
                    raise CannotWrite(
                        f"{self.side / goal}: something else is there already. Move it away, and"
                        " run the same command again."
                    )
            number = max((number for number, _ in self._numbers()), default=0) + 1
            aside = f"step-{number:06d}-{time.time_ns() // 1000}" if sources & goals else ""
            record = _Record(
                what=what,
                when=time.time(),
                aside=aside,
                moves=tuple((_quote(source), _quote(goal)) for source, goal in moves),
            )
            atomic.write_text(self._path(number, "begin"), record.model_dump_json())
            run = _Run(self, number, "begin", record)
            try:
                with atomic.explain_os_errors(self.folder):
                    return run.go_on()
            except CannotWrite:
                # What fails again stays as it is, and the next run goes on with it.
                with contextlib.suppress(OSError, CannotWrite):
                    run.take_back()
                raise

    def finish(self) -> Step | None:
        """Finish what a run that was killed has begun; None where nothing was.

        Raises:
            CannotWrite: The place is read-only, or its disk fails.
            Busy: Another run is changing the set.
        """
        if self.unfinished() is None:
            return None
        with self._alone():
            return self._finish()

    def undo(self) -> Step | None:
        """Take back the last step, or one that was cut short; None where there is none.

        New pictures go to the trash.

        Raises:
            CannotWrite: The place is read-only, or its disk fails.
            BadProject: The record of the step is damaged.
            Busy: Another run is changing the set.
        """
        if not self._numbers():
            return None
        with self._alone(), atomic.explain_os_errors(self.folder):
            if (last := self._last()) is None:
                return None
            if last.step().is_done:
                return last.take_back()
            is_to_be_taken_back = last.is_forwards
            step = last.go_on()
            return last.take_back() if is_to_be_taken_back else step

    def steps(self) -> list[Step]:
        """All steps that can be taken back, the oldest first. Raises BadProject."""
        return [self._run(number, state).step() for number, state in self._numbers()]

    def __len__(self) -> int:
        """How many steps can be taken back."""
        return len(self._numbers())

    def last(self) -> Step | None:
        """The newest step; None where there is none. Raises BadProject."""
        last = self._last()
        return None if last is None else last.step()

    def unfinished(self) -> Step | None:
        """The step that a run has begun, and neither finished nor taken back. Raises BadProject."""
        numbers = self._numbers()
        return self.last() if numbers and numbers[-1][1] != "done" else None

    def into_trash(self, paths: Iterable[str], taken: Iterable[str] = ()) -> list[Move]:
        """The moves that bring files below `<folder>` to `<folder>_trash` beside.

        Where a name is taken there, the newcomer gets a number. taken: further places that are.
        """
        moves, goals = list[Move](), set(taken)
        for path in paths:
            goal = _free(self.side, f"{_trash_of(path)}/{PurePosixPath(path).name}", goals)
            goals.add(goal)
            moves.append((path, goal))
        return moves

    def move_for_good(self, moves: Sequence[Move]) -> None:
        """Move files out of the set as no step: what `undo` brings back, they are not among.

        Killed meanwhile, those that are left are to be moved again. Raises as `carry_out`.
        """
        self.forget(source for source, _ in moves)
        with atomic.explain_os_errors(self.side):
            for folder in {(self.side / goal).parent for _, goal in moves}:
                folder.mkdir(parents=True, exist_ok=True)
            for source, goal in moves:
                (self.side / source).rename(self.side / goal)

    def forget(self, paths: Iterable[str]) -> None:
        """Take the moves of files out of all steps, and the files out of the order of the faces.

        Steps of which nothing is left go. The files stay where they are.

        Args:
            paths: Where they are now, below the side's folder.

        Raises:
            BadProject: The record of a step is damaged.
            CannotWrite: The place is read-only, or its disk fails.
            Busy: Another run is changing the set.
        """
        given = set(paths)
        if not given:
            return
        with self._alone(), atomic.explain_os_errors(self.folder):
            self._finish()
            gone, names, shortened = set(given), set(given), list[_Run]()
            for number, state in reversed(self._numbers()):
                run = self._run(number, state)
                former = {goal: source for source, goal in run.step().moves if goal in gone}
                if former:
                    # Where they were before this step.
                    gone = gone.difference(former) | set(former.values())
                    names |= gone
                    shortened.append(run.without(former))
            # Others may have the names that they had once.
            names -= {path for path in names - given if os.path.lexists(self.side / path)}
            for folder in {_folder_of(path) for path in names} - {f"{NEW}/", f"{_TRASH}/"}:
                here = {PurePosixPath(path).name for path in names if _folder_of(path) == folder}
                forget_faces(self.side / folder, here)
            # The order before, and the oldest step first: killed meanwhile, the newer ones still
            # tell where files were.
            for run in reversed(shortened):
                run.save()

    def _finish(self) -> Step | None:
        last = self._last()
        if last is None or last.step().is_done:
            return None
        with atomic.explain_os_errors(self.folder):
            return last.go_on()

    def _last(self) -> _Run | None:
        numbers = self._numbers()
        return self._run(*numbers[-1]) if numbers else None

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with atomic.sole_writer(self.folder / "step"):
            yield

    def _numbers(self) -> list[tuple[int, _State]]:
        """The steps that are kept, ascending, and how far each is."""
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        found = [match for match in map(_RECORD.fullmatch, names) if match]
        return sorted((int(match[1]), match[2] or "done") for match in found)  # type: ignore[misc]

    def _path(self, number: int, state: _State) -> Path:
        end = "" if state == "done" else f".{state}"
        return self.folder / f"{number:06d}{end}.json"

    def _run(self, number: int, state: _State) -> _Run:
        path = self._path(number, state)
        try:
            data = data_files.read_bytes(path)
            record = data_files.parse_json_as(data, str(path), _Record, values=_MOST_VALUES)
        except BadData as error:
            raise BadProject(
                f"{path}: {error.reason}. Put it back from a copy; or delete it, and that step"
                " can no longer be taken back."
            ) from None
        return _Run(self, number, state, record)


class _Run:
    """The carrying out of one step, forwards or backwards, from whatever state it is in."""

    def __init__(self, journal: Journal, number: int, state: _State, record: _Record) -> None:
        self._journal, self._number, self._record = journal, number, record
        self._state: _State = state
        self._moves = tuple((_unquote(a), _unquote(b)) for a, b in record.moves)
        goals = {goal for _, goal in self._moves}
        # What stands where another is to go waits aside, else two could never change names.
        self._waits = {
            (source, goal): f"{_folder_of(goal)}{record.aside}-{at:06d}{PurePosixPath(goal).suffix}"
            for at, (source, goal) in enumerate(self._moves)
            if source in goals
        }
        # In order, each once.
        self._left: dict[Move, None] = {}
        self._missing: dict[Move, None] = {}

    def step(self) -> Step:
        """What it is, as told."""
        return Step(
            self._number,
            self._record.what,
            self._record.when,
            self._moves,
            self._state == "done",
            self._state in ("lift", "unplace", "return"),
            tuple(self._left),
            tuple(self._missing),
        )

    @property
    def is_forwards(self) -> bool:
        """Whether it is being carried out, and not taken back."""
        return self._state in ("begin", "place")

    def without(self, goals: Collection[str]) -> _Run:
        """It without the moves to these places."""
        pairs = zip(self._moves, self._record.moves, strict=True)
        kept = tuple(quoted for (_, goal), quoted in pairs if goal not in goals)
        record = self._record.model_copy(update={"moves": kept})
        return _Run(self._journal, self._number, self._state, record)

    def save(self) -> None:
        """Write it down as it is; a step without moves is none. Raises OSError, CannotWrite."""
        path = self._journal._path(self._number, self._state)
        if self._moves:
            atomic.write_text(path, self._record.model_dump_json())
        else:
            path.unlink()

    def take_back(self) -> Step:
        """Turn round, and do what is left to do. Raises OSError, CannotWrite."""
        if turned := _TURNED.get(self._state):
            self._enter(turned)
        return self.go_on()

    def go_on(self) -> Step:
        """Do what is left to do. Raises OSError, CannotWrite."""
        if self._state == "begin":
            self._rename((move, move[0], wait) for move, wait in self._waits.items())
            self._enter("place")
        if self._state == "place":
            self._rename((move, self._waits.get(move, move[0]), move[1]) for move in self._moves)
            self._follow(self._moves, "done")
            self._enter("done")
        if self._state in ("unplace", "lift"):
            # Old pictures leave the trash before the new ones go there.
            moves = sorted(self._moves, key=lambda move: move not in self._waits)
            self._rename(
                (move, move[1], self._waits.get(move) or self._home(move)) for move in moves
            )
            if self._state == "lift":
                self._follow(tuple((goal, source) for source, goal in self._moves), "undone")
            self._enter("return")
        if self._state == "return":
            self._rename((move, wait, self._home(move)) for move, wait in self._waits.items())
            self._journal._path(self._number, "return").unlink()
        with contextlib.suppress(OSError):
            self._journal.new_pictures.rmdir()
        return self.step()

    def _rename(self, moves: Iterable[tuple[Move, str, str]]) -> None:
        """Move what is not moved yet: for each move of the step, from where to where."""
        side = self._journal.side
        folders = set[str]()
        for move, source, goal in moves:
            is_here, is_there = os.path.lexists(side / source), os.path.lexists(side / goal)
            if is_here and not is_there:
                if (folder := _folder_of(goal)) not in folders:
                    (side / folder).mkdir(parents=True, exist_ok=True)
                    folders.add(folder)
                is_there = _rename(side / source, side / goal)
            elif is_here:
                self._left[move] = None
                continue
            if not is_there:
                self._missing[move] = None

    def _home(self, move: Move) -> str:
        """Where a file belongs when the step is taken back: what was new goes to the trash."""
        source, goal = move
        if PurePosixPath(source).parts[0] != NEW:
            return source
        return _free(self._journal.side, f"{_trash_of(goal)}/{PurePosixPath(goal).name}")

    def _follow(self, moves: Iterable[Move], mark: str) -> None:
        """Let the order that the faces are sorted into know them under their new names.

        A picture that came where one of the same stem went, as "a.png" for "a.jpg", is that face.
        """
        folders: dict[str, dict[str, str]] = {}
        went, came = dict[str, str](), dict[str, str]()
        for source, goal in moves:
            folder = _folder_of(source)
            if folder and folder == _folder_of(goal):
                names = folders.setdefault(folder, {})
                names[PurePosixPath(source).name] = PurePosixPath(goal).name
            else:
                went[_stem(source)], came[_stem(goal)] = source, goal
        for stem in went.keys() & came.keys():
            names = folders.setdefault(_folder_of(came[stem]), {})
            names[PurePosixPath(went[stem]).name] = PurePosixPath(came[stem]).name
        key = f"{self._number} {self._record.when} {mark}"
        for folder, names in folders.items():
            follow_renames(self._journal.side / folder, names, key)

    def _enter(self, state: _State) -> None:
        path = self._journal._path
        path(self._number, self._state).rename(path(self._number, state))
        self._state = state


def _rename(source: Path, goal: Path) -> bool:
    """Rename a file; False where somebody has deleted it this moment. Raises CannotWrite."""
    try:
        with atomic.explain_os_errors(goal):
            source.rename(goal)
    except FileNotFoundError:
        return False
    return True


def _quote(path: str) -> str:
    return quote_from_bytes(os.fsencode(path), safe="/")


def _unquote(path: str) -> str:
    return os.fsdecode(unquote_to_bytes(path))


def _folder_of(path: str) -> str:
    """The folder of a path with "/" behind it; "" for one that lies at the top."""
    return path[: path.rfind("/") + 1]


def _stem(path: str) -> str:
    return str(PurePosixPath(path).with_suffix(""))


def _trash_of(path: str) -> str:
    folder = _folder_of(path).rstrip("/")
    return f"{folder}_trash" if folder else _TRASH


def _free(side: Path, path: str, taken: Iterable[str] = ()) -> str:
    """The path, or where something has that name the first with a number that is free."""
    held, number, free = set(taken) if not isinstance(taken, set) else taken, 1, path
    while free in held or os.path.lexists(side / free):
        number += 1
        free = _folder_of(path) + atomic.numbered(Path(PurePosixPath(path).name), number).name
    return free
