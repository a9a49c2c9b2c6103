"""The versions of a merge: numbered folders beside each other, each whole, none ever changed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from understudy.errors import BadData, CannotRead
from understudy.io import atomic, data_files

RECORD = "merge.json"
# Of so many versions, the newest, the segments are kept: going back to one of them costs nothing.
_REMEMBERED = 3


@contextlib.contextmanager
def new_version_folder(merged: Path) -> Iterator[atomic.PartialFolder]:
    """A folder to make a version in, for `publish`; what killed runs left goes."""
    with atomic.explain_os_errors(merged):
        atomic.remove_partials(merged)
        with atomic.partial_folder(merged / "version") as folder:
            yield folder


def publish(folder: atomic.PartialFolder, merged: Path) -> Path:
    """The finished folder under its number, the next after all that are there."""
    return folder.settle(merged / f"{max(_numbers(merged), default=0) + 1:03d}")


def newest_segment_keys(merged: Path) -> set[str] | None:
    """The keys of the segments that the newest versions were made of.

    None where one of these cannot be read: nobody can tell then which others are of no use.
    """
    keys: set[str] = set()
    for number in sorted(_numbers(merged))[-_REMEMBERED:]:
        try:
            record = data_files.read_json(merged / f"{number:03d}" / RECORD)
            keys |= set(map(str, record.get("segments", [])))
        except CannotRead:
            return None
        except (BadData, TypeError, AttributeError):
            # A version that somebody took away or changed remembers nothing.
            continue
    return keys


def link_result(video: Path, result: Path) -> None:
    """`result` becomes the same file as `video`, or a copy where the disk knows no links."""
    with atomic.partial_path(result) as partial:
        try:
            os.link(video, partial)
        except OSError:
            shutil.copyfile(video, partial)


def _numbers(merged: Path) -> list[int]:
    return [int(each.name) for each in merged.iterdir() if re.fullmatch("[0-9]+", each.name)]
