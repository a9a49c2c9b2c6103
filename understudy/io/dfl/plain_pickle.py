"""Pickles for another tool, written of plain values and arrays of numbers alone.

DeepFaceLab 2 reads its own files with Python's unpickler, so no other format will do. What is
written here asks that unpickler for nothing but containers, numbers, texts, members of its own two
enumerations, and arrays of numpy, by the names that every numpy has: Python's own pickler would
name modules that numpy has had only since version 2, and the tool's numpy is older. `safe_pickle`
reads it again, and nothing else of ours does.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from understudy.types import Array

# Of Python 3.4: the first one in which an array may have more than 4 GiB.
_PROTOCOL = 4
_MOST_BYTES = 2**32 - 1
# The only names that are written besides numpy's: packs of faces hold members of these.
_ENUMERATIONS = (("samplelib.Sample", "SampleType"), ("facelib.FaceType", "FaceType"))


@dataclass(frozen=True, slots=True)
class Member:
    """A member of one of DeepFaceLab's enumerations. module, name: of the enumeration there."""

    module: str
    name: str
    value: int


@dataclass(frozen=True, slots=True)
class Pickled:
    """A value that is pickled already, to stand in others. data: without header and end."""

    data: bytes

    @classmethod
    def of(cls, value: object) -> Pickled:
        """A value as `dump` takes it. Raises TypeError."""
        return cls(b"".join(_pieces(value)))


def dump(value: object, file: BinaryIO) -> None:
    """Write a value into a file.

    value: None, bool, int, float, str, bytes, arrays of numbers, `Member`, `Pickled`, and lists,
    tuples and dicts of these.

    Raises:
        TypeError: There is anything else in it.
    """
    _write(_pieces(value), file)


def dump_arrays(arrays: Iterable[tuple[str, Array]], file: BinaryIO) -> None:
    """Write arrays by name into a file, as a dict, one after the other. Raises TypeError."""
    _write(_dict(arrays), file)


def _write(pieces: Iterable[bytes | memoryview], file: BinaryIO) -> None:
    file.write(b"\x80" + bytes([_PROTOCOL]))
    for piece in pieces:
        file.write(piece)
    file.write(b".")


def _pieces(value: object) -> Iterator[bytes | memoryview]:
    match value:
        case None | bool():
            yield {None: b"N", True: b"\x88", False: b"\x89"}[value]
        case int():
            yield _whole_number(value)
        case float():
            yield b"G" + struct.pack(">d", value)
        case str():
            yield _text(value)
        case bytes():
            yield b"B" + struct.pack("<I", len(value)) + value
        case _:
            yield from _compound(value)


def _compound(value: object) -> Iterator[bytes | memoryview]:
    """A value that is made of others."""
    match value:
        case np.ndarray():
            yield from _array(value)
        case Pickled():
            yield value.data
        case Member() if (value.module, value.name) in _ENUMERATIONS:
            yield f"c{value.module}\n{value.name}\n".encode() + _tuple([value.value]) + b"R"
        case list() | tuple():
            # A list is an empty one, a mark, its items, and the order to append them.
            yield b"](" if isinstance(value, list) else b"("
            for each in value:
                yield from _pieces(each)
            yield b"e" if isinstance(value, list) else b"t"
        case dict():
            yield from _dict(value.items())
        case _:
            raise TypeError(f"{type(value).__name__} is no plain value")


def _dict(items: Iterable[tuple[object, object]]) -> Iterator[bytes | memoryview]:
    yield b"}("
    for key, value in items:
        yield from _pieces(key)
        yield from _pieces(value)
    yield b"u"


def _whole_number(value: int) -> bytes:
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    if len(data) > 255:
        raise TypeError("a number of so many digits is no plain value")
    return b"\x8a" + bytes([len(data)]) + data


def _array(array: Array) -> Iterator[bytes | memoryview]:
    """An array as numpy pickles one: an empty one, then its state."""
    if array.dtype.kind not in "iuf":
        raise TypeError(f"an array of {array.dtype} is no plain value")
    held = np.ascontiguousarray(array).reshape(array.shape)
    kind = held.dtype.newbyteorder("<")
    yield b"cnumpy.core.multiarray\n_reconstruct\n"
    yield b"(cnumpy\nndarray\n" + _tuple([0]) + b"C\x01bt"
    yield b"R"
    # The state: a version, the shape, the kind of numbers, not in Fortran's order, the numbers.
    yield b"(J\x01\x00\x00\x00" + _tuple(list(held.shape))
    yield b"cnumpy\ndtype\n(" + _text(kind.str[1:]) + b"\x89\x88tR"
    yield b"(J\x03\x00\x00\x00" + _text("<") + b"NNN" + 2 * _whole_number(-1) + b"J\0\0\0\0tb"
    yield b"\x89"
    yield (
        b"B" + struct.pack("<I", held.nbytes)
        if held.nbytes <= _MOST_BYTES
        else b"\x8e" + struct.pack("<Q", held.nbytes)
    )
    yield held.astype(kind, copy=False).reshape(-1).view(np.uint8).data
    yield b"tb"


def _tuple(numbers: list[int]) -> bytes:
    return b"(" + b"".join(map(_whole_number, numbers)) + b"t"


def _text(text: str) -> bytes:
    # Names of files need be no text; so Python's own pickler writes them.
    data = text.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data
