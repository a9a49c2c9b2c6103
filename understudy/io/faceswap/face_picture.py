"""Face pictures of faceswap: PNG with a text chunk that holds a literal of Python's.

Nothing says how the picture was cut, unless a mask was kept in the same square. Else that is
reckoned again: points 17..67 are fitted to a mean face, and the square lies around a point of the
head that turns with it.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any, Final

from understudy.core.face.faceswap_crop import crop_matrix, is_alike
from understudy.errors import BadMedia
from understudy.io.faceset.foreign_face import ForeignFace, ForeignRecord
from understudy.io.faceswap.face_record import head_square, read_record
from understudy.io.image_segments import PNG, Segment, cut_out, png_chunks

_MAGIC: Final = b"faceswap\0\0\0\0\0"
# Points, masks and identities take some 50 kB; what is parsed takes 500 times as much memory.
_MOST_BYTES: Final = 512 << 10


def read_face(data: bytes, size: int, where: str) -> ForeignFace | None:
    """Return what a face picture of faceswap says of its face; None where it holds nothing of it.

    size: side of the picture in pixels.

    Raises:
        BadMedia: What it says is not of a face.
        Damaged: It is no whole PNG.
    """
    blocks = _segments(data)
    if not blocks:
        return None
    held = ForeignRecord(_literal(blocks[0].body[len(_MAGIC) :], where), where)
    source = ForeignRecord(held.held.get("source") or {}, where)
    alignments = held.held.get("alignments")
    face = read_record(alignments, source.text("source_filename"), where)
    matrix = crop_matrix(face.landmarks, size)
    kept = head_square(alignments, where)
    if kept is not None and is_alike(kept * size, matrix, size):
        matrix = kept * size
    return replace(face, face_from_frame=matrix)


def without_face(data: bytes) -> bytes:
    """Return a picture without what faceswap says in it; all else stays. Raises Damaged."""
    return cut_out(data, _segments(data))


def _segments(data: bytes) -> list[Segment]:
    if not data.startswith(PNG):
        return []
    return [
        each for each in png_chunks(data) if each.kind == b"iTXt" and each.body.startswith(_MAGIC)
    ]


def _literal(data: bytes, where: str) -> Any:
    """The value that a text of Python writes; nothing in it is ever run."""
    if len(data) > _MOST_BYTES:
        raise BadMedia(f"{where}: more than {_MOST_BYTES >> 10} kB of text. Leave it out.")
    try:
        return ast.literal_eval(data.decode("utf-8"))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise BadMedia(
            f"{where}: its text holds more than plain values, or is damaged. Nothing in it was run."
            " Leave it out."
        ) from None
