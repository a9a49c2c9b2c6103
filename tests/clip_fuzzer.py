"""Damaged clips, one after the other: a process of its own, since a decoder in C may take it along.

`python clip_fuzzer.py FOLDER SEED COUNT KIND …` prints a line of JSON: for each kind what came out,
and how often. The clip at work lies in FOLDER as `current`, so that one that ends the process is
there to be looked at.
"""

from __future__ import annotations

import collections
import json
import random
import sys
import time
import traceback
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from fuzzing import is_message_fine, mutations

from understudy.errors import UnderstudyError
from understudy.io.footage.base import BadFrame
from understudy.io.open_footage import open_footage
from understudy.io.video.audio import AudioClip
from understudy.io.video.encode_options import EncodeOptions
from understudy.io.video.writer import write_video

# Suffix -> codec of the pictures, their pixel format, codec of the sound.
KINDS = {
    "mp4": ("libx264", "yuv420p", "aac"),
    "mov": ("prores_ks", "yuv422p10le", "pcm_s16le"),
    "3gp": ("h263", "yuv420p", ""),
    "mkv": ("libx265", "yuv420p", "aac"),
    "webm": ("libvpx", "yuv420p", ""),
    "avi": ("mpeg4", "yuv420p", "mp2"),
    "ts": ("mpeg2video", "yuv420p", "mp2"),
    "mpg": ("mpeg1video", "yuv420p", "mp2"),
    "flv": ("flv", "yuv420p", "aac"),
    "wmv": ("wmv2", "yuv420p", "mp2"),
    "gif": ("gif", "rgb8", ""),
    "apng": ("apng", "rgb24", ""),
    "mxf": ("mpeg2video", "yuv420p", ""),
    "rm": ("rv20", "yuv420p", "ac3"),
    "nut": ("ffv1", "yuv444p", "pcm_s16le"),
    "ivf": ("libvpx-vp9", "yuv420p", ""),
    "y4m": ("wrapped_avframe", "yuv420p", ""),
}
_SLOWEST_S = 20.0
_MOST_MEMORY = 2**30
# The headers of most kinds lie here, or at the end.
_HEAD = 1500


def write_clip(path: Path, frames: int = 10) -> None:
    """Write a clip of the kind that its suffix says, with sound where it holds some."""
    codec, layout, sound = KINDS[path.suffix[1:]]
    size = (176, 144) if path.suffix in (".3gp", ".rm", ".mxf") else (96, 64)
    with av.open(str(path), "w") as output:
        output.metadata["title"] = "A title"
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, layout
        # x265 prints what it does.
        stream.codec_context.options = {"x265-params": "log-level=none"} if "265" in codec else {}
        track = output.add_stream(sound, rate=44100, layout="mono") if sound else None
        for number in range(frames):
            image = np.full((size[1], size[0], 3), (40 + 15 * number) % 200, np.uint8)
            image[:: 1 + number % 5, : 5 * number + 1] = 250
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=layout)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if track is not None:
            for place in range(0, 17640, 1152):
                tone = np.zeros((1, 1152), np.int16)
                block = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
                block.sample_rate, block.pts, block.time_base = 44100, place, Fraction(1, 44100)
                output.mux(track.encode(block))
            output.mux(track.encode(None))


def damaged(data: bytes, other: bytes, count: int, seed: int) -> Iterator[bytes]:
    """`data` damaged anywhere, in its headers, or with the end of another clip: a third of each."""
    rng = random.Random(seed)
    anywhere = mutations(data, count, seed)
    heads = mutations(data[:_HEAD], count, seed + 1)
    tails = mutations(data[-_HEAD:], count, seed + 2)
    for number in range(count):
        if number % 3 == 0:
            yield next(anywhere)
        elif number % 3 == 1:
            yield (
                next(heads) + data[_HEAD:] if rng.random() < 0.5 else (data[:-_HEAD] + next(tails))
            )
        else:
            cut = rng.randrange(len(data) + 1)
            yield data[:cut] + other[min(cut, rng.randrange(len(other) + 1)) :]


def use(path: Path) -> str:
    """Read all of a clip, and write a part of it anew with its sound; tell what came out."""
    with open_footage(path, threads=1) as footage:
        bad = 0
        for each in footage.iter_frames_or_bad(range(len(footage))):
            if isinstance(each, BadFrame):
                bad += 1
                assert is_message_fine(each.reason), ascii(each.reason)
        for note in footage.warnings + footage.notes:
            assert is_message_fine(note), ascii(note)
        whole = footage.iter_frames_or_bad(range(len(footage)))
        some = [each for each, _ in zip(whole, range(3)) if not isinstance(each, BadFrame)]  # noqa: B905
        sound = AudioClip.of(footage) if footage.has_audio else None
        out = path.with_name("out.mov")
        try:
            options = EncodeOptions(preset="ultrafast")
            for _ in write_video(out, some, footage, options, sound):
                pass
        except UnderstudyError as error:
            assert is_message_fine(str(error)), ascii(str(error))
            return f"frames, not written: {type(error).__name__}"
    return "all frames" if not bad else "some frames"


def run(folder: Path, kind: str, seed: int, count: int) -> dict[str, int]:
    """Try `count` damaged clips; how often what came out. Raises what is not of our tree."""
    sources = [folder / f"source.{kind}", folder / f"other.{kind}"]
    for number, path in enumerate(sources):
        write_clip(path, frames=10 + 3 * number)
    data, other = (path.read_bytes() for path in sources)
    current = folder / "current"
    outcomes: collections.Counter[str] = collections.Counter()
    before = peak_memory()
    for clip in damaged(data, other, count, seed):
        current.write_bytes(clip)
        began = time.monotonic()
        try:
            outcomes[use(current)] += 1
        except UnderstudyError as error:
            assert is_message_fine(str(error)), ascii(str(error))
            outcomes[type(error).__name__] += 1
        assert time.monotonic() - began < _SLOWEST_S
        assert peak_memory() - before < _MOST_MEMORY
    return dict(outcomes)


def peak_memory() -> int:
    """What this process has taken at most, in bytes; 0 where that is not known."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10


if __name__ == "__main__":
    folder, seed, count, *kinds = sys.argv[1:]
    try:
        found = {kind: run(Path(folder), kind, int(seed), int(count)) for kind in kinds}
        print(json.dumps(found))
    except Exception:
        traceback.print_exc()
        sys.exit(1)
