"""What `export` asks."""

from __future__ import annotations

from typing import Literal

from understudy.options import Options, option


class ExportOptions(Options):
    """What `export` asks."""

    model: str | None = option(
        None, "Name of the model; not set = the only one that there is", formerly=""
    )
    format: Literal["onnx", "dfl"] = option(
        "onnx",
        "What to write: one file, .dfm or .onnx; or dfl = the files of DeepFaceLab 2's trainer,"
        " into a folder",
    )
    segmenter: str | None = option(
        None, "Write this XSeg of the show in place of a model, as dfl; not set = a model"
    )
    checkpoint: Literal["newest", "best"] = option(
        "newest", "Which weights of it: the newest, or the best on held-out faces"
    )
    batch: int | None = option(
        None,
        "Faces that the file takes at a time, for TensorRT; not set = any number",
        low=1,
        high=256,
        formerly=0,
    )
    overwrite: bool = option(False, "Replace the file when it is there already")
