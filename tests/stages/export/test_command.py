"""Models as files: what is in them, that they give what the model gives, and that a merge can use
them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from understudy.core import affine, image
from understudy.core.face import align
from understudy.errors import BadMedia, BadOption, BadProject, CannotWrite
from understudy.io.faceset.faceset import Faceset
from understudy.io.model_files import checkpoint
from understudy.io.open_footage import open_footage
from understudy.io.provenance import manifest
from understudy.io.video.encode_options import EncodeOptions
from understudy.nets import graph
from understudy.nets.autoencoder.blocks import init_weights
from understudy.nets.device import tensors_to_numpy
from understudy.parts.dfm_model import DfmModel
from understudy.parts.models import models
from understudy.stages.events import Event, Finished, Note
from understudy.stages.export import onnx as export_onnx
from understudy.stages.export.command import ExportOptions, export
from understudy.stages.merge.command import merge
from understudy.stages.merge.options import MergeOptions
from understudy.stages.new import NewOptions, new
from understudy.stages.project import Project
from understudy.stages.saved_models.load import load_model
from understudy.stages.saved_models.recipe import BEST, CHECKPOINTS, ModelRecipe, write_recipe
from understudy.types import AlignedFace, Face

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytestmark = pytest.mark.usefixtures("small_models")

NAMES = ["out_face_mask:0", "out_celeb_face:0", "out_celeb_face_mask:0"]
SAE = {"resolution": 64, "ae_dims": 32, "e_ch_dims": 21, "d_ch_dims": 10}
SAEHD = {"resolution": 64, "ae_dims": 32, "e_dims": 16, "d_dims": 16, "d_mask_dims": 16}
MERGE = MergeOptions(device="cpu", encode=EncodeOptions(crf=0, preset="ultrafast"))


def save_model(folder: Path, model: str, **settings: Any) -> None:
    """Put a model that has learnt nothing into its folder; its start is one that shows contrast."""
    recipe = ModelRecipe(model=model, settings=settings)
    built = recipe.build(torch.device("cpu"))
    init_weights(built, "kaiming", torch.Generator().manual_seed(5))
    folder.mkdir(parents=True, exist_ok=True)
    write_recipe(folder, recipe)
    parts = {"weights": tensors_to_numpy(built.state_dict())}
    checkpoint.save(folder / CHECKPOINTS, 42, parts, {"seconds": 1.0, "settings": settings})


def told(events: list[Event]) -> dict[str, Any]:
    assert isinstance(events[-1], Finished)
    return events[-1].summary


def shapes(values: Any) -> dict[str, list[int | str]]:
    return {
        each.name: [dim.dim_param or dim.dim_value for dim in each.type.tensor_type.shape.dim]
        for each in values
    }


@pytest.mark.parametrize(
    ("model", "settings", "batch"),
    [
        ("tiny", {"resolution": 64}, 0),
        ("sae", {**SAE, "archi": "liae", "learn_mask": False, "d_residual_blocks": False}, 0),
        ("sae", {**SAE, "remove_gray_border": True, "lighter_encoder": True}, 3),
        ("saehd", {**SAEHD, "archi": "df-udt"}, 3),
        ("amp", {**SAEHD, "inter_dims": 32, "morph": 0.5}, 0),
        ("trueface", {"resolution": 64, "dims": 8}, 0),
    ],
)
def test_a_file_has_the_literal_names_and_gives_what_the_model_gives(
    show: Path, tmp_path: Path, model: str, settings: dict[str, Any], batch: int
) -> None:
    save_model(show / "models" / model, model, **settings)
    Project.load(show).with_consent("both signed,\nfolder 12").save()
    out = tmp_path / "face.dfm"
    summary = told(list(export(show, out, ExportOptions(batch=batch))))
    assert min(summary["psnr_db"].values()) > 60 and set(summary["psnr_db"]) == set(NAMES)
    assert (summary["opset"], summary["iteration"]) == (12, 42)
    inside, sides = onnx.load(out), [batch or "N", 64, 64]
    morph = {"morph_value:0": [1]} if model == "amp" else {}
    assert shapes(inside.graph.input) == {"in_face:0": [*sides, 3], **morph}
    assert list(shapes(inside.graph.output).items()) == [
        (name, [*sides, last]) for name, last in zip(NAMES, (1, 3, 1), strict=True)
    ]
    facts = {each.key: each.value for each in inside.metadata_props}
    assert facts["understudy.model"] == model and "synthetic" in facts["synthetic"]
    motion = models[model].motion
    assert DfmModel(out, "cpu").motion == {"shift": motion.shift, "scale": motion.scale}
    assert facts["consent"] == "both signed, folder 12"
    # Nothing of the machine that it was made on.
    assert str(Path(export_onnx.__file__).parents[2]).encode() not in out.read_bytes()
    ours, theirs = load_model(show / "models" / model, "cpu"), DfmModel(out, "cpu")
    faces = np.random.default_rng(2).random((5, 64, 64, 3), np.float32)
    wanted, given = ours.predict(faces), theirs.predict(faces)
    assert wanted.image.std() > 0.05 and np.abs(wanted.image - wanted.image[..., ::-1]).max() > 0.05
    for name in ("image", "mask", "dst_mask"):
        assert np.abs(getattr(wanted, name) - getattr(given, name)).mean() < 1e-4
    if model == "amp":
        theirs.set_morph(1)
        assert np.abs(theirs.predict(faces).image - given.image).max() > 0.01
        ours.set_morph(1)
        assert np.abs(theirs.predict(faces).image - ours.predict(faces).image).max() < 1e-4


def test_the_same_model_gives_the_same_file(show: Path, tmp_path: Path) -> None:
    save_model(show / "models" / "tiny", "tiny", resolution=64)
    for name in ("a.dfm", "b.onnx"):
        list(export(show, tmp_path / name, ExportOptions(batch=1)))
    assert (tmp_path / "a.dfm").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    with pytest.raises(BadOption, match="is there already"):
        list(export(show, tmp_path / "a.dfm", ExportOptions()))


def test_the_weights_that_did_best_can_be_exported(show: Path, tmp_path: Path) -> None:
    folder = show / "models" / "tiny"
    save_model(folder, "tiny", resolution=64)
    with pytest.raises(BadProject, match="no best weights"):
        list(export(show, tmp_path / "best.dfm", ExportOptions(checkpoint="best")))
    newest = checkpoint.load_intact(folder / CHECKPOINTS)[0][0]
    darker = {name: array * np.float32(0.5) for name, array in newest.arrays("weights").items()}
    checkpoint.save(folder / BEST, 17, {"weights": darker}, newest.state)
    assert (
        told(list(export(show, tmp_path / "best.dfm", ExportOptions(checkpoint="best"))))[
            "iteration"
        ]
        == 17
    )
    faces = np.random.default_rng(2).random((1, 64, 64, 3), np.float32)
    given = DfmModel(tmp_path / "best.dfm", "cpu").predict(faces).image
    assert np.abs(given - load_model(folder, "cpu", best=True).predict(faces).image).max() < 1e-4
    assert np.abs(given - load_model(folder, "cpu").predict(faces).image).max() > 0.01


def test_a_file_that_gives_other_pictures_is_not_kept(
    show: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Bluish(graph.FaceGraph):
        def forward(self, in_face: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            dst_mask, face, mask = super().forward(in_face)
            return dst_mask, face + torch.tensor([0.01, 0, 0]), mask

    monkeypatch.setattr(export_onnx, "export_graph", Bluish)
    save_model(show / "models" / "tiny", "tiny", resolution=64)
    with pytest.raises(CannotWrite, match=r"out_celeb_face:0 4[0-9]\.\d dB, 60 are needed"):
        list(export(show, tmp_path / "face.dfm", ExportOptions(batch=1)))
    assert not list(tmp_path.glob("*face*"))


def test_mistakes_are_refused_before_any_work(show: Path, tmp_path: Path) -> None:
    with pytest.raises(BadProject, match="no trained model"):
        list(export(show, tmp_path / "face.dfm", ExportOptions()))
    save_model(show / "models" / "tiny", "tiny", resolution=64)
    with pytest.raises(BadOption, match=r"ends in \.dfm or \.onnx"):
        list(export(show, tmp_path / "face.pth", ExportOptions()))


@pytest.fixture
def filmed(
    tmp_path: Path, clips: dict[str, Path], people: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A show with footage, the true dst faces, and a model called tiny."""
    monkeypatch.setenv("UNDERSTUDY_CREDENTIALS", str(tmp_path / "credentials"))
    folder = tmp_path / "filmed"
    list(new(folder, clips["src"], clips["dst"], NewOptions()))
    faceset = Faceset(folder / "dst" / "faces")
    faceset.folder.mkdir(parents=True)
    for number, (picture, points) in enumerate(people["b"]):
        matrix = align.face_from_frame(points, "full", 64)
        face = Face(number, affine.bounding_box(points), points, 0.9, -1, np.zeros(3, np.float32))
        faceset.add(
            AlignedFace(
                face, image.warp(picture, matrix, (64, 64)), matrix, "full", source="dst.mp4"
            )
        )
    save_model(folder / "models" / "tiny", "tiny", resolution=64)
    return folder


def frames(show: Path) -> list[np.ndarray[Any, Any]]:
    with open_footage(show / "result.mp4") as footage:
        return [frame.image.astype(int) for frame in footage]


def test_merging_with_the_file_is_merging_with_the_model(filmed: Path, tmp_path: Path) -> None:
    out = tmp_path / "face.dfm"
    made = told(list(export(filmed, out, ExportOptions())))
    list(merge(filmed, MERGE.model_copy(update={"masks": ("full",)})))
    ours = frames(filmed)
    events = list(merge(filmed, MERGE.model_copy(update={"masks": ("full",), "model": str(out)})))
    assert any(
        isinstance(each, Note) and "by onnxruntime on cpu, full faces of 64 px" in each.text
        for each in events
    )
    for one, other in zip(ours, frames(filmed), strict=True):
        # A level of the coded chroma is up to three of a colour.
        assert np.abs(one - other).max() <= 3 and np.abs(one - other).mean() < 0.01
    record = json.loads((filmed / "merged" / "002" / "merge.json").read_text())
    assert (record["model"], record["model_sha256"], record["iteration"]) == (
        "face.dfm",
        made["sha256"],
        42,
    )
    known = {
        each.title: each.sha256
        for each in manifest.read_manifest(filmed / "result.mp4").ingredients
    }
    assert known["face.dfm"] == made["sha256"] and "src.mp4" not in known


def test_a_foreign_file_is_told_what_it_shows(filmed: Path, dfm_file: Callable[..., Path]) -> None:
    foreign = {"model": str(dfm_file(side=64)), "masks": ("full",)}
    events = list(merge(filmed, MERGE.model_copy(update=foreign)))
    assert any(
        isinstance(each, Note) and "whole faces of 64 px; the file does not state" in each.text
        for each in events
    )
    events = list(merge(filmed, MERGE.model_copy(update={**foreign, "face_type": "full"})))
    assert any(isinstance(each, Note) and "full faces of 64 px" in each.text for each in events)
    with pytest.raises(BadOption, match="takes no morph_value"):
        list(merge(filmed, MERGE.model_copy(update={**foreign, "morph": 0.5})))


def test_models_are_not_taken_for_what_they_are_not(filmed: Path) -> None:
    with pytest.raises(BadOption, match="trained on full faces, not head"):
        list(merge(filmed, MERGE.model_copy(update={"face_type": "head"})))
    with pytest.raises(BadMedia, match="no such file"):
        list(merge(filmed, MERGE.model_copy(update={"model": "nowhere.dfm"})))
    (filmed / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(BadMedia, match=r"bad\.onnx: (not a model|is no face model)"):
        list(merge(filmed, MERGE.model_copy(update={"model": str(filmed / "bad.onnx")})))
    assert not (filmed / "merged").exists()
