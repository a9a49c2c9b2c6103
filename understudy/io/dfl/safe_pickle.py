"""Pickles of another tool, read when they hold plain values and arrays of numbers alone.

Python's own unpickler calls what a file tells it to call. `PickleMachine` knows the format but
cannot call anything: it builds values, and a name that is not of numpy's arrays ends it.
"""

from __future__ import annotations

import io
import math
import pickletools
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from understudy.errors import BadData, BadMedia
from understudy.io import data_files
from understudy.types import Array

_NUMBERS = re.compile(r"([<>|=]?)(b1|[iu][1248]|f[248]|[SU][1-9]\d{0,5})")
# What numpy and protocol 2 write by name. numpy called its core `numpy.core` up to 1.26 and
# `numpy._core` since.
_KNOWN = {
    **{
        (f"numpy.{core}.multiarray", name): name
        for core in ("core", "_core")
        for name in ("_reconstruct", "scalar")
    },
    **{(f"numpy.{core}.numeric", "_frombuffer"): "_frombuffer" for core in ("core", "_core")},
    **{("numpy", name): name for name in ("ndarray", "dtype")},
    ("_codecs", "encode"): "encode",
    **{
        (module, name): name
        for module in ("builtins", "__builtin__")
        for name in ("bytes", "set", "frozenset")
    },
    # The two enumerations of DeepFaceLab that stand in its packs: their members come as numbers.
    ("samplelib.Sample", "SampleType"): "enum",
    ("facelib.FaceType", "FaceType"): "enum",
}
ATOMS = (str, bytes, int, float, bool, type(None))
# Values lie at most so deep, and are at most so many times as many as the orders that build them:
# beyond lies only malice.
MAX_DEPTH, MAX_EXPANSION = 64, 10
MAX_BYTES: Final = 16 << 30
# Of a whole number. Python prints none of more than 4300 digits.
MAX_BITS: Final = 4096


def loads(data: bytes, source: str) -> object:
    """Return what a pickle holds: plain values, containers, arrays and scalars of numpy.

    Members of the two enumerations that DeepFaceLab's packs name come as plain numbers.

    Arrays share the memory of `data` or of each other: they are read-only. Nothing is ever run.
    source: where it is from, for the message.

    Raises:
        BadMedia: It holds anything else.
    """
    machine = PickleMachine(allowance=4 * len(data) + 1024)
    try:
        held = machine.run(data)
        return _Tree(MAX_EXPANSION * machine.orders + 1000).of(held)
    except UnsafePickle as error:
        raise BadMedia(
            f"{source}: holds {error}, and only plain values and arrays of numbers are read."
            " Nothing in it was run. Take the file from a source that you trust."
        ) from None
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        OverflowError,
        MemoryError,
        DeprecationWarning,
    ) as error:
        raise BadMedia(
            f"{source}: not a pickle, or a damaged one ({error}). Copy the file again."
        ) from None


def load_arrays(path: Path, has_counts: bool = False) -> dict[str, Array]:
    """Return the named arrays of a weight file of DeepFaceLab 2, in the file's order.

    Such a file is called .npy, but is a pickled dict.

    Args:
        path: The file.
        has_counts: Whether single whole numbers may stand among them, as with an optimizer's state.

    Returns:
        float16, float32 or float64 arrays, all finite in float32, too.

    Raises:
        BadMedia: It is none.
    """
    held = loads(read_file(path), str(path))
    if not isinstance(held, dict) or not held:
        raise BadMedia(
            f"{path}: no named arrays in it, so no weights of DeepFaceLab 2. Give the file that its"
            " trainer saved."
        )
    found: dict[str, Array] = {}
    for name, array in held.items():
        if (
            not isinstance(name, str)
            or not isinstance(array, np.ndarray | np.generic)
            or not (array.dtype.kind == "f" or (has_counts and _is_count(array)))
        ):
            raise BadMedia(
                f"{path}: {name!r:.80} is not an array of floats. Give the file that DeepFaceLab's"
                " trainer saved."
            )
        if not array.size:
            raise BadMedia(
                f"{path}: the tensor {name!r:.80} is empty. Take an older backup of the model."
            )
        if not _is_finite(array):
            raise BadMedia(
                f"{path}: the tensor {name!r:.80} holds values that are not numbers. Take an older"
                " backup of the model."
            )
        found[name] = np.asarray(array)
    return found


def _is_count(array: Array | np.generic) -> bool:
    return array.dtype.kind in "iu" and array.size == 1


def _is_finite(array: Array | np.generic) -> bool:
    """Whether all values are numbers, and stay such where they are kept."""
    with np.errstate(over="ignore"):
        return bool(np.isfinite(np.asarray(array, np.float32)).all())


def read_file(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        BadMedia: It is not there, not readable, or larger than any model.
    """
    try:
        return data_files.read_bytes(path, MAX_BYTES)
    except BadData as error:
        raise BadMedia(
            f"{path}: {error.reason}. Give the file that DeepFaceLab's trainer saved."
        ) from None


class _Tree:
    """What was built, as real values. left: how many of them it may still have."""

    def __init__(self, left: int) -> None:
        self.left = left

    def of(self, held: object, depth: int = 0) -> object:
        self.left -= 1
        if self.left < 0 or depth > MAX_DEPTH:
            raise UnsafePickle("values nested beyond measure")
        if type(held) in ATOMS or isinstance(held, np.generic):
            return held
        if isinstance(held, list | tuple | set | frozenset):
            return type(held)([self.of(each, depth + 1) for each in held])
        if isinstance(held, dict):
            return {key: self.of(value, depth + 1) for key, value in held.items()}
        if isinstance(held, PendingArray) and held.array is not None:
            return held.array
        if isinstance(held, PendingDtype):
            return held.dtype()
        raise ValueError("an array or a name that is left unfinished")


class UnsafePickle(Exception):
    """A pickle asks for something that is not plain; the text says what."""


@dataclass(frozen=True, slots=True)
class _Name:
    """A known name of numpy or Python, as a word and nothing that could be called."""

    word: str


@dataclass(slots=True)
class PendingDtype:
    """A kind of numbers. order: of bytes, < or >."""

    code: str
    order: str

    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.order.replace("|", "=") + self.code)


@dataclass(slots=True)
class PendingArray:
    """An array that is being read; None until its state is known."""

    array: Array | None = None


# Orders whose argument is the value.
_PUSHES = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING"
    " UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8".split()
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_EMPTY: dict[str, type] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass
class PickleMachine:
    """The stack machine of the format. allowance: bytes it may make beyond those that it reads."""

    allowance: int
    orders: int = 0
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self, data: bytes) -> object:
        for order, argument, _ in pickletools.genops(io.BytesIO(data)):
            self.orders += 1
            self._execute(order.name, argument)
        return self.stack.pop()

    def _execute(self, order: str, argument: Any) -> None:
        if order in _PUSHES:
            self.stack.append(_check_length(argument))
        elif order in _CONSTANTS:
            self.stack.append(_CONSTANTS[order])
        elif order in _EMPTY:
            self.stack.append(_EMPTY[order]())
        elif order in _TUPLES:
            self.stack.append(tuple(self._pop(_TUPLES[order])))
        elif order == "BYTEARRAY8":
            self.stack.append(bytes(argument))
        elif order in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif order == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif order in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif order not in ("PROTO", "FRAME", "STOP"):
            self._build(order, argument)

    def _build(self, order: str, argument: Any) -> None:
        """The orders that come with marks and containers; see `_call` for names and arrays."""
        match order:
            case "MARK":
                self.marks.append(len(self.stack))
            case "POP":
                self._pop(1)
            case "POP_MARK":
                self._pop_to_mark()
            case "TUPLE":
                self.stack.append(tuple(self._pop_to_mark()))
            case "LIST":
                self.stack.append(self._pop_to_mark())
            case "DICT":
                items = self._pop_to_mark()
                self.stack.append({})
                self._set(items)
            case "FROZENSET":
                self.stack.append(frozenset(_check_keys(self._pop_to_mark())))
            case "APPEND" | "APPENDS" | "ADDITEMS" | "SETITEM" | "SETITEMS":
                self._fill(order)
            case _:
                self._call(order, argument)

    def _fill(self, order: str) -> None:
        """The orders that put values into the container below them."""
        match order:
            case "APPEND" | "APPENDS":
                items = self._pop(1) if order == "APPEND" else self._pop_to_mark()
                self._top(list).extend(items)
            case "ADDITEMS":
                items = self._pop_to_mark()
                self._top(set).update(_check_keys(items))
            case "SETITEM" | "SETITEMS":
                self._set(self._pop(2) if order == "SETITEM" else self._pop_to_mark())

    def _call(self, order: str, argument: Any) -> None:
        """The orders that ask for calls: known names become values, all else is refused."""
        match order:
            case "GLOBAL" | "STACK_GLOBAL":
                module, name = argument.split(" ", 1) if order == "GLOBAL" else self._pop(2)
                self.stack.append(_resolve_name(module, name))
            case "REDUCE":
                maker, arguments = self._pop(2)
                self.stack.append(self._reduce(maker, arguments))
            case "BUILD":
                made, state = self._pop(2)
                self._set_state(made, state)
                self.stack.append(made)
            case _:
                raise UnsafePickle(f"an object of another program (order {order})")

    def _pop(self, count: int) -> list[Any]:
        if len(self.stack) < count + (self.marks[-1] if self.marks else 0):
            raise ValueError("the stack ran empty")
        taken = self.stack[-count:]
        del self.stack[-count:]
        return taken

    def _pop_to_mark(self) -> list[Any]:
        start = self.marks.pop()
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def _top(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise ValueError(f"no {kind.__name__} to fill")
        return self.stack[-1]

    def _set(self, items: list[Any]) -> None:
        held = self._top(dict)
        held.update(zip(_check_keys(items[::2]), items[1::2], strict=True))

    def _reduce(self, maker: object, arguments: object) -> object:
        """What a known name stands for with these arguments."""
        if not isinstance(maker, _Name) or not isinstance(arguments, tuple):
            raise ValueError("calls what cannot be called")
        match maker.word, arguments:
            case "encode", (str(text), "latin1" | "latin-1" | "latin_1"):
                self._spend(len(text))
                return text.encode("latin-1")
            case "bytes", ():
                return b""
            case "enum", (int(number),):
                return number
            case "set" | "frozenset", (list(items),):
                self._spend(8 * len(items))
                return (set if maker.word == "set" else frozenset)(_check_keys(items))
            case "dtype", (str(code), *_):
                return _dtype(code)
            case "_reconstruct", (_Name("ndarray"), (0,), _):
                return PendingArray()
            case "_frombuffer", (
                bytes(data),
                PendingDtype() as kind,
                tuple(shape),
                "C" | "F" as order,
            ):
                return PendingArray(self._make_array(data, kind, shape, order))
            case "scalar", (PendingDtype() as kind, bytes(data)):
                return self._make_array(data, kind, (), "C")[()]
        raise ValueError(f"{maker.word} with other arguments than numpy's")

    def _set_state(self, made: object, state: object) -> None:
        match made, state:
            case PendingDtype(), (int(), "<" | ">" | "|" | "=" as order, None, None, None, *_):
                made.order = order
            case PendingArray(array=None), (
                int(),
                tuple(shape),
                PendingDtype() as kind,
                bool() | 0 | 1 as fortran,
                bytes(data),
            ):
                made.array = self._make_array(data, kind, shape, "F" if fortran else "C")
            case PendingArray(array=None), (int(), tuple(), PendingDtype(), _, list()):
                raise UnsafePickle("an array of objects")
            case _:
                raise ValueError("a state that is not numpy's")

    def _make_array(
        self, data: bytes, kind: PendingDtype, shape: tuple[Any, ...], order: Any
    ) -> Array:
        dtype = kind.dtype()
        if len(shape) > 16 or any(type(side) is not int or side < 0 for side in shape):
            raise ValueError("an array of no such shape")
        if math.prod(shape) * dtype.itemsize != len(data):
            raise ValueError(
                f"an array of {len(data)} bytes in place of {math.prod(shape) * dtype.itemsize}"
            )
        self._spend(len(data))
        array: Array = np.ndarray(shape, dtype, data, order=order)
        return array.astype(dtype.newbyteorder("="), copy=False)

    def _spend(self, count: int) -> None:
        # Through the memo a few bytes could ask for the same large thing again and again.
        self.allowance -= count
        if self.allowance < 0:
            raise UnsafePickle("orders to fill the memory")


def _resolve_name(module: object, name: object) -> _Name:
    if not isinstance(module, str) or not isinstance(name, str):
        raise ValueError("a name that is no text")
    if (module, name) not in _KNOWN:
        raise UnsafePickle(f"{module[:60]}.{name[:60]}")
    return _Name(_KNOWN[module, name])


def _dtype(code: str) -> PendingDtype:
    if code[:1] == "O":
        raise UnsafePickle("an array of objects")
    found = _NUMBERS.fullmatch(code)
    if not found:
        raise UnsafePickle(f"an array of the kind {code[:40]!r}")
    return PendingDtype(found[2], found[1] or "=")


def _check_length(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise UnsafePickle("a number of more than a thousand digits")
    return value


def _check_keys(keys: list[Any]) -> list[Any]:
    """The keys, each one plain value or a tuple of some.

    Hashing a deep tree would overrun Python's own stack.
    """
    for key in keys:
        if type(key) not in ATOMS and not (
            type(key) is tuple and all(type(each) in ATOMS for each in key)
        ):
            raise UnsafePickle("a key that is no plain value")
    return keys
