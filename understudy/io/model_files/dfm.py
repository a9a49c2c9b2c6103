"""Face models as one ONNX file, .dfm: checked before anything of it runs, then run."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from understudy.errors import BadData, BadMedia, BadOption, MissingExtra
from understudy.io import data_files, limited_child
from understudy.io.installation import install_extra
from understudy.io.model_files.dfm_graph import find_fault, find_sized_by
from understudy.types import FaceType, Floats

SUFFIXES = (".dfm", ".onnx")
FACE, MORPH = "in_face:0", "morph_value:0"
DST_MASK, IMAGE, MASK = OUTPUTS = ("out_face_mask:0", "out_celeb_face:0", "out_celeb_face_mask:0")
CHANNELS = {DST_MASK: 1, IMAGE: 3, MASK: 1}
# What our own files say about themselves, as metadata of ONNX.
FACE_TYPE, ITERATION, OWN_MORPH = "understudy.face_type", "understudy.iteration", "understudy.morph"
MODEL = "understudy.model"
# How far training moved the faces.
MOTION = {"shift": "understudy.shift", "scale": "understudy.scale"}

_LIMIT = 2**31 - 1
# What onnxruntime calls its switch, by version.
_NO_TELEMETRY = ("ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED")
_CUDA = re.compile(r"cuda(?::([0-9]{1,3}))?")
_SIDES = (16, 2048)
# More numbers than any layer of a face this size gives; a file that declares more wants memory, not
# a face.
_NUMBERS = 2**30
# What a file may take when it is tried on one face: memory beyond a multiple of its own size, and
# seconds of computing.
_MEMORY, _TIMES_SIZE, _SECONDS = 1 << 30, 6, 15
# To load weights takes time, too: so many bytes a second.
_LOADED = 1 << 25
# Memory that faces may take that are computed at a time, and how many there are at most.
_FACES_MEMORY, _MOST_FACES = 2 << 30, 16
# Weights above this are no shapes that a graph computes with.
_SHAPE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class DfmInfo:
    """What a file says. batch: faces it takes at a time, 0 = any number.

    names: as they stand in the file, by ours. morph: how much of the face becomes src's by default;
    None for a file that does not ask. is_sized_by_morph: whether it says how large tensors become.
    model: which of our models it is, "" = it does not say. motion: how far training moved the
    faces, as far as it says that, by the names of `AugmentConfig`.
    """

    resolution: int
    batch: int
    names: dict[str, str]
    face_type: FaceType | None
    iteration: int
    morph: float | None
    is_sized_by_morph: bool
    model: str
    motion: dict[str, Any]


class Dfm:
    """A face model from a file, ready to run."""

    def __init__(self, path: Path, device: str = "auto") -> None:
        """Open the file at `path` on `device`.

        Raises:
            BadMedia: It cannot be used.
            BadOption: The device is not there.
            MissingExtra: onnxruntime is not installed.
        """
        onnx_package("onnx")
        place = _choose_device(device)
        taken = _try_in_child(path)
        # Faces at a time: as many as the file asks for, else as many as the memory bears.
        data = _read(path)
        self.path, self.device, self.facts = path, place, read_info(path, data)
        self.at_a_time = self.facts.batch or max(
            1, min(_MOST_FACES, _FACES_MEMORY // max(1, taken))
        )
        self.session = _session(path, data, place)
        if place != "cpu":
            self.run(_grey_face(self.facts), 1.0)

    def try_morph(self, morph: float) -> None:
        """Try the file with another morph, which may say how large its tensors become.

        Raises:
            BadMedia: It fails with it.
        """
        if self.facts.is_sized_by_morph:
            _try_in_child(self.path, morph)

    def run(self, faces: Floats, morph: float) -> tuple[Floats, Floats, Floats]:
        """Return dst's masks, the new faces, and their masks.

        Args:
            faces: (N, R, R, 3) dst faces, BGR in 0..1, N at most `at_a_time`.
            morph: How much becomes src's, 0..1; ignored where the file does not ask.

        Returns:
            (N, R, R, 1), (N, R, R, 3) BGR and (N, R, R, 1), all in 0..1.

        Raises:
            BadMedia: The file gives something else, or fails.
        """
        return _run(self.path, self.facts, self.session, faces, morph)


def _run(
    path: Path, facts: DfmInfo, session: Any, faces: Floats, morph: float
) -> tuple[Floats, Floats, Floats]:
    count = len(faces)
    missing = max(0, facts.batch - count)
    fed: dict[str, Floats] = {
        facts.names[FACE]: np.concatenate([faces, np.repeat(faces[:1], missing, 0)])
    }
    if facts.morph is not None:
        fed[facts.names[MORPH]] = np.array([morph], np.float32)
    try:
        found = session.run([facts.names[name] for name in OUTPUTS], fed)
    except Exception as error:
        # onnxruntime raises kinds of its own, which share no base but this.
        raise BadMedia(
            f"{path}: does not run: {_first_line(error)}. Export it again, or take another file."
        ) from error
    for name, made in zip(OUTPUTS, found, strict=True):
        expected = (count + missing, facts.resolution, facts.resolution, CHANNELS[name])
        if made.shape != expected:
            raise BadMedia(
                f"{path}: {name} came out as {made.shape}, not {expected}. Take another file."
            )
    dst_mask, image, mask = (np.clip(made[:count], 0, 1) for made in found)
    return dst_mask, image, mask


def onnx_package(name: str) -> Any:
    """Import a module of the extra `onnx`: onnx, onnxruntime, onnxscript or one within them.

    Raises:
        MissingExtra: It is not installed.
    """
    package = name.partition(".")[0]
    if importlib.util.find_spec(package) is None:
        raise MissingExtra(
            f"models as .dfm or .onnx: {package} is not installed. Run: {install_extra('onnx')}."
        )
    if package != "onnxruntime":
        return importlib.import_module(name)
    # It would keep an identifier of this computer in the home folder and send what it is used for
    # to its makers. The variables are read once, when it loads; on Windows the call alone counts.
    os.environ.update(dict.fromkeys(_NO_TELEMETRY, "1"))
    runtime = importlib.import_module(package)
    runtime.disable_telemetry_events()
    return importlib.import_module(name)


def walk_messages(message: Any) -> Iterator[Any]:
    """Yield a protocol buffer's message and all within it, however deep."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in [value] if hasattr(value, "ListFields") else value:
                yield from walk_messages(each)


def _read(path: Path) -> bytes:
    try:
        return data_files.read_bytes(path, _LIMIT)
    except BadData as error:
        raise BadMedia(
            f"{path}: {error.reason}. Give a .dfm file; ONNX has at most 2 GB."
        ) from None


def read_info(path: Path, data: bytes) -> DfmInfo:
    """Return what a file says, without running anything of it or opening any other.

    Raises:
        BadMedia: It is not to be run; says why.
    """
    onnx = onnx_package("onnx")
    try:
        model = onnx.ModelProto.FromString(data)
    except onnx_package("google.protobuf.message").DecodeError:
        raise BadMedia(
            f"{path}: not a model in the format ONNX, or only part of one. Copy or export it again."
        ) from None
    for tensor in walk_messages(model):
        if _has_broken_text(tensor):
            raise BadMedia(f"{path}: holds a name that is no text. Copy or export it again.")
        if not isinstance(tensor, onnx.TensorProto):
            continue
        if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise BadMedia(
                f"{path}: keeps weights ({tensor.name}) in other files, which are never opened."
                " Take one whole file."
            )
        if len(tensor.raw_data) > _SHAPE_BYTES:
            tensor.raw_data = b""
    held = {each.name for each in model.graph.initializer}
    inputs = {each.name: each for each in model.graph.input if each.name not in held}
    outputs = {each.name: each for each in model.graph.output}
    names = _names(path, inputs, outputs)
    if fault := find_fault(model, names[FACE]):
        raise BadMedia(f"{path}: {fault}. It is not run: take another file.")
    _refuse_giants(path, model)
    batch, side = _face_shape(path, _shape(path, inputs[names[FACE]]))
    for name, channels in CHANNELS.items():
        _check_shape(path, name, _shape(path, outputs[names[name]]), (batch, side, side, channels))
    if MORPH in names:
        _check_shape(path, MORPH, _shape(path, inputs[names[MORPH]]), (1,))
    metadata = {each.key: each.value for each in model.metadata_props}
    face_type: Any = metadata.get(FACE_TYPE)
    known = face_type if face_type in get_args(FaceType) else None
    morph = min(1.0, _number(path, metadata.get(OWN_MORPH, "1"))) if MORPH in names else None
    return DfmInfo(
        side,
        batch,
        names,
        known,
        int(_number(path, metadata.get(ITERATION, "0"))),
        morph,
        bool(MORPH in names and find_sized_by(model, names[MORPH])),
        metadata.get(MODEL, ""),
        {
            name: min(1.0, _number(path, metadata[key]))
            for name, key in MOTION.items()
            if key in metadata
        },
    )


def _has_broken_text(message: Any) -> bool:
    """Whether a text within it is not UTF-8: then it comes as bytes."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING:
            texts = [value] if isinstance(value, str | bytes) else value
            if any(isinstance(each, bytes) for each in texts):
                return True
    return False


def _number(path: Path, text: str) -> float:
    """A plain number that is not negative. Raises BadMedia for anything else."""
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,12})?", text):
        raise BadMedia(
            f"{path}: says '{text[:40]}' of itself where a number stands. Export it again."
        )
    return float(text)


def _refuse_giants(path: Path, model: Any) -> None:
    """Raises BadMedia when some layer would take more memory than any face model does."""
    onnx = onnx_package("onnx")
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:
        # The checker, too, raises kinds of its own.
        raise BadMedia(
            f"{path}: its graph does not hold together: {_first_line(error)}. Take another file."
        ) from error
    shapes = [
        (each.name, [dim.dim_value for dim in each.type.tensor_type.shape.dim])
        for each in inferred.graph.value_info
    ]
    shapes += [(each.name, list(each.dims)) for each in model.graph.initializer]
    for name, dims in shapes:
        if np.prod([max(1, dim) for dim in dims], dtype=object) > _NUMBERS:
            raise BadMedia(
                f"{path}: '{name}' would have {' x '.join(map(str, dims))} numbers. This is no face"
                " model."
            )


def _names(path: Path, inputs: dict[str, Any], outputs: dict[str, Any]) -> dict[str, str]:
    """The file's names by ours; with ":0" or without."""
    found = {f"{name.removesuffix(':0')}:0": name for name in inputs}
    made = {f"{name.removesuffix(':0')}:0": name for name in outputs}
    if FACE not in found or set(found) - {FACE, MORPH} or set(OUTPUTS) - set(made):
        raise BadMedia(
            f"{path}: is no face model. It takes {_join_names(inputs)} and gives"
            f" {_join_names(outputs)}; one that can be used takes {FACE}, some also {MORPH},"
            f" and gives {', '.join(OUTPUTS)}."
        )
    return {**found, **{name: made[name] for name in OUTPUTS}}


def _shape(path: Path, value: Any) -> list[int | str]:
    """The declared shape, of float32 numbers; "?" or a name where a side is open."""
    kind = onnx_package("onnx").TensorProto
    tensor = value.type.tensor_type
    if tensor.elem_type != kind.FLOAT:
        found = (
            kind.DataType.Name(tensor.elem_type)
            if tensor.elem_type in kind.DataType.values()
            else tensor.elem_type
        )
        raise BadMedia(
            f"{path}: {value.name} is of {found}, not FLOAT. Export it with inputs and outputs of"
            " float32."
        )
    return [
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?"
        for dim in tensor.shape.dim
    ]


def _face_shape(path: Path, shape: list[int | str]) -> tuple[int, int]:
    """Batch and side."""
    if len(shape) == 4 and shape[1] == shape[2] and shape[3] == 3 and isinstance(shape[1], int):
        low, high = _SIDES
        batch = shape[0] if isinstance(shape[0], int) else 0
        if low <= shape[1] <= high and 0 <= batch <= 1024:
            return max(0, batch), shape[1]
    raise BadMedia(
        f"{path}: {FACE} is {_shape_text(shape)}; expected N x R x R x 3, R from {_SIDES[0]} to"
        f" {_SIDES[1]}. Take another file."
    )


def _check_shape(path: Path, name: str, shape: list[int | str], expected: tuple[int, ...]) -> None:
    """Check the sides that are declared; open ones, and an open batch, are tried when it runs."""
    sides = zip(shape, expected, strict=False)
    if len(shape) != len(expected) or any(
        isinstance(side, int) and side > 0 and wanted and side != wanted for side, wanted in sides
    ):
        raise BadMedia(
            f"{path}: {name} is {_shape_text(shape)}; expected"
            f" {_shape_text([each or 'N' for each in expected])}. Take another file."
        )


def try_out(path: str, morph: float, most_threads: int) -> int:
    """Check a file and run it on one face, on the CPU; for a child process.

    Returns:
        The bytes that a face took.

    Raises:
        BadMedia: It cannot be used.
    """
    place = Path(path)
    data = _read(place)
    facts = read_info(place, data)
    session = _session(place, data, "cpu", most_threads)
    before = limited_child.peak_memory()
    _run(place, facts, session, _grey_face(facts), morph)
    return (limited_child.peak_memory() - before) // max(1, facts.batch)


def _try_in_child(path: Path, morph: float = 1.0) -> int:
    """The bytes that a face takes. Raises BadMedia for a file that cannot be used."""
    size = path.stat().st_size if path.is_file() else 0
    memory = _MEMORY + _TIMES_SIZE * min(size, _LIMIT)
    seconds = _SECONDS + min(size, _LIMIT) // _LOADED
    order = {"path": str(path), "morph": morph, "most_threads": 4}
    try:
        return int(limited_child.call(f"{__name__}:try_out", order, memory, seconds))
    except limited_child.Exhausted as error:
        raise BadMedia(
            f"{path}: was tried on one face, and {error}. This is no face model: take another file."
        ) from None


def _grey_face(facts: DfmInfo) -> Floats:
    return np.full((1, facts.resolution, facts.resolution, 3), 0.5, np.float32)


def _choose_device(device: str) -> str:
    """Where a file is to run: never another place than was asked for. Raises BadOption."""
    runtime = onnx_package("onnxruntime")
    has_cuda = "CUDAExecutionProvider" in runtime.get_available_providers()
    place = ("cuda" if has_cuda else "cpu") if device == "auto" else device
    if place != "cpu" and not (_CUDA.fullmatch(place) and has_cuda):
        raise BadOption(
            f"device: '{device}' cannot be used by onnxruntime here, which has"
            f" {', '.join(runtime.get_available_providers())}. Choose cpu, or for cuda install"
            " onnxruntime-gpu in place of onnxruntime."
        )
    return place


def _session(path: Path, data: bytes, place: str, threads: int = 0) -> Any:
    """onnxruntime with the model. threads: at most; 0 = as many as it likes."""
    runtime, number = onnx_package("onnxruntime"), _CUDA.fullmatch(place)
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    if threads:
        options.intra_op_num_threads = min(threads, os.cpu_count() or 1)
    # Threads that spin while they wait would steal the cores from the readers and writers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    chosen = [("CUDAExecutionProvider", {"device_id": int(number.group(1) or 0)})] if number else []
    try:
        session = runtime.InferenceSession(
            data, options, providers=[*chosen, "CPUExecutionProvider"]
        )
    except Exception as error:
        raise BadMedia(
            f"{path}: onnxruntime cannot use it: {_first_line(error)}. Take another file."
        ) from error
    if number and session.get_providers()[0] != "CUDAExecutionProvider":
        raise BadOption(
            f"device: '{place}': onnxruntime could not start CUDA and would use the CPU. Mend it,"
            " or choose cpu."
        )
    return session


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300].rstrip(".")


def _join_names(names: dict[str, Any]) -> str:
    return ", ".join(sorted(names)[:8]) or "nothing"


def _shape_text(shape: list[int | str]) -> str:
    return " x ".join(str(side) for side in shape) or "a single number"
