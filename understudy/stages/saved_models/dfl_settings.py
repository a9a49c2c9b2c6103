"""Translates options of DeepFaceLab 2 into settings of a model and flags of `train`, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from understudy.errors import BadMedia, BadOption
from understudy.io.dfl.models import DflModelInfo, ModelKind
from understudy.parts.models import models
from understudy.parts.models.saehd import resolve_mask_dims
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
_MOST_BATCH = 10_000
_GAN = ("gan_power", "gan_patch_size", "gan_dims")
_KEPT: dict[ModelKind, tuple[str, ...]] = {
    "SAEHD": ("eyes_mouth_prio", "blur_out_mask", "face_style_power", "bg_style_power", *_GAN),
    "Quick96": (),
    "AMP": ("blur_out_mask", *_GAN),
}
# What its trainer asks besides, and what it takes where nothing is said; but no face is mirrored
# unasked, as with `train`.
_COMMON: dict[str, Any] = {
    "autobackup_hour": 0,
    "write_preview_history": False,
    "target_iter": 0,
    "random_src_flip": False,
    "random_dst_flip": False,
    "models_opt_on_gpu": True,
    "lr_dropout": "n",
    "random_warp": True,
    "uniform_yaw": False,
    "ct_mode": "none",
    "clipgrad": False,
}
_TRAINER_OPTIONS: dict[ModelKind, dict[str, Any]] = {
    "SAEHD": {**_COMMON, "random_hsv_power": 0.0},
    "Quick96": {},
    "AMP": _COMMON,
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


def batch_size(theirs: DflModelInfo) -> int:
    """Pairs of faces of which each device's gradient was the sum."""
    held = theirs.options.get("batch_size")
    given = held if type(held) is int and 0 < held <= _MOST_BATCH else 0
    whole = given or models[MODEL_NAMES[theirs.place.kind]].batch
    return max(1, whole // theirs.devices)


def dfl_options(recipe: ModelRecipe, optimizer: str, batch: int, pretrains: bool) -> dict[str, Any]:
    """Convert a recipe into the options of a model there: those of its plan, and its trainer's.

    The trainer's are at their defaults, apart from those that our recipe knows.

    Raises:
        BadOption: There is no such model.
    """
    kind, whole = model_kind(recipe), recipe.model_options.model_dump(mode="json")
    options = {name: whole[name] for name in (*_NEEDED[kind], *_KEPT[kind]) if name in whole}
    if "face_type" in options:
        faces = {ours: theirs for theirs, ours in FACE_TYPES.items()}
        options["face_type"] = faces[options["face_type"]]
    if kind != "Quick96":
        options["d_mask_dims"] = resolve_mask_dims(whole["d_mask_dims"], whole["d_dims"])
        options["gan_patch_size"] = _patch_size(whole)
    if kind == "SAEHD":
        options |= {name: whole[name] for name in ("masked_training", "true_face_power")}
        options["random_warp"] = whole["train_inter_ab"]
        options["adabelief"] = optimizer != "rmsprop"
    defaults = {**_TRAINER_OPTIONS[kind], "batch_size": batch, "pretrain": pretrains}
    return {**defaults, **options}


def model_kind(recipe: ModelRecipe) -> ModelKind:
    """What such a model is called there. Raises BadOption where there is none."""
    kinds: dict[str, ModelKind] = {name: kind for kind, name in MODEL_NAMES.items()}
    if recipe.model not in kinds:
        raise BadOption(
            f"format: {recipe.model} is no model that DeepFaceLab 2 has ({', '.join(kinds)}). Write"
            " it as one file: --format onnx."
        )
    return kinds[recipe.model]


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
            f"{theirs.place.data}: archi is {archi}, a plan of early 2020; how its files name their"
            " layers is not known here. Merge with the tool that trained it, or train that plan"
            f" anew: understudy train SHOW --model saehd --saehd.archi {kind}."
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


def _patch_size(settings: Mapping[str, Any]) -> int:
    """How much of a face the critic sees, as a number, where there may be none at work."""
    if not settings["gan_power"]:
        return int(settings["gan_patch_size"] or settings["resolution"] // 8)
    from understudy.nets.losses.critics import resolve_patch

    return resolve_patch(settings["resolution"], settings["gan_patch_size"])


def _is_above_zero(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e12
