"""Which model a command works with: one of the show, or one that came as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from understudy.errors import BadMedia, BadOption, BadProject
from understudy.io.model_files.dfm import SUFFIXES
from understudy.parts.dfm_model import DfmModel
from understudy.stages.project import Project
from understudy.types import FaceType

if TYPE_CHECKING:
    from understudy.parts.models import Predictor


def select_model_folder(project: Project, name: str | None) -> Path:
    """The folder of the model to use. Raises BadProject when there is none, or several and none was
    named.
    """
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
    """As `select_model_folder`; a name that ends as a file of a model does is the path of one.
    Raises BadMedia when it is not there.
    """
    if name is None or Path(name).suffix not in SUFFIXES or name in list_model_names(project):
        return select_model_folder(project, name)
    if not Path(name).is_file():
        raise BadMedia(f"{name}: no such file. Check the name.")
    return Path(name).absolute()


def set_face_type(model: Predictor, face_type: FaceType) -> None:
    """Take the model's faces for that type. Raises BadOption when it is known to be of another."""
    if isinstance(model, DfmModel):
        model.set_face_type(face_type)
    elif model.face_type != face_type:
        raise BadOption(
            f"face_type: this model was trained on {model.face_type} faces, not {face_type}. Leave"
            " it at auto."
        )


def describe_model(model: Predictor, iteration: int) -> str:
    """What there is to say of the model: how far it is; of a file, where it runs, and what is taken
    for granted.
    """
    if not isinstance(model, DfmModel):
        return f"iteration {iteration}"
    doubt = (
        ""
        if model.has_face_type
        else "; the file does not tell the face type, say it with --face-type if that is wrong"
    )
    return (
        f"by onnxruntime on {model.device}, {model.face_type} faces of {model.resolution} px{doubt}"
    )


def list_model_names(project: Project) -> list[str]:
    """The models of a show, in the order of their names."""
    folder = project.folder / "models"
    return (
        sorted(each.name for each in folder.iterdir() if (each / "options.toml").is_file())
        if folder.is_dir()
        else []
    )
