"""Writing so that a file or folder is whole or not there; what dead runs left half-written goes.

What is half-written lies beside its place under a name of its own, and whoever makes it holds a
lock on it. The system lets go of the lock when the process ends, however it ends. So what is not
locked was left by a dead run, and the next one that writes to the same place removes it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from understudy.errors import Busy, CannotRead, CannotWrite
from understudy.io import system_faults

if sys.platform != "win32":
    import fcntl

# A longer suffix says nothing to an encoder.
_LONGEST_SUFFIX: Final = 16
# Bytes of a name, on all file systems in use.
_LONGEST: Final = 255
# As deep as anything lies in a show, and deeper.
_DEEP: Final = ("x" * 50,) * 4
# So many runs may write to the same place at once.
_MOST: Final = 99
_NAME: Final = re.compile(r"\.(.*)-([0-9a-f]{8})(?:-[1-9][0-9]?)?\.partial(\.[^.]*)?", re.DOTALL)
# A folder cannot be held open on Windows, but a file in it can.
_LOCK: Final = ".lock"


@contextlib.contextmanager
def partial_file(path: Path) -> Iterator[Path]:
    """Yield an empty file beside `path`; it takes that place when the block ends well, else goes.

    Write to it; what makes its file itself takes `partial_path`. It keeps the suffix of `path`, so
    that encoders can tell the format. A link at `path` is replaced, never written through.

    Raises:
        CannotWrite: The disk is full, the place is read-only, or no file can have that name.
    """
    with explain_os_errors(path), contextlib.ExitStack() as held:
        path.parent.mkdir(parents=True, exist_ok=True)
        _require_replaceable(path)
        partial, handle = _claim(path, is_folder=False)
        held.callback(os.close, handle)
        try:
            yield partial
            _sync(partial)
            if sys.platform == "win32":
                held.close()
            partial.replace(path)
        except BaseException:
            if sys.platform == "win32":
                held.close()
            partial.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Meanwhile no other run writes to `path`: so that what is found not to be there stays so.

    Raises:
        Busy: Another run does.
        CannotWrite: The disk is full, the place is read-only, or no file can have that name.
    """
    with explain_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial, handle = _claim(path, is_folder=False, most=1)
        except FileExistsError:
            raise Busy(
                f"{path}: another run is writing it. Wait for it, or choose another name."
            ) from None
    try:
        yield
    finally:
        os.close(handle)
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def first_free(
    paths: Iterable[Path], is_taken: Callable[[Path], bool] | None = None
) -> Iterator[Path]:
    """Yield the first of these paths at which nothing is; meanwhile no other run gets it.

    is_taken: what counts as something; None = whatever bears the name.

    Raises:
        CannotWrite: The disk is full, the place is read-only, or no file can have that name.
    """
    is_taken = is_taken or is_there
    for path in paths:
        with contextlib.ExitStack() as held:
            try:
                if not is_taken(path):
                    held.enter_context(sole_writer(path))
            except Busy:
                continue
            # Again: the run that had it may have finished just now.
            if not is_taken(path):
                yield path
                return


@contextlib.contextmanager
def partial_path(path: Path) -> Iterator[Path]:
    """As `partial_file`, for what makes its file itself: nothing lies at the path it yields.

    Raises:
        CannotWrite: The disk is full, the place is read-only, or no file can have that name.
    """
    with explain_os_errors(path), partial_folder(path) as folder:
        _require_replaceable(path)
        partial = folder.path / path.name
        yield partial
        _sync(partial)
        partial.replace(path)


@dataclass(slots=True)
class PartialFolder:
    """A folder that is being made. path: where, until it is settled."""

    path: Path
    is_settled: bool = False
    _held: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def settle(self, final: Path) -> Path:
        """Move it to `final`, beside, where nothing is yet; returns `final`."""
        self._let_go()
        self.path.rename(final)
        self.is_settled = True
        return final

    def _let_go(self) -> None:
        """On Windows: nothing that is open can be moved or removed."""
        if sys.platform == "win32":
            self._held.close()
            (self.path / _LOCK).unlink(missing_ok=True)


@contextlib.contextmanager
def partial_folder(path: Path, mode: int = 0o777) -> Iterator[PartialFolder]:
    """Yield a new hidden folder beside `path`; call its `settle` when it is whole, else it goes.

    Raises:
        CannotWrite: The disk is full, the place is read-only, or no folder can have that name.
    """
    with explain_os_errors(path), contextlib.ExitStack() as held:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial, handle = _claim(path, is_folder=True, mode=mode)
        held.callback(os.close, handle)
        folder = PartialFolder(partial, _held=held)
        try:
            yield folder
        finally:
            if not folder.is_settled:
                folder._let_go()
                shutil.rmtree(partial, ignore_errors=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, all or nothing."""
    with partial_file(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 `text` to `path`, all or nothing."""
    write_bytes(path, text.encode("utf-8"))


def sync_disks() -> None:
    """Wait until all that was written is on its disk: for many files faster than one by one.

    What gets its name before that may be empty after a power cut.
    """
    if hasattr(os, "sync"):
        os.sync()


def append_text(path: Path, text: str) -> None:
    """Add UTF-8 `text` to the end of the file at `path`; a run that dies may leave half of it.

    Raises:
        CannotWrite: As `partial_file`, or a link lies there.
    """
    with explain_os_errors(path):
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _FLAGS, 0o666)
        with os.fdopen(handle, "ab") as file:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise CannotWrite(f"{path}: no ordinary file. Move it away.")
            if found.st_nlink == 1:
                file.write(text.encode("utf-8"))
                return
    # Under another name the same file belongs to somebody else.
    write_bytes(path, path.read_bytes() + text.encode("utf-8"))


def is_partial(name: str) -> bool:
    """Whether something of that name is half-written, by this run or another."""
    found = _NAME.fullmatch(name)
    return found is not None and found[2] == _tag(found[1], found[3] or "")


def remove_partials(folder: Path) -> None:
    """Remove what dead runs left half-written in `folder`; nothing of runs that live."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as found:
        for each in found:
            if is_partial(each.name):
                _remove_dead(Path(each.path))


def remove_files(folder: Path, names: Collection[str]) -> None:
    """Remove the files of these names from `folder`, and `folder` when nothing else is in it.

    Where nothing else is in it, all is gone at once for all who look; else the files go one by one,
    in this order. Links and folders stay.
    """
    if is_link(folder):
        return
    with os.scandir(folder) as found:
        inside = {each.name: each for each in found}
    own = [
        name
        for name in dict.fromkeys(names)
        if name in inside and inside[name].is_file(follow_symlinks=False)
    ]
    if len(own) == len(inside):
        # One that is in use stays.
        with partial_folder(folder) as gone, contextlib.suppress(OSError):
            folder.rename(gone.path / folder.name)
        return
    for name in own:
        (folder / name).unlink(missing_ok=True)


def is_there(path: Path) -> bool:
    """Whether anything has that name, a link to nowhere among it.

    Raises CannotWrite where nothing can have it: too long a name, or a file on the way.
    """
    with explain_os_errors(path):
        try:
            path.lstat()
        except FileNotFoundError:
            return False
    return True


def check_depth(folder: Path) -> None:
    """Raise CannotWrite where files that lie deep in `folder` would have too long a path.

    Else that shows after hours, at the first of them.
    """
    try:
        folder.joinpath(*_DEEP).lstat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise CannotWrite(
                f"{folder}: the name, or the path to it, is too long for a folder with files in"
                " it. Choose a shorter name, or a place nearer to the root of the disk."
            ) from None


def numbered(path: Path, number: int) -> Path:
    """`path` with a number behind its stem, which is cut where the name would be too long."""
    end = f"-{number}{path.suffix}"
    stem = os.fsencode(path.stem)[: _LONGEST - len(os.fsencode(end))]
    return path.with_name(os.fsdecode(_whole_characters(stem)) + end)


def _whole_characters(data: bytes) -> bytes:
    """Of UTF-8 that was cut, all up to the last whole character; other bytes as they are."""
    for length in range(len(data), max(len(data) - 4, 0), -1):
        with contextlib.suppress(UnicodeDecodeError):
            data[:length].decode()
            return data[:length]
    return data


def is_link(path: Path) -> bool:
    """Whether `path` itself leads elsewhere: a symbolic link, or a junction of Windows.

    Raises CannotWrite as `is_there`.
    """
    if not is_there(path):
        return False
    found = path.lstat()
    junction = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", None)
    return stat.S_ISLNK(found.st_mode) or (
        junction is not None and getattr(found, "st_reparse_tag", None) == junction
    )


@contextlib.contextmanager
def explain_os_errors(path: Path | None = None) -> Iterator[None]:
    """Turn what the system says when `path` cannot be written into CannotWrite.

    None = any path: the one that the error names. Where it names a file that may not be read, that
    is CannotRead: something is wrong with it, and not with what is written.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOENT and path is not None and not path.parent.is_dir():
            raise CannotWrite(
                f"{path.parent}: deleted or moved while this was under way. Run the same command"
                " again."
            ) from error
        if _is_about_reading(error, path):
            raise CannotRead(
                f"{_named(error)}: cannot be read: {system_faults.reading(error)}"
            ) from error
        if error.errno in _REASONS:
            raise CannotWrite(f"{path or _named(error)}: {_REASONS[error.errno]}") from error
        raise


def _named(error: OSError) -> Path:
    """What the error is about. Without a name it is what every run writes to: its output."""
    return Path(os.fsdecode(error.filename or "output"))


def _is_about_reading(error: OSError, path: Path | None) -> bool:
    if not isinstance(error.filename, str | bytes) or not system_faults.reading(error):
        return False
    # All that is written has its path here. Of what is copied only the system knows.
    return path is None or (
        error.errno in (errno.EACCES, errno.EPERM)
        and os.path.isfile(error.filename)
        and not _may_read(error.filename)
    )


def _may_read(file: str | bytes) -> bool:
    try:
        os.close(os.open(file, os.O_RDONLY | _FLAGS))
    except PermissionError:
        return False
    return True


_FULL: Final = "the disk is full. Free some space and run the same command again."
_READ_ONLY: Final = "this place cannot be written to. Choose another folder or change its rights."
_NO_NAME: Final = "no file can have that name here. Choose a shorter or plainer one."
_NOT_EMPTY: Final = "something else is there already. Choose another name, or move it away."
_GONE: Final = "the disk no longer answers. Check it and its connection, or choose another one."
_FILES: Final = (
    "too many files are open. Close other programs, or raise the limit (ulimit -n), and run the"
    " same command again."
)
_REASONS: Final = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: (
        "the file is larger than this disk, or the limit of this session (ulimit -f), allows."
        " Choose another disk, or raise the limit."
    ),
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _READ_ONLY,
    errno.EPERM: _READ_ONLY,
    errno.ENAMETOOLONG: _NO_NAME,
    errno.EILSEQ: _NO_NAME,
    errno.ENOTDIR: (
        "a file lies where a folder is needed on the way there. Move it away, or choose another"
        " place."
    ),
    errno.EISDIR: "a folder lies there. Choose another name, or move it away.",
    errno.EEXIST: _NOT_EMPTY,
    errno.ENOTEMPTY: _NOT_EMPTY,
    errno.ELOOP: (
        "a link lies there, and nothing is written through links. Put what it leads to in its"
        " place, or remove it."
    ),
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
    errno.EIO: (
        "the disk fails (input/output error). Check the disk and its cable, or choose another one."
    ),
    errno.ESTALE: _GONE,
    errno.ENODEV: _GONE,
    errno.ENXIO: _GONE,
    errno.ENOTCONN: _GONE,
}


def _claim(
    path: Path, *, is_folder: bool, mode: int = 0o666, most: int = _MOST
) -> tuple[Path, int]:
    """Make a partial file or folder for `path` and lock it; its path and open descriptor."""
    for number in range(1, most + 1):
        partial = path.with_name(_partial_name(path.name, number))
        try:
            handle = _make(partial, mode, is_folder=is_folder)
        except FileExistsError:
            if not _remove_dead(partial):
                continue
            handle = _make(partial, mode, is_folder=is_folder)
        # Before it was locked another run may have taken it for dead.
        if _lock(handle, unknown=True) and _is_at(handle, partial):
            return partial, handle
        os.close(handle)
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def _make(partial: Path, mode: int, *, is_folder: bool) -> int:
    if not is_folder:
        return os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, mode)
    partial.mkdir(mode)
    if sys.platform == "win32":
        return os.open(partial / _LOCK, os.O_RDWR | os.O_CREAT)
    return os.open(partial, os.O_RDONLY | os.O_DIRECTORY | _FLAGS)


def _remove_dead(partial: Path) -> bool:
    """Remove the file or folder when no living run holds it; False where it stays."""
    try:
        kind = partial.lstat().st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            return False
        if sys.platform == "win32":
            # What is open cannot be removed.
            (partial / _LOCK if stat.S_ISDIR(kind) else partial).unlink(missing_ok=True)
            shutil.rmtree(partial, ignore_errors=True)
            return True
        access = os.O_RDONLY | os.O_DIRECTORY if stat.S_ISDIR(kind) else os.O_RDWR
        handle = os.open(partial, access | _FLAGS)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        if not _lock(handle, unknown=False) or not _is_at(handle, partial):
            return False
        if stat.S_ISDIR(kind):
            shutil.rmtree(partial)
        else:
            partial.unlink()
        return True
    except OSError:
        return False
    finally:
        os.close(handle)


def _lock(handle: int, *, unknown: bool) -> bool:
    """Lock an open file or folder; False when another has it. unknown: where there are no locks."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return unknown
    return True


def _is_at(handle: int, partial: Path) -> bool:
    """Whether what is open still has its name."""
    if sys.platform == "win32":
        return True
    try:
        found = partial.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(handle), found)


def _partial_name(name: str, number: int) -> str:
    """What is half-written for `name` is called: always short, and by chance nothing else.

    A disk may allow less than others (143 bytes where folders are encrypted), and `name` all of it.
    """
    suffix = Path(name).suffix
    suffix = suffix if len(os.fsencode(suffix)) <= _LONGEST_SUFFIX else ""
    stem = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    again = "" if number == 1 else f"-{number}"
    return f".{stem}-{_tag(stem, suffix)}{again}.partial{suffix}"


def _tag(stem: str, suffix: str) -> str:
    """A mark that no name of somebody else's bears by chance."""
    return hashlib.sha256(os.fsencode(f"understudy {stem} {suffix}")).hexdigest()[:8]


def _require_replaceable(path: Path) -> None:
    """Raise OSError or CannotWrite where no file can take the place of what is at `path`."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not (stat.S_ISREG(kind) or stat.S_ISLNK(kind)):
        raise CannotWrite(f"{path}: no ordinary file. Choose another name, or move it away.")


def _sync(partial: Path) -> None:
    with partial.open("rb+") as file:
        os.fsync(file.fileno())


_FLAGS: Final = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
