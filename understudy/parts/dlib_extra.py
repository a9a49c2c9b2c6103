"""The optional extra `dlib`, which a detector, a landmarker and an identity of ours need."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from understudy.errors import MissingExtra
from understudy.io.installation import install_extra

# Holds most of the weights; it cannot be imported beside today's setuptools, and need not be.
WEIGHTS = "face_recognition_models"


def import_dlib(part: str, with_weights: bool = True) -> Any:
    """Import the package dlib.

    Args:
        part: Who needs it, for the message.
        with_weights: Whether its weights are needed, too.

    Raises:
        MissingExtra: One of them is not installed.
    """
    for package in ("dlib", *([WEIGHTS] if with_weights else [])):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(f"{part}: {package} is not installed. Run: {install_extra('dlib')}.")
    return importlib.import_module("dlib")


def is_installed() -> bool:
    """Whether dlib and its weights are there."""
    return all(importlib.util.find_spec(package) is not None for package in ("dlib", WEIGHTS))
