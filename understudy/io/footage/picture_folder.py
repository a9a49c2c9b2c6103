"""Which files of a folder are pictures, in which order, and what else lies there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from understudy.errors import BadMedia
from understudy.io.footage import stills
from understudy.io.footage.base import explain_unreadable
from understudy.io.footage.many_files import map_files
from understudy.io.footage.numbered_names import split_numbers
from understudy.io.footage.options import FootageOptions
from understudy.io.picture_kinds import PictureKind, kind_of
from understudy.printable import name_some


@dataclass(frozen=True, slots=True)
class PictureFolder:
    """What lies in a folder.

    names: of the pictures, in natural order. unread: pictures and videos that are not read, and
    their kinds. left_out: pictures that do not count since their names do not say so. lost: names
    like those of pictures that stand for no file.
    """

    folder: Path
    names: list[str]
    unread: list[tuple[str, str]]
    left_out: list[str]
    lost: list[str]

    def notes(self) -> Iterator[str]:
        """Yield what is to be told of files that were passed over."""
        place = self.folder.name
        if self.unread:
            names = name_some([f"{name} ({kind})" for name, kind in self.unread])
            yield (
                f"{place}: {_count(self.unread)} passed over, since such are not read: {names}."
                " Convert pictures to JPG or PNG."
            )
        if self.left_out:
            yield (
                f"{place}: {_count(self.left_out)} passed over: {name_some(self.left_out)}. Here"
                f" only names count that end in {_endings()} (--endings known; or any)."
            )
        if self.lost:
            yield (
                f"{place}: passed over, as they are no files: {len(self.lost)}, such as"
                f" {self.lost[0]}."
            )


def list_pictures(folder: Path, reading: FootageOptions) -> PictureFolder:
    """Return what lies in a folder. Raises BadMedia when it holds no picture."""
    with explain_unreadable(folder):
        there = [path for path in folder.iterdir() if not path.name.startswith(".")]
        there.sort(key=natural_key)
        files = [path for path in there if path.is_file()]
        kinds = list(map_files(_kind, files))
    counted = {
        path for path, kind in zip(files, kinds, strict=True) if _counts(path, kind, reading)
    }
    others = [
        (path.name, kind)
        for path, kind in zip(files, kinds, strict=True)
        if kind is not None and path not in counted
    ]
    lost = {path for path in there if _is_named(path)}.difference(files)
    found = PictureFolder(
        folder,
        names=[path.name for path in files if path in counted],
        unread=[(name, kind.name) for name, kind in others if not kind.is_read],
        left_out=[name for name, kind in others if kind.is_read],
        lost=[path.name for path in there if path in lost],
    )
    if not found.names:
        raise BadMedia(f"{folder}: no pictures in this folder{_what_is_there(there, found)}")
    return found


def _kind(file: Path) -> PictureKind | None:
    try:
        return kind_of(file)
    except PermissionError:
        # It is told as a frame that cannot be read.
        return None


def _is_named(path: Path) -> bool:
    return path.suffix.lower() in stills.SUFFIXES


def _counts(path: Path, kind: PictureKind | None, reading: FootageOptions) -> bool:
    """Whether a file is one of the pictures: a damaged one is, too, where its name says so."""
    if reading.endings == "known":
        return _is_named(path)
    return _is_named(path) if kind is None else kind.is_read


def _what_is_there(there: list[Path], found: PictureFolder) -> str:
    """The end of a message, with what to do."""
    told = [f"{name} ({kind})" for name, kind in found.unread] + found.left_out
    if told:
        video = " A video is footage by itself: give that file." if _has_video(found) else ""
        return f" that can be read, but {name_some(told)}. Convert pictures to JPG or PNG.{video}"
    if folders := sorted(path.name for path in there if path.is_dir()):
        return f", only folders: {name_some(folders)}. Give the one that holds the pictures."
    return f". Give one with {_endings()} files."


def _has_video(found: PictureFolder) -> bool:
    return any(kind == "video" for _, kind in found.unread)


def _endings() -> str:
    return ", ".join(sorted(stills.SUFFIXES))


def _count(files: list[str] | list[tuple[str, str]]) -> str:
    return f"{len(files)} {'file is' if len(files) == 1 else 'files are'}"


def natural_key(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Return a sort key by which numbers in a name count as numbers: 2.png before 10.png."""
    parts = split_numbers(path.name.lower())
    return [(int(part), "") if at % 2 else (0, part) for at, part in enumerate(parts)], path.name
