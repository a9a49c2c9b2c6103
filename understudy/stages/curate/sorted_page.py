"""The page of a sort: every face in its place and group, `sorted.html` beside the faces."""

from __future__ import annotations

import contextlib
import itertools
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from understudy.errors import BadProject
from understudy.io import atomic
from understudy.io.faceset.order import FaceOrder, OrderedFace, load_order
from understudy.io.faceset.pack import pack_path, unpack_command
from understudy.io.faceset.picture_files import list_pictures
from understudy.parts.sorters import sorters
from understudy.printable import pluralize
from understudy.stages.events import Event, Note, Saved
from understudy.stages.html_page import render_page

# The browser lays out so many faces at once, and only where they are looked at.
_BLOCK = 240
# Of a longer group each part is a group of its own, and what lies behind so many faces is closed:
# a browser takes more than half a minute for 20,000 pictures, even if it loads none of them.
_MOST = 1200
_PLAIN = str.maketrans("", "", "._-")


@dataclass(frozen=True, slots=True)
class _Group:
    """Faces that stand together.

    number: for `faces drop`; 0 = it has none. part: its places in the order, where it is one of
    several of the same name. blocks: of faces.
    """

    name: str
    number: int
    part: str
    count: int
    blocks: list[list[dict[str, object]]]
    is_open: bool


def page_path(folder: Path) -> Path:
    """Where the page of the faces in `folder` lies."""
    return folder.with_name("sorted.html")


def write_page(folder: Path, order: FaceOrder) -> Iterator[Event]:
    """Write the page of the faces in `folder`, in that order.

    It shows the pictures where they lie, and reads none. Raises CannotWrite.
    """
    listed = list_pictures(folder)
    numbers = {
        name: at
        for at, name in enumerate(
            dict.fromkeys(face.group for face in order.faces if face.group), 1
        )
    }
    there = set(listed.names)
    groups = list(_iter_groups(folder, order, there, numbers))
    text = render_page(
        "sorted.html",
        side=folder.parent.name,
        # As it is typed in a terminal.
        show=shlex.quote(folder.parent.parent.name),
        by=order.by,
        value_told=sorters[order.by].value_told if order.by in sorters else "",
        count=sum(group.count for group in groups),
        unchosen=sum(
            not (face.is_chosen or face.reason) for face in order.faces if face.name in there
        ),
        groups=groups,
        packed=len(listed.packed),
        has_groups=bool(numbers),
    )
    path = page_path(folder)
    atomic.write_text(path, text)
    yield Saved(what="page", path=path)
    if listed.packed:
        yield Note(
            text=(
                f"{path.name} shows no face of a pack, which no browser opens:"
                f" {pluralize(len(listed.packed), 'face')}. To see them:"
                f" {unpack_command(pack_path(folder))}"
            )
        )


def renew_page(folder: Path) -> None:
    """Write the page anew where there is one, after faces went or came back. Raises CannotWrite."""
    if not page_path(folder).is_file() or not folder.is_dir():
        return
    # Who asks for a damaged order is told; the page stays as it was.
    with contextlib.suppress(BadProject):
        if order := load_order(folder):
            for _ in write_page(folder, order):
                continue


def _iter_groups(
    folder: Path, order: FaceOrder, there: set[str], numbers: dict[str, int]
) -> Iterator[_Group]:
    shown = 0
    placed = [(at, face) for at, face in enumerate(order.faces, 1) if face.name in there]
    for name, members in itertools.groupby(placed, key=lambda each: _group_name(each[1])):
        together = list(members)
        for first in range(0, len(together), _MOST):
            part = together[first : first + _MOST]
            told = f"{part[0][0]:,} to {part[-1][0]:,}" if len(together) > _MOST else ""
            faces = [_shown(folder, at, face) for at, face in part]
            blocks = [faces[start : start + _BLOCK] for start in range(0, len(faces), _BLOCK)]
            yield _Group(name, numbers.get(name, 0), told, len(faces), blocks, shown < _MOST)
            shown += len(faces)


def _group_name(face: OrderedFace) -> str:
    return "unreadable" if face.reason else face.group


def _shown(folder: Path, at: int, face: OrderedFace) -> dict[str, object]:
    # Most names are addresses as they stand.
    is_plain = face.name.isascii() and face.name.translate(_PLAIN).isalnum()
    value = "" if face.value is None else f" · {face.value:.3g}"
    return {
        "name": face.name,
        "address": f"{folder.name}/{face.name}" if is_plain else _address(folder, face.name),
        "told": f"{at}{value}{': ' if face.reason else ''}{face.reason}",
        "kind": "odd" if face.reason else "" if face.is_chosen else "out",
    }


def _address(folder: Path, name: str) -> str:
    return PurePosixPath("/", folder.name, name).as_uri().removeprefix("file:///")
