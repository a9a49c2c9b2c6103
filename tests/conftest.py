"""What many tests need: clips of two synthetic people, made once a run, and the real clips where
they are at hand.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.synthetic import clip
from understudy.core.synthetic.voice import synthesize_voice
from understudy.io.video.clip_writer import write_clip
from understudy.stages.demo import load_portrait
from understudy.types import Bytes, Floats

# Before torch is there, and for the processes that tests start. The networks here are so small that
# a second thread makes nothing faster and takes up to twice the processor's time. On a busy machine
# it also makes the first one wait. `test_thread_tuner` asks for more.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Some tests load onnxruntime by themselves.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

Clip = list[tuple[Bytes, Floats]]

SIZE, FRAMES = (320, 240), 10
_OUTPUTS = ("out_face_mask", "out_celeb_face", "out_celeb_face_mask")


@pytest.fixture(scope="session", autouse=True)
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests sign with lies in a folder of theirs."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("user") / "credentials"
        patch.setenv("UNDERSTUDY_CREDENTIALS", str(folder))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """No test cuts the power: what is written need not lie on the disk before it goes on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(autouse=True)
def no_options_of_others() -> Iterator[None]:
    """The options file that a command was given goes for that command alone."""
    os.environ.pop("UNDERSTUDY_CONFIG", None)
    yield
    os.environ.pop("UNDERSTUDY_CONFIG", None)


@pytest.fixture(scope="session")
def people() -> dict[str, Clip]:
    """Person "a" and "b": ten frames of (picture 240 x 320, true landmarks) each."""
    return {
        name: list(clip.render_clip(load_portrait(), name, FRAMES, SIZE)) for name in ("a", "b")
    }


@pytest.fixture(scope="session")
def clips(people: dict[str, Clip], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same as video files with sound: "src" shows person a, "dst" person b. Do not write to
    them.
    """
    folder = tmp_path_factory.mktemp("clips")
    sound = synthesize_voice(np.sin(np.arange(FRAMES, dtype=np.float32)) ** 2)
    paths = {}
    for side, name in (("src", "a"), ("dst", "b")):
        paths[side] = folder / f"{side}.mp4"
        for _ in write_clip(paths[side], (image for image, _ in people[name]), SIZE, 25, sound):
            pass
    return paths


@pytest.fixture(scope="session")
def footage_folder() -> Path:
    """The folder of real clips; the test is skipped where there is none."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "footage"
    folder = Path(os.environ.get("UNDERSTUDY_FOOTAGE", beside))
    if not folder.is_dir():
        pytest.skip(f"no real footage in {folder}")
    return folder


@pytest.fixture(scope="module")
def one_parser() -> Iterator[None]:
    """The parser of the command line is built once for all lines that a module tries.

    To build it takes longer than to parse a line.
    """
    from understudy import cli

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "build_app", functools.cache(cli.build_app))
        yield


@pytest.fixture
def dfm_file(tmp_path: Path) -> Callable[..., Path]:
    """dfm_file(side=32, batch="N", morph=False, rename={}, edit=None): a .dfm file that gives back
    the face it sees.

    dst's mask is the face's red, the face's own mask its blue, or with morph the value of that.
    rename: names in the file by the literal ones. edit: a function that changes the ModelProto
    before it is written.
    """
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT

    def write(
        side: int = 32,
        batch: int | str = "N",
        morph: bool = False,
        rename: dict[str, str] | None = None,
        edit: Callable[[Any], None] | None = None,
    ) -> Path:
        face, called = [batch, side, side, 3], lambda name: (rename or {}).get(name, f"{name}:0")
        names = {name: called(name) for name in ("in_face", "morph_value", *_OUTPUTS)}
        inputs = {"in_face": face, **({"morph_value": [1]} if morph else {})}
        outputs = dict(zip(_OUTPUTS, ([*face[:3], 1], face, [*face[:3], 1]), strict=True))
        starts = {
            name: np.array([value], np.int64)
            for name, value in {"0": 0, "1": 1, "2": 2, "3": 3}.items()
        }
        ends = [("Add", ["none", names["morph_value"]])] if morph else [("Identity", ["blue"])]
        nodes = [
            helper.make_node("Identity", [names["in_face"]], [names["out_celeb_face"]]),
            helper.make_node("Slice", [names["in_face"], "2", "3", "3"], [names["out_face_mask"]]),
            helper.make_node("Slice", [names["in_face"], "0", "1", "3"], ["blue"]),
            helper.make_node("Sub", ["blue", "blue"], ["none"]),
            *(helper.make_node(op, taken, [names["out_celeb_face_mask"]]) for op, taken in ends),
        ]
        told = [
            [
                helper.make_tensor_value_info(names[name], kind, shape)
                for name, shape in each.items()
            ]
            for each in (inputs, outputs)
        ]
        weights = [onnx.numpy_helper.from_array(value, name) for name, value in starts.items()]
        graph = helper.make_graph(nodes, "face", *told, weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=7)
        if edit:
            edit(model)
        path = tmp_path / "face.dfm"
        path.write_bytes(model.SerializeToString())
        return path

    return write
