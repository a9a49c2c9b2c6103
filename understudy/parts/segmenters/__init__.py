"""Segmenters: networks that tell for every pixel of a face picture whether it belongs to the face;
hands and hair do not.

A segmenter is a function that makes one from its file, on a device: `segmenters["xseg"](file,
"cpu")`. One that others trained for everybody is also in `ready`: `ready["multiclass"]()` is its
file, fetched if need be.
"""

from __future__ import annotations

from collections.abc import Callable

from understudy.io.model_files.segmenter_file import SegmenterFile
from understudy.registry import Registry
from understudy.types import Floats

# Faces (N, S, S, 3) RGB in 0..1, of the file's face type -> masks (N, S, S) in 0..1; float32.
Segment = Callable[[Floats], Floats]

segmenters: Registry[Callable[[SegmenterFile, str], Segment]] = Registry("segmenters", __name__)
ready: Registry[Callable[[], SegmenterFile]] = Registry("ready segmenters", __name__)
