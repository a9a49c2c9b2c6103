"""`export --format dfl`: a trained model, or an XSeg, as files of DeepFaceLab 2's trainer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from understudy.errors import BadOption
from understudy.io import atomic
from understudy.io.dfl import model_writer
from understudy.io.dfl.model_writer import MakeArrays
from understudy.io.model_files import history
from understudy.io.model_files.checkpoint import Checkpoint
from understudy.nets.pretrained import dfl_weights
from understudy.parts.models import models
from understudy.stages.events import Finished, Note, Saved, Stage, Started, Warned
from understudy.stages.export.options import ExportOptions
from understudy.stages.project import Project
from understudy.stages.saved_models import segmenters
from understudy.stages.saved_models.dfl_arrays import MEMORY_FILE, to_dfl_arrays
from understudy.stages.saved_models.dfl_settings import FACE_TYPES, dfl_options, model_kind
from understudy.stages.saved_models.load import (
    best_checkpoint,
    load_weights,
    newest_checkpoint,
    recipe_at,
    refuse_exchanged,
    warn_exchanged,
)
from understudy.stages.saved_models.recipe import HISTORY, ModelRecipe, read_recipe_or_saved
from understudy.stages.saved_models.select import select_model_folder

# The losses of so many iterations are written at most: those of the end.
_MOST_LOSSES = 1_000_000


@dataclass(frozen=True)
class _Files:
    """What is written. label: the beginning of their names. told: what the model says of itself."""

    label: str
    told: Mapping[str, Any]
    parts: Mapping[str, MakeArrays]


def export_dfl(project: Project, out: Path, options: ExportOptions) -> Stage:
    """Write a model of a show, or its XSeg, into the folder `out`, and read it back.

    Raises BadProject, BadOption, WeightsMissing, CannotWrite.
    """
    if options.batch:
        raise BadOption("batch: goes with --format onnx only. Leave it out.")
    if out.is_file() or (out.suffix in (".dfm", ".onnx", ".npy", ".dat") and not out.is_dir()):
        raise BadOption(f"{out}: --format dfl writes several files. Give a folder for them.")
    if options.segmenter:
        yield from _export_segmenter(project, out, options.segmenter, options.overwrite)
    else:
        yield from _export_model(project, out, options)


def _export_model(project: Project, out: Path, options: ExportOptions) -> Stage:
    folder = select_model_folder(project, options.model)
    recipe, damage = read_recipe_or_saved(folder)
    is_best = options.checkpoint == "best"
    saved, torn = best_checkpoint(folder) if is_best else newest_checkpoint(folder)
    refuse_exchanged(folder, saved)
    for text in (*damage, *torn, *warn_exchanged(folder, saved)):
        yield Warned(text=text)
    recipe = recipe_at(saved, recipe)
    _require_free(out, f"{folder.name}_{model_kind(recipe)}", options.overwrite)
    yield Started(stage="export", total=1, unit="step")
    files = _model_files(folder, recipe, saved)
    _write(out, files, options.overwrite)
    yield Saved(what="model", path=out / f"{files.label}_data.dat")
    for text in _notes(folder.name, recipe, saved, files):
        yield Note(text=text)
    facts = {"model": folder.name, "iteration": saved.iteration}
    yield _finished(out, files, facts)


def _export_segmenter(project: Project, out: Path, name: str, overwrite: bool) -> Stage:
    found = segmenters.find_segmenter(project, name)
    faces = {ours: theirs for theirs, ours in FACE_TYPES.items()}
    if found.kind != "xseg" or found.face_type not in faces:
        raise BadOption(
            f"segmenter: {name} is a {found.kind} for {found.face_type} faces, and the former tool"
            " has none such. Choose an xseg."
        )
    _require_free(out, "XSeg", overwrite)
    yield Started(stage="export", total=1, unit="step")
    places = dfl_weights.dfl_places(segmenters.xseg_part())
    make_arrays = partial(dfl_weights.dfl_arrays, places, found.tensors)
    options = {"face_type": faces[found.face_type], "batch_size": 4, "pretrain": False}
    # How long it has learnt is not in its file.
    files = _Files("XSeg", _about(1, options, []), {"256": make_arrays})
    _write(out, files, overwrite)
    yield Saved(what="segmenter", path=out / "XSeg_256.npy")
    yield Note(text=f"{name}: written and read back, every number as it was.")
    yield _finished(out, files, {"segmenter": name, "face_type": found.face_type})


def _model_files(folder: Path, recipe: ModelRecipe, saved: Checkpoint) -> _Files:
    kind = str(saved.state.get("optimizer", "none"))
    held = saved.state.get("batch", {})
    # That of which the gradients were, where fewer fit into memory than were asked for.
    batch = held.get("fits") or held.get("asked") or models[recipe.model].batch
    options = dfl_options(recipe, kind, batch, bool(saved.state.get("pretraining")))
    # In a model, so that what does not fit is told as everywhere.
    model = recipe.build(torch.device("cpu"))
    load_weights(model, saved)
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    memory = saved.arrays("optimizer") if saved.has("optimizer") else {}
    parts = to_dfl_arrays(recipe, weights, memory, kind, batch)
    losses = _losses(folder, saved.iteration)
    told = _about(saved.iteration, options, losses)
    return _Files(f"{folder.name}_{model_kind(recipe)}", told, parts)


def _about(iteration: int, options: Mapping[str, Any], losses: list[list[float]]) -> dict[str, Any]:
    """What a model says of itself."""
    return {
        # One that has learnt nothing would be asked for its plan, and begin anew.
        "iter": max(1, iteration),
        "options": dict(options),
        "loss_history": losses,
        "sample_for_preview": None,
        "choosed_gpu_indexes": None,
    }


def _write(out: Path, files: _Files, overwrite: bool) -> None:
    """Write the files, all or none. Raises BadOption where others would be lost or mixed up."""
    own = set(model_writer.file_names(files.label, files.parts))
    with atomic.sole_writer(out / f"{files.label}_data.dat"):
        # Another run may have made them meanwhile.
        there = _require_free(out, files.label, overwrite)
        if strays := [name for name in there if name not in own]:
            raise BadOption(
                f"{out / strays[0]}: would be taken for a part of this model, and is of another."
                " Choose another folder, or move that file away."
            )
        model_writer.write_model(out, files.label, files.told, files.parts)


def _require_free(out: Path, label: str, overwrite: bool) -> list[str]:
    """The files of a model of that name in a folder. Raises BadOption where they must stay."""
    with atomic.explain_os_errors(out):
        there = sorted(
            path.name
            for path in (out.iterdir() if out.is_dir() else ())
            if path.name.startswith(f"{label}_") and path.suffix in (".npy", ".dat")
        )
    if there and not overwrite:
        raise BadOption(
            f"{out / there[0]}: is there already. Choose another folder, or replace it with"
            " --overwrite."
        )
    return there


def _losses(folder: Path, iteration: int) -> list[list[float]]:
    """The losses of src and dst, one row an iteration, as the former tool draws them.

    A row of ours is the mean of several iterations, and stands for each of them.
    """
    rows = [
        (row["iteration"], [float(row["losses"]["src"]), float(row["losses"]["dst"])])
        for row in history.read(folder / HISTORY)
        if {"src", "dst"} <= set(row.get("losses", {})) and row["iteration"] <= iteration
    ]
    last = 0
    found: list[list[float]] = []
    for at, pair in rows:
        found += [pair] * min(at - last, _MOST_LOSSES)
        last = max(last, at)
    return found[-_MOST_LOSSES:]


def _notes(name: str, recipe: ModelRecipe, saved: Checkpoint, files: _Files) -> Iterator[str]:
    """What the user should know of a model that goes out."""
    yield f"{name}, iteration {saved.iteration}: written and read back, every number as it was."
    if MEMORY_FILE not in files.parts:
        kind = saved.state.get("optimizer", "none")
        why = f"{kind} is none of its optimizers" if kind == "adam" else "there is nothing of it"
        yield f"{name}: what the optimizer remembers is not among the files: {why}."
    if saved.has("ema"):
        yield (
            f"{name}: written are the weights that it learns with, not their running mean: the"
            " former tool has none."
        )
    powers = ("gan_power", "true_face_power")
    if any(recipe.settings.get(power) for power in powers):
        yield f"{name}: its critics stay here; there they begin anew, with the power they have."
    yield "Whoever has these files can make this face act."


def _finished(out: Path, files: _Files, facts: Mapping[str, Any]) -> Finished:
    names = list(model_writer.file_names(files.label, files.parts))
    return Finished(stage="export", summary={"folder": str(out), "files": names, **facts})
