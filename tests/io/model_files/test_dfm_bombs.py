"""Foreign graphs that would take all memory or never end are refused, and nothing is harmed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import fuzzing
from understudy.errors import BadMedia
from understudy.io import limited_child, processes
from understudy.io.model_files import dfm

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

DfmFile = Callable[..., Path]
HOSTILE = Path(__file__).parents[2] / "data" / "hostile"


def add(model: Any, operator: str, inputs: list[str], output: str, **attributes: Any) -> None:
    model.graph.node.append(onnx.helper.make_node(operator, inputs, [output], **attributes))


def constant(model: Any, name: str, values: Any) -> str:
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(values), name))
    return name


def use(model: Any, name: str) -> None:
    """Let an output depend on a tensor: what nothing depends on is not computed."""
    add(model, "ReduceMax", [name], "top", keepdims=0)
    add(model, "Mul", ["top", constant(model, "zero", np.float32(0))], "nothing")
    last = next(each for each in model.graph.node if "out_celeb_face_mask:0" in each.output)
    last.output[0] = "mask before"
    add(model, "Add", ["mask before", "nothing"], "out_celeb_face_mask:0")


def doubling(model: Any) -> None:
    name = "in_face:0"
    for number in range(40):
        add(model, "Concat", [name, name], f"twice{number}", axis=0)
        name = f"twice{number}"
    use(model, name)


def doubling_by_expansion(model: Any) -> None:
    add(model, "Shape", ["in_face:0"], "shape")
    add(model, "Mul", ["shape", constant(model, "by", np.array([1, 80, 80, 4]))], "large")
    add(model, "Tile", ["in_face:0", constant(model, "times", np.array([1, 1, 1, 1]))], "same")
    add(model, "ConstantOfShape", ["large"], "giant")
    add(model, "Exp", ["giant"], "giant2")
    use(model, "giant2")


def outer(model: Any) -> None:
    add(model, "Flatten", ["in_face:0"], "flat", axis=0)
    add(model, "Transpose", ["flat"], "upright")
    add(model, "MatMul", ["upright", "flat"], "square")
    add(model, "Exp", ["square"], "square2")
    add(model, "MatMul", ["square2", "square2"], "power")
    for number in range(40):
        add(
            model,
            "MatMul",
            ["power" if not number else f"power{number - 1}", "square2"],
            f"power{number}",
        )
    use(model, "power39")


def branch(model: Any) -> None:
    graph = onnx.helper.make_graph([], "b", [], [])
    add(model, "If", [constant(model, "yes", True)], "x", then_branch=graph, else_branch=graph)


def function(model: Any) -> None:
    body = [onnx.helper.make_node("Add", ["x", "x"], ["y"])]
    opset = [onnx.helper.make_opsetid("", 12)]
    model.functions.append(onnx.helper.make_function("ours", "f", ["x"], ["y"], body, opset))


def sparse(model: Any) -> None:
    values = onnx.helper.make_tensor("s", 1, [1], [1.0])
    places = onnx.helper.make_tensor("p", 7, [1], [5])
    model.graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(values, places, [2**30]))


def by_pixels(operator: str, *inputs: str) -> Callable[[Any], None]:
    def edit(model: Any) -> None:
        add(model, "Cast", ["in_face:0"], "whole", to=onnx.TensorProto.INT64)
        add(model, "Flatten", ["whole"], "flat", axis=0)
        names = {"flat": "flat", "face": "in_face:0", "one": constant(model, "one", np.array([1]))}
        add(model, operator, [names[each] for each in inputs], "x")
        # Nodes may stand in any order.
        model.graph.node.insert(0, model.graph.node.pop())

    edit.__name__ = operator
    return edit


REFUSED: dict[Callable[[Any], None], str] = {
    branch: "operator If",
    function: "operators of its own",
    sparse: "sparse",
    by_pixels("NonZero", "face"): "operator NonZero",
    by_pixels("Expand", "one", "flat"): "pixels say .*Expand",
    by_pixels("Tile", "face", "flat"): "pixels say .*Tile",
    by_pixels("ConstantOfShape", "flat"): "pixels say .*ConstantOfShape",
    by_pixels("Reshape", "face", "flat"): "pixels say .*Reshape",
    by_pixels("Range", "one", "flat", "one"): "pixels say .*Range",
}


@pytest.mark.parametrize("name", ["endless-loop", "loop-memory"])
def test_loops_are_refused_before_they_run(name: str) -> None:
    start = time.monotonic()
    with pytest.raises(BadMedia, match="operator Loop, which no face model needs"):
        dfm.Dfm(HOSTILE / f"dfm-{name}.dfm", "cpu")
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("edit", REFUSED, ids=lambda edit: edit.__name__)
def test_a_graph_whose_cost_nobody_can_foretell_is_refused(
    dfm_file: DfmFile, edit: Callable[[Any], None]
) -> None:
    with pytest.raises(BadMedia, match=REFUSED[edit]) as caught:
        dfm.read_info(path := dfm_file(edit=edit), path.read_bytes())
    assert fuzzing.is_message_fine(str(caught.value))


@pytest.mark.parametrize(
    ("edit", "side"),
    [(doubling, 32), (doubling_by_expansion, 64), (outer, 64), (outer, 32)],
    ids=["doubling", "expansion", "large", "slow"],
)
def test_a_graph_that_takes_too_much_is_found_out_on_one_face(
    dfm_file: DfmFile, edit: Callable[[Any], None], side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dfm, "_SECONDS", 3)
    before, start = limited_child.peak_memory(), time.monotonic()
    with pytest.raises(
        BadMedia, match=r"would have|does not run|tried on one face, and it (took|broke)"
    ):
        dfm.Dfm(dfm_file(edit=edit, side=side), "cpu")
    assert limited_child.peak_memory() - before < 200 << 20 and time.monotonic() - start < 20


def test_the_sizes_that_a_morph_says_are_tried_with_it(dfm_file: DfmFile) -> None:
    def edit(model: Any) -> None:
        thousand = constant(model, "thousand", np.array([60000], np.float32))
        add(model, "Mul", ["morph_value:0", thousand], "size")
        add(model, "Cast", ["size"], "whole", to=onnx.TensorProto.INT64)
        add(model, "Sub", [constant(model, "most", np.array([60001])), "whole"], "left")
        add(model, "Concat", ["left", "left"], "shape", axis=0)
        add(model, "ConstantOfShape", ["shape"], "tensor")
        add(model, "Exp", ["tensor"], "tensor2")
        use(model, "tensor2")

    model = dfm.Dfm(dfm_file(morph=True, edit=edit), "cpu")
    assert model.facts.is_sized_by_morph
    with pytest.raises(BadMedia, match=r"memory|does not run"):
        model.try_morph(0.0)


def test_ctrl_c_ends_a_child_at_once(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    order = {"begun": str(begun), "seconds": 60}
    code = (
        # A shell's background job ignores it.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from understudy.io import limited_child as c;"
        f"c.call('tests.io.model_files.test_dfm_bombs:wait', {order!r}, 1 << 30, 60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, **processes.python_environment()},
        stderr=subprocess.DEVNULL,
    ) as process:
        while not begun.exists():
            assert process.poll() is None
            time.sleep(0.02)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) != 0 and time.monotonic() - start < 10


def wait(begun: str, seconds: float) -> None:
    Path(begun).touch()
    time.sleep(seconds)


def test_fuzz_a_dfm_file(dfm_file: DfmFile) -> None:
    path = dfm_file(morph=True)
    before = path.read_bytes()
    for data in fuzzing.mutations(before, fuzzing.rounds(300), seed=6):
        error = fuzzing.assert_tree_only(lambda data=data: dfm.read_info(path, data))
        assert error is None or isinstance(error, BadMedia)
    for data in fuzzing.mutations(before, fuzzing.rounds(5), seed=7):
        path.write_bytes(data)
        error = fuzzing.assert_tree_only(lambda: dfm.Dfm(path, "cpu"))
        assert error is None or isinstance(error, BadMedia)
