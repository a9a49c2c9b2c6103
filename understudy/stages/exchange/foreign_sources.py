"""What `faces import` is given: pictures, folders, packs, alignments, known by their content."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from understudy.errors import BadData, BadMedia, BadOption
from understudy.io import data_files
from understudy.io.dfl import pak
from understudy.io.faceset.pack import Pack, pack_path
from understudy.io.faceset.picture_files import list_pictures
from understudy.io.faceswap import alignments
from understudy.io.footage.base import explain_unreadable
from understudy.io.image_segments import JPEG, PNG
from understudy.printable import name_some
from understudy.stages.exchange.foreign_pictures import PicturePlace
from understudy.stages.project import PROJECT_FILE

# As much of a file as tells what it is.
_HEAD: Final = 64
_ZIP: Final = b"PK"


@dataclass(frozen=True, slots=True)
class Source:
    """A path that was given.

    pictures: that lie there. problems: what lies there and cannot be read. alignments: whether it
    is a file of these.
    """

    path: Path
    pictures: tuple[PicturePlace, ...] = ()
    problems: tuple[str, ...] = ()
    alignments: bool = False


def find_source(path: Path, target: Path) -> Source:
    """Return what lies at a path. target: the folder of the faceset that it is to come into.

    Raises:
        BadMedia: Nothing is there that faces could come from.
        BadOption: It is the faceset itself.
    """
    with explain_unreadable(path):
        is_folder = path.stat() and path.is_dir()
    if path.resolve() in (target.resolve(), pack_path(target).resolve()):
        raise BadOption(f"{path}: these are the faces of that side already. Give another folder.")
    return _of_folder(path) if is_folder else _of_file(path)


def _of_file(path: Path) -> Source:
    try:
        with data_files.open_file(path) as file:
            head = file.read(_HEAD)
    except BadData as error:
        raise BadMedia(f"{path}: {error.reason}. Check the name.") from None
    if head.startswith((JPEG, PNG)):
        return Source(path, (PicturePlace(path, path.name),))
    if head.startswith(_ZIP):
        names = sorted(Pack(path).pictures)
        return Source(path, tuple(PicturePlace(path, name, in_pack=True) for name in names))
    if pak.is_pak(head):
        return Source(path, tuple(_of_pak(path)))
    if alignments.is_alignments(head, path.suffix):
        return Source(path, alignments=True)
    raise BadMedia(
        f"{path}: neither a face picture (JPG or PNG), nor a pack (faces.zip, {pak.NAME}), nor"
        f" alignments of faceswap ({alignments.SUFFIX}). Give one of these, or a folder."
    )


def _of_folder(folder: Path) -> Source:
    """The pictures in a folder, and in the pack in it."""
    if (folder / PROJECT_FILE).is_file():
        raise BadMedia(
            f"{folder}: a show. Give the faces of one of its sides: {folder / 'src' / 'faces'}."
        )
    with explain_unreadable(folder):
        names = sorted(os.listdir(folder))
    listed = list_pictures(folder)
    pictures = [PicturePlace(folder / name, name) for name in listed.names]
    if pak.NAME in names:
        pictures += _of_pak(folder / pak.NAME)
    if not pictures:
        inner = [name for name in names if (folder / name).is_dir() and not name.startswith(".")]
        what = f"only folders ({name_some(inner)})" if inner else "none"
        raise BadMedia(
            f"{folder}: no face pictures in it, and no {pak.NAME}; {what}. Give the folder that"
            " holds the pictures."
        )
    return Source(folder, tuple(pictures), (listed.fault,) if listed.fault else ())


def _of_pak(path: Path) -> Iterator[PicturePlace]:
    for each in pak.list_pictures(path):
        yield PicturePlace(path, each.name, each.person, each.start, each.end)
