"""How good and how fast extraction is: faces found, points against the truth and the real movement,
frames a second, memory.

    python benchmarks/extract.py [found] [points] [speed] [memory]

All but the synthetic people need the test footage (UNDERSTUDY_FOOTAGE, else ../shared/footage).
Jitter stands beside the movement that optical flow (Lucas and Kanade) sees in the same frames, and
beside dlib's points as they come; speed beside decoding the same clip, and beside S3FD and FAN on
the same frames with random weights, which take as long as trained ones.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import torch

from understudy.core.face.landmarks import INNER
from understudy.core.image import as_bytes, resize
from understudy.core.metrics import swap_metrics
from understudy.core.synthetic import clip as synthetic_clip
from understudy.io.faceset.faceset import Faceset
from understudy.io.footage.stills import read_image
from understudy.io.open_footage import open_footage
from understudy.io.video.clip_writer import write_clip
from understudy.nets.pretrained.fan import FAN
from understudy.nets.pretrained.s3fd import S3FD
from understudy.parts.detectors import detectors
from understudy.parts.detectors.s3fd import S3fd
from understudy.parts.landmarkers import landmarkers
from understudy.parts.landmarkers.fan import Fan
from understudy.stages.demo import load_portrait
from understudy.stages.extract.command import extract
from understudy.stages.extract.face_analyser import make_analyser
from understudy.stages.extract.options import ExtractOptions
from understudy.stages.project import Project
from understudy.types import Bytes, Faces, Floats

CLIPS = ("talker-a", "talker-b", "talker-c", "talker-d", "scene-720p", "painting")
TALKERS = CLIPS[:4]
STILLS = {"group-3": 3, "group-7": 8, "grid-9": 9}
FOOTAGE = Path(
    os.environ.get("UNDERSTUDY_FOOTAGE", Path(__file__).parents[2] / "shared" / "footage")
)
# Frames of each talker for jitter, and of the synthetic clips.
FRAMES, ACTED = 100, 120


def main() -> None:
    """Print one line a measurement."""
    parts: dict[str, Callable[[Path], None]] = {
        "found": found,
        "points": points,
        "speed": speed,
        "memory": memory,
    }
    for name in sys.argv[1:] or parts:
        with tempfile.TemporaryDirectory() as folder:
            parts[name](Path(folder))


def found(folder: Path) -> None:
    """Frames of clips without a face; faces of stills and of sampled frames, turned and small."""
    for clip in CLIPS:
        path = FOOTAGE / f"{clip}.mp4"
        faces = extracted(
            folder / clip, path, ExtractOptions(size=256, steady="off", identity="none")
        ).faces
        with open_footage(path) as footage:
            seen, frames = len(np.unique(faces.frame)), len(footage)
            samples = [as_bytes(frame.image) for frame in footage.iter_frames(range(0, frames, 40))]
        print(
            f"{clip:12} a face in {seen} of {frames} frames, {len(faces)} faces; every 40th"
            f" {turned(samples, len(samples))}",
            flush=True,
        )
    for still, true in STILLS.items():
        print(f"{still:12} {turned([read_image(FOOTAGE / f'{still}.jpg')], true)}", flush=True)


def turned(images: list[Bytes], true: int) -> str:
    """How many faces are found as they are, turned by quarters, and at a quarter of the size."""
    look = make_analyser(ExtractOptions())

    def count(views: Iterable[Bytes]) -> int:
        return sum(len(look(0, np.ascontiguousarray(view))) for view in views)

    turns = [count(np.rot90(image, quarters) for image in images) for quarters in range(4)]
    small = count(resize(image, (image.shape[1] // 4, image.shape[0] // 4)) for image in images)
    return (
        f"upright {turns[0]}, turned {turns[1]} {turns[2]} {turns[3]}, quarter size {small} of"
        f" {true}"
    )


def points(folder: Path) -> None:
    """Points against the truth of synthetic people, their lag; jitter against the real movement and
    dlib.
    """
    for person in ("a", "b"):
        acted = list(synthetic_clip.render_clip(load_portrait(), person, ACTED))
        true = np.stack([landmarks for _, landmarks in acted])
        path = folder / f"{person}.mp4"
        for _ in write_clip(path, (image for image, _ in acted), (640, 480)):
            pass
        faces = extracted(folder / f"show-{person}", path, ExtractOptions(size=256)).faces
        eyes = np.linalg.norm(true[:, 45] - true[:, 36], axis=-1)[:, None]
        error = 100 * np.linalg.norm(faces.landmarks - true, axis=-1) / eyes
        lags = ", ".join(
            f"{name} {lag(each, true):+.2f}"
            for name, each in (("raw", faces.raw), ("steady", faces.landmarks))
        )
        kept, _ = swap_metrics.expression_movement(
            swap_metrics.expression_features(faces.landmarks),
            swap_metrics.expression_features(true),
        )
        print(
            f"synthetic {person}: inner points {error[:, INNER].mean():.2f} %, jaw"
            f" {error[:, :17].mean():.2f} % of the eye distance,"
            f" {swap_metrics.landmark_error(faces.landmarks, true):.2f} % without the constant"
            f" offsets; movement kept {kept:.2f};"
            f" frames behind the truth where it moves fast: {lags}",
            flush=True,
        )
    for clip in TALKERS:
        jitter(folder / clip, FOOTAGE / f"{clip}.mp4")


def lag(found: Floats, true: Floats) -> float:
    """How many frames the points come late, in the fastest tenth of the frames."""
    offset = (found - true).mean(axis=0)
    speed = (true[2:, INNER] - true[:-2, INNER]).mean(axis=1, keepdims=True) / 2
    fast = np.linalg.norm(speed[:, 0], axis=-1) >= np.quantile(
        np.linalg.norm(speed[:, 0], axis=-1), 0.9
    )
    off = (found - true - offset)[1:-1, INNER].mean(axis=1, keepdims=True)
    return float(-(off * speed)[fast].sum() / (speed**2)[fast].sum())


def jitter(folder: Path, path: Path) -> None:
    """The trembling of steady, filtered and raw points and of dlib's, beside the movement that flow
    sees in the same frames.
    """
    folder.mkdir()
    with open_footage(path) as footage:
        images = [as_bytes(frame.image) for frame in footage.frames(0, FRAMES)]
    short = folder / "clip.mkv"
    height, width = images[0].shape[:2]
    for _ in write_clip(short, images, (width, height)):
        pass
    with open_footage(short) as footage:
        images = [as_bytes(frame.image) for frame in footage]
    tables = {
        mode: extracted(folder / mode, short, ExtractOptions(size=256, steady=mode)).faces
        for mode in ("flow", "filter")
    }
    raw = tables["flow"].raw
    slow = swap_metrics.slow_frames(raw)
    values = {
        "raw": raw,
        **{mode: faces.landmarks for mode, faces in tables.items()},
        "dlib": by_dlib(images, tables["flow"]),
    }
    told = {name: swap_metrics.jitter(each, slow) for name, each in values.items()}
    floor = movement(images, tables["flow"].landmarks, slow)
    shown = ", ".join(
        f"{name} {value:.2f} ({value / floor:.2f} of it)" for name, value in told.items()
    )
    print(
        f"{path.stem}: {int(slow.sum())} slow frames; real movement {floor:.2f} % of the eye"
        f" distance; {shown}",
        flush=True,
    )


def movement(images: list[Bytes], landmarks: Floats, slow: np.ndarray) -> float:
    """What the jitter would be if only the picture's own movement were in it: each frame's points
    carried to both neighbours.
    """
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]

    def carried(one: int, other: int) -> Floats:
        start = np.ascontiguousarray(landmarks[one, INNER], np.float32)
        return cv2.calcOpticalFlowPyrLK(
            grey[one], grey[other], start, None, winSize=(31, 31), maxLevel=4
        )[0]

    bends = []
    for at in np.flatnonzero(slow) + 1:
        bend = carried(at, at - 1) - 2 * landmarks[at, INNER] + carried(at, at + 1)
        bends.append(
            np.linalg.norm(bend, axis=-1).mean()
            / np.linalg.norm(landmarks[at, 45] - landmarks[at, 36])
        )
    return float(100 * np.mean(bends))


def by_dlib(images: list[Bytes], faces: Faces) -> Floats:
    """dlib's points, in the boxes of its own detector, as they come; NaN where it finds nothing."""
    detect, locate = detectors["dlib"]().build(), landmarkers["dlib"]().build()
    result = np.full((len(images), 68, 2), np.nan, np.float32)
    for number, image in enumerate(images):
        boxes = detect(image)
        seen = locate(image, boxes[0]) if boxes else None
        if seen is not None:
            result[number] = seen.landmarks
    return result


def speed(folder: Path) -> None:
    """Frames a second of whole runs, from the command to the report, and memory; against decoding,
    and S3FD with FAN.
    """
    source = FOOTAGE / "scene-720p.mp4"
    with open_footage(source) as footage:
        images = [as_bytes(frame.image) for frame in footage]
    there_and_back = [*images, *images[::-1], *images, *images[::-1]]
    long = folder / "long.mp4"
    for _ in write_clip(long, there_and_back, (1280, 720), 30):
        pass
    began = time.perf_counter()
    with open_footage(long) as footage:
        count = sum(1 for _ in footage)
    print(f"decoding alone: {count / (time.perf_counter() - began):.0f} frames/s")
    for path in (source, long):
        for quality in ("default", "fast"):
            run(folder, path, quality)
    torch.set_num_threads(1)
    detect = S3fd(device="cpu").with_network(S3FD().eval()).look
    locate = Fan(device="cpu", score=0).with_network(FAN())
    small, detection = (
        resize(images[0], (640, 360)),
        detectors["blazeface"]().build()(images[0])[0],
    )
    theirs = cpu_ms(lambda: (detect(small), locate(images[0], detection)), 2)
    look = make_analyser(ExtractOptions())
    ours = cpu_ms(lambda: look(0, images[0]), 10)
    print(
        f"detector and points of one 720p frame: ours {ours:.1f}, S3FD and FAN {theirs:.0f} CPU-ms:"
        f" {theirs / ours:.0f} times"
    )


def memory(_: Path) -> None:
    """The largest size of a process that solves, cuts and reports long films
    (extract_memory.py).
    """
    script = Path(__file__).with_name("extract_memory.py")
    for hours, faces in ((2, 1), (5, 1), (2, 3)):
        order = [
            sys.executable,
            "-c",
            LAUNCHER,
            sys.executable,
            str(script),
            str(hours),
            str(faces),
        ]
        lines = subprocess.run(
            order, check=True, capture_output=True, text=True
        ).stdout.splitlines()
        took, _, megabytes = (float(value) for value in lines[-1].split())
        print(f"{hours} hours, {faces} faces a frame: {took:.0f} s, {megabytes:.0f} MB", flush=True)


def run(folder: Path, path: Path, quality: str) -> None:
    """One whole run in processes of its own."""
    show = folder / f"{path.stem}-{quality}"
    Project.create(show, path, path)
    order = [
        sys.executable,
        "-m",
        "understudy",
        "extract",
        str(show),
        "dst",
        "--quality",
        quality,
        "--quiet",
    ]
    # A small process starts it: what a process held before it became another counts as the other's
    # memory.
    told = subprocess.run(
        [sys.executable, "-c", LAUNCHER, *order], check=True, capture_output=True, text=True
    ).stdout.split()
    took, spent, megabytes = (float(value) for value in told[-3:])
    frames = len(np.unique(Faceset(show / "dst" / "faces").faces.frame))
    print(
        f"{path.stem}, {quality}: {frames} frames, {frames / took:.1f} frames/s,"
        f" {1000 * spent / frames:.1f} CPU-ms a frame, largest process {megabytes:.0f} MB",
        flush=True,
    )


LAUNCHER = """
import resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


def extracted(show: Path, footage: Path, options: ExtractOptions) -> Faceset:
    """The faces of a footage."""
    Project.create(show, footage, footage)
    for _ in extract(show, "dst", options=options):
        pass
    return Faceset(show / "dst" / "faces")


def cpu_ms(work: Callable[[], object], times: int) -> float:
    """The least CPU time of several runs, in ms."""
    best = float("inf")
    for _ in range(times + 1):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return 1000 * best


if __name__ == "__main__":
    main()
