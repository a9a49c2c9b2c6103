"""Writing so that a file is either whole or not there, whatever happens in between."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from understudy.errors import CannotWrite

# What an interrupted run leaves behind ends like this; `remove_partials` removes it.
PARTIAL = ".partial"


@contextlib.contextmanager
def partial_file(path: Path) -> Iterator[Path]:
    """Yield a path beside `path`; the file takes its place when the block ends well, else it goes.

    It keeps the suffix of `path` at its end, so that encoders can tell the format.

    Raises:
        CannotWrite: The disk is full, or the place is read-only.
    """
    with explain_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem}-", suffix=f"{PARTIAL}{path.suffix}", dir=path.parent
        )
        os.close(handle)
        partial = Path(name)
        try:
            yield partial
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            # mkstemp makes private files; give the result what an ordinary new file gets.
            partial.chmod(0o666 & ~_umask())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, all or nothing."""
    with partial_file(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 `text` to `path`, all or nothing."""
    write_bytes(path, text.encode("utf-8"))


@contextlib.contextmanager
def explain_os_errors(path: Path) -> Iterator[None]:
    """Turn a full disk, a read-only place or a folder that is gone, at `path`, into CannotWrite."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise CannotWrite(
                f"{path}: the disk is full. Free some space and run the same command again."
            ) from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise CannotWrite(
                f"{path}: this place cannot be written to. Choose another folder or change its"
                " rights."
            ) from error
        if error.errno == errno.ENOENT and not path.parent.is_dir():
            raise CannotWrite(
                f"{path.parent}: deleted or moved while this was under way. Run the same command"
                " again."
            ) from error
        raise


def remove_folder(folder: Path) -> None:
    """Remove a folder at once for all who look; one that is in use stays.

    Where the run dies meanwhile, what is left has the name of something half-written.
    """
    going = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=PARTIAL, dir=folder.parent))
    with contextlib.suppress(OSError):
        folder.rename(going / folder.name)
    shutil.rmtree(going, ignore_errors=True)


def remove_partials(folder: Path) -> None:
    """Remove what a killed run left half-written in `folder`; hold the folder's lock for it."""
    for path in folder.glob(f".*{PARTIAL}*"):
        path.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
