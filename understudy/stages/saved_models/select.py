"""Which model a command works with: one of the show, or one that came as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from understudy.errors import BadMedia, BadOption, BadProject
from understudy.io.model_files.dfm import SUFFIXES
from understudy.parts.dfm_model import DfmModel
from understudy.stages.project import Project
from understudy.stages.saved_models.recipe import list_model_folders
from understudy.types import FaceType

if TYPE_CHECKING:
    from understudy.parts.models import Predictor


def select_model_folder(project: Project, name: str | None) -> Path:
    """The folder of the model to use. Raises BadProject: none, or several and none named."""
    folder, trained = project.folder / "models", list_model_names(project)
    if name and name not in trained:
        there = (
            f"There are: {', '.join(trained)}."
            if trained
            else f"Train one: understudy train {project.folder}."
        )
        raise BadProject(f"{folder}: there is no model '{name}'. {there}")
    if not trained:
        raise BadProject(
            f"{folder}: no trained model. Train one: understudy train {project.folder}."
        )
    if not name and len(trained) > 1:
        raise BadProject(
            f"{folder}: several models ({', '.join(trained)}). Choose one with --model."
        )
    return project.model(name or trained[0])


def select_model_path(project: Project, name: str | None) -> Path:
    """As `select_model_folder`; a name that ends like a model file is the path of one.

    Raises:
        BadMedia: There is no such file.
        BadProject: As for `select_model_folder`.
    """
    if name is None or Path(name).suffix not in SUFFIXES or name in list_model_names(project):
        return select_model_folder(project, name)
    if not Path(name).is_file():
        raise BadMedia(f"{name}: no such file. Check the name.")
    return Path(name).absolute()


def set_face_type(model: Predictor, face_type: FaceType) -> None:
    """Have the model work on that face type. Raises BadOption when it was trained on another."""
    if isinstance(model, DfmModel):
        model.set_face_type(face_type)
    elif model.face_type != face_type:
        raise BadOption(
            f"face_type: this model was trained on {model.face_type} faces, not {face_type}. Leave"
            " it at auto."
        )


def describe_model(model: Predictor, iteration: int) -> str:
    """Describe a model: its iteration, or of a file, where it runs and what is assumed."""
    if not isinstance(model, DfmModel):
        return f"iteration {iteration}"
    doubt = (
        ""
        if model.has_face_type
        else "; the file does not state the face type, set it with --face-type if that is wrong"
    )
    return (
        f"by onnxruntime on {model.device}, {model.face_type} faces of {model.resolution} px{doubt}"
    )


def list_model_names(project: Project) -> list[str]:
    """The models of a show, in the order of their names."""
    return [each.name for each in list_model_folders(project.folder / "models")]
