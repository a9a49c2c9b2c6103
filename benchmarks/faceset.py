"""How fast facesets of any size are worked on, and how much memory that takes.

    python benchmarks/faceset.py [opening] [packing] [looking] [sorting]
                                 [--faces 20000] [--size 256] [--in FOLDER]

The faces are made here: pictures of two people who do not exist, cut out of frames as `extract`
does it, each with other light and framing. FOLDER keeps them for the next time.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from understudy.core import affine
from understudy.core.face.align import face_from_frame
from understudy.core.face.pixel_measures import PixelMeasures
from understudy.core.face.pose import estimate_pose
from understudy.core.synthetic.clip import render_clip
from understudy.io.faceset import face_image
from understudy.io.faceset.faceset import Faceset
from understudy.io.faceset.pack import pack_path
from understudy.io.faceset.pixel_cache import cache_path
from understudy.parts.sorters import sorters
from understudy.stages.curate.measuring import measure_pixels
from understudy.stages.curate.pack import PackOptions, UnpackOptions, faces_pack, faces_unpack
from understudy.stages.curate.sort import sort_faces
from understudy.stages.demo import load_portrait
from understudy.stages.project import Project
from understudy.types import AlignedFace, Face, Floats

FRAME: Final = (640, 480)
# Frames of each person; every face is one of them in other light.
ACTED: Final = 150
IDENTITY: Final = 512


def main() -> None:
    """Print one line a measurement."""
    parts: dict[str, Callable[[Path], None]] = {
        "opening": opening,
        "packing": packing,
        "looking": looking,
        "sorting": sorting,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], default=[])
    parser.add_argument("--faces", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--in", dest="folder", type=Path)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        show = make_show((wanted.folder or Path(scratch)) / "show", wanted.faces, wanted.size)
        for name in wanted.parts or parts:
            parts[name](show)


def make_show(folder: Path, count: int, size: int) -> Path:
    """Make a show with so many src faces, or complete one that was begun."""
    if not folder.is_dir():
        Project.create(folder, Path("src.mp4"), Path("dst.mp4"))
    faces = folder / "src/faces"
    faces.mkdir(parents=True, exist_ok=True)
    missing = [at for at in range(count) if not (faces / f"{at:06d}_0.jpg").exists()]
    if missing and not pack_path(faces).exists():
        acted = _act(size)
        began = time.perf_counter()
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda at: _write(faces, acted[at % len(acted)], at), missing))
        _say(f"{len(missing)} faces of {size} px made", time.perf_counter() - began)
    return folder


def _act(size: int) -> list[AlignedFace]:
    """Faces of two people, as `extract` cuts them out."""
    portrait, acted, chance = load_portrait(), list[AlignedFace](), np.random.default_rng(0)
    for person, name in enumerate(("a", "b")):
        vector = chance.normal(size=IDENTITY)
        for frame, (image, points) in enumerate(render_clip(portrait, name, ACTED, FRAME)):
            matrix = face_from_frame(points, "whole", size)
            pixels = cv2.warpAffine(
                image, matrix, (size, size), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
            )
            identity = vector + chance.normal(size=IDENTITY) * 0.3
            face = Face(
                frame,
                affine.bounding_box(points),
                points,
                0.9,
                0,
                estimate_pose(points, FRAME),
                (identity / np.linalg.norm(identity)).astype(np.float32),
                person,
            )
            acted.append(AlignedFace(face, pixels, matrix, "whole", source="a.mp4", pts=0.0))
    return acted


def _write(faces: Path, acted: AlignedFace, at: int) -> None:
    """A face in light and framing of its own."""
    chance = np.random.default_rng(at)
    shift = cv2.getRotationMatrix2D(
        (acted.size / 2, acted.size / 2), chance.normal() * 4, 1 + chance.normal() * 0.03
    )
    pixels = cv2.warpAffine(
        acted.image, shift, (acted.size, acted.size), borderMode=cv2.BORDER_REFLECT
    )
    pixels = cv2.convertScaleAbs(pixels, alpha=chance.uniform(0.6, 1.3), beta=chance.normal() * 8)
    face = replace(acted.face, frame=at, track=at // 250, pose=_near(acted.face.pose, chance))
    other = replace(
        acted, face=face, image=pixels, face_from_frame=affine.compose(shift, acted.face_from_frame)
    )
    (faces / f"{at:06d}_0.jpg").write_bytes(face_image.encode(other, ".jpg"))


def _near(values: Floats, chance: np.random.Generator) -> Floats:
    return (values + chance.normal(size=values.shape) * 0.2).astype(np.float32)


def opening(show: Path) -> None:
    """A table that is read from all pictures, from the cache, and with ten new pictures."""
    faces = show / "src/faces"
    cache = faces.with_name("faces.safetensors")
    cache.unlink(missing_ok=True)
    _in_child(show, "opened cold (no cache)")
    _in_child(show, "opened warm")
    for each in Faceset(faces).paths[:10]:
        each.touch()
    _in_child(show, "opened with 10 changed")


def packing(show: Path) -> None:
    """One file of all pictures and back, and what reading from it costs."""
    faces = show / "src/faces"
    _time_reading(faces, "from the folder")
    began = time.perf_counter()
    list(faces_pack(show, "src", options=PackOptions()))
    _say("packed, checked and removed", time.perf_counter() - began)
    _in_child(show, "opened warm, packed")
    faces.with_name("faces.safetensors").unlink()
    _in_child(show, "opened cold, packed")
    _time_reading(faces, "from the pack")
    began = time.perf_counter()
    list(faces_unpack(show, "src", options=UnpackOptions()))
    _say("unpacked", time.perf_counter() - began)


def looking(show: Path) -> None:
    """Pixels measured the first time, by all cores, and read again."""
    faceset = Faceset(show / "src/faces")
    cache_path(faceset.folder).unlink(missing_ok=True)
    began = time.perf_counter()
    _measure(faceset)
    seconds = time.perf_counter() - began
    _say(f"{len(faceset)} faces looked at, {len(faceset) / seconds:.0f}/s", seconds)
    began = time.perf_counter()
    _measure(faceset)
    _say(f"{len(faceset)} faces looked at again", time.perf_counter() - began)


def sorting(show: Path) -> None:
    """Every sorter that asks for no other side, with a quarter of the faces, half and all."""
    faceset = Faceset(show / "src/faces")
    pixels = _measure(faceset)
    for share in (4, 2, 1):
        rows = np.arange(len(faceset)) % share == 0
        some = sort_faces(faceset.select(rows), pixels.select(rows))
        for name in sorters.names():
            if not sorters[name].reads_other:
                sort = sorters[name]().build()
                began = time.perf_counter()
                sort(some)
                _say(f"{len(some)} faces sorted by {name}", time.perf_counter() - began)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{len(faceset)} faces sorted by each: at most {memory:.0f} MB", flush=True)


def _measure(faceset: Faceset) -> PixelMeasures:
    stage = measure_pixels(faceset)
    while True:
        try:
            next(stage)
        except StopIteration as end:
            pixels: PixelMeasures = end.value
            return pixels


def _time_reading(faces: Path, what: str) -> None:
    """Pixels of a thousand pictures, on all cores."""
    faceset = Faceset(faces)
    rows = np.random.default_rng(0).permutation(len(faceset))[:1000].tolist()
    began = time.perf_counter()
    with ThreadPoolExecutor() as pool:
        list(pool.map(faceset.load, rows))
    _say(f"{len(rows)} pictures decoded {what}", time.perf_counter() - began)


_OPEN: Final = """
import sys, time
from pathlib import Path
from understudy.io.faceset.faceset import Faceset
began = time.perf_counter()
count = len(Faceset(Path(sys.argv[1])))
print(count, time.perf_counter() - began)
"""


def _in_child(show: Path, what: str) -> None:
    """Open the faceset in a process of its own, so that its memory is known."""
    found = subprocess.run(
        [sys.executable, "-c", _OPEN, str(show / "src/faces")],
        check=True,
        capture_output=True,
        text=True,
    )
    count, seconds = found.stdout.split()
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    _say(f"{count} faces {what} (at most {memory:.0f} MB so far)", float(seconds))


def _say(what: str, seconds: float) -> None:
    print(f"{what}: {seconds:.2f} s", flush=True)


if __name__ == "__main__":
    main()
