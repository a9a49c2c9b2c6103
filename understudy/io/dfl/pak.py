"""Packs of DeepFaceLab (faceset.pak): many face pictures in one file, read in place and written.

Little-endian: u64 version (1), u64 length of a pickle, the pickle (a list of N dicts), N + 1 u64
offsets of the pictures from the first byte behind them, the pictures. The last offset that
DeepFaceLab writes is the length of the whole file.
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, BinaryIO, Final

import numpy as np

from understudy.errors import BadData, BadMedia
from understudy.io import data_files
from understudy.io.dfl import face_picture, plain_pickle, safe_pickle
from understudy.io.faceset.foreign_face import ForeignRecord
from understudy.io.limits import MAX_PICTURE_FILE
from understudy.types import AlignedFace

NAME: Final = "faceset.pak"
VERSION: Final = 1
MAX_PICTURES: Final = 5_000_000
_HEADER = struct.Struct("<QQ")
# Of the table of contents: 200,000 faces take 800 MB.
_MOST_TABLE: Final = 4 << 30
# Where a table is too short, what follows is read as offsets: eight bytes of a picture are more.
_MOST_OFFSET: Final = 1 << 48
# Its enumerations, as numbers of DeepFaceLab 2: a face among kinds of samples, and the face types.
_FACE_SAMPLE: Final = 1
_TYPE_NUMBERS: Final = {
    "half_face": 0,
    "midfull_face": 1,
    "full_face": 2,
    "full_face_no_align": 3,
    "whole_face": 4,
    "head": 10,
    "mark_only": 100,
}


@dataclass(frozen=True, slots=True)
class PackedPicture:
    """A picture in a pack. start, end: in the file. person: the folder that it lay in, or ""."""

    name: str
    person: str
    start: int
    end: int


def is_pak(data: bytes) -> bool:
    """Whether a file that begins with these 17 bytes is a pack: a version, a length, a pickle."""
    return len(data) >= 17 and data[4:8] == b"\0\0\0\0" and data[16:17] == b"\x80"


def list_pictures(path: Path) -> list[PackedPicture]:
    """Return the pictures in a pack, in their order; of one that is cut short those that are there.

    Of what its pickle says names and persons are taken alone: the pictures say the rest.

    Raises:
        BadMedia: It is no such pack, its pickle asks for more than plain values, or its offsets
            make no sense.
    """
    with _opened(path) as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            raise _bad(path, "cut short: it ends within its header")
        version, length = _HEADER.unpack(head)
        if version != VERSION:
            raise _bad(path, f"a pack of version {version}, and only version {VERSION} is known")
        if length > min(size - _HEADER.size, _MOST_TABLE):
            raise _bad(path, "cut short, or damaged: its table of contents ends behind the file")
        listed = safe_pickle.loads(file.read(length), str(path))
        if not isinstance(listed, list) or len(listed) > MAX_PICTURES:
            raise _bad(path, "no list of pictures in it")
        data = file.read(8 * (len(listed) + 1))
        if len(data) < 8 * (len(listed) + 1):
            raise _bad(path, "cut short: it ends within its offsets")
        return _places(path, listed, np.frombuffer(data, "<u8"), file.tell(), size)


def read_picture(path: Path, start: int, end: int) -> bytes:
    """Return the bytes of one picture.

    Raises:
        BadMedia: It is larger than any, or the file is gone.
        CannotRead: It is there, but not for this user, or the disk fails.
    """
    if end - start > MAX_PICTURE_FILE:
        raise _bad(path, f"a picture of more than {MAX_PICTURE_FILE >> 20} MB")
    with _opened(path) as file:
        file.seek(start)
        return file.read(end - start)


def contents(face: AlignedFace, name: str, frame_name: str) -> dict[str, Any]:
    """What a pack says of a picture besides the picture itself."""
    fields = face_picture.face_fields(face, frame_name)
    told = fields["face_type"]
    return {
        "sample_type": plain_pickle.Member("samplelib.Sample", "SampleType", _FACE_SAMPLE),
        "filename": name,
        "face_type": plain_pickle.Member("facelib.FaceType", "FaceType", _TYPE_NUMBERS[told]),
        "shape": (face.size, face.size, 3),
        "landmarks": fields["landmarks"],
        "seg_ie_polys": fields.get("seg_ie_polys", {"polys": []}),
        "xseg_mask": None,
        "xseg_mask_compressed": None if face.mask is None else face_picture.encode_mask(face.mask),
        "eyebrows_expand_mod": 1.0,
        "source_filename": frame_name,
        "person_name": None,
    }


def write_head(listed: Sequence[object], sizes: Sequence[int], file: BinaryIO) -> None:
    """Write all of a pack but its pictures, which follow one after the other.

    Args:
        listed: The `contents` of each, pickled or not.
        sizes: Of each, in bytes.
        file: Where to.
    """
    pickled = io.BytesIO()
    plain_pickle.dump(list(listed), pickled)
    block = pickled.getvalue()
    offsets = np.concatenate([[0], np.cumsum(np.asarray(sizes, np.uint64))]).astype("<u8")
    start = _HEADER.size + len(block) + offsets.nbytes
    # As DeepFaceLab has it.
    offsets[-1] += np.uint64(start)
    file.write(_HEADER.pack(VERSION, len(block)) + block + offsets.tobytes())


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with data_files.open_file(path) as file:
            yield file
    except BadData as error:
        raise _bad(path, error.reason) from None


def _places(
    path: Path, listed: list[Any], offsets: Any, first: int, size: int
) -> list[PackedPicture]:
    """Where each picture lies; those behind the end of the file are empty."""
    starts = offsets[:-1].astype(np.float64)
    if (np.diff(starts) < 0).any() or (len(starts) and starts[0] != 0):
        raise _bad(path, "damaged: its offsets do not ascend")
    if (offsets > _MOST_OFFSET).any():
        raise _bad(path, f"damaged: it lists {len(listed):,} pictures, and has offsets of fewer")
    # The last one is the end of the last picture, as DeepFaceLab has it from the file's beginning.
    if first + int(offsets[-1]) < size:
        raise _bad(path, f"damaged: it has more pictures than the {len(listed):,} that it lists")
    # As long as the table itself: of an empty pack there are none.
    ends = np.minimum(np.append(starts, size)[1:], size - first)
    found = []
    for at, (held, start, end) in enumerate(zip(listed, starts, ends, strict=True)):
        record = ForeignRecord(held, f"{path}, picture {at}")
        name = _last_part(record.text("filename", f"{at:05d}.jpg"))
        begin = first + int(min(start, end))
        found.append(PackedPicture(name, record.text("person_name"), begin, first + int(end)))
    return found


def _last_part(name: str) -> str:
    """The name without folders, whichever system wrote it."""
    return PurePosixPath(PureWindowsPath(name).name).name


def _bad(path: Path, reason: str) -> BadMedia:
    return BadMedia(f"{path}: {reason}. Copy the file again, or pack the faces anew.")
