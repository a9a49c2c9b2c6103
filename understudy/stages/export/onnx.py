"""A trained model as a graph of ONNX, and how near a file of it comes to the model itself."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from understudy.core import image
from understudy.core.training.augment import AugmentConfig
from understudy.errors import BadOption, CannotWrite
from understudy.io.faceset.faceset import Faceset
from understudy.io.model_files.dfm import (
    DST_MASK,
    FACE,
    FACE_TYPE,
    IMAGE,
    ITERATION,
    MASK,
    MODEL,
    MORPH,
    MOTION,
    OUTPUTS,
    OWN_MORPH,
    onnx_package,
)
from understudy.io.model_files.dfm_writer import LIMIT, finalize
from understudy.io.provenance.manifest import clean_consent
from understudy.nets.autoencoder.swappers import MorphSwapper, Swapper
from understudy.nets.graph import MorphGraph, export_graph
from understudy.parts.dfm_model import DfmModel
from understudy.parts.models.base.model import Model
from understudy.types import Floats

# Every output must be this near to the model's own, in dB.
MIN_PSNR = 60.0
# What is nearer than float32 can tell.
_EXACT = 150.0
_FACES = 8
_NOTE = (
    "Whoever runs this model makes synthetic faces. Use it with the consent of those who are shown,"
    " and mark what it makes."
)


def export_model(
    model: Model,
    name: str,
    iteration: int,
    batch: int | None,
    consent: str | None = None,
    motion: AugmentConfig | None = None,
) -> tuple[bytes, int]:
    """Return the file of a model on the CPU, and its opset.

    batch: None = any. consent: who agreed to what; None = nothing is said. motion: how far training
    moved the faces; as consent. Raises BadOption for a model that gives no such file.
    """
    graph, net = _graph(model, name, batch), model.net
    told = {
        "understudy.version": version("understudy"),
        MODEL: name,
        FACE_TYPE: model.face_type,
        "understudy.resolution": str(model.resolution),
        ITERATION: str(iteration),
        "synthetic": _NOTE,
        **({"consent": said} if (said := clean_consent(consent or "")) else {}),
        **({key: f"{getattr(motion, each):.6f}" for each, key in MOTION.items()} if motion else {}),
        **({OWN_MORPH: f"{net.morph:.6f}"} if isinstance(net, MorphSwapper) else {}),
    }
    return finalize(graph, model.resolution, batch, told)


def sample_images(folder: Path, side: int) -> tuple[Floats, str]:
    """Up to eight pictures (N, R, R, 3) to check with, and what they are.

    They are of a faceset, or drawn when it is empty.
    """
    faceset = Faceset(folder)
    count = len(faceset) if faceset.is_there else 0
    if not count:
        drawn = np.random.default_rng(0).random((_FACES, 8, 8, 3), np.float32)
        return (
            np.stack(
                [cv2.resize(each, (side, side), interpolation=cv2.INTER_LINEAR) for each in drawn]
            ),
            "drawn pictures",
        )
    rows = np.unique(np.linspace(0, count - 1, _FACES).astype(int))
    faces = [
        image.resize(image.as_float(faceset.load(int(row)).image), (side, side)) for row in rows
    ]
    return np.stack(faces), "dst faces"


def measure_psnr(path: Path, model: Model, faces: Floats) -> dict[str, float]:
    """Measure each output of the file against the model's own: peak signal-to-noise ratio in dB.

    Raises CannotWrite when one is not near enough; of a model with a morph they are compared at
    three.
    """
    file = DfmModel(path, "cpu")
    found = {name: _EXACT for name in OUTPUTS}
    for morph in (0.0, 0.5, 1.0) if isinstance(model.net, MorphSwapper) else (None,):
        if morph is not None:
            model.set_morph(morph)
            file.set_morph(morph)
        ours, theirs = model.predict(faces), file.predict(faces)
        pairs = {
            DST_MASK: (ours.dst_mask, theirs.dst_mask),
            IMAGE: (ours.image, theirs.image),
            MASK: (ours.mask, theirs.mask),
        }
        found = {name: min(found[name], _psnr(*pair)) for name, pair in pairs.items()}
    far = [f"{name} {value:.1f}" for name, value in found.items() if not value > MIN_PSNR]
    if far:
        raise CannotWrite(
            f"{path.name}: onnxruntime gives other pictures than the model: {', '.join(far)} dB,"
            f" {MIN_PSNR:.0f} are needed. The file was not kept. Update the extra onnx, and tell us"
            " of it."
        )
    return {name: round(value, 1) for name, value in found.items()}


def _graph(model: Model, name: str, batch: int | None) -> Any:
    """The model as ModelProto, with the literal names."""
    net = getattr(model, "net", None)
    if not isinstance(net, Swapper):
        raise BadOption(
            f"export: {name} is not built around a Swapper, so there is no graph for it. Export"
            " another model."
        )
    if sum(4 * weight.numel() for weight in net.parameters()) > LIMIT:
        raise BadOption(
            f"export: the weights of {name} do not fit into one file of ONNX (2 GiB). Train a"
            " smaller one to export."
        )
    # onnxscript does the work; torch asks for it only when it is half through.
    onnx_package("onnxscript")
    graph, side = export_graph(net).eval(), model.resolution
    # With one or two faces the exporter would take an open batch for a fixed one.
    inputs: tuple[torch.Tensor, ...] = (torch.zeros(batch or 3, side, side, 3),)
    sides: tuple[dict[int, Any], ...] = ({} if batch else {0: torch.export.Dim("N", max=2**16)},)
    if isinstance(graph, MorphGraph):
        inputs, sides = (*inputs, torch.ones(1)), (*sides, {})
    with _without_warnings(), torch.no_grad():
        program = torch.onnx.export(
            graph,
            inputs,
            input_names=[FACE, MORPH][: len(inputs)],
            output_names=list(OUTPUTS),
            dynamic_shapes=sides,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    return program.model_proto


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """The exporter warns of packages that it could do without, and of its own ways."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _psnr(ours: Floats, theirs: Floats) -> float:
    error = float(np.mean((ours.astype(np.float64) - theirs) ** 2))
    return min(_EXACT, -10 * float(np.log10(error))) if error else _EXACT
