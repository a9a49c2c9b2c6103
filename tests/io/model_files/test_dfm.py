"""Face models from files: what is refused, and why it is said to be."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.errors import BadMedia, BadOption, MissingExtra
from understudy.io.model_files import dfm

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

DfmFile = Callable[..., Path]


def shape_of(value: Any) -> Any:
    return value.type.tensor_type.shape.dim


def test_a_file_tells_its_size_and_what_it_asks_for(dfm_file: DfmFile) -> None:
    plain, fixed = (
        dfm.Dfm(dfm_file(side=48), "cpu").facts,
        dfm.Dfm(dfm_file(batch=4, morph=True), "cpu").facts,
    )
    assert (plain.resolution, plain.batch, plain.morph, plain.face_type) == (48, 0, None, None)
    assert (fixed.resolution, fixed.batch, fixed.morph) == (32, 4, 1.0)


def test_names_count_with_their_suffix_or_without(dfm_file: DfmFile) -> None:
    path = dfm_file(rename={"in_face": "in_face", "out_celeb_face": "out_celeb_face"})
    faces = np.random.default_rng(1).random((2, 32, 32, 3), np.float32)
    assert np.array_equal(dfm.Dfm(path, "cpu").run(faces, 1)[1], faces)


def outside(model: Any) -> None:
    weight = model.graph.initializer.add(name="w", data_type=onnx.TensorProto.FLOAT, dims=[4])
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../../secret.bin")


def outside_within(model: Any) -> None:
    """The same deep inside: in the attribute of a node of a branch."""
    hidden = onnx.helper.make_node(
        "Constant", [], ["c"], value=onnx.TensorProto(data_type=1, dims=[1], name="deep")
    )
    hidden.attribute[0].t.external_data.add(key="location", value="secret.bin")
    branch = onnx.helper.make_graph(
        [hidden], "b", [], [onnx.helper.make_tensor_value_info("c", 1, [1])]
    )
    model.graph.node.append(
        onnx.helper.make_node("If", ["0"], ["x"], then_branch=branch, else_branch=branch)
    )


def custom(model: Any) -> None:
    model.graph.node.append(onnx.helper.make_node("RunMe", ["blue"], ["x"], domain="evil"))
    model.opset_import.append(onnx.helper.make_opsetid("evil", 1))


def unknown(model: Any) -> None:
    model.graph.node.append(onnx.helper.make_node("NoSuchThing", ["blue"], ["x"]))


def giant(model: Any) -> None:
    shape = onnx.numpy_helper.from_array(np.array([2**20, 2**20], np.int64), "giant_shape")
    model.graph.initializer.append(shape)
    model.graph.node.append(onnx.helper.make_node("ConstantOfShape", ["giant_shape"], ["giant"]))


def giant_weight(model: Any) -> None:
    model.graph.initializer.add(name="w", data_type=onnx.TensorProto.FLOAT, dims=[2**40, 2**40])


def halves(model: Any) -> None:
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16


def oblong(model: Any) -> None:
    shape_of(model.graph.input[0])[2].dim_value = 64


def planes(model: Any) -> None:
    for at, side in enumerate((1, 3, 32, 32)):
        shape_of(model.graph.input[0])[at].dim_value = side


def flat(model: Any) -> None:
    del shape_of(model.graph.input[0])[3]


def sizeless(model: Any) -> None:
    for at in (1, 2):
        shape_of(model.graph.input[0])[at].dim_param = "side"


def small_mask(model: Any) -> None:
    shape_of(model.graph.output[0])[3].dim_value = 3


def lies(model: Any) -> None:
    """The outputs' sides are left open, and are not those of a face."""
    del model.graph.node[0]
    model.graph.node.append(
        onnx.helper.make_node("Slice", ["in_face:0", "0", "2", "3"], ["out_celeb_face:0"])
    )
    shape_of(model.graph.output[1])[3].dim_param = "any"


def many_morphs(model: Any) -> None:
    shape_of(model.graph.input[1])[0].dim_value = 5


def more(model: Any) -> None:
    model.graph.input.append(onnx.helper.make_tensor_value_info("age", 1, [1]))


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (outside, "in other files"),
        (outside_within, "in other files"),
        (custom, r"has operators of its own \(evil\)"),
        (unknown, "NoSuchThing"),
        (giant, "'giant' would have 1048576 x 1048576 numbers"),
        (giant_weight, "'w' would have"),
        (halves, "in_face:0 is of FLOAT16, not FLOAT"),
        (oblong, "N x 32 x 64 x 3; expected"),
        (planes, "1 x 3 x 32 x 32; expected"),
        (flat, "N x 32 x 32; expected"),
        (sizeless, "N x side x side x 3; expected"),
        (small_mask, "out_face_mask:0 is N x 32 x 32 x 3; expected N x 32 x 32 x 1"),
        (lies, r"out_celeb_face:0 came out as \(1, 32, 32, 2\), not \(1, 32, 32, 3\)"),
        (
            more,
            (
                "takes age, in_face:0, morph_value:0 and gives .*; one that can be used takes"
                " in_face:0"
            ),
        ),
        (many_morphs, "morph_value:0 is 5; expected 1"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_reason(
    dfm_file: DfmFile, edit: Any, told: str
) -> None:
    path = dfm_file(morph=True, edit=edit)
    with pytest.raises(BadMedia, match=told) as caught:
        dfm.Dfm(path, "cpu")
    assert str(path) in str(caught.value)


def test_a_model_of_something_else_says_what_it_takes_and_gives(dfm_file: DfmFile) -> None:
    path = dfm_file(rename={"in_face": "input_1", "out_celeb_face": "logits"})
    with pytest.raises(BadMedia, match=r"takes input_1 and gives logits, out_celeb_face_mask:0"):
        dfm.Dfm(path, "cpu")


@pytest.mark.parametrize("keep", [0, 1, 40, -7])
def test_a_file_that_is_cut_off_or_none_is_refused(dfm_file: DfmFile, keep: int) -> None:
    path = dfm_file()
    path.write_bytes(path.read_bytes()[:keep] if keep else b"<html>not found</html>")
    with pytest.raises(
        BadMedia, match=r"face\.dfm: (not a model|is no face model|its graph does not hold)"
    ):
        dfm.Dfm(path, "cpu")


def test_a_device_that_is_not_there_is_refused_not_replaced(dfm_file: DfmFile) -> None:
    for name in ("cuda:7", "mps", "tpu"):
        with pytest.raises(BadOption, match=f"'{name}' cannot be used by onnxruntime here"):
            dfm.Dfm(dfm_file(), name)


def test_without_the_extra_it_says_how_to_get_it(
    dfm_file: DfmFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = dfm_file()
    monkeypatch.setattr(dfm.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"onnx is not installed. Run: .*onnx"):
        dfm.Dfm(path, "cpu")


def test_the_runtime_keeps_and_sends_nothing_of_its_own(dfm_file: DfmFile, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    plain = {name: value for name, value in os.environ.items() if not name.startswith("ORT_")}
    script = (
        "import pathlib, sys; from understudy.io.model_files.dfm import Dfm;"
        " Dfm(pathlib.Path(sys.argv[1]), 'cpu')"
    )
    subprocess.run(
        [sys.executable, "-c", script, dfm_file()],
        env={**plain, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")},
        check=True,
    )
    assert not list(home.iterdir())
