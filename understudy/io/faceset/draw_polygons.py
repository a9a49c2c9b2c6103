"""Polygons drawn on a face picture: the picture remembers them, and its pixels stay as they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from understudy.core import affine
from understudy.io import atomic
from understudy.io.faceset import face_image, image_metadata
from understudy.types import Polygon


def draw(path: Path, polygons: Sequence[Polygon]) -> None:
    """Let the face picture at `path` have these polygons and no others; nothing in it is encoded
    anew.

    polygons: in pixels of the picture as it is now. Raises BadMedia as `face_image.read`,
    CannotWrite; ValueError for a polygon that does not fit the format.
    """
    metadata, side = face_image.read_metadata(path)
    to_written = affine.scaling(metadata.size / side)
    outlines = [
        {
            "includes": bool(each.includes),
            "points": np.round(affine.apply(to_written, each.points), 4).tolist(),
        }
        for each in polygons
    ]
    fields = metadata.model_dump(mode="json") | {
        "version": face_image.VERSION,
        "polygons": outlines,
    }
    block = json.dumps(fields, allow_nan=False, separators=(",", ":"))
    face_image.Metadata.model_validate_json(block)
    atomic.write_bytes(
        path, image_metadata.replaced(path.read_bytes(), block.encode("ascii"), str(path))
    )
