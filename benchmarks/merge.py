"""What a merge costs: 1080p, one face of 400 px, against decoding and encoding the same clip
(H.264, medium) in the same run.

    python benchmarks/merge.py            all looks below, some minutes
    python benchmarks/merge.py 120 rct    so many frames, only the looks with that in their name

The model gives back what it sees at once, so that all but prediction is measured: CPU time and wall
time a frame, with all of the pipe (cutting, masks, colours, light, blend, segments, joining,
signing). Goals: overlay at most 1.0 of decoding and encoding in CPU time, seamless at most 2.0,
less than 2 GB of memory. Then the same with two processes, and OpenCV's seamlessClone (8 bits, hard
mask) as the baseline of the seamless blend. Needs the extra `onnx`.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx

from understudy.core import affine, image
from understudy.core.face import align
from understudy.io.faceset.faceset import Faceset
from understudy.io.open_footage import open_footage
from understudy.io.video.clip_writer import write_clip
from understudy.io.video.encode_options import EncodeOptions
from understudy.io.video.writer import write_video
from understudy.stages.merge.command import merge
from understudy.stages.merge.options import MergeOptions
from understudy.stages.project import Project
from understudy.types import AlignedFace, Bytes, Face, Floats

WIDTH, HEIGHT, FACE, MODEL = 1920, 1080, 400, 256
LOOKS: dict[str, dict[str, Any]] = {
    "default: overlay, mkl-m, texture": {},
    "overlay, rct": {"color_transfer": "rct"},
    "overlay, rct, bare": {"color_transfer": "rct", "texture": 0, "sharpen": 0},
    "overlay, sot-m": {"color_transfer": "sot-m"},
    "hist-match": {"mode": "hist-match"},
    "pyramid": {"mode": "pyramid"},
    "seamless": {"mode": "seamless"},
    "motion blur": {"motion_blur": 180},
    "no grain, no uncover": {"grain": 0, "uncover": False, "match_tone": False},
    "masks as a second video": {"matte": True},
}


def main(frames: int = 240, chosen: str = "") -> None:
    """Print one line a measurement."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["UNDERSTUDY_CREDENTIALS"] = f"{folder}/credentials"
        show, model = _show(Path(folder), frames), _model(Path(folder) / "echo.dfm")
        wall, cpu = _coding(show.parent / "plate.mp4")
        print(f"{'ms a frame':38} {'wall':>7} {'CPU':>7}")
        print(
            f"{'decode + encode (x264 medium)':38} {1000 * wall / frames:7.1f}"
            f" {1000 * cpu / frames:7.1f}"
        )
        for name, look in LOOKS.items():
            if chosen in name:
                all_wall, all_cpu = _timed(lambda look=look: _merge(show, model, **look))
                ratio = (
                    f"{(all_cpu - cpu) / cpu:5.2f} of decode + encode in CPU,"
                    f" {all_wall / wall:5.2f} in wall time altogether"
                )
                most = (
                    f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB at most"
                    " so far"
                )
                print(
                    f"{name:38} {1000 * all_wall / frames:7.1f} {1000 * all_cpu / frames:7.1f}  "
                    f" merging: {ratio}, {most}",
                    flush=True,
                )
        one, two = (
            _timed(lambda workers=workers: _merge(show, model, workers=workers))[0]
            for workers in (1, 2)
        )
        print(f"default, two processes: {two / one:.2f} of the time of one")
    began = time.process_time()
    for _ in range(5):
        _opencv()
    print(
        f"{'cv2.seamlessClone, the blend alone':38} {'':7}"
        f" {200 * (time.process_time() - began):7.1f}"
    )


def _merge(show: Path, model: Path, **look: Any) -> None:
    shutil.rmtree(show / "merged", ignore_errors=True)
    for _ in merge(
        show, MergeOptions(model=str(model), masks=("learned", "dst"), device="cpu", **look)
    ):
        continue


def _show(folder: Path, frames: int) -> Path:
    for _ in write_clip(folder / "plate.mp4", _plates(frames), (WIDTH, HEIGHT)):
        continue
    project = Project.create(folder / "show", folder / "plate.mp4", folder / "plate.mp4")
    faceset = Faceset(project.faces("dst"))
    inner = align.template_points("whole", FACE) - FACE / 2
    jaw = np.stack(
        [
            0.36 * FACE * np.cos(np.linspace(np.pi, 0, 17)),
            0.42 * FACE * np.sin(np.linspace(np.pi, 0, 17)),
        ],
        -1,
    )
    for number, plate in enumerate(_plates(frames)):
        middle = np.array([960 + 3 * number % 300, 540])
        points = (np.concatenate([jaw, inner]) + middle).astype(np.float32)
        face = Face(number, affine.bounding_box(points), points, 1.0, 0, np.zeros(3, np.float32))
        matrix = align.face_from_frame(points, "whole", MODEL)
        picture = image.warp(plate, matrix, (MODEL, MODEL), "replicate")
        faceset.add(AlignedFace(face, picture, matrix, "whole", source="plate.mp4"))
    return project.folder


def _plates(frames: int) -> Iterator[Bytes]:
    rng = np.random.default_rng(0)
    soft = cv2.GaussianBlur(rng.random((HEIGHT, WIDTH, 3), np.float32), (0, 0), 8)
    plate = image.as_bytes(
        np.clip(0.5 + 8 * (soft - 0.5) + rng.normal(0, 0.01, soft.shape), 0, 1).astype(np.float32)
    )
    for number in range(frames):
        yield np.roll(plate, 3 * number, 1)


def _model(path: Path) -> Path:
    """A model that gives back the face it sees, its masks 1 everywhere."""
    face, mask, helper = ["N", MODEL, MODEL, 3], ["N", MODEL, MODEL, 1], onnx.helper
    outputs = {"out_face_mask:0": mask, "out_celeb_face:0": face, "out_celeb_face_mask:0": mask}
    nodes = [
        helper.make_node("Identity", ["in_face:0"], ["out_celeb_face:0"]),
        helper.make_node("Slice", ["in_face:0", "0", "1", "3"], ["blue"]),
        helper.make_node("Sub", ["blue", "blue"], ["none"]),
        *(helper.make_node("Exp", ["none"], [name]) for name in outputs if "mask" in name),
    ]
    told = [
        [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
            for name, shape in each.items()
        ]
        for each in ({"in_face:0": face}, outputs)
    ]
    numbers = [
        onnx.numpy_helper.from_array(np.array([value], np.int64), str(value)) for value in (0, 1, 3)
    ]
    graph = helper.make_graph(nodes, "echo", *told, numbers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=7)
    path.write_bytes(model.SerializeToString())
    return path


def _coding(clip: Path) -> tuple[float, float]:
    with open_footage(clip) as footage:
        return _timed(
            lambda: list(
                write_video(clip.with_name("out.mp4"), iter(footage), footage, EncodeOptions())
            )
        )


def _opencv() -> None:
    soft: Floats = cv2.GaussianBlur(
        np.random.default_rng(0).random((FACE, FACE, 3), np.float32), (0, 0), 8
    )
    plate, mask = image.as_bytes(soft), np.zeros((FACE, FACE), np.uint8)
    cv2.circle(mask, (FACE // 2, FACE // 2), 170, 255, -1)
    cv2.seamlessClone(plate[:, ::-1].copy(), plate, mask, (FACE // 2, FACE // 2), cv2.NORMAL_CLONE)


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall time, and of CPU time on all threads of this process."""
    wall, cpu = time.monotonic(), time.process_time()
    work()
    return time.monotonic() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main(*(kind(value) for kind, value in zip((int, str), sys.argv[1:], strict=False)))
