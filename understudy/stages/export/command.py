"""`export`: a trained model as one file for other programs, checked against the model."""

from __future__ import annotations

from pathlib import Path

from understudy.errors import BadOption
from understudy.io import atomic
from understudy.io.model_files.dfm import SUFFIXES, onnx_package
from understudy.io.provenance import manifest
from understudy.stages.events import Finished, Note, Saved, Stage, Started, Warned
from understudy.stages.export.options import ExportOptions
from understudy.stages.jobs import verb
from understudy.stages.project import Project
from understudy.stages.saved_models.select import select_model_folder


@verb
def export(show: Path, out: Path, options: ExportOptions) -> Stage:
    """Write a model of a show for other programs, and check what was written.

    out: the file, .dfm or .onnx; with --format dfl the folder for its files. Raises BadProject,
    BadOption, MissingExtra, WeightsMissing, CannotWrite; a file that fails the check is not kept.
    """
    project = Project.load(show)
    options = project.options("export", options)
    if options.format == "dfl":
        from understudy.stages.export.dfl import export_dfl

        yield from export_dfl(project, out, options)
        return
    if options.segmenter:
        raise BadOption("segmenter: goes with --format dfl only. Add that, or leave it out.")
    folder = select_model_folder(project, options.model)
    if out.suffix not in SUFFIXES:
        raise BadOption(
            f"{out}: give it a name that ends in .dfm or .onnx, which are the same format; or add"
            " --format dfl, for the files of DeepFaceLab 2 in a folder."
        )
    _require_free(out, options)
    for name in ("onnx", "onnxruntime", "onnxscript"):
        onnx_package(name)
    # Late: --help need not wait for torch.
    from understudy.stages.export.onnx import MIN_PSNR, export_model, measure_psnr, sample_images
    from understudy.stages.saved_models.load import load_saved_model

    yield Started(stage="export", total=2, unit="step")
    is_best = options.checkpoint == "best"
    loaded = load_saved_model(folder, "cpu", is_best)
    for text in loaded.warnings:
        yield Warned(text=text)
    model, iteration = loaded.model, loaded.saved.iteration
    data, opset = export_model(
        model, loaded.recipe.model, iteration, options.batch, project.file.consent, loaded.motion
    )
    faces, kind = sample_images(project.faces("dst"), model.resolution)
    with atomic.sole_writer(out), atomic.partial_file(out) as partial:
        # Another run may have made it meanwhile.
        _require_free(out, options)
        partial.write_bytes(data)
        yield Note(
            text=(
                f"{folder.name}, iteration {iteration}: written in opset {opset}; checked with"
                f" {len(faces)} {kind}"
            )
        )
        found = measure_psnr(partial, model, faces)
    yield Saved(what="model", path=out)
    yield Note(
        text=(
            f"Every output is nearer to the model's than {MIN_PSNR:.0f} dB. Whoever has this file"
            " can make this face act."
        )
    )
    sides = f"{options.batch or 'N'} x {model.resolution} x {model.resolution}"
    facts = {
        "model": folder.name,
        "iteration": iteration,
        "face_type": model.face_type,
        "opset": opset,
        "faces": sides,
    }
    yield Finished(
        stage="export",
        summary={"file": str(out), "sha256": manifest.fingerprint(out), **facts, "psnr_db": found},
    )


def _require_free(out: Path, options: ExportOptions) -> None:
    if atomic.is_there(out) and (out.is_dir() or not options.overwrite):
        # Of a run that died as it was done.
        atomic.remove_partials(out.parent)
        raise BadOption(
            f"{out}: is there already. Choose another name, or replace it with --overwrite."
        )
