"""A pack: the pictures of a faceset, each byte for byte, in one zip file beside their folder.

Nothing in it is compressed (PKWARE's APPNOTE, method 0), so a picture is read by one seek. Anybody
may have made or changed the file: what it says of itself is checked before it is believed.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import threading
import time
import weakref
import zipfile
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Final, NamedTuple, Self

from understudy.errors import BadData, BadMedia, CannotRead
from understudy.io import data_files, system_faults

SUFFIXES: Final = (".jpg", ".jpeg", ".png")
MAX_BYTES: Final = 64 << 20
# The list of contents takes some 100 bytes a picture.
_MOST_LISTED: Final = 256 << 20
_ENCRYPTED, _BEHIND = 0x1, 0x8
_LOCAL: Final = struct.Struct("<4s5H3I2H")
# Microsoft's extra field (APPNOTE 4.5.5): times in steps of 100 ns since 1601.
_TIMES: Final = struct.Struct("<HHIHHQQQ")
_TIMES_KIND, _TIMES_TAG = 0x000A, 0x0001
_STEP, _FROM_1601 = 100, 116_444_736_000_000_000
# Those that a zip has room for.
_FIRST_DATE, _LAST_DATE = (1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)


class PackedPicture(NamedTuple):
    """A picture in a pack. stamp: `time_stamp` of its file, or what tells its content apart."""

    name: str
    bytes: int
    stamp: int
    crc: int
    header_at: int


class Pack:
    """A pack that is open; several threads may read from it.

    pictures: by name. Files that are no pictures do not count. rescue: Take what is whole of a pack
    that was cut short, as far as its pictures tell of themselves.

    Raises:
        BadMedia: It is missing, no zip, cut short, or holds what no pack holds: two pictures of one
            name, folders, what is compressed or encrypted, more than fits into it.
        CannotRead: It is there, but not for this user, or the disk fails.
    """

    def __init__(self, path: Path, *, rescue: bool = False) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            with data_files.open_file(path) as file:
                size = os.fstat(file.fileno()).st_size
                self.pictures = (
                    {each.name: each for each in _walk(file)}
                    if rescue
                    else _list_contents(path, size)
                )
        except BadData as error:
            raise BadMedia(f"{path}: {error.reason}, so not a pack of faces.") from None
        self._file = open(path, "rb")
        self._close = weakref.finalize(self, self._file.close)

    def close(self) -> None:
        """Let go of the file; nothing is read from it any more."""
        self._close()

    def read(self, name: str) -> bytes:
        """Return the bytes of a picture.

        Raises:
            BadMedia: There is none of that name, or it is damaged.
            CannotRead: The disk fails.
        """
        where = f"{self.path}, {name}"
        if (found := self.pictures.get(name)) is None:
            raise BadMedia(f"{where}: there is no such picture in the pack.")
        if found.bytes > MAX_BYTES:
            raise BadMedia(f"{where}: larger than {MAX_BYTES >> 20} MB, so not a face picture.")
        header = self._read_at(found.header_at, _LOCAL.size)
        data = b""
        if len(header) == _LOCAL.size and header.startswith(b"PK\3\4"):
            *_, name_length, extra_length = _LOCAL.unpack(header)
            start = found.header_at + _LOCAL.size + name_length + extra_length
            data = self._read_at(start, found.bytes)
        if len(data) != found.bytes or zlib.crc32(data) != found.crc:
            raise BadMedia(
                f"{where}: damaged in the pack: its checksum is wrong. Put the picture into the"
                " folder again, from a copy, or extract its frame again."
            )
        return data

    def _read_at(self, at: int, size: int) -> bytes:
        try:
            if sys.platform != "win32":
                # A process that was forked shares the place in the file.
                return os.pread(self._file.fileno(), size, at)
            with self._lock:
                self._file.seek(at)
                return self._file.read(size)
        except OSError as error:
            if fault := system_faults.reading(error):
                raise CannotRead(f"{self.path}: cannot be read: {fault}") from error
            raise


def pack_path(folder: Path) -> Path:
    """Where the pack of the faces in `folder` lies."""
    return folder.with_name(f"{folder.name}.zip")


def unpack_command(path: Path) -> str:
    """What to run to take the pictures out of the pack at `path`."""
    return f"understudy faces unpack {path.parent.parent} {path.parent.name}"


def time_stamp(mtime_ns: int) -> int:
    """Return the time of a file as a pack can hold it, in nanoseconds: in steps of 100."""
    return mtime_ns // _STEP * _STEP


class PackWriter:
    """A pack that is being written: enter it as a context, which ends with its list of contents.

    What the disk does not take is OSError.
    """

    def __init__(self, path: Path) -> None:
        self._file = open(path, "xb")
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_STORED)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._file:
            if kind is not None:
                # Else it would write on when it goes.
                self._zip.fp = None
            self._zip.close()
            self._file.flush()
            os.fsync(self._file.fileno())

    def add(self, name: str, data: bytes, stamp: int) -> None:
        """Add a picture. stamp: of `PackedPicture`. Its name `may_be_packed`."""
        entry = zipfile.ZipInfo(name)
        if stamp >= 0:
            ticks = stamp // _STEP + _FROM_1601
            entry.extra = _TIMES.pack(_TIMES_KIND, 32, 0, _TIMES_TAG, 24, ticks, ticks, ticks)
            date = time.gmtime(stamp // 10**9)[:6]
            entry.date_time = min(max(date, _FIRST_DATE), _LAST_DATE)
        entry.external_attr = 0o644 << 16
        self._zip.writestr(entry, data)


def may_be_packed(name: str) -> bool:
    """Whether a picture of that name can be in a pack: it is text, and leads nowhere else."""
    return "\\" not in name and not any("\ud800" <= each <= "\udfff" for each in name)


class _Bounded(io.FileIO):
    """A file whose list of contents is not read where it would fill the memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MOST_LISTED:
            raise zipfile.BadZipFile("its list of contents is too long")
        return super().read(-1 if size is None else size) or b""


def _list_contents(path: Path, size: int) -> dict[str, PackedPicture]:
    try:
        with _Bounded(path) as file, zipfile.ZipFile(file) as found:
            listed = found.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise BadMedia(
            f"{path}: no pack of faces, or cut short: {error}. Put a copy in its place, or take"
            f" out what is whole: {unpack_command(path)}"
        ) from None
    pictures: dict[str, PackedPicture] = {}
    for entry in listed:
        if not _is_picture(entry.orig_filename.replace("\\", "/").rpartition("/")[2]):
            continue
        if fault := _fault(entry) or (entry.filename in pictures and "it is in there twice"):
            raise BadMedia(
                f"{path}, {entry.orig_filename}: {fault}, so this is no pack of ours. Unzip it with"
                " another program, look at what is in it, and put the pictures into the folder."
            )
        pictures[entry.filename] = PackedPicture(
            entry.filename,
            entry.file_size,
            _stamp(entry.extra, entry.CRC),
            entry.CRC,
            entry.header_offset,
        )
    if sum(each.bytes for each in pictures.values()) > size:
        raise BadMedia(
            f"{path}: its pictures are said to be larger than the whole file, so this is no pack of"
            " ours. Move it away."
        )
    return pictures


def _walk(file: BufferedReader) -> Iterator[PackedPicture]:
    """The pictures that lie whole at the beginning of a pack, as each tells of itself."""
    at = 0
    while len(header := file.read(_LOCAL.size)) == _LOCAL.size:
        fields = _LOCAL.unpack(header)
        (sign, _, flags, method), (crc, packed, size, name_length, extra_length) = (
            fields[:4],
            fields[6:],
        )
        name, extra = file.read(name_length), file.read(extra_length)
        # Where the sizes come behind the data, or are long, it is no pack of ours.
        is_ours = (
            sign == b"PK\3\4"
            and method == zipfile.ZIP_STORED
            and not flags & (_ENCRYPTED | _BEHIND)
        )
        if not is_ours or packed != size or size > MAX_BYTES:
            return
        data = file.read(size)
        text = name.decode("utf-8", "replace")
        is_whole = len(data) == size and zlib.crc32(data) == crc
        if is_whole and _is_picture(text) and not _leads_elsewhere(text):
            yield PackedPicture(text, size, _stamp(extra, crc), crc, at)
        at = file.tell()


def _is_picture(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES


def _leads_elsewhere(name: str) -> bool:
    return "/" in name or "\\" in name or "\0" in name


def _fault(entry: zipfile.ZipInfo) -> str:
    name = entry.orig_filename
    if _leads_elsewhere(name):
        return "it lies in a folder"
    if entry.flag_bits & _ENCRYPTED:
        return "it is encrypted"
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
        return "it is compressed"
    if entry.header_offset < 0:
        return "it lies outside the file"
    return ""


def _stamp(extra: bytes, crc: int) -> int:
    """The time of change; without one that is fine enough a number below 0 from its checksum."""
    if len(extra) >= _TIMES.size:
        kind, _, _, tag, _, ticks, _, _ = _TIMES.unpack_from(extra)
        stamp = (ticks - _FROM_1601) * _STEP
        if (kind, tag) == (_TIMES_KIND, _TIMES_TAG) and 0 <= stamp < 2**63:
            return int(stamp)
    return -1 - crc
