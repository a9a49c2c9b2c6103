"""Decoding and encoding through understudy, measured against the shortest possible PyAV loop.

    python benchmarks/footage.py CLIP.mp4 [--frames 200]

Prints frames a second (wall), CPU time a frame, and our CPU time as a multiple of the floor: the
same conversion to and from RGB with nothing around it. PyAV's default conversion stands beside it:
quicker, but it darkens every picture by about one level in 255.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import av

from understudy.io.open_footage import open_footage
from understudy.io.video.color import bit_depth, from_rgb, resolve_color, to_rgb
from understudy.io.video.encode_options import EncodeOptions
from understudy.io.video.orientation import UPRIGHT
from understudy.io.video.writer import write_video


def main() -> None:
    parser = argparse.ArgumentParser(description="Footage speed against a plain PyAV loop.")
    parser.add_argument("clip", type=Path)
    parser.add_argument("--frames", type=int, default=200)
    given = parser.parse_args()
    with open_footage(given.clip) as footage, tempfile.TemporaryDirectory() as folder:
        count = min(given.frames, len(footage))
        frames = list(footage.frames(0, min(count, 50)))
        out = Path(folder)
        report(
            "decode, PyAV default conversion",
            count,
            lambda: drain(plain_default(given.clip, count)),
        )
        floor = report("decode, PyAV floor", count, lambda: drain(plain(given.clip, count)))
        ours = report("decode, understudy", count, lambda: drain(footage.frames(0, count)))
        print(f"decode, CPU time as a multiple of the floor: {ours / floor:.2f}")
        report(
            "random access [i]",
            20,
            lambda: drain(footage[(7919 * n) % len(footage)] for n in range(20)),
            once=True,
        )
        floor = report(
            "encode, PyAV floor",
            len(frames),
            lambda: encode(out / "plain.mp4", frames, footage.color),
        )
        options = EncodeOptions()
        ours = report(
            "encode, understudy",
            len(frames),
            lambda: drain(write_video(out / "ours.mp4", frames, footage, options)),
        )
        print(f"encode, CPU time as a multiple of the floor: {ours / floor:.2f}")


def report(what: str, count: int, work: Callable[[], None], once: bool = False) -> float:
    """Least CPU time a frame of three tries, in milliseconds; the wall's frames a second are
    printed beside it.
    """
    best, rate = float("inf"), 0.0
    for _ in range(1 if once else 3):
        start, busy = time.perf_counter(), time.process_time()
        work()
        seconds = time.perf_counter() - start
        best, rate = (
            min(best, 1e3 * (time.process_time() - busy) / count),
            max(rate, count / seconds),
        )
    print(f"{what:34} {rate:8.1f} frames/s  {best:7.2f} CPU ms a frame")
    return best


def drain(things: Iterable[object]) -> None:
    for _ in things:
        pass


def plain_default(path: Path, count: int) -> Iterable[object]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_type = "AUTO"
        for frame in itertools.islice(container.decode(stream), count):
            yield frame.to_ndarray(format="rgb24")


def plain(path: Path, count: int) -> Iterable[object]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_type = "AUTO"
        color = None
        for frame in itertools.islice(container.decode(stream), count):
            color = color or resolve_color(frame)
            yield to_rgb(frame, color, bit_depth(frame), UPRIGHT, (frame.width, frame.height))


def encode(path: Path, frames: list, color: object) -> None:
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as output:
        stream = output.add_stream("libx264", rate=25, options={"preset": "medium", "crf": "16"})
        stream.height, stream.width = frames[0].image.shape[:2]
        stream.pix_fmt = "yuv420p" if frames[0].image.dtype == "uint8" else "yuv420p10le"
        for frame in frames:
            output.mux(stream.encode(from_rgb(frame.image, stream.pix_fmt, color)))
        output.mux(stream.encode(None))


if __name__ == "__main__":
    main()
