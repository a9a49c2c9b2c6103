"""Pictures made of faces into a folder of their own, where a killed run goes on; and put in place.

What replaces the pictures of a faceset is made in `faces_new` beside them first. When all are
there, one step moves the old ones into `faces_trash` and the new ones into `faces`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from understudy.errors import BadMedia, BadOption
from understudy.io import atomic, file_list
from understudy.io.faceset import face_image
from understudy.io.faceset.faceset import Faceset
from understudy.io.faceset.journal import NEW, Journal
from understudy.io.provenance.manifest import Claim
from understudy.io.provenance.marked import is_marked, written_consent
from understudy.io.provenance.signing_key import Credentials
from understudy.io.system import cpu_count
from understudy.printable import name_alike, name_some
from understudy.stages.curate.faceset_notes import reading_events
from understudy.stages.curate.sorted_page import renew_page
from understudy.stages.events import Event, Note, Order, Progress, Saved, Started, Stop
from understudy.stages.parallel.prefetch import map_on_threads
from understudy.stages.signer import find_signer

Item = TypeVar("Item")

_KEY: Final = "understudy-made-from.txt"
_NAME: Final = re.compile(r"([0-9]{6,})([a-z]*)\.[A-Za-z]+")
# Seconds between two words of how far it is.
_TICK: Final = 0.2


@dataclass(frozen=True, slots=True)
class NewPicture:
    """A picture that was made: its name, its bytes, and the path of the face that it shows.

    problem: why there is none, "" = there is.
    """

    name: str
    data: bytes
    face: Path
    problem: str = ""


class NewFaces:
    """The pictures in `faces_new` that are to come into a faceset, most of them for others there.

    Each is called by the number of what it is made of, and by letters on how it was made. Where
    that, or a setting, has changed since, all go and the work begins anew.
    """

    def __init__(self, faces: Path, made_of: Sequence[Path], key: str) -> None:
        """faces: the folder of the set. made_of: what new pictures are made of. key: and how."""
        self.folder = faces.with_name(NEW)
        self._faces, self._made_of, self._key = faces, made_of, key

    def open(self) -> dict[int, str]:
        """Make the folder ready; the names of the pictures that are there already, by number.

        Raises CannotWrite where the place is read-only.
        """
        key = self.folder / _KEY
        with atomic.explain_os_errors(self.folder):
            is_mine = key.is_file() and key.read_text(encoding="utf-8") == self._key
            if self.folder.is_dir() and not is_mine:
                atomic.remove_files(self.folder, os.listdir(self.folder))
            atomic.write_text(key, self._key)
        return {int(found[1]): found[0] for found in self._found()}

    def name(self, number: int, how: str = "", suffix: str = "") -> str:
        """What a new picture is called there. suffix: of what it is made of, if not given."""
        return f"{number:06d}{how}{suffix or self._made_of[number].suffix}"

    def how(self) -> Counter[str]:
        """How many pictures there are by each letter of how they were made."""
        return Counter(letter for found in self._found() for letter in found[2])

    def put_in_place(self, what: str, goals: Mapping[int, str], replaced: Iterable[Path]) -> None:
        """Move what is replaced to the trash and the new pictures into the set, as one step.

        Args:
            what: A sentence for the journal.
            goals: The name that each picture gets, by number.
            replaced: Pictures of the set.
        """
        folder, journal = self._faces.name, Journal(self._faces.parent)
        made = self.open()
        came = [(f"{NEW}/{made[number]}", f"{folder}/{name}") for number, name in goals.items()]
        gone = journal.into_trash(f"{folder}/{path.name}" for path in replaced)
        # From here on the journal knows what is to be done, and the folder goes when it is empty.
        with atomic.explain_os_errors(self.folder):
            (self.folder / _KEY).unlink()
            if not came:
                self.folder.rmdir()
        journal.carry_out(what, [*gone, *came])

    def _found(self) -> list[re.Match[str]]:
        if not self.folder.is_dir():
            return []
        return list(filter(None, map(_NAME.fullmatch, os.listdir(self.folder))))


def events_after_change(faceset: Faceset) -> Iterator[Event]:
    """Read the table of a set anew after its pictures were replaced, and renew its page."""
    faceset.rescan()
    yield from reading_events(faceset)
    renew_page(faceset.folder)
    yield Saved(what="faceset", path=faceset.folder)


def free_names(
    made_of: Sequence[Path], numbers: Sequence[int], suffix: str, others: Iterable[str] = ()
) -> dict[int, str]:
    """What new pictures are called, by number: as what they are made of but for the suffix.

    A name that one of the `others` has, or another new picture, gets a number.
    """
    taken = set(others)
    result = dict[int, str]()
    for number in numbers:
        result[number] = free_name(made_of[number].with_suffix(suffix), taken)
        taken.add(result[number])
    return result


def free_name(wanted: Path, taken: Collection[str]) -> str:
    """The name of `wanted`, or where it is taken the first with a number that is not."""
    others = (atomic.numbered(wanted, number) for number in itertools.count(2))
    return next(each.name for each in itertools.chain([wanted], others) if each.name not in taken)


class PictureFolder:
    """A folder of pictures that follow from faces and options, as `key` has them.

    It holds a list of its files and the key. With another key all that is on the list goes first;
    what else lies there stays, and is never overwritten.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path, self._key = path, key

    def open(self, names: Collection[str]) -> set[str]:
        """Make the folder ready for pictures of these names; those that are there already.

        Raises:
            BadOption: Files of these names are there that are not ours.
            CannotWrite: The place is read-only.
        """
        mine = file_list.listed(self.path)
        with atomic.explain_os_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            there = set(os.listdir(self.path))
        if foreign := sorted(there.intersection(names) - mine):
            raise BadOption(
                f"{self.path}: holds other files of the same names ({name_some(foreign)}). Choose"
                " another folder, or move them away."
            )
        key = self.path / _KEY
        if mine and not (key.is_file() and key.read_text(encoding="utf-8") == self._key):
            file_list.remove(self.path, mine)
            there -= mine
        file_list.add(self.path, [_KEY, *names])
        atomic.write_text(key, self._key)
        return there.intersection(names)


def picture_key(names: Sequence[str], facts: NDArray[np.int64], *settings: object) -> str:
    """What changes with pictures, and with what is made of them.

    facts: (N, 2) bytes and time of change of each.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    digest.update("\0".join(names).encode("utf-8", "surrogateescape"))
    digest.update(np.ascontiguousarray(facts, np.int64).tobytes())
    return digest.hexdigest()


def make_pictures(
    stage: str,
    folder: Path,
    items: Generator[Item, None, None],
    make: Callable[[Item], Sequence[NewPicture]],
    total: int,
    done: int,
) -> Generator[Event, Order | None, list[NewPicture] | None]:
    """Write the pictures that `make` makes of the items, on as many threads as there are cores.

    Args:
        stage: What it is called in the events.
        folder: Where they are written to.
        items: What they are made of; closed in the end.
        make: Called on any thread.
        total: How many pictures there will be.
        done: How many of them were there already.

    Returns:
        Those that could not be made, without their bytes; None when it was told to stop.
    """
    yield Started(stage=stage, total=total, done=done, unit="face")
    failed, signing, told = list[NewPicture](), Signing(), 0.0
    threads = max(1, cpu_count())
    for pictures in (making := map_on_threads(items, make, threads, 3 * threads)):
        for picture in pictures:
            if picture.problem:
                failed.append(picture)
                continue
            data = yield from signing.signed(picture)
            atomic.write_bytes(folder / picture.name, data)
            done += 1
        if time.monotonic() - told > _TICK:
            told = time.monotonic()
            if isinstance((yield Progress(stage=stage, done=done, total=total)), Stop):
                making.close()
                yield Note(text="stopped. The same command goes on from there.")
                return None
    yield Progress(stage=stage, done=done, total=total)
    return failed


class Signing:
    """What is made of a picture that says that its face was replaced says so, too."""

    def __init__(self) -> None:
        self._signer: Credentials | None = None

    def signed(self, picture: NewPicture) -> Generator[Event, Order | None, bytes]:
        """The bytes of a picture, signed where it has to be."""
        with _as_file(picture.face) as face:
            if not is_marked(face):
                return picture.data
            return (yield from self._sign(picture, face))

    def _sign(self, picture: NewPicture, face: Path) -> Generator[Event, Order | None, bytes]:
        if self._signer is None:
            self._signer = yield from find_signer()
            yield Note(
                text=(
                    f"{picture.face.name}: marked as synthetic, and what is made from it will be,"
                    " too."
                )
            )
        claim = Claim.edited(
            [face],
            self._signer,
            "Made from a picture in which a face was replaced.",
            consent=written_consent(face),
        )
        return claim.sign_picture(io.BytesIO(picture.data), Path(picture.name))


@contextlib.contextmanager
def _as_file(face: Path) -> Iterator[Path]:
    """A picture as a file, also where it lies in a pack."""
    if face.is_file():
        yield face
        return
    with tempfile.TemporaryDirectory(prefix="understudy-") as folder:
        copy = Path(folder) / f"face{face.suffix}"
        copy.write_bytes(face_image.read_bytes(face))
        yield copy


def require_made(folder: Path, failed: Sequence[NewPicture]) -> None:
    """Raise BadMedia where some pictures could not be made: a set is changed as a whole."""
    if failed:
        raise BadMedia(
            f"{folder}: nothing was changed, for not all of it can be: {name_failed(failed)}"
        )


def name_failed(failed: Sequence[NewPicture]) -> str:
    """Name the faces of which no picture could be made, and why."""
    return name_alike(
        (each.face.name, each.problem.removeprefix(f"{each.face}: ")) for each in failed
    )
