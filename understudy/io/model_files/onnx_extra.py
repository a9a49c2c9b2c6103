"""The optional extra `onnx`, which reads, runs and writes models in that format."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from understudy.errors import MissingExtra


def onnx_package(name: str) -> Any:
    """A module of the extra: onnx, onnxruntime, onnxscript or one within them. Raises
    MissingExtra.
    """
    package = name.partition(".")[0]
    if importlib.util.find_spec(package) is None:
        raise MissingExtra(
            f"models as .dfm or .onnx: {package} is not installed. Run: pip install"
            " 'understudy[onnx]'."
        )
    return importlib.import_module(name)
