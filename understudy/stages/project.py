"""A show: the folder in which one swap lives, and its project file `understudy.toml`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from filelock import FileLock, Timeout
from pydantic import Field

from understudy.errors import BadData, BadMedia, BadOption, BadProject, Busy
from understudy.io import atomic, data_files, settings_file
from understudy.io.faceset.journal import Journal, Step
from understudy.io.footage.base import Footage
from understudy.io.footage.foreign_files import is_of_system
from understudy.io.footage.options import FootageOptions
from understudy.io.open_footage import open_footage
from understudy.io.provenance.manifest import LONGEST_CONSENT
from understudy.options import Options, option
from understudy.printable import name_some, pluralize
from understudy.stages.events import Event, Note, Warned
from understudy.stages.show_folders import check_folders, check_footage, remove_leftovers
from understudy.types import Side

PROJECT_FILE = "understudy.toml"
_LOCKS = ".locks"
SCHEMA = 1

# Longer ones are not signed as a whole.
Consent = Annotated[str, Field(max_length=LONGEST_CONSENT)]
# The same in each command that makes a show.
CONSENT_OPTION: Any = option(
    None,
    "Who agreed to what, and where that is written down; kept in the project file, and for"
    " everybody to read in the credentials of each result",
    formerly="",
    usual=True,
)
Chosen = TypeVar("Chosen", bound=Options)


class ProjectFile(Options):
    """What `understudy.toml` holds. Paths are relative to the show's folder where possible."""

    schema_version: int = option(SCHEMA, "Version of this file's layout", low=1)
    src: str | tuple[str, ...] | None = option(
        None, "Footage of the person whose face is used: one, or a list of several", formerly=""
    )
    dst: str | None = option(None, "Footage in which the face is replaced", formerly="")
    made_in: str | None = option(
        None, "The folder in which the show was made: footage beside it is found where it moved"
    )
    consent: str | None = option(
        None, "Who agreed to what, and where that is written down", formerly=""
    )
    # A show that does not say so was made when gaps were left out, and endings counted.
    footage: FootageOptions = option(
        FootageOptions(gaps="short", endings="known"), "How the footage is read"
    )
    options: dict[str, dict[str, Any]] = option(
        {}, "Options of the stages, by verb: [options.extract], [options.train], …"
    )


@dataclass(frozen=True)
class Project:
    """A show on disk. folder: its absolute path. file: what its project file says."""

    folder: Path
    file: ProjectFile

    @classmethod
    def planned(
        cls,
        folder: Path,
        src: Path | Sequence[Path],
        dst: Path,
        consent: str | None = None,
        reading: FootageOptions | None = None,
    ) -> Self:
        """A show that is not on disk yet. src: one footage or several. reading: None = by default.

        Raises CannotWrite where the path is too long for what lies deepest in a show, and BadOption
        where the same footage is given twice.
        """
        folder = folder.absolute()
        atomic.check_depth(folder)
        return cls(
            folder,
            ProjectFile(
                src=_portable_clips([src] if isinstance(src, Path) else src, folder),
                dst=_portable(dst, folder),
                made_in=str(folder),
                consent=consent,
                footage=reading or FootageOptions(),
            ),
        )

    @classmethod
    def create(
        cls, folder: Path, src: Path | Sequence[Path], dst: Path, consent: str | None = None
    ) -> Self:
        """A new show on disk. Raises as `save_new`."""
        project = cls.planned(folder, src, dst, consent)
        project.save_new()
        return project

    def save_new(self) -> None:
        """Put a planned show on disk.

        Raises BadProject when one is there already: nothing is overwritten.
        """
        _require_free(self.folder)
        with self.lock("project"):
            # Another run may have made one meanwhile.
            _require_free(self.folder)
            self.save()

    @classmethod
    def load(cls, folder: Path) -> Project:
        """Load the show in `folder`.

        Raises BadProject: no show, unreadable file, one from a newer version, links among the
        folders that runs write into, or footage where they write.
        """
        folder = folder.absolute()
        missing = (
            f"{folder}: no show here (no {PROJECT_FILE}). Make one: understudy new {folder} --src A"
            " --dst B."
        )
        file = settings_file.read(folder / PROJECT_FILE, ProjectFile, SCHEMA, missing)
        check_folders(folder)
        project = cls(folder, file)
        sides: tuple[Side, ...] = ("src", "dst")
        for side in sides:
            if getattr(file, side) is not None:
                for path in project.footages(side):
                    check_footage(folder, path)
        return project

    def save(self) -> None:
        """Write the project file, all or nothing."""
        settings_file.write(self.folder / PROJECT_FILE, self.file)

    def options(self, verb: str, flags: Chosen) -> Chosen:
        """Return the options of a verb: defaults < user's file < project file < flags.

        flags: what is set explicitly in them counts.
        """
        where = f"{self.folder / PROJECT_FILE} [options.{verb}] or flags"
        return type(flags).layered(
            user_options(verb), self.file.options.get(verb, {}), flags.set_values(), where=where
        )

    def with_footage(self, side: Side, *paths: Path) -> Project:
        """The same show about other footage, or about the same under another name; not saved.

        Raises BadOption where the same is given twice.
        """
        file = self.file.model_copy(update={side: _portable_clips(paths, self.folder)})
        return Project(self.folder, file)

    def with_consent(self, consent: str) -> Project:
        """The same show with another text on who agreed to what; not saved."""
        return Project(self.folder, self.file.model_copy(update={"consent": consent}))

    def footages(self, side: Side) -> list[Path]:
        """The footages of a side, absolute: one, or of src several. Raises BadProject without any.

        Where one is gone, but lies as it lay to the show when that was made, both have moved.
        """
        said, file = getattr(self.file, side), self.folder / PROJECT_FILE
        names = [said] if isinstance(said, str) else list(said or ())
        if not names:
            raise BadProject(f'{file}: {side} is not set. Write it there: {side} = "FOOTAGE".')
        paths = [self._where_it_lies(name) for name in names]
        if twice := [path for path in paths if paths.count(path) > 1]:
            raise BadProject(f"{file}: {side} names {twice[0]} twice. Take one of them out.")
        return paths

    def footage(self, side: Side) -> Path:
        """The footage of a side that has one. Raises BadProject, also where src has several."""
        paths = self.footages(side)
        if len(paths) > 1:
            raise BadProject(
                f"{self.folder / PROJECT_FILE}: {side} is of {len(paths)} clips, and this works"
                " with one alone. Name one there."
            )
        return paths[0]

    def footage_files(self, side: Side, path: Path | None = None) -> list[Path]:
        """The files that hold the frames of a side. path: which of several footages.

        Raises as `open_footage`.
        """
        path = path or self.footage(side)
        if path.is_file():
            return [path]
        with self.open_footage(side, path) as footage:
            return footage.files

    def open_footage(self, side: Side, path: Path | None = None, *, rough: bool = False) -> Footage:
        """Open the footage of a side, read as the project file says.

        A folder of photographs of one person, of any size and number, is a good src; the frames of
        dst are frames of one film.

        Args:
            side: Whose.
            path: Which of its `footages`; None = the only one.
            rough: See `open_footage`.
        """
        is_src = side == "src"
        path, file = path or self.footage(side), self.folder / PROJECT_FILE
        if not path.exists() and file.exists():
            raise BadMedia(
                f"{path}: no such file or folder. Put the footage back, or write where it lies now"
                f' into {file}: {side} = "FOOTAGE".'
            )
        reading = self.file.footage
        return open_footage(
            path,
            reading=reading.model_copy(update={"gaps": "short"}) if is_src else reading,
            any_size=is_src,
            rough=rough,
        )

    def _where_it_lies(self, name: str) -> Path:
        path, made_in = self.folder / name, self.file.made_in
        if made_in and made_in != str(self.folder) and not path.exists():
            moved = Path(os.path.normpath(self.folder / os.path.relpath(path, made_in)))
            return moved if moved.exists() else path
        return path

    def faces(self, side: Side) -> Path:
        """The faceset of a side."""
        return self.folder / side / "faces"

    def model(self, name: str) -> Path:
        """The folder of a model."""
        return self.folder / "models" / name

    @property
    def merged(self) -> Path:
        """The folder that holds the versions of the merge."""
        return self.folder / "merged"

    @property
    def result(self) -> Path:
        """The newest finished video."""
        return self.folder / "result.mp4"

    @contextlib.contextmanager
    def lock(self, part: str) -> Iterator[list[Event]]:
        """Lock a part of the show: "src", "dst", "models/NAME" or "merged".

        A killed run lets go of it by itself, and what it left half-written goes. What it had begun
        to change of the faces of a side is finished; the notes that this gives tell of that. Raises
        Busy when another run holds it.
        """
        lock = self.folder / _LOCKS / f"{part.replace('/', '-')}.lock"
        check_folders(self.folder)
        with atomic.explain_os_errors(lock):
            lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            with atomic.explain_os_errors(lock), FileLock(lock, timeout=0):
                remove_leftovers(self.folder, part)
                yield _finish_step(self.folder / part) if part in ("src", "dst") else []
        except Timeout:
            raise Busy(
                f"{self.folder}: another run is working on {part}. Wait for it, or stop it, then"
                " try again."
            ) from None


def notes_on_step(journal: Journal, step: Step) -> Iterator[Event]:
    """Tell of the files that a step could not move: nothing was deleted or overwritten."""
    if step.missing:
        names = name_some([Path(goal).name for _, goal in step.missing])
        yield Warned(
            text=(
                "no longer where the step had put them, so deleted or moved by hand,"
                f" {pluralize(len(step.missing), 'file')}: {names}."
            )
        )
    if step.left:
        names = name_some([f"{journal.side.name}/{goal}" for _, goal in step.left])
        yield Warned(
            text=(
                "left where they are, since something else has their name by now,"
                f" {pluralize(len(step.left), 'file')}: {names}."
            )
        )


def _finish_step(side: Path) -> list[Event]:
    """Finish what a killed run has begun to change of the faces of a side; what is told of it."""
    journal = Journal(side)
    if (step := journal.finish()) is None:
        return []
    done = "taken back" if step.is_leaving else "done"
    text = f"{side.name}: a run that was killed had begun this; it is {done} now: {step.what}"
    return [Note(text=text), *notes_on_step(journal, step)]


def _require_free(folder: Path) -> None:
    """Raise BadProject where something is; what a dead run left of the same order is nothing."""
    if not atomic.is_there(folder):
        return
    inside = {path.name for path in folder.iterdir()} if folder.is_dir() else {folder.name}
    if PROJECT_FILE in inside:
        raise BadProject(
            f"{folder}: there is a show already. Use it as it is, or choose another name."
        )
    if any(
        name != _LOCKS and not atomic.is_partial(name) and not is_of_system(name) for name in inside
    ):
        raise BadProject(
            f"{folder}: something else is there already. Choose another name for the show."
        )


def user_options(verb: str) -> dict[str, Any]:
    """Return what the user's own file says about a verb; {} without one.

    It is the table [verb] in $UNDERSTUDY_CONFIG (the command line's --config).
    """
    name = os.environ.get("UNDERSTUDY_CONFIG")
    if not name:
        return {}
    try:
        table = data_files.read_toml(Path(name)).get(verb, {})
    except BadData as error:
        raise BadOption(
            f"{name}: options file: {error.reason}. Mend it, or leave --config, or the"
            " variable UNDERSTUDY_CONFIG, out."
        ) from None
    if not isinstance(table, dict):
        raise BadOption(
            f"{name}: [{verb}] is not a table of options. Write it as [{verb}] and name = value"
            " lines below."
        )
    return table


def resolve_options(verb: str, flags: Chosen) -> Chosen:
    """The options of a verb that works without a show: defaults < user's file < flags."""
    return type(flags).layered(user_options(verb), flags.set_values(), where=verb)


def _portable_clips(paths: Sequence[Path], folder: Path) -> str | tuple[str, ...]:
    """The footages of a side as the project file names them. Raises BadOption."""
    names = tuple(_portable(path, folder) for path in paths)
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadOption(f"{twice[0]}: given twice. Give each footage once.")
    return names[0] if len(names) == 1 else names


def _portable(path: Path, folder: Path) -> str:
    """`path` relative to the show when it lies inside it, else absolute."""
    absolute = path.absolute()
    return (
        absolute.relative_to(folder).as_posix()
        if absolute.is_relative_to(folder)
        else str(absolute)
    )
