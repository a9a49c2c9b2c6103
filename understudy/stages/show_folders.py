"""The folders of a show that runs write into: none is a link that leads elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from understudy.errors import BadProject
from understudy.io import atomic

# Names of folders, and what is below them; "*" = any other.
_Tree: TypeAlias = "Mapping[str, _Tree]"

_CLIP: Final[_Tree] = {"found": {}, "debug": {}, "marks": {}}
_SIDE: Final[_Tree] = {
    "faces": {},
    "faces_debug": {},
    "faces_new": {},
    "faces_trash": {},
    "journal": {},
    "found": {},
    "debug": {},
    "marks": {},
}
_MODEL: Final[_Tree] = {
    **{
        name + suffix: {"*": {}}
        for name in ("checkpoints", "best", "backups")
        for suffix in ("", "-pretrain")
    },
    "previews": {},
    "previews-pretrain": {},
    "tensorboard": {},
}
_SHOW: Final[_Tree] = {
    ".locks": {},
    "src": {**_SIDE, "clips": {"*": _CLIP}},
    "dst": _SIDE,
    "models": {"*": _MODEL},
    "models_trash": {},
    "segmenters": {},
    "merged": {"segments": {}, "preview": {}, "debug": {}},
    "presets": {},
}
# Where runs put files and folders of their own in place of what is there.
_REPLACED: Final = (
    "result.mp4",
    "result.mov",
    "result.png",
    "src/clips",
    *(
        f"{side}/{name}"
        for side in ("src", "dst")
        for name in (
            "faces",
            "faces_debug",
            "faces_new",
            "faces_trash",
            "journal",
            "found",
            "debug",
            "debug.mp4",
        )
    ),
)


def check_footage(show: Path, footage: Path) -> None:
    """Raise BadProject where footage lies in a place that runs write to: it would be lost."""
    place = footage.resolve()
    for name in _REPLACED:
        if place == (show / name).resolve():
            raise BadProject(
                f"{footage}: footage, in a place that belongs to what runs make. Move it elsewhere,"
                " and write the new place in the project file."
            )


def check_folders(show: Path) -> None:
    """Raise BadProject where a folder that runs write into is a link, or anything else.

    A link would lead what a run writes, and what it removes, out of the show.
    """
    for _ in _iter_folders(show, _SHOW):
        continue


def remove_leftovers(show: Path, part: str) -> None:
    """Remove what dead runs left half-written in a part of the show: "src", "models/NAME", …

    Raises BadProject as `check_folders`.
    """
    place, tree = show, _SHOW
    atomic.remove_partials(show)
    for name in part.split("/"):
        place, tree = place / name, tree.get(name, tree.get("*", {}))
        atomic.remove_partials(place)
    for folder in _iter_folders(place, tree):
        atomic.remove_partials(folder)


def _iter_folders(place: Path, tree: _Tree) -> Iterator[Path]:
    """The folders of the tree that are there. How much lies in the last of them costs nothing."""
    if not place.is_dir():
        return
    with os.scandir(place) as found:
        entries = list(found)
    for each in entries:
        _require_ordinary(each)
        path, below = Path(each.path), tree.get(each.name)
        if below is None:
            # Of a link that leads to itself an entry raises what it is asked.
            if "*" not in tree or path.is_file() or atomic.is_partial(each.name):
                continue
            below = tree["*"]
        if atomic.is_link(path):
            raise BadProject(
                f"{path}: a link, and runs would write where it leads. Put the folder itself there,"
                " or remove the link."
            )
        if not each.is_dir():
            raise BadProject(f"{path}: no folder, and a run needs one of that name. Move it away.")
        yield path
        if below:
            yield from _iter_folders(path, below)


def _require_ordinary(entry: os.DirEntry[str]) -> None:
    """Raise BadProject for a pipe or a device: to read it might wait for ever."""
    if not (entry.is_symlink() or entry.is_file() or entry.is_dir()):
        raise BadProject(
            f"{entry.path}: neither a file nor a folder, but a pipe or a device. Remove it."
        )
