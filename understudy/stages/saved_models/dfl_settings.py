"""Translates options of DeepFaceLab 2 into settings of a model and flags of `train`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from understudy.errors import BadMedia, BadOption
from understudy.io.dfl.models import DflModelInfo, ModelKind
from understudy.parts.models import models
from understudy.stages.saved_models.recipe import ModelRecipe
from understudy.types import FaceType

MODEL_NAMES: dict[ModelKind, str] = {"SAEHD": "saehd", "Quick96": "quick96", "AMP": "amp"}
FACE_TYPES: dict[str, FaceType] = {
    "h": "half",
    "mf": "mid-full",
    "f": "full",
    "wf": "whole",
    "head": "head",
}

_DIMS = ("resolution", "ae_dims", "e_dims", "d_dims", "d_mask_dims")
# Without these nobody knows how a model is built.
_NEEDED: dict[ModelKind, tuple[str, ...]] = {
    "SAEHD": (*_DIMS, "face_type", "archi"),
    "Quick96": (),
    "AMP": (*_DIMS, "face_type", "inter_dims", "morph_factor"),
}
_GAN = ("gan_power", "gan_patch_size", "gan_dims")
_KEPT: dict[ModelKind, tuple[str, ...]] = {
    "SAEHD": ("eyes_mouth_prio", "blur_out_mask", "face_style_power", "bg_style_power", *_GAN),
    "Quick96": (),
    "AMP": ("blur_out_mask", *_GAN),
}


def convert_recipe(theirs: DflModelInfo) -> ModelRecipe:
    """Convert the options of a model into a recipe.

    Raises:
        BadMedia: An option is missing, or such a model cannot be built here.
    """
    kind, given = theirs.place.kind, theirs.options
    missing = [name for name in _NEEDED[kind] if name not in given]
    if missing:
        raise BadMedia(
            f"{theirs.place.data}: {', '.join(missing)} is missing: a model of another time. "
            "Open it in the last DeepFaceLab, save it there, and import it again."
        )
    settings = {name: given[name] for name in (*_NEEDED[kind], *_KEPT[kind]) if name in given}
    if "face_type" in settings:
        settings["face_type"] = FACE_TYPES.get(str(settings["face_type"]), settings["face_type"])
    if kind == "SAEHD":
        settings |= _of_saehd(theirs, str(settings["archi"]), str(settings["face_type"]))
    try:
        whole = models[MODEL_NAMES[kind]].layered(settings, where=str(theirs.place.data))
    except BadOption as error:
        raise BadMedia(f"{theirs.place.data}: a model that cannot be built here. {error}") from None
    return ModelRecipe(model=MODEL_NAMES[kind], settings=whole.model_dump(mode="json"))


def train_flags(options: Mapping[str, Any]) -> list[str]:
    """The flags of `train` that do what these options did."""
    flags = {
        "--warp 0": options.get("random_warp", True) is False,
        "--src-flip": bool(options.get("random_src_flip", options.get("random_flip"))),
        "--dst-flip": bool(options.get("random_dst_flip", options.get("random_flip"))),
        "--uniform-yaw": bool(options.get("uniform_yaw")),
        "--lr-dropout": options.get("lr_dropout") in ("y", "cpu", True),
        "--clip 1": bool(options.get("clipgrad")),
        "--optimizer rmsprop": options.get("adabelief", True) is False,
    }
    valued = {
        "--batch": "batch_size",
        "--random-hsv-power": "random_hsv_power",
        "--iterations": "target_iter",
    }
    numbers = [
        f"{flag} {options[name]:g}"
        for flag, name in valued.items()
        if _is_above_zero(options.get(name))
    ]
    ct = options.get("ct_mode")
    colors = [f"--ct-mode {ct}"] if ct in ("rct", "lct", "mkl", "idt", "sot") else []
    return [*(flag for flag, is_on in flags.items() if is_on), *numbers, *colors]


def _of_saehd(theirs: DflModelInfo, archi: str, face_type: str) -> dict[str, Any]:
    kind = archi.partition("-")[0]
    if "hd" in archi:
        raise BadMedia(
            f"{theirs.place.data}: archi is {archi}, a plan of 2020 that was given up within"
            " months. Merge with the tool that trained it, or train anew: understudy train --model"
            " saehd."
        )
    warps = theirs.options.get("random_warp", True) is not False
    return {
        # There these were asked for only where they did something; what else stands in the file had
        # no effect.
        "masked_training": (
            bool(theirs.options.get("masked_training", True)) or face_type not in ("whole", "head")
        ),
        "true_face_power": theirs.options.get("true_face_power", 0) if kind == "df" else 0,
        "train_inter_ab": warps or kind != "liae",
    }


def _is_above_zero(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e12
