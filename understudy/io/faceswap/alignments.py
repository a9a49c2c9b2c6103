"""Alignments of faceswap (.fsa): where the faces of a footage are, read in every layout, written.

A file is zlib over a pickle of {"__meta__": {"version": 2.4}, "__data__": {frame: entry}}, an entry
{"faces": [face, …], "video_meta": {…}}. Older ones lack both names, and an entry is the list of
its faces. Those that were kept as JSON hold the same.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from understudy.errors import BadData, BadMedia
from understudy.io import data_files
from understudy.io.dfl import plain_pickle, safe_pickle
from understudy.io.faceset.foreign_face import ForeignFace
from understudy.io.faceswap.face_record import inflate, read_record, write_record
from understudy.types import AlignedFace

SUFFIX: Final = ".fsa"
VERSION: Final = 2.4
_MOST_BYTES: Final = 4 << 30
# Masks are packed already: what unpacks to more than so many times as much is a bomb.
_MOST_GROWTH: Final = 100
# What zlib begins with at its usual window, and no picture and no pack does.
_ZLIB: Final = b"\x78"


def is_alignments(data: bytes, suffix: str) -> bool:
    """Whether a file that begins so is one of alignments."""
    return data.startswith(_ZLIB) or (suffix.lower() == ".json" and data.lstrip()[:1] == b"{")


def read_alignments(path: Path) -> tuple[dict[str, list[ForeignFace]], list[str]]:
    """Return the faces in a file of alignments by the name of their frame, and what is wrong.

    A face that is none is left out, and told.

    Raises:
        BadMedia: It is no such file, damaged, or its pickle asks for more than plain values.
    """
    try:
        data = data_files.read_bytes(path, _MOST_BYTES)
    except BadData as error:
        raise BadMedia(f"{path}: {error.reason}. Check the file.") from None
    if data.startswith(_ZLIB):
        most = min(_MOST_BYTES, _MOST_GROWTH * len(data) + (1 << 20))
        held = safe_pickle.loads(inflate(data, most, str(path)), str(path))
    else:
        held = _parse_json(data, path)
    if isinstance(held, dict) and "__data__" in held:
        held = held["__data__"]
    if not isinstance(held, dict) or not all(isinstance(name, str) for name in held):
        raise BadMedia(f"{path}: no table of frames in it. Give the alignments of a footage.")
    found, problems = dict[str, list[ForeignFace]](), list[str]()
    for name, entry in held.items():
        faces = entry.get("faces") if isinstance(entry, dict) else entry
        if not isinstance(faces, list | tuple):
            problems.append(f"{path}, {name[:80]}: no list of faces. Leave it out.")
            continue
        for at, each in enumerate(faces):
            try:
                face = read_record(each, name, f"{path}, {name[:80]}, face {at}")
            except BadMedia as error:
                problems.append(str(error))
                continue
            found.setdefault(name, []).append(face)
    return found, problems


def pickled_face(face: AlignedFace) -> plain_pickle.Pickled:
    """A face as alignments hold it, ready for `write_alignments`."""
    return plain_pickle.Pickled.of(write_record(face))


def write_alignments(faces: Mapping[str, Sequence[plain_pickle.Pickled]]) -> bytes:
    """Return a file of alignments in faceswap's newest layout.

    faces: those of each frame, by the name that it has there.
    """
    data: dict[str, Any] = {
        name: {"faces": list(each), "video_meta": {}} for name, each in faces.items()
    }
    file = io.BytesIO()
    plain_pickle.dump({"__meta__": {"version": VERSION}, "__data__": data}, file)
    return zlib.compress(file.getvalue())


def _parse_json(data: bytes, path: Path) -> object:
    try:
        return data_files.parse_json(data, str(path))
    except BadData as error:
        raise BadMedia(f"{path}: {error.reason}. Check the file.") from None
