"""What laying a face into a frame costs: ms of CPU time per 1080p frame with a 400 px face, against decoding and encoding it.

    python benchmarks/merge.py

The ratio to decode + encode says whether the composite is worth speeding up. OpenCV's seamlessClone (8 bits, hard mask) is the
baseline of the seamless blend.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np

from understudy.core import blend, color, geometry, image
from understudy.core.composite import Look, Swap, composite
from understudy.io.footage import open_footage
from understudy.io.video_writer import EncodeOptions, write_video
from understudy.types import Array

FRAMES, WIDTH, HEIGHT, FACE, MODEL = 12, 1920, 1080, 400, 128


def main() -> None:
    """Print one line a measurement."""
    cv2.setNumThreads(1)
    plate = _plate()
    coding = _coding(plate)
    print(f"decode + encode (x264 medium)      {coding:7.1f} ms")
    for name, look in _looks().items():
        for dtype, full in ((np.uint8, 255), (np.uint16, 65535)):
            picture = np.rint(plate * full).astype(dtype)
            cost = _cpu_ms(lambda picture=picture, look=look: composite(picture, [_swap(plate)], look), 6)
            print(f"{name:20} {np.dtype(dtype).name:7}       {cost:7.1f} ms   {cost / coding:5.2f} of decode + encode")
    print(f"cv2.seamlessClone    uint8         {_cpu_ms(_opencv(plate), 6):7.1f} ms   (the blend alone)")


def _looks() -> dict[str, Look]:
    return {
        "overlay": Look(erode=2, blur=8),
        "overlay, rct": Look(transfer=color.reinhard, erode=2, blur=8),
        "seamless, rct": Look(blend.seamless, color.reinhard, 2, 8),
    }


def _plate() -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    rng = np.random.default_rng(0)
    soft = cv2.GaussianBlur(rng.random((HEIGHT, WIDTH, 3), np.float32), (0, 0), 8)
    return np.clip(0.5 + 8 * (soft - 0.5) + rng.normal(0, 0.01, soft.shape), 0, 1).astype(np.float32)


def _swap(plate: Array) -> Swap:
    matrix = geometry.square((960, 540), FACE, 0.1, MODEL)
    dst = image.as_float(image.warp(plate, matrix, (MODEL, MODEL)))
    across = np.linspace(-1, 1, MODEL, dtype=np.float32)
    mask = np.clip(4 * (0.9 - np.hypot(across[:, None], across)), 0, 1).astype(np.float32)
    return Swap(matrix, np.clip(dst * np.float32([1, 0.9, 0.8]) + np.float32(0.05), 0, 1), dst, mask)


def _opencv(plate: Array) -> Callable[[], object]:
    eight = np.rint(plate * 255).astype(np.uint8)[340:740, 760:1160]
    mask = np.zeros((FACE, FACE), np.uint8)
    cv2.circle(mask, (FACE // 2, FACE // 2), 170, 255, -1)
    return lambda: cv2.seamlessClone(eight, eight, mask, (FACE // 2, FACE // 2), cv2.NORMAL_CLONE)


def _coding(plate: Array) -> float:
    """CPU ms to decode and encode a frame, all threads together."""
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        with av.open(str(clip), "w") as output:
            stream = output.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for number in range(FRAMES):
                picture = np.roll(np.rint(plate * 255).astype(np.uint8), 3 * number, 1)
                output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            output.mux(stream.encode(None))
        with open_footage(clip) as footage:
            return _cpu_ms(lambda: list(write_video(Path(folder) / "out.mp4", iter(footage), footage, EncodeOptions())), 1) / FRAMES


def _cpu_ms(work: Callable[[], object], times: int) -> float:
    """The least CPU time of several runs, in ms."""
    best = float("inf")
    for _ in range(times):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return 1000 * best


if __name__ == "__main__":
    main()
