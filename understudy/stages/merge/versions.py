"""The versions of a merge: numbered folders beside each other, each whole, none ever changed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from understudy.io import atomic

RECORD = "merge.json"
# Of so many versions, the newest, the segments are kept: going back to one of them costs nothing.
_REMEMBERED = 3
_MAKING = ".making-"


@contextlib.contextmanager
def new_version_folder(merged: Path) -> Iterator[Path]:
    """A folder to make a version in.

    What is still in it afterwards goes, and so does what killed runs left.
    """
    with atomic.explain_os_errors(merged):
        merged.mkdir(parents=True, exist_ok=True)
        for left in merged.glob(f"{_MAKING}*"):
            shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=_MAKING, dir=merged))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, merged: Path) -> Path:
    """The finished folder under its number, the next after all that are there."""
    final = merged / f"{max(_numbers(merged), default=0) + 1:03d}"
    folder.chmod(0o755)
    return folder.rename(final)


def newest_segment_keys(merged: Path) -> set[str]:
    """The keys of the segments that the newest versions were made of."""
    keys: set[str] = set()
    for number in sorted(_numbers(merged))[-_REMEMBERED:]:
        try:
            record = json.loads((merged / f"{number:03d}" / RECORD).read_text(encoding="utf-8"))
            keys |= set(record.get("segments", []))
        except (OSError, ValueError, TypeError, AttributeError):
            # A version that somebody took away or changed remembers nothing.
            continue
    return keys


def link_result(video: Path, result: Path) -> None:
    """`result` becomes the same file as `video`, or a copy where the disk knows no links."""
    with atomic.partial_file(result) as partial:
        partial.unlink()
        try:
            os.link(video, partial)
        except OSError:
            shutil.copyfile(video, partial)


def _numbers(merged: Path) -> list[int]:
    return [int(each.name) for each in merged.iterdir() if each.name.isdecimal()]
